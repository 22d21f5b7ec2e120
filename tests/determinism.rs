//! The same seed and data give the same weights, to the bit, with any number of threads.

use crate::common::instruction_sets;
use floret::models;
use floret::network::{Network, NetworkBuilder};
use floret::nn::{Conv2d, Dense, Dropout, Flatten};
use floret::optim::Adam;
use ndarray::Array4;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The bits of all weights after two steps of `batch` images on `threads` threads.
fn trained(builder: NetworkBuilder, size: usize, batch: usize, threads: usize) -> Vec<u32> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let images = Array4::from_shape_simple_fn((batch, size, size, 3), || rng.random_range(-1.5f32..1.5));
    let labels: Vec<usize> = (0..batch).map(|i| i % 5).collect();
    pool.install(|| {
        let mut network = builder.seed(4).build().expect("the shapes fit");
        let mut optimizer = Adam::new(1e-3);
        for _ in 0..2 {
            network.train_step(images.view(), &labels, &mut optimizer).expect("a finite loss");
        }
        network
            .arrays()
            .flat_map(|(_, array)| array.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
            .collect()
    })
}

fn dropped() -> NetworkBuilder {
    let layers = Network::builder((48, 48, 3)).add(Conv2d::new(8, 1)).add(Dropout::new(0.3));
    layers.add(Flatten).add(Dense::new(5))
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads() {
    type Case = (fn() -> NetworkBuilder, usize, usize);
    let cases: [Case; 5] = [
        (|| models::seed(32, 5, 0.5), 32, 20),
        (|| models::seed(32, 5, 0.5), 32, 1),
        (|| models::vgg(20, 5), 20, 3),
        (|| models::residual_small(24, 5, 0.2), 24, 9),
        // Dropout of more values than one task takes, forward and backward.
        (dropped, 48, 9),
    ];
    for (builder, size, batch) in cases {
        for isa in instruction_sets() {
            let trained = |threads| trained(builder().isa(isa), size, batch, threads);
            let alone = trained(1);
            for threads in [2, 3, 8] {
                assert!(trained(threads) == alone, "{isa:?}, {threads} threads, batch {batch}");
            }
        }
    }
}
