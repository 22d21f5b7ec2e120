//! Mixup and cutmix.

use std::collections::BTreeSet;

use floret::data::{Batch, BatchError, Loader, LoaderOptions, LoaderOptionsError, Mix, Shuffle};
use floret::record::Compression;
use ndarray::Axis;

use super::{CLASSES, SIZE, batches, drawn, options, with_threads};

/// What mixing does to one image, undone by hand: the two it was made of and the share of the first.
#[test]
fn mixed_examples_are_made_of_two_of_their_batch_as_their_targets_say() {
    let data = drawn(24, Compression::Plain);
    let plain = Loader::open(&data.shards, LoaderOptions { batch_size: 12, ..options() }).unwrap();
    for (mixup, cutmix) in [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.3, 0.2)] {
        let mix = Some(Mix::new(mixup, cutmix));
        let mixed = Loader::open(&data.shards, LoaderOptions { mix, ..plain.options().clone() }).unwrap();
        let (mut blended, mut cut) = (0, 0);
        for (before, after) in batches(&plain, 1).iter().zip(batches(&mixed, 1)) {
            assert_eq!((&before.labels, &before.records), (&after.labels, &after.records));
            let targets = after.mixed.unwrap();
            for (example, target) in targets.rows().into_iter().enumerate() {
                assert!((target.sum() - 1.0).abs() < 1e-6 && target.iter().all(|&t| t >= 0.0), "{target}");
                let (x, got) =
                    (before.images.index_axis(Axis(0), example), after.images.index_axis(Axis(0), example));
                if x == got {
                    continue;
                }
                // The other one is the one that explains every value.
                let share = |other: usize| {
                    let y = before.images.index_axis(Axis(0), other);
                    let far = (&x - &y).mapv(f32::abs);
                    let at = far.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
                    let [x, y, got] = [&x, &y, &got].map(|image| *image.iter().nth(at).unwrap());
                    (got - y) / (x - y)
                };
                let blend = (0..12).filter(|&other| other != example).find(|&other| {
                    let (y, kept) = (before.images.index_axis(Axis(0), other), share(other));
                    let mixed = &x * kept + &y * (1.0 - kept);
                    mixed.iter().zip(got).all(|(a, b)| (a - b).abs() < 1e-4)
                });
                let patch = (0..12).filter(|&other| other != example).find_map(|other| {
                    let y = before.images.index_axis(Axis(0), other);
                    let of = |image: &ndarray::ArrayView3<f32>, y, x| {
                        image.slice(ndarray::s![y, x, ..]) == got.slice(ndarray::s![y, x, ..])
                    };
                    let places: Vec<_> = (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (y, x))).collect();
                    let foreign: Vec<_> = places.iter().filter(|(r, c)| !of(&x, *r, *c)).copied().collect();
                    foreign.iter().all(|&(r, c)| of(&y, r, c)).then_some((other, foreign))
                });
                let mut wanted = vec![0.0; CLASSES];
                if let Some((other, foreign)) = patch {
                    cut += 1;
                    let (rows, columns): (BTreeSet<_>, BTreeSet<_>) = foreign.iter().copied().unzip();
                    assert_eq!(foreign.len(), rows.len() * columns.len(), "a rectangle");
                    let kept = 1.0 - foreign.len() as f32 / (SIZE * SIZE) as f32;
                    wanted[before.labels[example]] += kept;
                    wanted[before.labels[other]] += 1.0 - kept;
                } else {
                    let other = blend.expect("an image of the batch");
                    blended += 1;
                    wanted[before.labels[example]] += share(other);
                    wanted[before.labels[other]] += 1.0 - share(other);
                }
                // Drawn photos are smooth, so a share found from one pixel has few digits.
                assert!(target.iter().zip(&wanted).all(|(t, w)| (t - w).abs() < 2e-3), "{target} {wanted:?}");
            }
        }
        assert_eq!((blended > 0, cut > 0), (mixup > 0.0, cutmix > 0.0), "{mixup} {cutmix}");
    }
}

#[test]
fn mixing_depends_on_the_seed_the_epoch_and_the_place_alone() {
    let data = drawn(24, Compression::Plain);
    let mixed = |seed| {
        let options =
            LoaderOptions { seed, shuffle: Shuffle::None, mix: Some(Mix::new(0.5, 0.5)), ..options() };
        Loader::open(&data.shards, options).unwrap()
    };
    let targets =
        |batches: &[Batch]| batches.iter().map(|batch| batch.mixed.clone().unwrap()).collect::<Vec<_>>();
    let whole = with_threads(1, || batches(&mixed(7), 2));
    for threads in [2, 3] {
        assert!(with_threads(threads, || batches(&mixed(7), 2)) == whole);
    }
    let rest: Vec<Batch> = mixed(7).epoch_from(2, 2).map(|batch| batch.unwrap()).collect();
    assert!(rest[..] == whole[2..]);
    assert_ne!(targets(&whole), targets(&batches(&mixed(8), 2)));
    assert_ne!(targets(&whole), targets(&batches(&mixed(7), 3)));
    assert_ne!(whole[0].mixed, whole[1].mixed);
}

#[test]
fn mixing_that_makes_no_sense_is_refused() {
    let data = drawn(4, Compression::Plain);
    let alpha = |alpha| Mix { alpha, ..Mix::new(0.5, 0.5) };
    let refused = |mix| {
        let opened = Loader::open(&data.shards, LoaderOptions { mix: Some(mix), ..options() });
        let Err(BatchError::Options(error)) = opened else { panic!("{opened:?}") };
        error
    };
    for mix in [Mix::new(-0.1, 0.0), Mix::new(0.6, 0.6), Mix::new(f32::NAN, 0.0)] {
        let error = refused(mix);
        assert!(matches!(error, LoaderOptionsError::MixShares { .. }), "{error}");
    }
    assert_eq!(refused(alpha(0.0)), LoaderOptionsError::MixAlpha(0.0));
    assert!(matches!(refused(alpha(f32::NAN)), LoaderOptionsError::MixAlpha(_)));
}
