//! Sums of each channel.

use floret_math::channels::{gradient_sums, moments, scale};

use crate::sets::instruction_sets;

/// Rows of a task, rows added at a time, channels of a strip.
const ROWS: usize = 512;
const FEW: usize = 32;
const STRIP: usize = 256;

fn values(len: usize, seed: usize, offset: f32) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + seed) % 1013) as f32 / 506.0 - 1.0 + offset).collect()
}

/// Row by row in `f64`. Channels and rows around the sizes of strips, blocks and their parts; channels far from zero.
#[test]
fn sums_are_those_of_the_obvious_loop() {
    for (rows, channels) in [(1, 1), (FEW + 1, 3), (ROWS, STRIP), (ROWS + 1, STRIP + 1), (2 * ROWS + 37, 600)]
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
            let [mut mean, mut variance, mut centered, mut plain] =
                std::array::from_fn(|_| vec![f32::NAN; channels]);
            moments(isa, &x, &pivot, &mut mean, &mut variance);
            gradient_sums(isa, &x, &dy, &pivot, None, [&mut centered, &mut plain]);
            // Each term, under 4, is rounded to 24 bits, and the sums of a few are; then the result, of up to 101.
            let close = |got: f32, wanted: f64, terms: f64| {
                (f64::from(got) - wanted).abs() < 4e-6 * terms + 1e-7 * wanted.abs()
            };
            let n = rows as f64;
            for c in 0..channels {
                let shift = wanted[c] / n;
                let each = [
                    (mean[c], f64::from(pivot[c]) + shift, 1.0),
                    (variance[c], wanted[channels + c] / n - shift * shift, 1.0),
                    (centered[c], wanted[2 * channels + c], n),
                    (plain[c], wanted[3 * channels + c], n),
                ];
                for (got, wanted, terms) in each {
                    assert!(close(got, wanted, terms), "{isa:?} {rows} x {channels}: {got} {wanted}");
                }
            }
        }
    }
}

#[test]
fn each_channel_is_scaled() {
    let (rows, channels) = (2 * ROWS + 37, 19);
    let (x, factors) = (values(rows * channels, 1, 0.0), values(channels, 3, 0.0));
    for isa in instruction_sets() {
        let mut y = vec![f32::NAN; x.len()];
        scale(isa, &x, &factors, &mut y);
        for (i, (y, x)) in y.iter().zip(&x).enumerate() {
            assert_eq!(*y, factors[i % channels] * x);
        }
    }
}
