//! Convolution and its gradients, by every algorithm and with all that is computed in the same pass.

use floret_math::activation::Activation;
use floret_math::conv::{ConvAlgorithm, ConvPlan, ConvShape, Epilogue, Finish, Operand};
use floret_math::reference::{self, Slide};
use floret_math::simd::Isa;
use floret_math::window::{Padding, Window};
use ndarray::{Array1, Array2, Array4, Axis, s};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::activation;
use crate::close::assert_close;
use crate::sets::instruction_sets;
use crate::{TOLERANCE, narrow, padded};

/// Activations in the same pass as a convolution: one whose gradient a code tells, and two that are for inference only.
pub const ACTIVATIONS: [Activation; 3] =
    [Activation::Clip { min: -0.25, max: 1.5 }, Activation::HardSwish, Activation::Silu];

/// A convolution case: shape, and a batch of data in both precisions.
struct Case {
    shape: ConvShape,
    slide: Slide,
    x: Array4<f64>,
    w: Array4<f64>,
    dy: Array4<f64>,
}

/// The gradients of a convolution's input and filter, and those of its outputs that they follow from.
struct Gradients {
    of_outputs: Array4<f64>,
    dx: Array4<f64>,
    dw: Array4<f64>,
}

fn largest(a: &Array4<f64>) -> f64 {
    a.iter().fold(0.0, |m: f64, v| m.max(v.abs()))
}

/// The tolerance of what an activation or a pool made of `outputs`: it may be smaller, but errs by what they do.
pub fn tolerance_after(outputs: &Array4<f64>, made: &Array4<f64>, tolerance: f64) -> f64 {
    tolerance * (largest(outputs) / largest(made).max(1e-30)).max(1.0)
}

impl Case {
    #[allow(clippy::too_many_arguments, reason = "the parameters of a convolution")]
    fn new(
        batch: usize,
        (h, w, cin): (usize, usize, usize),
        cout: usize,
        kernel: (usize, usize),
        stride: (usize, usize),
        dilation: (usize, usize),
        padding: Padding,
        seed: u64,
    ) -> Option<Self> {
        let window = Window::new((h, w), kernel, stride, dilation, padding)?;
        let slide = Slide { stride, dilation, same: padding == Padding::Same };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut array = |shape: (usize, usize, usize, usize)| {
            Array4::from_shape_fn(shape, |_| f64::from(rng.random_range(-1.0f32..1.0)))
        };
        let (oh, ow) = slide.output((h, w), kernel);
        Some(Self {
            shape: ConvShape { window, cin, cout },
            slide,
            x: array((batch, h, w, cin)),
            w: array((kernel.0, kernel.1, cin, cout)),
            dy: array((batch, oh, ow, cout)),
        })
    }

    fn check(&self) {
        let bias = Array1::from_shape_fn(self.shape.cout, |c| c as f64 / 4.0 - 0.5);
        let outputs = reference::conv2d(self.x.view(), self.w.view(), self.slide) + &bias;
        let mut gradients = None;
        let activations = ACTIVATIONS.map(Epilogue::Activation);
        let epilogues = [Epilogue::Bias, Epilogue::Relu, Epilogue::ReluPool].into_iter().chain(activations);
        for epilogue in epilogues {
            for isa in instruction_sets() {
                for algorithm in [ConvAlgorithm::Im2col, ConvAlgorithm::Winograd, ConvAlgorithm::Auto] {
                    self.check_with(isa, algorithm, epilogue, &outputs, &mut gradients);
                    if epilogue != Epilogue::ReluPool {
                        self.check_sums(isa, algorithm, epilogue, &outputs, &bias);
                    }
                }
            }
        }
    }

    /// The forward pass without a bias, and the one that adds what y holds, of `outputs` with their `bias`.
    fn check_sums(
        &self,
        isa: Isa,
        algorithm: ConvAlgorithm,
        epilogue: Epilogue,
        outputs: &Array4<f64>,
        bias: &Array1<f64>,
    ) {
        let plan = ConvPlan::new(isa, self.shape, epilogue, algorithm);
        let adding = ConvPlan::new(isa, self.shape, Finish::from(epilogue).adding(), algorithm);
        let tolerance = if algorithm == ConvAlgorithm::Im2col { TOLERANCE } else { 3.0 * TOLERANCE };
        let (x, w) = (narrow(&self.x), narrow(&self.w));
        let narrow_bias: Vec<f32> = bias.iter().map(|&b| b as f32).collect();
        let plain = outputs - bias;
        let (sums, biased_sums) = (&plain + &self.dy, outputs + &self.dy);
        let before = vec![f32::NAN; self.dy.len()];
        let cases = [
            (plan, &[][..], &before, &plain),
            (adding, &[], &narrow(&self.dy), &sums),
            (adding, &narrow_bias, &narrow(&self.dy), &biased_sums),
        ];
        for (plan, bias, before, outputs) in cases {
            let what = |pass: &str| format!("{isa:?} {algorithm:?} {epilogue:?} {plan:?} {pass}");
            let want = outputs.mapv(|v| epilogue.activation().map_or(v, |f| activation::value(f, v)));
            let tolerance = tolerance_after(outputs, &want, tolerance);
            let mut scratch = vec![f32::NAN; plan.forward_scratch(self.x.dim().0)];
            let mut y = before.clone();
            plan.forward(&x, &w, bias, &mut y, &mut [], &mut scratch);
            assert_close(&what("sum"), &y, &want, tolerance);
            let (mut kept, mut winners) = (before.clone(), vec![77; self.x.dim().0 * plan.winners_len()]);
            plan.forward(&x, &w, bias, &mut kept, &mut winners, &mut scratch);
            assert_eq!(kept, y, "{}", what("sum, with codes"));
            let mut prepared = vec![f32::NAN; plan.prepared_len()];
            plan.prepare(&w, &mut prepared);
            let mut y = before.clone();
            plan.forward_prepared(&x, &prepared, bias, &mut y, &mut scratch);
            assert_close(&what("sum, prepared"), &y, &want, tolerance);
        }
    }

    /// `outputs` are those of the convolution with its bias; `gradients` those of the last call, which are often the next
    /// one's too.
    fn check_with(
        &self,
        isa: Isa,
        algorithm: ConvAlgorithm,
        epilogue: Epilogue,
        outputs: &Array4<f64>,
        gradients: &mut Option<Gradients>,
    ) {
        let what = |pass: &str| format!("{isa:?} {algorithm:?} {epilogue:?} {pass}");
        let plan = ConvPlan::new(isa, self.shape, epilogue, algorithm);
        let tolerance = if algorithm == ConvAlgorithm::Im2col { TOLERANCE } else { 3.0 * TOLERANCE };
        let (batch, cout) = (self.x.dim().0, self.shape.cout);
        let mut scratch = vec![f32::NAN; plan.forward_scratch(batch).max(plan.backward_scratch(batch))];
        let (x, w) = (narrow(&self.x), narrow(&self.w));
        let bias: Vec<f32> = (0..cout).map(|c| c as f32 / 4.0 - 0.5).collect();
        let scale = largest(outputs);
        let (height, width, _) = plan.output();

        let len = batch * height * width * cout;
        let mut y = vec![f32::NAN; len];
        let mut winners = vec![77; batch * plan.winners_len()];
        plan.forward(&x, &w, &bias, &mut y, &mut winners, &mut scratch);
        let mut infer = vec![f32::NAN; len];
        plan.forward(&x, &w, &bias, &mut infer, &mut [], &mut scratch);
        assert_eq!(y, infer, "{}", what("inference"));
        let want = match epilogue {
            Epilogue::Bias => outputs.clone(),
            Epilogue::Relu => outputs.mapv(|v| v.max(0.0)),
            Epilogue::ReluPool => {
                let slide = Slide { stride: (2, 2), dilation: (1, 1), same: true };
                reference::max_pool(outputs.mapv(|v| v.max(0.0)).view(), 2, slide, None).0
            }
            Epilogue::Activation(f) => outputs.mapv(|v| activation::value(f, v)),
        };
        let after = tolerance_after(outputs, &want, tolerance);
        assert_close(&what("forward"), &y, &want, after);
        if plan.prepared_len() > 0 {
            let mut prepared = vec![f32::NAN; plan.prepared_len()];
            plan.prepare(&w, &mut prepared);
            infer.fill(f32::NAN);
            scratch.fill(f32::NAN);
            plan.forward_prepared(&x, &prepared, &bias, &mut infer, &mut scratch);
            assert_close(&what("forward, prepared"), &infer, &want, after);
        }

        assert_eq!(epilogue.trains(), !matches!(epilogue, Epilogue::Activation(f) if !f.gates()));
        if !epilogue.trains() {
            assert!(winners.is_empty());
            return;
        }
        // Near a tie rounding decides who wins: the gradient is that of the winners told, which must be nearly the largest.
        let dy: Vec<f32> = narrow(&self.dy)[..len].to_vec();
        let mut gradient = Array4::zeros(outputs.dim());
        for (((n, i, j, c), &best), (index, &dy)) in want.indexed_iter().zip(dy.iter().enumerate()) {
            let place = match (epilogue, winners.get(index)) {
                (Epilogue::Bias, None) => Some((i, j)),
                (_, Some(4)) => None,
                (Epilogue::Relu | Epilogue::Activation(_), Some(0)) => Some((i, j)),
                (Epilogue::ReluPool, Some(&code @ 0..4)) => {
                    Some((2 * i + usize::from(code) / 2, 2 * j + usize::from(code) % 2))
                }
                (_, code) => panic!("{}: code {code:?}", what("winners")),
            };
            let won = match (place, epilogue) {
                (Some((i, j)), _) => outputs[[n, i, j, c]],
                (None, Epilogue::Activation(Activation::Clip { min, max })) => {
                    let [min, max] = [min, max].map(f64::from);
                    if best - min < max - best { min } else { max }
                }
                (None, _) => 0.0,
            };
            let error = (won - best).abs();
            assert!(error <= tolerance * scale, "{}: {won} won, largest {best}", what("winners"));
            if let Some((i, j)) = place {
                gradient[[n, i, j, c]] = f64::from(dy);
            }
        }
        if gradients.as_ref().is_none_or(|known| known.of_outputs != gradient) {
            let (dx, dw) =
                reference::conv2d_gradients(self.x.view(), self.w.view(), gradient.view(), self.slide);
            *gradients = Some(Gradients { of_outputs: gradient.clone(), dx, dw });
        }
        let Gradients { dx: want_dx, dw: want_dw, .. } = gradients.as_ref().expect("just computed");
        let want_db = gradient.sum_axis(Axis(0)).sum_axis(Axis(0)).sum_axis(Axis(0));
        let (mut dx, mut dw) = (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
        let (mut dy, mut db) = (dy, vec![f32::NAN; cout]);
        plan.mask(&mut dy, &winners, &mut db, &mut scratch);
        // However much of a sum cancels, it errs as a sum of so many values: their magnitude decides too.
        let values = (gradient.len() / cout) as f64;
        db.push(values.sqrt() as f32);
        let want_db: Vec<f64> = want_db.iter().copied().chain([values.sqrt()]).collect();
        assert_close(&what("bias gradient"), &db, &want_db, tolerance);
        scratch.fill(f32::NAN);
        plan.filter_gradient(&x, &dy, &winners, &mut dw, &mut scratch);
        assert_close(&what("filter gradient"), &dw, want_dw, tolerance);
        scratch.fill(f32::NAN);
        plan.data_gradient(&dy, &winners, &w, &mut dx, &mut scratch);
        assert_close(&what("data gradient"), &dx, want_dx, tolerance);
        // All at once, over x.
        let (mut dx, mut dy, mut db) = (x, narrow(&self.dy)[..len].to_vec(), vec![f32::NAN; cout]);
        dw.fill(f32::NAN);
        scratch.fill(f32::NAN);
        let gradients = Some((&mut *dw, &mut *db));
        plan.backward(Operand::Replaced(&mut dx), &mut dy, &winners, &w, gradients, &mut scratch);
        db.push(values.sqrt() as f32);
        assert_close(&what("bias gradient, at once"), &db, &want_db, tolerance);
        assert_close(&what("filter gradient, at once"), &dw, want_dw, tolerance);
        assert_close(&what("data gradient, at once"), &dx, want_dx, tolerance);
    }
}

/// More pixels and more patch columns than one block holds.
#[test]
fn convolution_over_several_blocks() {
    let same = Padding::Same;
    Case::new(3, (40, 44, 16), 8, (5, 5), (1, 1), (1, 1), same, 4).unwrap().check();
    Case::new(2, (12, 12, 96), 20, (5, 5), (1, 1), (1, 1), same, 5).unwrap().check();
    // A network's first layer: several bands, and rows that fill no tile.
    Case::new(2, (50, 37, 3), 33, (5, 5), (1, 1), (1, 1), same, 6).unwrap().check();
    Case::new(17, (9, 11, 1), 4, (3, 7), (1, 1), (1, 1), Padding::Valid, 7).unwrap().check();
    Case::new(2, (51, 45, 3), 20, (7, 7), (2, 2), (1, 1), same, 8).unwrap().check();
    // Pointwise: blocks of k, of columns and of pixels; and few pixels, which are split by columns.
    Case::new(2, (14, 13, 530), 270, (1, 1), (1, 1), (1, 1), same, 9).unwrap().check();
    Case::new(1, (3, 3, 40), 290, (1, 1), (1, 1), (1, 1), same, 10).unwrap().check();
    Case::new(3, (5, 6, 300), 33, (1, 1), (2, 2), (1, 1), Padding::Valid, 11).unwrap().check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn convolution(
        batch in 1usize..4, input in (1usize..12, 1usize..12, 1usize..7), cout in 1usize..9,
        kernel in (1usize..6, 1usize..6), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        same: bool, seed: u64,
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        if let Some(case) = Case::new(batch, input, cout, kernel, stride, dilation, padding, seed) {
            case.check();
        }
    }

    /// Explicit padding is VALID on an image that was padded before.
    #[test]
    fn explicit_padding(
        batch in 1usize..4, (h, w, cin) in (1usize..12, 1usize..12, 1usize..7), cout in 1usize..9,
        kernel in (1usize..6, 1usize..6), stride in (1usize..4, 1usize..4), dilation in (1usize..3, 1usize..3),
        y_pads in (0usize..6, 0usize..6), x_pads in (0usize..6, 0usize..6), seed: u64,
    ) {
        let padding = Padding::Explicit { top: y_pads.0, bottom: y_pads.1, left: x_pads.0, right: x_pads.1 };
        let Some(window) = Window::new((h, w), kernel, stride, dilation, padding) else { return Ok(()) };
        let slide = Slide { stride, dilation, same: false };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut array = |shape| Array4::from_shape_fn(shape, |_| f64::from(rng.random_range(-1.0f32..1.0)));
        let x = array((batch, h, w, cin));
        let filter = array((kernel.0, kernel.1, cin, cout));
        let dy = array((batch, window.y.output, window.x.output, cout));
        let around = padded(&x, y_pads, x_pads, 0.0);
        let want = reference::conv2d(around.view(), filter.view(), slide);
        let (want_dx, want_dw) = reference::conv2d_gradients(around.view(), filter.view(), dy.view(), slide);
        let inside = s![.., y_pads.0..y_pads.0 + h, x_pads.0..x_pads.0 + w, ..];
        let algorithms = [ConvAlgorithm::Im2col, ConvAlgorithm::Winograd, ConvAlgorithm::Auto];
        for (isa, algorithm) in instruction_sets().into_iter().flat_map(|isa| algorithms.map(|a| (isa, a))) {
            let plan = ConvPlan::new(isa, ConvShape { window, cin, cout }, Epilogue::Bias, algorithm);
            let mut scratch = vec![f32::NAN; plan.forward_scratch(batch).max(plan.backward_scratch(batch))];
            let (x, filter, mut dy) = (narrow(&x), narrow(&filter), narrow(&dy));
            let mut y = vec![f32::NAN; dy.len()];
            plan.forward(&x, &filter, &[], &mut y, &mut [], &mut scratch);
            assert_close("forward", &y, &want, 3.0 * TOLERANCE);
            let (mut dx, mut dw) = (vec![f32::NAN; x.len()], vec![f32::NAN; filter.len()]);
            plan.mask(&mut dy, &[], &mut [], &mut scratch);
            plan.filter_gradient(&x, &dy, &[], &mut dw, &mut scratch);
            assert_close("filter gradient", &dw, &want_dw, 3.0 * TOLERANCE);
            plan.data_gradient(&dy, &[], &filter, &mut dx, &mut scratch);
            assert_close("data gradient", &dx, want_dx.slice(inside), 3.0 * TOLERANCE);
        }
    }
}

/// The same of activations behind a convolution: as by themselves, a NaN stays and lets no gradient through.
#[test]
fn fused_activations_pass_nan_on() {
    let window = Window::new((3, 3), (3, 3), (1, 1), (1, 1), Padding::Same).unwrap();
    let shape = ConvShape { window, cin: 4, cout: 19 };
    let algorithms = [ConvAlgorithm::Im2col, ConvAlgorithm::Winograd];
    for (isa, algorithm) in instruction_sets().into_iter().flat_map(|isa| algorithms.map(|a| (isa, a))) {
        for f in ACTIVATIONS.into_iter().chain([Activation::Relu]) {
            let plan = ConvPlan::new(isa, shape, Epilogue::Activation(f), algorithm);
            let (x, w) = (vec![f32::NAN; shape.input_len()], vec![1.0; shape.filter_len()]);
            let (mut y, mut winners) = (vec![0.0; shape.output_len()], vec![77; plan.winners_len()]);
            let mut scratch = vec![0.0; plan.forward_scratch(1)];
            plan.forward(&x, &w, &[], &mut y, &mut winners, &mut scratch);
            assert!(y.iter().all(|y| y.is_nan()) && winners.iter().all(|&code| code == 4), "{isa:?} {f:?}");
        }
    }
}

/// The same of a pool computed together with its convolution, here one that copies its input.
#[test]
fn fused_pools_pass_nan_on() {
    let window = Window::new((2, 2), (1, 1), (1, 1), (1, 1), Padding::Same).unwrap();
    let sizes = [1, 2, 16, 33];
    for (isa, channels) in instruction_sets().into_iter().flat_map(|isa| sizes.map(|size| (isa, size))) {
        let shape = ConvShape { window, cin: channels, cout: channels };
        let plan = ConvPlan::new(isa, shape, Epilogue::ReluPool, ConvAlgorithm::Auto);
        let identity = Array2::<f32>::eye(channels);
        let mut scratch = vec![0.0; plan.forward_scratch(1)];
        for place in 0..4 {
            let mut x = vec![1.0; 4 * channels];
            // A product of 0 and NaN is NaN: one channel reaches all.
            x[place * channels] = f32::NAN;
            let mut y = vec![0.0; channels];
            plan.forward(&x, identity.as_slice().unwrap(), &[], &mut y, &mut [], &mut scratch);
            assert!(y.iter().all(|y| y.is_nan()), "{isa:?}, {channels} channels, place {place}");
        }
    }
}
