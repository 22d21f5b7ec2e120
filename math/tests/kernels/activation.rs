//! Activations and their derivatives against `f64`, over a fine grid of numbers and at the ends.

use floret_math::activation::Activation;
use floret_math::simd::Isa;

use crate::sets::instruction_sets;

/// Value and derivative in `f64`, by the definition.
type Reference = fn(f64) -> [f64; 2];

/// The error function (its series, and behind 3 the continued fraction of what is missing to 1).
fn erf(x: f64) -> f64 {
    let z = x.abs();
    let value = if z < 3.0 {
        // 2 / sqrt(pi) e^(-z^2) sum of 2^n z^(2n + 1) / (1 3 5 ... (2n + 1)): no term is negative.
        let (mut term, mut sum) = (z, z);
        for n in 1..100 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-z * z).exp() * sum
    } else {
        1.0 - erfc_far(z)
    };
    value.copysign(x)
}

/// `1 - erf(z)` for z from 3 on.
fn erfc_far(z: f64) -> f64 {
    let fraction = (1..100).rev().fold(z, |below, n| z + f64::from(n) / 2.0 / below);
    std::f64::consts::FRAC_2_SQRT_PI / 2.0 * (-z * z).exp() / fraction
}

fn sigmoid(x: f64) -> [f64; 2] {
    let s = 1.0 / (1.0 + (-x).exp());
    [s, s / (1.0 + x.exp())]
}

fn gelu(x: f64) -> [f64; 2] {
    let z = x / 2f64.sqrt();
    let phi = if z < -3.0 { erfc_far(-z) / 2.0 } else { (1.0 + erf(z)) / 2.0 };
    [x * phi, phi + x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()]
}

fn gelu_tanh(x: f64) -> [f64; 2] {
    let scale = (2.0 / std::f64::consts::PI).sqrt();
    let t = (scale * (x + 0.044715 * x.powi(3))).tanh();
    let slope = scale * (1.0 + 3.0 * 0.044715 * x * x);
    [x / 2.0 * (1.0 + t), (1.0 + t) / 2.0 + x / 2.0 * (1.0 - t * t) * slope]
}

const REFERENCES: [(Activation, Reference); 9] = [
    (Activation::Relu, |x| if x > 0.0 { [x, 1.0] } else { [0.0, 0.0] }),
    (Activation::LeakyRelu { slope: 0.25 }, |x| if x > 0.0 { [x, 1.0] } else { [0.25 * x, 0.25] }),
    (Activation::Clip { min: -1.5, max: 6.0 }, |x| {
        [x.clamp(-1.5, 6.0), if x > -1.5 && x < 6.0 { 1.0 } else { 0.0 }]
    }),
    (Activation::Sigmoid, sigmoid),
    (Activation::HardSigmoid, |x| {
        [(x / 6.0 + 0.5).clamp(0.0, 1.0), if x.abs() < 3.0 { 1.0 / 6.0 } else { 0.0 }]
    }),
    (Activation::Silu, |x| {
        let [s, ds] = sigmoid(x);
        [x * s, s + x * ds]
    }),
    (Activation::HardSwish, |x| match x {
        ..=-3.0 => [0.0, 0.0],
        3.0.. => [x, 1.0],
        _ => [x * (x + 3.0) / 6.0, x / 3.0 + 0.5],
    }),
    (Activation::Gelu, gelu),
    (Activation::GeluTanh, gelu_tanh),
];

/// The activation of a value, by the definition.
pub fn value(activation: Activation, x: f64) -> f64 {
    let of =
        REFERENCES.iter().find(|(of, _)| std::mem::discriminant(of) == std::mem::discriminant(&activation));
    match (activation, of) {
        (Activation::Clip { min, max }, _) => x.clamp(f64::from(min), f64::from(max)),
        (_, Some((of, reference))) if *of == activation => reference(x)[0],
        _ => panic!("no reference for {activation:?}"),
    }
}

/// Values and derivatives of `x`, by the kernel; outputs hold NaN beforehand.
fn computed(isa: Isa, activation: Activation, x: &[f32]) -> [Vec<f32>; 2] {
    let mut y = vec![f32::NAN; x.len()];
    activation.forward(isa, x, &mut y);
    let mut dx = x.to_vec();
    activation.backward(isa, &mut dx, &vec![1.0; x.len()]);
    [y, dx]
}

#[test]
fn the_reference_knows_the_error_function() {
    // From tables.
    for (x, want) in
        [(0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9), (2.9, 0.999_958_902_121_900_5)]
    {
        assert!((erf(x) - want).abs() < 1e-15, "{x}");
    }
    assert!((erfc_far(3.0) / 2.209_049_699_858_544e-5 - 1.0).abs() < 1e-12);
}

/// The bounds that the module states.
#[test]
fn values_and_derivatives() {
    // Several tasks, the last one no whole vector.
    let x: Vec<f32> = (-100_000..=100_000).map(|i| i as f32 / 1000.0).collect();
    for (isa, (activation, reference)) in
        instruction_sets().into_iter().flat_map(|isa| REFERENCES.map(|of| (isa, of)))
    {
        let got = computed(isa, activation, &x);
        let mut worst = [0f64; 2];
        for (i, &x) in x.iter().enumerate() {
            let x = f64::from(x);
            let want = reference(x);
            worst[0] = worst[0].max((f64::from(got[0][i]) - want[0]).abs() / x.abs().max(1.0));
            worst[1] = worst[1].max((f64::from(got[1][i]) - want[1]).abs());
        }
        println!("{activation:?} {isa:?}: {:.1e} {:.1e}", worst[0], worst[1]);
        assert!(worst[0] <= 2e-7 && worst[1] <= 2e-7, "{activation:?} {isa:?}: errors {worst:?}");
    }
}

/// Behind -20 the sigmoid is `e^x`, to the last digit of float32: what the module says of its polynomial.
#[test]
fn powers_of_e() {
    let x: Vec<f32> = (20_000..87_000).map(|i| -i as f32 / 1000.0).collect();
    for isa in instruction_sets() {
        let [y, _] = computed(isa, Activation::Sigmoid, &x);
        let errors = x.iter().zip(y).map(|(&x, y)| (f64::from(y) / f64::from(x).exp() - 1.0).abs());
        let worst = errors.fold(0.0, f64::max);
        println!("{isa:?}: {worst:.2e}");
        assert!(worst <= 1.2e-7, "{isa:?}: {worst:e}");
        let [y, _] = computed(isa, Activation::Sigmoid, &[-87.01, -1e3]);
        assert_eq!(y, [0.0, 0.0], "{isa:?}");
    }
}

/// Far below zero values are small, and still right to all but a few digits: nothing larger was subtracted.
#[test]
fn small_values_keep_their_digits() {
    let x: Vec<f32> = (0..1000).map(|i| -9.0 * i as f32 / 1000.0).collect();
    let smooth = [Activation::Sigmoid, Activation::Silu, Activation::Gelu];
    for isa in instruction_sets() {
        for (activation, reference) in REFERENCES.into_iter().filter(|(of, _)| smooth.contains(of)) {
            let [y, _] = computed(isa, activation, &x);
            for (y, &x) in y.iter().zip(&x) {
                let [want, _] = reference(f64::from(x));
                // e^(-x^2 / 2) has the rounding of its argument, 40.
                let error = (f64::from(*y) - want).abs() / want.abs();
                assert!(error <= 5e-6 || want == 0.0, "{activation:?} {isa:?} at {x}: {y}, not {want}");
            }
        }
    }
}

#[test]
fn the_ends() {
    for isa in instruction_sets() {
        for (activation, _) in REFERENCES {
            let [y, _] = computed(isa, activation, &[f32::NAN, f32::INFINITY, f32::MAX, f32::MIN, -1e4, 0.0]);
            let what = format!("{activation:?} {isa:?}: {y:?}");
            assert!(y[0].is_nan(), "{what}");
            let bounded = match activation {
                Activation::Clip { max, .. } => Some(max),
                Activation::Sigmoid | Activation::HardSigmoid => Some(1.0),
                _ => None,
            };
            assert_eq!(y[1], bounded.unwrap_or(f32::INFINITY), "{what}");
            assert_eq!(y[2], bounded.unwrap_or(f32::MAX), "{what}");
            let (least, less) = match activation {
                Activation::Clip { min, .. } => (min, min),
                Activation::LeakyRelu { slope } => (slope * f32::MIN, slope * -1e4),
                _ => (0.0, 0.0),
            };
            assert_eq!((y[3], y[4]), (least, less), "{what}");
            let half = matches!(activation, Activation::Sigmoid | Activation::HardSigmoid);
            assert_eq!(y[5], if half { 0.5 } else { 0.0 }, "{what}");
            let [_, dx] = computed(isa, activation, &[f32::MAX, f32::MIN]);
            let slope = f32::from(bounded.is_none());
            let below = if let Activation::LeakyRelu { slope } = activation { slope } else { 0.0 };
            assert_eq!(dx, [slope, below], "{activation:?} {isa:?}");
        }
    }
}
