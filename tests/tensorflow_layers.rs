//! Layers, losses and optimizers give TensorFlow's values, forward and backward.
//!
//! The fixtures were computed in float64 and rounded to float32, so an error is floret's own: each value is a sum of at
//! most a few hundred float32 products, whose rounding stays under 1e-5 of the largest value.

use crate::common::{Fixtures, assert_close, instruction_sets};
use floret::loss::{Loss, SoftmaxCrossEntropy, softmax};
use floret::nn::{
    AvgPool2d, BatchNorm, Conv2d, Dense, Input, LayerSpec, MaxPool2d, NamedLayer, Padding, Sequential, Shape,
};
use floret::optim::{Adam, AdamW, Optimizer, RmsProp, Segment, Sgd};
use floret_math::simd::Isa;
use ndarray::{ArrayD, Ix2};
use serde_json::Value;

const TOLERANCE: f64 = 1e-5;

/// Of convolutions, which may run as Winograd's filtering: what `tests/accuracy.rs` holds each pass to.
const CONVOLUTION: f64 = 2e-5;

fn padding(case: &Value) -> Padding {
    match case["padding"].as_str() {
        Some("SAME") => Padding::Same,
        Some("VALID") => Padding::Valid,
        other => panic!("unexpected padding {other:?}"),
    }
}

fn number(value: &Value) -> usize {
    value.as_u64().expect("a number") as usize
}

/// A layer alone, for batches like `x`.
fn alone(x: &ArrayD<f32>, layer: impl Into<LayerSpec>, isa: Isa) -> Sequential {
    let input = match *x.shape() {
        [_, height, width, channels] => Shape::from((height, width, channels)),
        [_, len] => Shape::Vector(len),
        ref other => panic!("unexpected shape {other:?}"),
    };
    Sequential::with_isa(input, &[NamedLayer::new("layer", layer)], 0, isa).expect("the layer fits")
}

fn slice(x: &ArrayD<f32>) -> &[f32] {
    x.as_slice().expect("fixtures are contiguous")
}

/// Runs the layer forward and backward on the case's `x` and `dy`; checks `y`, `dx` and each gradient named.
fn check(
    fixtures: &Fixtures,
    key: &str,
    layer: impl Into<LayerSpec>,
    arrays: &[(&str, &str, &str)],
    y: &str,
    tolerance: f64,
) {
    let tensor = |name: &str| fixtures.f32(&format!("{key}/{name}"));
    let want = |name: &str| fixtures.f64(&format!("{key}/{name}"));
    let (x, dy) = (tensor("x"), tensor("dy"));
    let layer = layer.into();
    for isa in instruction_sets() {
        let mut layers = alone(&x, layer.clone(), isa);
        let key = format!("{key} {isa:?}");
        for (array, value, _) in arrays {
            layers
                .set_array(&format!("layer/{array}"), slice(&tensor(value)))
                .expect("the layer has this array");
        }
        assert_close(&format!("{key}/{y}"), layers.forward(slice(&x), 0), want(y), tolerance);
        let mut dx = x.clone();
        let in_place = Input::Activation(dx.as_slice_mut().expect("in standard layout"));
        layers.backward(in_place, slice(&dy)).expect("forward was run");
        assert_close(&format!("{key}/dx"), &dx, want("dx"), tolerance);
        for (array, _, gradient) in arrays {
            let name = format!("layer/{array}");
            let (_, got) =
                layers.gradients().find(|(param, _)| param.name == name).expect("a gradient for each array");
            assert_close(&format!("{key}/{gradient}"), &got, want(gradient), tolerance);
        }
    }
}

const KERNEL_AND_BIAS: &[(&str, &str, &str)] = &[("kernel", "w", "dw"), ("bias", "b", "db")];

#[test]
fn convolution() {
    let fixtures = Fixtures::load("layers");
    let mut cases = 0;
    for case in fixtures.cases.iter().filter(|c| c["kind"] == "conv2d") {
        let layer =
            Conv2d::new(number(&case["output"][3]), (number(&case["kernel"][0]), number(&case["kernel"][1])))
                .stride(number(&case["stride"]))
                .dilation(number(&case["dilation"]))
                .padding(padding(case));
        check(&fixtures, case["key"].as_str().unwrap(), layer, KERNEL_AND_BIAS, "y", CONVOLUTION);
        cases += 1;
    }
    assert_eq!(cases, 15);
}

#[test]
fn pools() {
    let fixtures = Fixtures::load("layers");
    let mut cases = 0;
    for case in fixtures.cases.iter() {
        let (size, stride) = match case["kind"].as_str() {
            Some("max_pool" | "avg_pool") => (number(&case["size"]), number(&case["stride"])),
            _ => continue,
        };
        let layer: LayerSpec = if case["kind"] == "max_pool" {
            MaxPool2d::new(size).stride(stride).padding(padding(case)).into()
        } else {
            AvgPool2d::new(size).stride(stride).padding(padding(case)).into()
        };
        check(&fixtures, case["key"].as_str().unwrap(), layer, &[], "y", TOLERANCE);
        cases += 1;
    }
    assert_eq!(cases, 7);
}

#[test]
fn dense() {
    let fixtures = Fixtures::load("layers");
    for key in ["dense00", "dense01", "dense02"] {
        let units = fixtures.f32(&format!("{key}/b")).len();
        check(&fixtures, key, Dense::new(units), KERNEL_AND_BIAS, "y", TOLERANCE);
    }
}

#[test]
fn batch_norm() {
    let fixtures = Fixtures::load("layers");
    for key in ["bn00", "bn01"] {
        let arrays = [("gamma", "gamma", "dgamma"), ("beta", "beta", "dbeta")];
        check(&fixtures, key, BatchNorm::new().momentum(0.9), &arrays, "y_train", TOLERANCE);

        // The moving averages after one step, and what inference makes of them.
        let x = fixtures.f32(&format!("{key}/x"));
        for isa in instruction_sets() {
            let mut layers = alone(&x, BatchNorm::new().momentum(0.9), isa);
            for array in ["gamma", "beta"] {
                layers
                    .set_array(&format!("layer/{array}"), slice(&fixtures.f32(&format!("{key}/{array}"))))
                    .unwrap();
            }
            layers.forward(slice(&x), 0);
            for array in ["moving_mean", "moving_variance"] {
                let (_, got) = layers.arrays().find(|(p, _)| p.name == format!("layer/{array}")).unwrap();
                assert_close(
                    &format!("{key}/{array}"),
                    &got,
                    fixtures.f64(&format!("{key}/{array}")),
                    TOLERANCE,
                );
            }
            let mut y = vec![f32::NAN; x.len()];
            layers.infer(slice(&x), &mut y);
            assert_close(&format!("{key}/y_infer"), &y, fixtures.f64(&format!("{key}/y_infer")), TOLERANCE);
        }
    }
}

#[test]
fn softmax_cross_entropy() {
    let fixtures = Fixtures::load("layers");
    for key in ["xent00", "xent01", "xent02"] {
        let tensor = |name: &str| fixtures.f64(&format!("{key}/{name}"));
        let logits = fixtures.f32(&format!("{key}/logits")).into_dimensionality::<Ix2>().unwrap();
        let labels = fixtures.labels(&format!("{key}/labels"));
        let default = SoftmaxCrossEntropy::default();
        for (name, loss) in [
            ("mean", default.clone()),
            ("sum", default.clone().sum()),
            ("smooth01", default.clone().label_smoothing(0.1)),
        ] {
            let mut gradient = ndarray::Array2::from_elem(logits.dim(), f32::NAN);
            let value = Loss::from(loss)
                .evaluate(logits.view(), (&labels).into(), Some(gradient.view_mut()))
                .expect("targets fit");
            assert_close(
                &format!("{key}/loss_{name}"),
                &[value as f32],
                tensor(&format!("loss_{name}")),
                1e-6,
            );
            assert_close(
                &format!("{key}/dlogits_{name}"),
                &gradient,
                tensor(&format!("dlogits_{name}")),
                1e-6,
            );
        }
        let mut probabilities = logits.clone();
        softmax(probabilities.view_mut());
        assert_close(&format!("{key}/softmax"), &probabilities, tensor("softmax"), 1e-6);
    }
}

/// Twelve updates of eleven weights, each step's weights compared. 1e-6: float32 rounding of twelve sums.
#[test]
fn optimizers() {
    let fixtures = Fixtures::load("optimizers");
    let (w0, gradients) = (fixtures.f32("w0"), fixtures.f32("grads"));
    let rules: Vec<(&str, Box<dyn Optimizer>)> = vec![
        ("sgd", Box::new(Sgd::new(0.05))),
        ("momentum", Box::new(Sgd::new(0.05).momentum(0.9))),
        ("nesterov", Box::new(Sgd::new(0.05).momentum(0.9).nesterov())),
        ("adam", Box::new(Adam::new(0.01))),
        ("adamw", Box::new(AdamW::new(0.01).weight_decay(0.02))),
        ("rmsprop", Box::new(RmsProp::new(0.01))),
    ];
    assert_eq!(rules.len(), fixtures.cases.len());
    for (name, mut rule) in rules {
        let mut weights = slice(&w0).to_vec();
        let want = fixtures.f64(&format!("{name}/w"));
        for (step, gradient) in gradients.outer_iter().enumerate() {
            let segments = [Segment::new(0..weights.len())];
            rule.update(&mut weights, gradient.as_slice().unwrap(), &segments);
            let want = want.index_axis(ndarray::Axis(0), step);
            assert_close(&format!("{name} after step {step}"), &weights, want, 2e-6);
        }
    }
}
