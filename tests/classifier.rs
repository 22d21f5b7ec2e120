//! From a model file to labeled probabilities: one classifier for many threads, and what its answers rest on.

use std::sync::Arc;
use std::thread;

use crate::common::photos::{jpeg, pixels, png};
use floret::checkpoint::{ModelInfo, save_model};
use floret::data::Preprocess;
use floret::explain::Occlusion;
use floret::image::{DecodeOptions, Fit};
use floret::network::{Network, NetworkError};
use floret::nn::{Conv2d, Dense, Flatten, Init, MaxPool2d, Relu};
use floret::{Classifier, ClassifyError, Prediction, Result};
use ndarray::{Array, Array3, Array4, Axis, IxDyn, stack};
use rayon::prelude::*;
use tempfile::TempDir;

const SIDE: usize = 32;

fn info() -> ModelInfo {
    ModelInfo {
        classes: ["daisy", "rose", "tulip"].map(String::from).to_vec(),
        preprocess: Preprocess::new(SIDE),
    }
}

/// Its second convolution runs as Winograd's, whose filters are prepared for few images.
fn network() -> Network {
    let he = |filters| Conv2d::new(filters, 5).kernel_init(Init::HeNormal);
    let builder = Network::builder((SIDE, SIDE, 3)).add(he(16)).add(Relu).add(MaxPool2d::new(2));
    builder.add(he(24)).add(Relu).add(Flatten).add(Dense::new(3)).seed(3).build().unwrap()
}

fn saved() -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("model.safetensors");
    save_model(&path, &network(), &info()).unwrap();
    (folder, path)
}

fn photos(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|seed| if seed % 3 == 2 { png(seed, 40, 50) } else { jpeg(seed, 60, 45) }).collect()
}

fn bits(prediction: &Prediction) -> Vec<u32> {
    prediction.probabilities().iter().map(|p| p.to_bits()).collect()
}

/// What the network says of each photo alone, by its own door.
fn alone(network: &Network, photos: &[Vec<u8>]) -> Vec<Vec<u32>> {
    let one = |photo: &Vec<u8>| {
        let input = info().preprocess.input(photo, &DecodeOptions::default()).unwrap();
        let answer = network.predict(&input.insert_axis(Axis(0))).unwrap();
        answer.iter().map(|p| p.to_bits()).collect()
    };
    photos.iter().map(one).collect()
}

#[test]
fn a_loaded_network_predicts_arrays_and_views() -> Result<()> {
    let (_folder, path) = saved();
    let photos =
        Array4::from_shape_fn((6, SIDE, SIDE, 3), |(n, y, x, c)| ((n + y * x + c) % 9) as f32 / 4.0 - 1.0);
    let answers = Network::load(&path)?.predict(&photos)?;
    assert_eq!(answers, network().predict(photos.view())?);
    assert!(answers.rows().into_iter().all(|row| (row.sum() - 1.0).abs() < 1e-6), "six roundings to 2^-24");
    Ok(())
}

#[test]
fn four_threads_share_a_classifier_and_get_the_answers_of_one() {
    let (_folder, path) = saved();
    let photos = Arc::new(photos(12));
    let wanted = alone(&network(), &photos);
    let classifier = Arc::new(Classifier::load(&path).unwrap());
    let threads = (0..4).map(|start| {
        let (classifier, photos) = (classifier.clone(), photos.clone());
        thread::spawn(move || {
            // Each in another order, so that different photos meet.
            let order = (0..3 * photos.len()).map(move |i| (i * 5 + start * 3) % 12);
            order.map(|i| (i, bits(&classifier.classify(&photos[i]).unwrap()))).collect::<Vec<_>>()
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap().into_iter().for_each(|(i, bits)| assert_eq!(bits, wanted[i], "photo {i}"));
    }
}

/// A thread of the pool that waits for a part of its work takes up another's call meanwhile, its first one too.
#[test]
fn calls_from_tasks_of_the_pool_do_not_wait_for_each_other() {
    let photos = photos(40);
    let wanted = alone(&network(), &photos);
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let classifier = Classifier::new(network(), info()).unwrap();
        let answers: Vec<_> = pool
            .install(|| photos.par_iter().map(|photo| bits(&classifier.classify(photo).unwrap())).collect());
        assert_eq!(answers, wanted);
    }
}

#[test]
fn a_network_that_learned_something_prepares_its_filters_anew() {
    let (images, mut network) = (Array4::from_elem((1, SIDE, SIDE, 3), 0.5), network());
    let before = network.predict(&images).unwrap();
    network.set_array("conv2d_2/kernel", Array::zeros(IxDyn(&[5, 5, 16, 24])).view()).unwrap();
    assert_ne!(network.predict(&images).unwrap(), before);
}

#[test]
fn many_photos_files_and_decoded_images_get_the_same_answers() {
    let classifier = Classifier::new(network(), info()).unwrap();
    let (folder, mut photos) = (TempDir::new().unwrap(), photos(70));
    let wanted: Vec<_> = photos.iter().map(|photo| classifier.classify(photo).unwrap()).collect();
    // Other ways to compute the same sums of some hundred products: they differ by roundings.
    let close = |got: &Prediction, wanted: &Prediction| {
        got.probabilities().iter().zip(wanted.probabilities()).all(|(a, b)| (a - b).abs() < 1e-5)
    };
    photos[3] = b"no photo".to_vec();
    photos[66].truncate(300);
    let files: Vec<_> = (0..photos.len()).map(|i| folder.path().join(i.to_string())).collect();
    files.iter().zip(&photos).for_each(|(file, photo)| std::fs::write(file, photo).unwrap());
    for answers in [classifier.classify_all(&photos), classifier.classify_files(&files)] {
        assert_eq!(answers.len(), photos.len());
        for (i, answer) in answers.iter().enumerate() {
            match answer {
                Ok(answer) => assert!(i != 3 && i != 66 && close(answer, &wanted[i]), "photo {i}"),
                Err(ClassifyError::Photo(_)) => assert!(i == 3 || i == 66, "photo {i}"),
                Err(error) => panic!("photo {i}: {error}"),
            }
        }
    }
    assert!(classifier.classify_all::<Vec<u8>>(&[]).is_empty());

    // A PNG is decoded to the very pixels, whichever way their array lies.
    let rgb = Array3::from_shape_vec((50, 40, 3), pixels(2, 40, 50)).unwrap();
    assert_eq!(classifier.classify_image(rgb.view()).unwrap(), wanted[2]);
    let turned = rgb.permuted_axes([1, 0, 2]).as_standard_layout().into_owned().permuted_axes([1, 0, 2]);
    assert_eq!(classifier.classify_image(turned.view()).unwrap(), wanted[2]);
}

#[test]
fn predictions_are_ranked_and_serialized_by_class() {
    let classifier = Classifier::new(network(), info()).unwrap();
    assert_eq!(classifier.classes(), ["daisy", "rose", "tulip"]);
    let prediction = classifier.classify(&jpeg(1, 64, 64)).unwrap();
    let top = prediction.top(9);
    assert!(top.len() == 3 && top[0].1 >= top[1].1 && top[1].1 >= top[2].1);
    assert_eq!((prediction.best(), prediction.top(1)), (top[0], vec![top[0]]));
    assert_eq!(prediction.iter().map(|(_, p)| p).collect::<Vec<_>>(), prediction.probabilities());
    let json = serde_json::to_string(&prediction).unwrap();
    assert!(json.starts_with(r#"{"daisy":0."#) && json.contains(r#","tulip":0."#), "{json}");
    let read: std::collections::BTreeMap<String, f32> = serde_json::from_str(&json).unwrap();
    assert!(read.values().zip(prediction.probabilities()).all(|(a, b)| a == b), "to the bit");
}

#[test]
fn what_can_not_be_classified_is_an_error_that_says_why() {
    let fails = |error: ClassifyError, part: &str| assert!(error.to_string().contains(part), "{error}");
    let classifier = Classifier::new(network(), info()).unwrap();
    fails(classifier.classify(b"%PDF-1.4").unwrap_err(), "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but");
    fails(classifier.classify(&[]).unwrap_err(), "an empty file");
    let photo = jpeg(1, 64, 48);
    fails(classifier.classify(&photo[..photo.len() / 2]).unwrap_err(), "cut off");
    for shape in [(4, 4, 1), (4, 4, 4), (0, 4, 3)] {
        fails(classifier.classify_image(Array3::zeros(shape).view()).unwrap_err(), "wanted");
    }
    fails(classifier.classify_files(&["no/such.jpg"]).pop().unwrap().unwrap_err(), "cannot be read");
    let limited = classifier.decode_options(DecodeOptions { max_pixels: 3000, ..DecodeOptions::default() });
    fails(limited.classify(&photo).unwrap_err(), "64x48 pixels is over the limit of 3000");

    let few = ModelInfo { classes: vec!["rose".into()], ..info() };
    fails(Classifier::new(network(), few).unwrap_err(), "3 outputs, but there are 1 class names");
    let mut diverged = network();
    diverged.set_array("dense_1/bias", Array::from_elem(IxDyn(&[3]), f32::NAN).view()).unwrap();
    let diverged = Classifier::new(diverged, info()).unwrap();
    fails(diverged.classify(&photo).unwrap_err(), "not finite");
    assert!(diverged.classify_all(&[&photo[..], b"none"]).iter().all(|answer| answer.is_err()));
    assert!(
        Classifier::load("no/model.safetensors").unwrap_err().to_string().contains("no/model.safetensors")
    );
}

/// A network for which only one place matters: the sum of 4x4 pixels speaks for the second class.
#[test]
fn the_map_finds_the_only_place_that_matters() {
    let mut network = Network::builder((SIDE, SIDE, 3)).add(Flatten).add(Dense::new(2)).build().unwrap();
    let planted = |y: usize, x: usize| (4..8).contains(&y) && (24..28).contains(&x);
    let kernel = Array::from_shape_fn(IxDyn(&[SIDE * SIDE * 3, 2]), |at| {
        let (pixel, class) = (at[0] / 3, at[1]);
        if class == 1 && planted(pixel / SIDE, pixel % SIDE) { 0.5 } else { 0.0 }
    });
    network.set_array("dense_1/kernel", kernel.view()).unwrap();
    let image = Array3::from_elem((SIDE, SIDE, 3), 1.0);
    let options = Occlusion { sigma: 2.0, stride: 1 };
    let map = options.map(&network, image.view(), 1).unwrap();
    let ((y, x), most) = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    assert!(planted(y, x), "the most at {y}, {x}");
    // Covers reach about three deviations, there and back.
    for ((y, x), value) in map.indexed_iter() {
        let distance = (y as f32 - 5.5).hypot(x as f32 - 25.5);
        assert!(distance < 14.0 || value.abs() < 0.01 * most, "{value} of {most} at {y}, {x}");
    }
    // For the other class the same speaks against it.
    let against = options.map(&network, image.view(), 0).unwrap();
    let sum = stack(Axis(0), &[map.view(), against.view()]).unwrap().sum_axis(Axis(0));
    assert!(sum.iter().all(|value| value.abs() < 1e-4), "log-odds of two classes are each other's negative");

    let error = |image: &Array3<f32>, class| options.map(&network, image.view(), class).unwrap_err();
    assert_eq!(error(&image, 2), NetworkError::NoSuchOutput { class: 2, outputs: 2 });
    assert!(matches!(error(&Array3::zeros((8, SIDE, 3)), 0), NetworkError::ImageShape { .. }));
    let odd = Occlusion { sigma: 0.0, stride: 0 }.map(&network, image.view(), 1);
    assert!(odd.is_ok_and(|map| map.iter().all(|value| value.is_finite())));
}

#[test]
fn an_explanation_is_of_the_classifiers_own_answer() {
    let crop = ModelInfo { preprocess: Preprocess::new(SIDE).fit(Fit::Crop), ..info() };
    let classifier = Classifier::new(network(), crop).unwrap();
    let photo = jpeg(4, 70, 50);
    let explanation = classifier.explain(&photo).unwrap();
    assert_eq!(explanation.prediction, classifier.classify(&photo).unwrap());
    assert_eq!(explanation.map.dim(), (SIDE, SIDE));
    assert!(explanation.map.iter().any(|value| *value != 0.0));
    assert!(matches!(classifier.explain(b"none"), Err(ClassifyError::Photo(_))));
}
