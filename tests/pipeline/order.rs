//! The order of an epoch, and that it is the same for any number of threads, from any place, however it is left.

use std::collections::BTreeSet;

use floret::data::{Loader, LoaderOptions, Shuffle};
use floret::record::Compression;

use super::{SHUFFLES, augmented, batches, drawn, examples, options, sorted, with_threads};

#[test]
fn each_epoch_has_every_example_once_in_an_order_of_its_own() {
    let data = drawn(40, Compression::Plain);
    for shuffle in SHUFFLES {
        let loader = Loader::open(&data.shards, LoaderOptions { shuffle, ..options() }).unwrap();
        let epochs: Vec<_> = (0..3).map(|epoch| examples(&batches(&loader, epoch))).collect();
        assert_eq!(BTreeSet::from_iter(&epochs[0]).len(), 40, "the photos differ");
        for epoch in &epochs[1..] {
            assert_eq!(sorted(epoch.clone()), sorted(epochs[0].clone()));
            assert_eq!(*epoch == epochs[0], shuffle == Shuffle::None);
        }
        let other = LoaderOptions { shuffle, seed: 8, ..options() };
        let other = examples(&batches(&Loader::open(&data.shards, other).unwrap(), 0));
        assert_eq!(other == epochs[0], shuffle == Shuffle::None);
    }
}

#[test]
fn augmentation_differs_by_epoch_and_goes_with_the_record() {
    let data = drawn(12, Compression::Plain);
    let in_order = LoaderOptions { shuffle: Shuffle::None, ..augmented() };
    let loader = Loader::open(&data.shards, in_order).unwrap();
    let (first, second) = (batches(&loader, 0), batches(&loader, 1));
    for (a, b) in examples(&first).iter().zip(&examples(&second)) {
        assert!(a.0 != b.0 && a.1 == b.1);
    }
    // The same changes to the same photos in any order.
    let shuffled = Loader::open(&data.shards, augmented()).unwrap();
    assert_eq!(sorted(examples(&batches(&shuffled, 1))), sorted(examples(&second)));
}

#[test]
fn batches_do_not_depend_on_threads_cache_or_compression() {
    for compression in [Compression::Plain, Compression::Gzip] {
        let data = drawn(31, compression);
        for shuffle in SHUFFLES {
            for options in [options(), augmented()] {
                let run = |threads, cache_bytes, prefetch| {
                    let options = LoaderOptions { shuffle, cache_bytes, prefetch, ..options.clone() };
                    let loader = Loader::open(&data.shards, options).unwrap();
                    with_threads(threads, || [0, 1, 2].map(|epoch| examples(&batches(&loader, epoch))))
                };
                let wanted = run(1, 0, 1);
                // None of the photos is kept, some are, all are.
                for (threads, cache, prefetch) in [(1, 4000, 4), (2, 1 << 20, 1), (3, 0, 2), (3, 4000, 9)] {
                    assert!(
                        run(threads, cache, prefetch) == wanted,
                        "{shuffle:?}, {threads} threads, cache {cache}, prefetch {prefetch}, {compression}"
                    );
                }
                // Outside of any pool the global one works.
                let loader =
                    Loader::open(&data.shards, LoaderOptions { shuffle, ..options.clone() }).unwrap();
                assert!(examples(&batches(&loader, 0)) == wanted[0]);
            }
        }
    }
}

#[test]
fn an_epoch_resumed_at_a_batch_is_its_tail() {
    for compression in [Compression::Plain, Compression::Zlib] {
        let data = drawn(20, compression);
        for shuffle in SHUFFLES {
            let loader = Loader::open(&data.shards, LoaderOptions { shuffle, ..augmented() }).unwrap();
            let whole = batches(&loader, 3);
            assert_eq!(whole.len(), 4);
            for first in [0, 1, 3, 4, 5, usize::MAX] {
                let tail: Vec<_> = loader.epoch_from(3, first).map(|batch| batch.unwrap()).collect();
                assert_eq!(tail, whole[first.min(4)..], "{shuffle:?} from {first}");
            }
        }
    }
}

#[test]
fn the_last_short_batch_is_kept_or_dropped() {
    let data = drawn(20, Compression::Plain);
    let kept = Loader::open(&data.shards, options()).unwrap();
    let dropped = Loader::open(&data.shards, LoaderOptions { drop_last: true, ..options() }).unwrap();
    assert_eq!((kept.batches(), dropped.batches()), (4, 3));
    let (kept, dropped) = (batches(&kept, 0), batches(&dropped, 0));
    assert_eq!(kept[3].labels.len(), 2);
    assert_eq!(kept[..3], dropped);
    let exact = LoaderOptions { batch_size: 5, drop_last: true, ..options() };
    assert_eq!(batches(&Loader::open(&data.shards, exact).unwrap(), 0).len(), 4);
    let huge = LoaderOptions { batch_size: usize::MAX, ..options() };
    assert_eq!(batches(&Loader::open(&data.shards, huge).unwrap(), 0)[0].labels.len(), 20);
}

#[test]
fn position_is_where_the_epoch_goes_on() {
    let data = drawn(20, Compression::Plain);
    let loader = Loader::open(&data.shards, options()).unwrap();
    let whole = batches(&loader, 0);
    let mut epoch = loader.epoch(0);
    let mut batch = 0;
    loop {
        assert_eq!(epoch.position(), batch);
        if epoch.next().is_none() {
            break;
        }
        batch += 1;
        let next = loader.epoch_from(0, epoch.position()).next().map(|batch| batch.unwrap());
        assert_eq!(next.as_ref(), whole.get(batch));
    }
    assert_eq!(batch, 4);
}

#[test]
fn an_epoch_dropped_early_neither_hangs_nor_disturbs_the_next() {
    let data = drawn(40, Compression::Gzip);
    let options = LoaderOptions { batch_size: 3, prefetch: 8, cache_bytes: 0, ..options() };
    for threads in [1, 2, 3] {
        let loader = Loader::open(&data.shards, options.clone()).unwrap();
        let wanted = batches(&loader, 1);
        with_threads(threads, || {
            for taken in [0, 1, 2, 5] {
                let mut epoch = loader.epoch(0);
                (0..taken).for_each(|_| drop(epoch.next().unwrap().unwrap()));
                drop(epoch);
                assert!(batches(&loader, 1) == wanted);
            }
        });
    }
}

/// Each of the tasks in a pool's only thread waits for batches that only this thread can make.
#[test]
fn epochs_may_overlap_and_be_taken_inside_a_pool() {
    let data = drawn(20, Compression::Plain);
    let loader = Loader::open(&data.shards, options()).unwrap();
    let wanted = [batches(&loader, 0), batches(&loader, 1)];
    for threads in [1, 2] {
        let fresh = Loader::open(&data.shards, options()).unwrap();
        let got = with_threads(threads, || {
            let (a, b) = rayon::join(|| batches(&fresh, 0), || batches(&fresh, 1));
            [a, b]
        });
        assert!(got == wanted);
        let fresh = Loader::open(&data.shards, options()).unwrap();
        let pairs: Vec<_> =
            fresh.epoch(0).zip(fresh.epoch(1)).map(|(a, b)| [a.unwrap(), b.unwrap()]).collect();
        for (place, pair) in pairs.into_iter().enumerate() {
            assert!(pair[0] == wanted[0][place] && pair[1] == wanted[1][place]);
        }
    }
}
