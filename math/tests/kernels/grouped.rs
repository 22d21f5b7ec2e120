//! Grouped convolution against the obvious convolution of each group by itself, in `f64`.

use floret_math::activation::Activation;
use floret_math::conv::{Epilogue, Finish, Operand};
use floret_math::grouped::{GroupedPlan, GroupedShape};
use floret_math::reference::{self, Slide};
use floret_math::simd::Isa;
use floret_math::window::{Padding, Window};
use ndarray::{Array1, Array4, Axis, concatenate, s};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::activation::value;
use crate::close::assert_close;
use crate::conv::{ACTIVATIONS, tolerance_after};
use crate::sets::instruction_sets;

/// A group's convolution may run as Winograd's filtering.
const TOLERANCE: f64 = 3e-5;

#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    side: (usize, usize),
    /// Groups, and the channels of each in and out.
    groups: (usize, usize, usize),
    kernel: (usize, usize),
    stride: (usize, usize),
    dilation: (usize, usize),
    same: bool,
}

fn check(case: Case, seed: u64) {
    let Case { batch, side, groups: (groups, of_in, of_out), kernel, stride, dilation, same } = case;
    let padding = if same { Padding::Same } else { Padding::Valid };
    let Some(window) = Window::new(side, kernel, stride, dilation, padding) else { return };
    let (cin, cout) = (groups * of_in, groups * of_out);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random =
        |shape| Array4::from_shape_simple_fn(shape, || f64::from(rng.random_range(-1.0f32..1.0)));
    let slide = Slide { stride, dilation, same };
    let (oh, ow) = slide.output(side, kernel);
    let (x, w) = (random((batch, side.0, side.1, cin)), random((kernel.0, kernel.1, of_in, cout)));
    let (dy, b) = (random((batch, oh, ow, cout)), random((1, 1, 1, cout)));

    let (mut y, mut dx, mut dw) = (Vec::new(), Vec::new(), Vec::new());
    for group in 0..groups {
        let (inputs, outputs) = (group * of_in..(group + 1) * of_in, group * of_out..(group + 1) * of_out);
        let x = x.slice(s![.., .., .., inputs]);
        let (w, dy) = (w.slice(s![.., .., .., outputs.clone()]), dy.slice(s![.., .., .., outputs]));
        let (of_x, of_w) = reference::conv2d_gradients(x, w, dy, slide);
        y.push(reference::conv2d(x, w, slide));
        dx.push(of_x);
        dw.push(of_w);
    }
    let join = |parts: &[Array4<f64>]| {
        concatenate(Axis(3), &parts.iter().map(|part| part.view()).collect::<Vec<_>>()).unwrap()
    };
    let db: Array1<f64> = dy.sum_axis(Axis(0)).sum_axis(Axis(0)).sum_axis(Axis(0));
    let narrow = |values: &Array4<f64>| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let (plain, biased) = (join(&y), join(&y) + &b);
    let shape = GroupedShape { window, cin, cout, groups };
    check_epilogues(case, shape, &x, &w, (&plain, &b), &dy);
    let (x, w, b, dy) = (narrow(&x), narrow(&w), narrow(&b), narrow(&dy));

    for isa in instruction_sets() {
        let plan = GroupedPlan::new(isa, shape, Epilogue::Bias);
        assert_eq!(plan.shape().filter_len(), w.len());
        assert_eq!(plan.shape().multiply_adds(), (oh * ow * w.len()) as u64);
        let what = |pass: &str| format!("{pass} of {case:?} with {isa:?}");
        let mut scratch = vec![f32::NAN; plan.forward_scratch(batch)];
        for (bias, want) in [(&[][..], &plain), (&b, &biased)] {
            let mut got = vec![f32::NAN; dy.len()];
            plan.forward(&x, &w, bias, &mut got, &mut [], &mut scratch);
            assert_close(&what("forward"), &got, want, TOLERANCE);
        }
        let mut scratch = vec![f32::NAN; plan.backward_scratch(batch)];
        let mut got = vec![f32::NAN; cout];
        plan.mask(&mut dy.clone(), &[], &mut got, &mut scratch);
        // Signs differ: a sum errs by what it adds up.
        assert_close(&what("bias gradient"), &got, &db, 1e-4);
        let mut got = vec![f32::NAN; w.len()];
        plan.filter_gradient(&x, &dy, &mut got, &mut scratch);
        assert_close(&what("filter gradient"), &got, join(&dw), TOLERANCE);
        let mut got = vec![f32::NAN; x.len()];
        plan.data_gradient(&dy, &w, &mut got, &mut scratch);
        assert_close(&what("data gradient"), &got, join(&dx), TOLERANCE);
        // All at once, over x.
        let (mut got, mut dw_got, mut db_got) = (x.clone(), vec![f32::NAN; w.len()], vec![f32::NAN; cout]);
        let gradients = Some((&mut *dw_got, &mut *db_got));
        plan.backward(Operand::Replaced(&mut got), &mut dy.clone(), &[], &w, gradients, &mut scratch);
        assert_close(&what("bias gradient, at once"), &db_got, &db, 1e-4);
        assert_close(&what("filter gradient, at once"), &dw_got, join(&dw), TOLERANCE);
        assert_close(&what("data gradient, at once"), &got, join(&dx), TOLERANCE);
    }
}

/// Every activation in the same pass, with and without a bias and values to add; `dy` are those, too.
fn check_epilogues(
    case: Case,
    shape: GroupedShape,
    x: &Array4<f64>,
    w: &Array4<f64>,
    (plain, bias): (&Array4<f64>, &Array4<f64>),
    dy: &Array4<f64>,
) {
    let narrow = |values: &Array4<f64>| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let (x, w, b, others) = (narrow(x), narrow(w), narrow(bias), narrow(dy));
    let activations = ACTIVATIONS.into_iter().map(Epilogue::Activation);
    let epilogues = activations.chain([Epilogue::Relu, Epilogue::Bias]).collect::<Vec<_>>();
    let all = instruction_sets().into_iter().flat_map(|isa| epilogues.iter().map(move |&e| (isa, e)));
    let switches = [(false, false), (false, true), (true, false), (true, true)];
    for ((isa, epilogue), (biased, adds)) in all.flat_map(|one| switches.map(|two| (one, two))) {
        let what = |pass: &str| format!("{pass} of {case:?} with {isa:?}, {epilogue:?}, {biased} {adds}");
        let plan = GroupedPlan::new(isa, shape, Finish { epilogue, adds });
        let mut sums = if biased { plain + bias } else { plain.clone() };
        if adds {
            sums += dy;
        }
        let want = sums.mapv(|v| epilogue.activation().map_or(v, |f| value(f, v)));
        let before = if adds { others.clone() } else { vec![f32::NAN; others.len()] };
        let bias = if biased { &b[..] } else { &[] };
        let mut scratch = vec![f32::NAN; plan.forward_scratch(case.batch)];
        let mut y = before.clone();
        plan.forward(&x, &w, bias, &mut y, &mut [], &mut scratch);
        assert_close(&what("forward"), &y, &want, tolerance_after(&sums, &want, TOLERANCE));
        let (mut kept, mut winners) = (before, vec![77; case.batch * plan.winners_len()]);
        assert_eq!(winners.is_empty(), !epilogue.keeps_winners());
        plan.forward(&x, &w, bias, &mut kept, &mut winners, &mut scratch);
        assert_eq!(kept, y, "{}", what("forward, with codes"));
        if !epilogue.trains() {
            continue;
        }
        check_mask(isa, &what("mask"), &plan, epilogue, &y, &winners);
    }
}

/// The codes let a gradient through where the value `y` was not cut off.
fn check_mask(isa: Isa, what: &str, plan: &GroupedPlan, epilogue: Epilogue, y: &[f32], winners: &[u8]) {
    let passes = |y: f32| match epilogue.activation() {
        Some(Activation::Clip { min, max }) => min < y && y < max,
        Some(Activation::Relu) => y > 0.0,
        _ => true,
    };
    let cout = plan.shape().cout;
    let batch = y.len() / (plan.shape().window.output_pixels() * cout);
    let (mut dy, mut db) = (vec![1.0; y.len()], vec![f32::NAN; cout]);
    let mut scratch = vec![f32::NAN; plan.backward_scratch(batch)];
    plan.mask(&mut dy, winners, &mut db, &mut scratch);
    let want: Vec<f32> = y.iter().map(|&y| f32::from(passes(y))).collect();
    assert_eq!(dy, want, "{what} {isa:?}");
    for (channel, &sum) in db.iter().enumerate() {
        assert_eq!(sum, want.iter().skip(channel).step_by(cout).sum::<f32>(), "{what} {isa:?}");
    }
}

/// As networks have them: ResNeXt's groups, a channel multiplier, depthwise. Arrays are longer than a task's share.
#[test]
fn the_shapes_of_networks() {
    for groups in
        [(8, 4, 4), (3, 6, 2), (3, 8, 8), (2, 24, 24), (16, 1, 2), (40, 1, 1), (21, 1, 1), (3, 1, 1)]
    {
        for (kernel, stride) in [((3, 3), (1, 1)), ((5, 5), (2, 2)), ((1, 1), (1, 1))] {
            let case =
                Case { batch: 3, side: (17, 19), groups, kernel, stride, dilation: (1, 1), same: true };
            check(Case { batch: 9, side: (5, 6), ..case }, 2);
            check(case, 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        batch in 1usize..4, side in (1usize..12, 1usize..12), groups in (1usize..5, 1usize..6, 1usize..6),
        kernel in (1usize..8, 1usize..8), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        same: bool, seed: u64,
    ) {
        check(Case { batch, side, groups, kernel, stride, dilation, same }, seed);
    }
}
