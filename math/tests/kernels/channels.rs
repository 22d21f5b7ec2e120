//! Sums of each channel.

use floret_math::channels::{gradient_sums, moments};

use crate::sets::instruction_sets;

/// Rows of a task, rows added at a time, channels of a strip.
const ROWS: usize = 512;
const FEW: usize = 32;
const STRIP: usize = 64;

fn values(len: usize, seed: usize, offset: f32) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + seed) % 1013) as f32 / 506.0 - 1.0 + offset).collect()
}

/// Row by row in `f64`. Channels and rows around the sizes of strips, blocks and their parts; channels far from zero.
#[test]
fn sums_are_those_of_the_obvious_loop() {
    for (rows, channels) in [(1, 1), (FEW + 1, 3), (ROWS, STRIP), (ROWS + 1, STRIP + 1), (2 * ROWS + 37, 200)]
    {
        let x = values(rows * channels, 1, 100.0);
        let dy = values(rows * channels, 5, 0.0);
        let pivot = values(channels, 3, 100.0);
        let mut wanted = vec![0.0; 4 * channels];
        for (i, (&x, &dy)) in x.iter().zip(&dy).enumerate() {
            let (channel, d) = (i % channels, f64::from(x) - f64::from(pivot[i % channels]));
            for (sum, value) in [d, d * d, f64::from(dy) * d, f64::from(dy)].into_iter().enumerate() {
                wanted[sum * channels + channel] += value;
            }
        }
        for isa in instruction_sets() {
            let got = [moments(isa, &x, &pivot), gradient_sums(isa, &x, &dy, &pivot)].concat();
            // Terms under 4, each rounded to 24 bits, a few at a time.
            let limit = 1e-6 * rows as f64 * 4.0;
            for (got, wanted) in got.iter().zip(&wanted) {
                assert!((got - wanted).abs() < limit, "{isa:?} {rows} x {channels}: {got} {wanted}");
            }
        }
    }
}
