//! Trains on small gray pictures in memory, as MNIST's are: here digits of seven segments, drawn at any place with noise.

use floret::data::{Arrays, ArraysError};
use floret::recipe::Budget;
use ndarray::{Array4, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Which segments each digit lights.
const LIT: [&[u8; 7]; 10] = [
    b"1110111", b"0010010", b"1011101", b"1011011", b"0111010", b"1101011", b"1101111", b"1010010",
    b"1111111", b"1111011",
];

/// Corners of the segments: top, left, bottom, right.
const SEGMENTS: [[usize; 4]; 7] =
    [[0, 0, 2, 9], [0, 0, 9, 2], [0, 7, 9, 9], [8, 0, 10, 9], [8, 0, 17, 2], [8, 7, 17, 9], [15, 0, 17, 9]];

/// Draws pictures of digits, 28 x 28 pixels each.
fn digits(count: usize, seed: u64) -> Result<Arrays, ArraysError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<usize> = (0..count).map(|image| image % 10).collect();
    let mut images = Array4::from_shape_fn((count, 28, 28, 1), |_| rng.random_range(0..80));
    for (mut image, &digit) in images.outer_iter_mut().zip(&labels) {
        let (y, x, ink) = (rng.random_range(0..11), rng.random_range(0..19), rng.random_range(130..=255));
        for ([top, left, bottom, right], _) in
            SEGMENTS.into_iter().zip(LIT[digit]).filter(|(_, lit)| **lit == b'1')
        {
            image.slice_mut(s![y + top..y + bottom, x + left..x + right, 0]).fill(ink);
        }
    }
    Arrays::new(images, labels, (0..10).map(|digit| digit.to_string()).collect())
}

pub fn main() -> floret::Result<()> {
    let trained = floret::fit_sets(digits(600, 1)?, Some(digits(200, 2)?), Budget::epochs(10))?;
    let evaluation = trained.evaluation.expect("there are digits to evaluate on");
    println!("{:.1} % of {} digits are right", 100.0 * evaluation.accuracy(), evaluation.examples);
    Ok(())
}
