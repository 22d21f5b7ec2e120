//! The whole reference network gives TensorFlow's logits, gradients and losses over six steps of training.

mod common;

use common::{Fixtures, assert_close};
use floret::math::conv::ConvAlgorithm;
use floret::models;
use floret::network::Network;
use floret::optim::Sgd;
use ndarray::{Array4, ArrayD, IxDyn};

/// `w[i] = scale (((i + 1) 2654435761 + layer 40503) mod 2^32 / 2^31 - 1)`, the fixtures' weights and images.
fn hashed(shape: &[usize], layer: u64, scale: f64) -> ArrayD<f32> {
    let len: usize = shape.iter().product();
    let value = |i: u64| {
        let u = (i + 1).wrapping_mul(2_654_435_761).wrapping_add(layer * 40503) % (1 << 32);
        (scale * (u as f64 / (1u64 << 31) as f64 - 1.0)) as f32
    };
    ArrayD::from_shape_vec(IxDyn(shape), (0..len as u64).map(value).collect()).unwrap()
}

const KERNELS: [&str; 9] = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3", "logits"];

/// The reference network with the fixtures' weights: kernels of +-sqrt(6 / fan_in), biases 0.02.
fn network(size: usize, algorithm: ConvAlgorithm) -> Network {
    let mut net = models::seed(size, 5, 0.0).conv_algorithm(algorithm).build().unwrap();
    for (layer, name) in KERNELS.iter().enumerate() {
        let name = format!("{name}/kernel");
        let shape = net.array(&name).unwrap().shape().to_vec();
        let fan_in: usize = shape[..shape.len() - 1].iter().product();
        net.set_array(&name, hashed(&shape, layer as u64, (6.0 / fan_in as f64).sqrt()).view()).unwrap();
    }
    net
}

/// As exact as float32 is: every gradient's norm and first values, and the logits after six steps where rounding allows.
#[test]
fn trajectory_with_im2col() {
    check(ConvAlgorithm::Im2col, true);
}

/// Winograd rounds a few times more coarsely, and kinks of ReLU and max-pool lie closer than that rounding (see the
/// fixtures' README): one winner that changes moves gradients by some thousandths, and the steps after it part ways. So
/// losses are compared up to the step where that happens, which differs from case to case; and of the gradients the norms.
#[test]
fn trajectory_with_the_algorithms_that_auto_chooses() {
    check(ConvAlgorithm::Auto, false);
}

fn check(algorithm: ConvAlgorithm, exact: bool) {
    let fixtures = Fixtures::load("network");
    assert_eq!(fixtures.cases.len(), 3);
    for case in &fixtures.cases {
        let number = |name: &str| case[name].as_u64().unwrap();
        let (key, size, batch) =
            (case["key"].as_str().unwrap(), number("size") as usize, number("batch") as usize);
        let tensor = |name: &str| fixtures.f64(&format!("{key}/{name}"));
        let mut net = network(size, algorithm);
        let images: Array4<f32> = hashed(
            &[batch, size, size, 3],
            number("input_layer_index"),
            case["input_scale"].as_f64().unwrap(),
        )
        .into_dimensionality()
        .unwrap();
        let labels: Vec<usize> = (0..batch).map(|i| i % 5).collect();

        // Nine layers deep, float32 sums of up to 6400 products: about 1e-5 of the largest logit, with Winograd thrice that.
        assert_close(&format!("{key}/logits"), &net.forward(images.view()).unwrap(), tensor("logits"), 1e-4);

        // Every gradient once, by its norm and its first values.
        let outputs = net.forward_train(images.view()).unwrap();
        let (_, gradient) = net.loss_and_gradient(&outputs, &labels).unwrap();
        net.backward(gradient.view()).unwrap();
        let names =
            KERNELS.map(|n| format!("{n}/kernel")).into_iter().chain(KERNELS.map(|n| format!("{n}/bias")));
        for (i, name) in names.enumerate() {
            let (_, got) = net.gradients().find(|(p, _)| p.name == name).unwrap();
            let norm = got.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let want = tensor("grad_l2")[[i]];
            let tolerance = if exact { 1e-4 } else { 1e-2 };
            assert!((norm / want - 1.0).abs() < tolerance, "{key} {name}: gradient norm {norm}, want {want}");
            let head = tensor("grad_head");
            for (j, &g) in got.iter().take(if exact { 4 } else { 0 }).enumerate() {
                // Against the norm spread over all values: single values may be near zero.
                let typical = want / (got.len() as f64).sqrt();
                let error = (f64::from(g) - head[[i, j]]).abs();
                assert!(
                    error < 1e-3 * typical.max(head[[i, j]].abs()),
                    "{key} {name}[{j}]: {g}, want {}",
                    head[[i, j]]
                );
            }
        }

        // Up to the step where, on some instruction set, a winner changed.
        let steps = match (key, exact) {
            ("net32", _) => 5,
            ("net48", true) | ("net50", true) => 6,
            ("net48", false) => 4,
            ("net50", false) => 2,
            other => panic!("how many steps of {other:?} are compared?"),
        };
        let mut optimizer = Sgd::new(case["learning_rate"].as_f64().unwrap() as f32);
        for (step, want) in tensor("losses").iter().enumerate().take(steps) {
            let report = net.train_step(images.view(), &labels, &mut optimizer).unwrap();
            assert!(
                (report.loss / want - 1.0).abs() < 1e-4,
                "{key} step {step}: loss {}, want {want}",
                report.loss
            );
        }
        if exact && key == "net48" {
            let after = net.forward(images.view()).unwrap();
            assert_close(
                &format!("{key}/logits_after_6_steps"),
                &after,
                tensor("logits_after_6_steps"),
                1e-4,
            );
        }
    }
}
