//! How fast this machine can multiply and add: what the share of its peak is measured against.

use std::hint::black_box;
use std::time::Instant;

use super::parallel::for_each;
use super::simd::{Isa, Simd, dispatch};

/// Chains of multiply-adds that do not wait for each other: enough for two units with a latency of up to six cycles.
const CHAINS: usize = 12;

/// Links of a chain: some milliseconds.
const LINKS: usize = 1 << 21;

/// Multiply-adds a second of all of rayon's threads at once with instruction set `isa`, in registers alone: the best of a few
/// tries.
pub fn multiply_adds_per_second(isa: Isa) -> f64 {
    let threads = rayon::current_num_threads();
    let rate = |_| {
        let started = Instant::now();
        for_each(threads, &|_| dispatch!(isa, |simd| chains(simd)));
        let lanes = dispatch!(isa, |simd| lanes(simd));
        (threads * LINKS * CHAINS * lanes) as f64 / started.elapsed().as_secs_f64()
    };
    (0..5).map(rate).fold(0.0, f64::max)
}

#[inline(always)]
fn lanes<S: Simd>(_: S) -> usize {
    S::LANES
}

#[inline(always)]
fn chains<S: Simd>(simd: S) {
    let (factor, addend) = (simd.splat(black_box(0.5)), simd.splat(black_box(1.0)));
    let mut sums = [addend; CHAINS];
    for _ in 0..LINKS {
        for sum in &mut sums {
            *sum = simd.mul_add(*sum, factor, addend);
        }
    }
    let total = sums.into_iter().reduce(|a, b| simd.add(a, b));
    let mut lanes = [0.0; super::simd::MOST_LANES];
    total.into_iter().for_each(|total| simd.store(total, &mut lanes));
    black_box(lanes);
}
