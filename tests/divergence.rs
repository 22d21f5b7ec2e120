//! Steps that can't be made: values that are not finite are errors, and leave everything as it was.

use floret::loss::SoftmaxCrossEntropy;
use floret::network::{Network, NetworkError};
use floret::nn::{BatchNorm, Dense, Flatten, Init};
use floret::optim::{Adam, Optimizer};
use ndarray::{Array2, Array4};

/// A first layer that is blind as yet, a batch norm, and two classes.
fn network() -> Network {
    Network::builder((2, 2, 3))
        .add(Flatten)
        .add(Dense::new(4).kernel_init(Init::Constant(0.0)))
        .add(BatchNorm::default())
        .add(Dense::new(2).kernel_init(Init::HeNormal))
        .seed(1)
        .build()
        .unwrap()
}

/// Four images that all have this value.
fn images(value: f32) -> Array4<f32> {
    Array4::from_elem((4, 2, 2, 3), value)
}

const LABELS: [usize; 4] = [0, 1, 1, 1];

fn arrays(network: &Network) -> Vec<f32> {
    network.arrays().flat_map(|(_, values)| values.iter().copied().collect::<Vec<_>>()).collect()
}

/// Fails to make a step, and checks that nothing moved: weights, moving averages, counters.
fn failed_step(images: &Array4<f32>, labels: &[usize]) -> NetworkError {
    let (mut network, mut optimizer) = (network(), Adam::new(0.01));
    let before = arrays(&network);
    let error = network.train_step(images.view(), labels, &mut optimizer).unwrap_err();
    assert_eq!(arrays(&network), before, "{error}");
    assert_eq!((network.steps(), optimizer.common().steps), (0, 0), "{error}");
    // The same network can go on.
    network.train_step(self::images(0.5).view(), &LABELS, &mut optimizer).unwrap();
    assert_ne!(arrays(&network), before);
    error
}

/// The kernel of zeros hides the value from the outputs, but not from its own gradient.
#[test]
fn an_infinite_gradient_under_a_finite_loss_is_an_error_that_names_the_parameter() {
    let mut extreme = images(0.0);
    extreme[[0, 0, 0, 0]] = 3e38;
    let error = failed_step(&extreme, &LABELS);
    assert!(
        matches!(&error, NetworkError::GradientNotFinite { parameter, step: 1, .. } if parameter == "dense_1/kernel"),
        "{error}"
    );
    let message = error.to_string();
    assert!(message.contains("`dense_1/kernel` is not finite at step 1 (learning rate 0.01)"), "{message}");
}

#[test]
fn a_step_that_fails_moves_no_average() {
    let error = failed_step(&images(f32::NAN), &LABELS);
    let NetworkError::NotFinite { layer, .. } = &error else { panic!("{error}") };
    assert_eq!(layer.as_deref(), Some("dense_1"));
    let message = error.to_string();
    assert!(
        message.contains("at step 1 (learning rate 0.01, first in the outputs of `dense_1`)"),
        "{message}"
    );
    let error = failed_step(&images(1.0), &[0, 1, 2, 0]);
    assert!(error.to_string().contains("label 2 of example 2"), "{error}");
    let error = failed_step(&images(1.0), &[0, 1]);
    assert!(error.to_string().contains("the targets are (2, 2)"), "{error}");
}

/// What `train_step` refuses, its parts refuse as well; and they leave everything as it was.
#[test]
fn a_loop_of_ones_own_has_the_guards_of_a_step() {
    let (mut network, mut optimizer) = (network(), Adam::new(0.01));
    let before = arrays(&network);
    let error = network.update(&mut optimizer).unwrap_err();
    assert_eq!(error, NetworkError::WithoutBackward);

    let not_finite = images(f32::NAN);
    let error = network.forward_train(&not_finite).unwrap().loss_and_gradient(&LABELS).unwrap_err();
    assert!(
        error.to_string().starts_with("the loss became NaN at step 1 (first in the outputs of `dense_1`): ")
    );
    assert_eq!(arrays(&network), before);

    let error = network.forward_train(&images(1.0)).unwrap().loss_and_gradient(&[0, 1]).unwrap_err();
    assert!(matches!(error, NetworkError::Loss(_)), "{error}");
    let error = network.forward_train(&images(1.0)).unwrap().backward(Array2::zeros((2, 4))).unwrap_err();
    assert_eq!(error, NetworkError::GradientShape { want: (4, 2), got: (2, 4) });
    assert_eq!(arrays(&network), before);

    let mut extreme = images(0.0);
    extreme[[0, 0, 0, 0]] = 3e38;
    let mut pass = network.forward_train(&extreme).unwrap();
    let (_, gradient) = pass.loss_and_gradient(&LABELS).unwrap();
    let error = pass.backward(gradient).unwrap_err();
    assert!(error.to_string().contains("`dense_1/kernel` is not finite at step 1: "), "{error}");
    // No update follows a backward pass that failed.
    assert_eq!(network.update(&mut optimizer).unwrap_err(), NetworkError::WithoutBackward);
    assert_eq!(arrays(&network), before);
    assert_eq!((network.steps(), optimizer.common().steps), (0, 0));
}

/// Images in another order of axes are copied, those in the network's own are not; both give the bits of `train_step`.
#[test]
fn the_parts_of_a_step_are_the_step() {
    let images =
        Array4::from_shape_fn((4, 2, 2, 3), |(n, y, x, c)| ((n + 2 * y + 3 * x + c) % 5) as f32 - 2.0);
    let transposed = images.clone().reversed_axes().as_standard_layout().into_owned();
    let (mut whole, mut parts) = (network(), network());
    let (mut whole_rule, mut parts_rule) = (Adam::new(0.01), Adam::new(0.01));
    for step in 1..=3 {
        let report = whole.train_step(&images, &LABELS, &mut whole_rule).unwrap();
        let mut pass = parts.forward_train(transposed.t()).unwrap();
        assert_eq!(pass.outputs().dim(), (4, 2));
        let (loss, gradient) = pass.loss_and_gradient(&LABELS).unwrap();
        // Also a gradient in another order.
        let gradient = gradient.t().as_standard_layout().into_owned().reversed_axes();
        pass.backward(gradient).unwrap();
        parts.update(&mut parts_rule).unwrap();
        assert_eq!((report.loss, report.step), (loss, step));
        assert_eq!(arrays(&whole), arrays(&parts));
    }
}

#[test]
fn a_network_that_diverged_predicts_nothing() {
    let mut network = network();
    assert!(network.predict(images(1.0).view()).is_ok());
    let mut one_bad = images(1.0);
    one_bad[[2, 0, 0, 0]] = f32::NAN;
    let error = network.predict(one_bad.view()).unwrap_err();
    assert_eq!(error, NetworkError::OutputNotFinite { image: 2 });
    let bias = network.array("dense_2/bias").unwrap().mapv(|_| f32::INFINITY);
    network.set_array("dense_2/bias", bias.view()).unwrap();
    assert_eq!(network.predict(images(1.0).view()).unwrap_err(), NetworkError::OutputNotFinite { image: 0 });
}

/// Equal logits of two classes: ln 2 an example.
#[test]
fn the_mean_loss_of_a_step_is_per_example_however_the_loss_is_reduced() {
    for (sum, loss) in [(false, 2f64.ln()), (true, 4.0 * 2f64.ln())] {
        let mut softmax = SoftmaxCrossEntropy::default();
        if sum {
            softmax = softmax.sum();
        }
        let blind = Dense::new(2).kernel_init(Init::Constant(0.0));
        let mut network = Network::builder((2, 2, 3)).add(Flatten).add(blind).loss(softmax).build().unwrap();
        let report = network.train_step(images(1.0).view(), &LABELS, &mut Adam::new(0.01)).unwrap();
        // Single precision would allow 1e-7; losses are in double precision.
        assert!((report.loss - loss).abs() < 1e-12, "{}", report.loss);
        assert!((report.mean_loss - 2f64.ln()).abs() < 1e-12, "{}", report.mean_loss);
    }
}
