//! Training by the recipe on data sets that are no shards.

use std::sync::Arc;

use floret::data::{Arrays, Dataset};
use floret::image::{ChannelOrder, Normalize, encode_png};
use floret::nn::Shape;
use floret::recipe::{Augmentation, Budget, Choices, DataFolder, Normalization, Note, RecipeError, Training};
use floret::{Classifier, fit_sets};
use ndarray::{Array3, Array4};

/// Bright and dark halves, 20 x 20 pixels, of one gray level each.
fn halves(count: usize, classes: [&str; 2]) -> Arrays {
    let images = Array4::from_shape_fn((count, 20, 20, 1), |(image, y, x, _)| {
        let along = if image % 2 == 0 { x } else { y };
        (if along < 10 { 40 } else { 200 }) + (image * 7 % 30) as u8
    });
    let labels = (0..count).map(|image| image % 2).collect();
    Arrays::new(images, labels, classes.map(String::from).to_vec()).unwrap()
}

#[test]
fn arrays_are_learned_at_their_own_size() {
    let names = ["left", "top"];
    let trained = fit_sets(halves(40, names), Some(halves(10, names)), Budget::epochs(4)).unwrap();
    assert_eq!(trained.info.classes, names);
    assert_eq!((trained.info.preprocess.image_size, trained.settings.image_size), (20, 20));
    assert_eq!(trained.settings.augment, Augmentation::Light);
    let evaluation = trained.evaluation.unwrap();
    assert_eq!((evaluation.examples, evaluation.accuracy()), (10, 1.0));
    let choices = Choices { image_size: Some(32), ..Choices::default() };
    let data = DataFolder::of_sets(Arc::new(halves(40, names)), None).unwrap();
    let trained = Training::on(data).choose(choices).epochs(1).run().unwrap();
    assert_eq!(trained.info.preprocess.image_size, 32);
    assert!(trained.evaluation.is_none());
}

/// What has no color needs one channel alone: in training, in the files, and for photos that have color.
#[test]
fn gray_pictures_make_networks_of_one_channel() {
    let (names, one) = (["left", "top"], Shape::from((20, 20, 1)));
    let data = || DataFolder::of_sets(Arc::new(halves(40, names)), None).unwrap();
    let trained = Training::on(data()).epochs(4).run().unwrap();
    assert!(trained.notes.iter().any(|note| matches!(note, Note::Gray)));
    assert_eq!(trained.network.input(), one);
    assert_eq!(trained.info.preprocess.channel_order, ChannelOrder::Gray);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    trained.save(&path).unwrap();
    let classifier = Classifier::load(&path).unwrap();
    let photo = |colors: [[u8; 3]; 2]| {
        let photo =
            Array3::from_shape_fn((20, 20, 3), |(y, _, channel)| colors[usize::from(y >= 10)][channel]);
        encode_png(photo.view()).unwrap()
    };
    // 0.299 red + 0.587 green + 0.114 blue is 40 of the one color, and 200 of the other.
    let answers = [[[40; 3], [200; 3]], [[6, 53, 63], [255, 179, 164]]].map(|colors| {
        let prediction = classifier.classify(&photo(colors)).unwrap();
        (prediction.best().0.to_owned(), prediction.best().1)
    });
    assert_eq!((&*answers[0].0, &*answers[1].0), ("top", "top"));
    assert!((answers[0].1 - answers[1].1).abs() < 0.01, "{answers:?}");
    // A new last layer for other classes.
    let others = DataFolder::of_sets(Arc::new(halves(40, ["a", "b"])), None).unwrap();
    let begun = Training::on(others).start_from(&path).epochs(1).run().unwrap();
    assert_eq!(begun.network.input(), one);
    // Three channels where they are asked for, in one way or the other.
    for choices in [
        Choices { channel_order: Some(ChannelOrder::Rgb), ..Choices::default() },
        Choices { normalize: Some(Normalization::Given(Normalize::IMAGENET)), ..Choices::default() },
    ] {
        let trained = Training::on(data()).choose(choices).epochs(1).run().unwrap();
        assert_eq!(trained.network.input(), Shape::from((20, 20, 3)));
    }
    let three = Choices { channel_order: Some(ChannelOrder::Rgb), ..Choices::default() };
    let error = Training::on(data()).choose(three).start_from(&path).epochs(1).run().unwrap_err();
    assert!(error.to_string().contains("20x20x1") && error.to_string().contains("order rgb"), "{error}");
}

#[test]
fn sets_of_other_classes_are_refused() {
    let set = |classes| Arc::new(halves(4, classes)) as Arc<dyn Dataset>;
    let error = DataFolder::of_sets(set(["a", "b"]), Some(set(["b", "a"]))).unwrap_err();
    assert!(matches!(error, RecipeError::EvalClasses { .. }), "{error}");
    assert!(fit_sets(halves(4, ["a", "b"]), Some(halves(4, ["a", "c"])), Budget::epochs(1)).is_err());
}
