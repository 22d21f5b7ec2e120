//! A training step allocates nothing once the network is warm.
//!
//! The whole process is counted, so this is a test binary of its own with one test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use floret::models;
use floret::network::{Network, NetworkBuilder};
use floret::nn::{
    AvgPool2d, ChannelShuffle, ChannelSlice, Conv2d, Dense, Gelu, GlobalMaxPool, HardSwish, LayerNorm,
    LayerScale, Relu6, Residual, Silu, StochasticDepth,
};
use floret::optim::{AdamW, Optimizer, Sgd};
use ndarray::Array4;
use rayon::ThreadPoolBuilder;

/// The system's allocator, which counts.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: Every call goes to `System` as it came, so its guarantees are these; a counter is no memory that was handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: The caller keeps the contract of this method, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: As above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: As above; `pointer` came from `System` through this allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: As above; `pointer` came from `System` through this allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const BATCH: usize = 4;
const SIZE: usize = 32;

/// Steps without an allocation that show that a network is warm.
const QUIET: usize = 3;

/// The step, from 1, after which [`QUIET`] steps allocated nothing, if there is one among the first `steps`.
fn warm_after(network: &mut Network, optimizer: &mut dyn Optimizer, steps: usize) -> Option<usize> {
    let images =
        Array4::from_shape_fn((BATCH, SIZE, SIZE, 3), |(n, y, x, c)| ((n * y + x * c) % 7) as f32 - 3.0);
    let labels = [0, 1, 2, 3];
    let mut quiet = 0;
    for step in 1..=steps {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        network.train_step(&images, &labels, optimizer).expect("a finite loss");
        quiet = if ALLOCATIONS.load(Ordering::Relaxed) == before { quiet + 1 } else { 0 };
        if quiet == QUIET {
            return Some(step - QUIET);
        }
    }
    None
}

/// What the networks for phones, and ConvNeXt, are made of.
fn mobile() -> NetworkBuilder {
    let block = Residual::new()
        .body(Conv2d::depthwise(8, 7))
        .body(LayerNorm::new())
        .body(Conv2d::new(16, 1))
        .body(Gelu::new())
        .body(Conv2d::new(8, 1).groups(2))
        .body(ChannelShuffle::new(2))
        .body(LayerScale::new(0.1))
        .body(StochasticDepth::new(0.2));
    Network::builder((SIZE, SIZE, 3))
        .add(Conv2d::new(8, 3).stride(2))
        .add(HardSwish)
        .add(block)
        .add(Conv2d::depthwise(8, 3).stride(2))
        .add(Relu6)
        .add(AvgPool2d::new(2).count_padding(true))
        .add(ChannelSlice::new(1, 6))
        .add(GlobalMaxPool)
        .add(Silu)
        .add(Dense::new(5))
}

#[test]
fn a_warm_step_allocates_nothing() {
    type Model = fn() -> NetworkBuilder;
    type Rule = fn() -> Box<dyn Optimizer>;
    let models: [(&str, Model); 3] = [
        ("seed", || models::seed(SIZE, 5, 0.5)),
        ("residual", || models::residual_small(SIZE, 5, 0.2)),
        ("mobile", mobile),
    ];
    let rules: [(&str, Rule); 2] = [
        ("momentum", || Box::new(Sgd::new(1e-4).momentum(0.9).clip_norm(1.0))),
        ("adamw", || Box::new(AdamW::new(1e-4))),
    ];
    // One thread is warm after two steps. Of two, either may meet a layer's work for the first time in any step, and then makes
    // its own buffers larger, or rayon its queue; so both get more steps to come to rest.
    for (threads, steps, warm) in [(1, 5, 2), (2, 100, 97)] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for (model, build) in models {
            for (rule, make) in rules {
                let mut network = build().build().unwrap();
                let mut optimizer = make();
                let after = pool.install(|| warm_after(&mut network, &mut *optimizer, steps));
                assert!(
                    after.is_some_and(|after| (1..=warm).contains(&after)),
                    "{model}, {rule}, {threads} threads: warm after {after:?} steps"
                );
            }
        }
    }
}
