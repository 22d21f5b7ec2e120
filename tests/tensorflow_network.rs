//! The whole reference network gives TensorFlow's logits, gradients and losses over six steps of training.

use crate::common::{Fixtures, assert_close, instruction_sets};
use floret::models;
use floret::network::Network;
use floret::nn::ConvAlgorithm;
use floret::optim::Sgd;
use floret_math::simd::Isa;
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
fn network(size: usize, algorithm: ConvAlgorithm, isa: Isa) -> Network {
    let mut net = models::seed(size, 5, 0.0).conv_algorithm(algorithm).isa(isa).build().unwrap();
    for (layer, name) in KERNELS.iter().enumerate() {
        let name = format!("{name}/kernel");
        let shape = net.array(&name).unwrap().shape().to_vec();
        let fan_in: usize = shape[..shape.len() - 1].iter().product();
        net.set_array(&name, hashed(&shape, layer as u64, (6.0 / fan_in as f64).sqrt()).view()).unwrap();
    }
    net
}

/// A case of the fixtures: its values, images and labels.
struct Case<'a> {
    fixtures: &'a Fixtures,
    key: &'a str,
    size: usize,
    learning_rate: f32,
    images: Array4<f32>,
    labels: Vec<usize>,
}

impl Case<'_> {
    fn tensor(&self, name: &str) -> ArrayD<f64> {
        self.fixtures.f64(&format!("{}/{name}", self.key))
    }

    fn assert_loss(&self, step: usize, loss: f64) {
        let (key, want) = (self.key, self.tensor("losses")[[step]]);
        assert!((loss / want - 1.0).abs() < 1e-4, "{key} step {step}: loss {loss}, want {want}");
    }

    /// The logits; nine layers deep, float32 sums of up to 6400 products err by about 1e-5 of the largest, with Winograd by
    /// thrice that.
    fn assert_logits(&self, name: &str, net: &mut Network) {
        let logits = net.forward(self.images.view()).unwrap();
        assert_close(&format!("{}/{name}", self.key), &logits, self.tensor(name), 1e-4);
    }

    /// The loss and the gradient of each array.
    fn gradients(&self, net: &mut Network) -> (f64, Vec<(String, Vec<f32>)>) {
        let mut pass = net.forward_train(&self.images).unwrap();
        let (loss, gradient) = pass.loss_and_gradient(&self.labels).unwrap();
        pass.backward(gradient).unwrap();
        let gradients = net.gradients().map(|(p, g)| (p.name.clone(), g.iter().copied().collect()));
        (loss, gradients.collect())
    }
}

fn cases(fixtures: &Fixtures) -> impl Iterator<Item = Case<'_>> {
    assert_eq!(fixtures.cases.len(), 3);
    fixtures.cases.iter().map(move |case| {
        let number = |name: &str| case[name].as_u64().unwrap();
        let (size, batch) = (number("size") as usize, number("batch") as usize);
        let scale = case["input_scale"].as_f64().unwrap();
        let images = hashed(&[batch, size, size, 3], number("input_layer_index"), scale);
        Case {
            fixtures,
            key: case["key"].as_str().unwrap(),
            size,
            learning_rate: case["learning_rate"].as_f64().unwrap() as f32,
            images: images.into_dimensionality().unwrap(),
            labels: (0..batch).map(|i| i % 5).collect(),
        }
    })
}

/// `|v|`.
fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// As exact as float32 is: every gradient's norm and first values, the losses of six steps and the logits after them.
#[test]
fn trajectory_with_im2col() {
    instruction_sets().into_iter().for_each(trajectory);
}

fn trajectory(isa: Isa) {
    let fixtures = Fixtures::load("network");
    for case in cases(&fixtures) {
        let key = case.key;
        let mut net = network(case.size, ConvAlgorithm::Im2col, isa);
        case.assert_logits("logits", &mut net);

        let (_, gradients) = case.gradients(&mut net);
        let names =
            KERNELS.map(|n| format!("{n}/kernel")).into_iter().chain(KERNELS.map(|n| format!("{n}/bias")));
        for (i, name) in names.enumerate() {
            let (_, got) = gradients.iter().find(|(n, _)| *n == name).unwrap();
            let (length, want) = (norm(got.iter().map(|&g| f64::from(g))), case.tensor("grad_l2")[[i]]);
            assert!((length / want - 1.0).abs() < 1e-4, "{key} {name}: gradient norm {length}, want {want}");
            for (j, &g) in got.iter().take(4).enumerate() {
                // Against the norm spread over all values: single values may be near zero.
                let (typical, want) = (want / (got.len() as f64).sqrt(), case.tensor("grad_head")[[i, j]]);
                let error = (f64::from(g) - want).abs();
                assert!(error < 1e-3 * typical.max(want.abs()), "{key} {name}[{j}]: {g}, want {want}");
            }
        }

        // The sixth step of net32 lies behind a kink for the instruction sets without fused multiply and add.
        let steps = if key == "net32" { 5 } else { 6 };
        let mut optimizer = Sgd::new(case.learning_rate);
        for step in 0..steps {
            let report = net.train_step(case.images.view(), &case.labels, &mut optimizer).unwrap();
            case.assert_loss(step, report.loss);
        }
        if key == "net48" {
            case.assert_logits("logits_after_6_steps", &mut net);
        }
    }
}

/// Winograd rounds more coarsely than kinks of ReLU and max-pool are far (see the fixtures' README): a winner that changes
/// moves gradients by up to some hundredths, and the steps after it part ways. The loss itself has no jumps: it is compared
/// in all steps, with the weights that im2col reaches. Gradients agree wherever no winner changed, which is in most steps.
#[test]
fn losses_and_gradients_with_the_algorithms_that_auto_chooses() {
    instruction_sets().into_iter().for_each(losses_and_gradients);
}

fn losses_and_gradients(isa: Isa) {
    let fixtures = Fixtures::load("network");
    let (mut compared, mut agreed) = (0, 0);
    for case in cases(&fixtures) {
        let mut net = network(case.size, ConvAlgorithm::Auto, isa);
        case.assert_logits("logits", &mut net);
        let mut leader = network(case.size, ConvAlgorithm::Im2col, isa);
        let mut optimizer = Sgd::new(case.learning_rate);
        for step in 0..5 {
            let (loss, gradients) = case.gradients(&mut net);
            case.assert_loss(step, loss);
            let (_, wanted) = case.gradients(&mut leader);
            for ((name, got), (wanted_name, want)) in gradients.iter().zip(&wanted) {
                assert_eq!(name, wanted_name);
                let error = norm(got.iter().zip(want).map(|(&g, &w)| f64::from(g) - f64::from(w)));
                let relative = error / norm(want.iter().map(|&w| f64::from(w)));
                compared += 1;
                agreed += usize::from(relative < 1e-4);
            }
            leader.train_step(case.images.view(), &case.labels, &mut optimizer).unwrap();
            for (name, _) in &gradients {
                net.set_array(name, leader.array(name).unwrap()).unwrap();
            }
        }
    }
    // 231 to 245 of them agree, depending on the instruction set.
    assert!(compared == 270 && agreed >= 200, "{agreed} of {compared} gradients agree");
}
