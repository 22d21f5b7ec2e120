//! One classifier that several threads use at once, as a server does.

use std::thread;

use floret::checkpoint::ModelInfo;
use floret::data::Preprocess;
use floret::image::encode_png;
use floret::{Classifier, models};
use ndarray::Array3;

pub fn main() -> floret::Result<()> {
    // `Classifier::load("model.safetensors")` reads one that was trained.
    let network = models::residual(32, 3, &[8, 16], 0.0).seed(1).build()?;
    let classes = ["daisy", "rose", "tulip"].map(String::from).to_vec();
    let classifier = Classifier::new(network, ModelInfo { classes, preprocess: Preprocess::new(32) })?;

    let photo = Array3::from_shape_fn((48, 40, 3), |(y, x, c)| (3 * y + 2 * x + 50 * c) as u8);
    let photo = encode_png(photo.view())?;

    // `classify` takes `&self`: no lock, and each thread has room of its own to work in.
    let answers = thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| classifier.classify(&photo))).collect();
        let join =
            |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("classifying does not panic");
        threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
    })?;
    for answer in &answers {
        let (class, probability) = answer.best();
        println!("{class}: {:.1} %", 100.0 * probability);
    }
    assert!(answers.iter().all(|answer| answer.probabilities() == answers[0].probabilities()));
    Ok(())
}
