//! Convolutions that are computed together give the bits of one after another.

use floret_math::activation::Activation;
use floret_math::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue, Finish};
use floret_math::grouped::{GroupedPlan, GroupedShape};
use floret_math::separable::{SeparablePlan, Weights};
use floret_math::simd::Isa;
use floret_math::window::{Padding, Window};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::sets::instruction_sets;

const EPILOGUES: [Epilogue; 4] = [
    Epilogue::Bias,
    Epilogue::Relu,
    Epilogue::Activation(Activation::Clip { min: 0.0, max: 0.5 }),
    Epilogue::Activation(Activation::HardSwish),
];

#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    image: (usize, usize),
    /// Channels of the input, between, and of the output; no convolution where there is none.
    channels: (Option<usize>, usize, Option<usize>),
    kernel: usize,
    stride: usize,
    epilogues: [usize; 3],
    adds: bool,
}

fn pointwise(isa: Isa, pixels: (usize, usize), (cin, cout): (usize, usize), finish: Finish) -> ConvPlan {
    let window = Window::new(pixels, (1, 1), (1, 1), (1, 1), Padding::Same).unwrap();
    ConvPlan::new(isa, ConvShape { window, cin, cout }, finish, ConvAlgorithm::Auto)
}

fn check(case: Case, seed: u64) {
    let Case { batch, image, channels: (cin, between, cout), kernel, stride, epilogues, adds } = case;
    let sides = [(kernel, kernel), (stride, stride)];
    let window = Window::new(image, sides[0], sides[1], (1, 1), Padding::Same).unwrap();
    let shape = GroupedShape::depthwise(window, between);
    let [expand, middle, project] = epilogues.map(|index| EPILOGUES[index]);
    let project = Finish { epilogue: project, adds };
    let out = (window.y.output, window.x.output);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random = |len: usize| (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<f32>>();
    let x = random(batch * image.0 * image.1 * cin.unwrap_or(between));
    let filters = [cin.map_or(0, |cin| cin * between), shape.filter_len(), cout.map_or(0, |c| between * c)];
    let [w1, w2, w3] = filters.map(&mut random);
    let biases = [cin.map_or(0, |_| between), between, cout.unwrap_or(0)].map(&mut random);
    let shortcut = random(batch * out.0 * out.1 * cout.unwrap_or(between));

    for isa in instruction_sets() {
        let mut values = x.clone();
        if let Some(cin) = cin {
            let plan = pointwise(isa, image, (cin, between), expand.into());
            let mut y = vec![f32::NAN; batch * shape.input_len()];
            let mut scratch = vec![f32::NAN; plan.forward_scratch(batch)];
            plan.forward(&values, &w1, &biases[0], &mut y, &mut [], &mut scratch);
            values = y;
        }
        let mut want = vec![f32::NAN; batch * shape.output_len()];
        let plan = GroupedPlan::new(isa, shape, middle);
        plan.forward(&values, &w2, &biases[1], &mut want, &mut [], &mut []);
        if let Some(cout) = cout {
            let plan = pointwise(isa, out, (between, cout), project);
            let mut y = shortcut.clone();
            let mut scratch = vec![f32::NAN; plan.forward_scratch(batch)];
            plan.forward(&want, &w3, &biases[2], &mut y, &mut [], &mut scratch);
            want = y;
        }

        let (before, behind) = (cin.map(|cin| (cin, expand)), cout.map(|cout| (cout, project)));
        let plan = SeparablePlan::new(isa, shape, middle, before, behind);
        assert_eq!(plan.output(), (out.0, out.1, cout.unwrap_or(between)));
        let mut packed = vec![f32::NAN; plan.prepared_len()];
        plan.prepare(&w1, &w3, &mut packed);
        let mut got = if cout.is_some() { shortcut.clone() } else { vec![f32::NAN; want.len()] };
        let biases = [&*biases[0], &*biases[1], &*biases[2]];
        let mut scratch = vec![f32::NAN; plan.forward_scratch(batch)];
        plan.forward(&x, Weights { packed: &packed, depthwise: &w2, biases }, &mut got, &mut scratch);
        assert_eq!(got, want, "{case:?}, seed {seed}, {isa:?}");
    }
}

/// Several bands and several parts of rows in each.
#[test]
fn the_blocks_of_networks() {
    for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)] {
        let channels = (Some(24), 144, Some(40));
        let case =
            Case { batch: 1, image: (41, 56), channels, kernel, stride, epilogues: [2, 2, 0], adds: true };
        check(case, 1);
        check(Case { batch: 9, image: (14, 14), channels: (None, 96, Some(24)), ..case }, 2);
        check(Case { batch: 2, image: (28, 30), channels: (Some(16), 64, None), adds: false, ..case }, 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_block(
        batch in 3usize..6, image in (1usize..24, 1usize..24),
        cin in proptest::option::of(1usize..20), between in 2usize..40, cout in proptest::option::of(1usize..40),
        kernel in 1usize..6, stride in 1usize..4, epilogues in [0usize..4, 0usize..4, 0usize..4], adds: bool, seed: u64,
    ) {
        let adds = adds && cout.is_some();
        check(Case { batch, image, channels: (cin, between, cout), kernel, stride, epilogues, adds }, seed);
    }
}
