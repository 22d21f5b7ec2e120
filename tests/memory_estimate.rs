//! The memory that training is said to take, against what it takes.
use floret::models;
use floret::optim::Sgd;
use ndarray::Array4;

use crate::{alone, peak};

#[test]
fn training_takes_about_what_is_estimated() {
    let _alone = alone();
    // Each several times what the one before takes: the first is most of all activations, the second of all weights.
    for (side, batch) in [(64, 32), (224, 1)] {
        let builder = models::seed(side, 5, 0.5);
        let estimate = builder.training_memory(batch).unwrap();
        let before = peak();
        let mut network = builder.build().unwrap();
        let images = Array4::from_elem((batch, side, side, 3), 0.5);
        network.train_step(images.view(), &vec![1; batch], &mut Sgd::new(1e-3)).unwrap();
        let taken = peak() - before;
        assert!(taken / 2 < estimate && estimate < 2 * taken, "{side}: {taken} for {estimate} bytes");
    }
    // More than any machine has, and no number that wraps.
    assert!(models::seed(1024, 5, 0.0).training_memory(usize::MAX).unwrap() > 10 << 40);
}
