//! Depthwise convolution against the obvious convolution of each channel by itself, in `f64`.

use floret_math::conv::{Epilogue, Operand};
use floret_math::grouped::{GroupedPlan, GroupedShape};
use floret_math::reference::{self, Slide};
use floret_math::window::{Padding, Window};
use ndarray::{Array4, Axis, concatenate, s};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::close::assert_close;
use crate::sets::instruction_sets;

const TOLERANCE: f64 = 1e-5;

#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    input: (usize, usize, usize),
    kernel: (usize, usize),
    stride: (usize, usize),
    dilation: (usize, usize),
    same: bool,
}

fn check(case: Case, seed: u64) {
    let Case { batch, input: (height, width, channels), kernel, stride, dilation, same } = case;
    let padding = if same { Padding::Same } else { Padding::Valid };
    let Some(window) = Window::new((height, width), kernel, stride, dilation, padding) else { return };
    let shape = GroupedShape::depthwise(window, channels);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random =
        |shape| Array4::from_shape_simple_fn(shape, || f64::from(rng.random_range(-1.0f32..1.0)));
    let slide = Slide { stride, dilation, same };
    let (oh, ow) = slide.output((height, width), kernel);
    let (x, w) = (random((batch, height, width, channels)), random((kernel.0, kernel.1, channels, 1)));
    let (dy, b) = (random((batch, oh, ow, channels)), random((1, 1, 1, channels)));

    let (mut y, mut dx, mut dw) = (Vec::new(), Vec::new(), Vec::new());
    for c in 0..channels {
        let (x, w) = (x.slice(s![.., .., .., c..=c]), w.slice(s![.., .., c..=c, ..]));
        let (of_x, of_w) = reference::conv2d_gradients(x, w, dy.slice(s![.., .., .., c..=c]), slide);
        y.push(reference::conv2d(x, w, slide) + b[[0, 0, 0, c]]);
        dx.push(of_x);
        dw.push(of_w);
    }
    let join = |parts: &[Array4<f64>], axis| {
        concatenate(Axis(axis), &parts.iter().map(|part| part.view()).collect::<Vec<_>>()).unwrap()
    };
    let narrow = |values: &Array4<f64>| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let (x, w, b, dy) = (narrow(&x), narrow(&w), narrow(&b), narrow(&dy));

    for isa in instruction_sets() {
        let what = |pass: &str| format!("{pass} of {case:?} with {isa:?}");
        let plan = GroupedPlan::new(isa, shape, Epilogue::Bias);
        let mut scratch = vec![f32::NAN; plan.forward_scratch(batch).max(plan.backward_scratch(batch))];
        let mut got = vec![f32::NAN; dy.len()];
        plan.forward(&x, &w, &b, &mut got, &mut [], &mut scratch);
        assert_close(&what("forward"), &got, join(&y, 3), TOLERANCE);
        let mut got = vec![f32::NAN; x.len()];
        plan.data_gradient(&dy, &w, &mut got, &mut scratch);
        assert_close(&what("data gradient"), &got, join(&dx, 3), TOLERANCE);
        let mut got = vec![f32::NAN; w.len()];
        plan.filter_gradient(&x, &dy, &mut got, &mut scratch);
        assert_close(&what("filter gradient"), &got, join(&dw, 2), TOLERANCE);

        // All at once, over x; a code of 4 lets nothing through.
        let codes: Vec<u8> = (0..dy.len()).map(|index| if index % 3 == 0 { 4 } else { 0 }).collect();
        let masked: Vec<f32> =
            dy.iter().zip(&codes).map(|(&dy, &code)| if code == 4 { 0.0 } else { dy }).collect();
        let mut want_dx = vec![f32::NAN; x.len()];
        plan.data_gradient(&masked, &w, &mut want_dx, &mut scratch);
        let (mut want_dw, mut want_db) = (vec![f32::NAN; w.len()], vec![0.0f64; channels]);
        plan.filter_gradient(&x, &masked, &mut want_dw, &mut scratch);
        for pixel in masked.chunks_exact(channels) {
            want_db.iter_mut().zip(pixel).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        let (mut dx, mut dw, mut db) = (x.clone(), vec![f32::NAN; w.len()], vec![f32::NAN; channels]);
        let plan = GroupedPlan::new(isa, shape, Epilogue::Relu);
        let gradients = Some((&mut *dw, &mut *db));
        let mut dy = dy.clone();
        plan.backward(Operand::Replaced(&mut dx), &mut dy, &codes, &w, gradients, &mut scratch);
        assert_eq!((&dx, &dw), (&want_dx, &want_dw), "{}", what("backward at once"));
        let scale = (dy.len() / channels) as f32;
        db.push(scale.sqrt());
        want_db.push(f64::from(scale.sqrt()));
        assert_close(&what("bias gradient at once"), &db, &want_db, TOLERANCE);
    }
}

/// Bands, blocks of outputs, groups of images and vectors of channels, each more than one and none whole; rows that only a later
/// output reads.
#[test]
fn the_shapes_of_networks() {
    for (kernel, stride, same) in [(3, 1, true), (3, 2, true), (5, 2, true), (7, 1, true), (3, 1, false)] {
        for input in [(37, 41, 40), (14, 14, 96), (7, 7, 67)] {
            let (kernel, stride) = ((kernel, kernel), (stride, stride));
            check(Case { batch: 2, input, kernel, stride, dilation: (1, 1), same }, 1);
        }
    }
    check(
        Case { batch: 35, input: (3, 5, 9), kernel: (3, 3), stride: (1, 1), dilation: (1, 1), same: true },
        2,
    );
    check(
        Case { batch: 1, input: (9, 5, 11), kernel: (5, 3), stride: (3, 2), dilation: (2, 2), same: true },
        3,
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        batch in prop_oneof![1usize..4, 8usize..10], input in (1usize..20, 1usize..20, 1usize..36),
        kernel in (1usize..8, 1usize..8), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        same: bool, seed: u64,
    ) {
        check(Case { batch, input, kernel, stride, dilation, same }, seed);
    }
}
