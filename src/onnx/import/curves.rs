//! Functions of one number: what nodes compute, and which activation that is.

use super::model::Node;
use crate::nn::{Gelu, HardSigmoid, HardSwish, LayerSpec, Relu6, Silu};

/// Whether a node of this operator computes number by number what [`computed`] knows.
pub fn is_elementwise(op: &str) -> bool {
    matches!(
        op,
        "Abs"
            | "Add"
            | "Clip"
            | "Div"
            | "Erf"
            | "Exp"
            | "HardSigmoid"
            | "Max"
            | "Min"
            | "Mul"
            | "Neg"
            | "Pow"
            | "Reciprocal"
            | "Relu"
            | "Sigmoid"
            | "Sqrt"
            | "Sub"
            | "Tanh"
    )
}

/// What a node gives for these inputs.
pub fn computed(node: &Node<'_>, input: impl Fn(usize) -> Option<f64>) -> Option<f64> {
    let x = input(0)?;
    let attribute = |name: &str, default: f64| match node.float(name) {
        Ok(value) => Some(value.map_or(default, f64::from)),
        Err(_) => None,
    };
    // An input that is there must have a value.
    let bound = |index: usize, name: &str, default: f64| match node.input(index) {
        Some(_) => input(index),
        None => attribute(name, default),
    };
    Some(match node.op {
        "Abs" => x.abs(),
        "Add" => x + input(1)?,
        "Clip" => x.max(bound(1, "min", f64::NEG_INFINITY)?).min(bound(2, "max", f64::INFINITY)?),
        "Div" => x / input(1)?,
        "Erf" => erf(x),
        "Exp" => x.exp(),
        "HardSigmoid" => (attribute("alpha", 0.2)? * x + attribute("beta", 0.5)?).clamp(0.0, 1.0),
        "Max" if node.inputs.len() == 2 => x.max(input(1)?),
        "Min" if node.inputs.len() == 2 => x.min(input(1)?),
        "Mul" => x * input(1)?,
        "Neg" => -x,
        "Pow" => x.powf(input(1)?),
        "Reciprocal" => x.recip(),
        "Relu" => x.max(0.0),
        "Sigmoid" => sigmoid(x),
        "Sqrt" => x.sqrt(),
        "Sub" => x - input(1)?,
        "Tanh" => x.tanh(),
        _ => return None,
    })
}

/// The activation that a function is, by its values. `bounds`: whether it may be [`Relu6`].
pub fn named(bounds: bool, function: impl Fn(f64) -> Option<f64>) -> Option<LayerSpec> {
    // From -9.1 to 9.1, beside the corners at 0, -3, 3 and 6, and far apart one after another, so that most functions are found
    // to be none at once. The two forms of GELU differ by up to 5e-4 on the way.
    const POINTS: i32 = 105;
    const APART: i32 = 47;
    const TOLERANCE: f64 = 2e-5;
    let known: [(fn(f64) -> f64, LayerSpec); 6] = [
        (|x| x.clamp(0.0, 6.0), Relu6.into()),
        (hard_sigmoid, HardSigmoid.into()),
        (|x| x * sigmoid(x), Silu.into()),
        (|x| x * hard_sigmoid(x), HardSwish.into()),
        (|x| x * 0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)), Gelu::new().into()),
        (gelu_tanh, Gelu::new().approximate().into()),
    ];
    let mut left: Vec<_> = known.iter().skip(usize::from(!bounds)).collect();
    for point in 1..=POINTS {
        let x = f64::from(point * APART % POINTS - POINTS / 2) * 0.175 + 0.03;
        let y = function(x)?;
        left.retain(|(known, _)| {
            let wanted = known(x);
            (y - wanted).abs() <= TOLERANCE * (1.0 + wanted.abs())
        });
        if left.is_empty() {
            return None;
        }
    }
    left.first().map(|(_, layer)| layer.clone())
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn hard_sigmoid(x: f64) -> f64 {
    (x / 6.0 + 0.5).clamp(0.0, 1.0)
}

fn gelu_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    x * 0.5 * (1.0 + inner.tanh())
}

/// The error function, to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26).
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.3275911 * x.abs());
    let factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
    let polynomial = factors.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    (1.0 - polynomial * (-x * x).exp()).copysign(x)
}
