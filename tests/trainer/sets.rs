//! Training by the recipe on data sets that are no shards.

use std::sync::Arc;

use floret::data::{Arrays, Dataset};
use floret::fit_sets;
use floret::recipe::{Augmentation, Budget, Choices, DataFolder, RecipeError, Training};
use ndarray::Array4;

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

#[test]
fn sets_of_other_classes_are_refused() {
    let set = |classes| Arc::new(halves(4, classes)) as Arc<dyn Dataset>;
    let error = DataFolder::of_sets(set(["a", "b"]), Some(set(["b", "a"]))).unwrap_err();
    assert!(matches!(error, RecipeError::EvalClasses { .. }), "{error}");
    assert!(fit_sets(halves(4, ["a", "b"]), Some(halves(4, ["a", "c"])), Budget::epochs(1)).is_err());
}
