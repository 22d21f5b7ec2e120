//! Steps that can't be made: values that are not finite are errors, and leave everything as it was.

use floret::loss::SoftmaxCrossEntropy;
use floret::network::{Network, NetworkError};
use floret::nn::{BatchNorm, Dense, Flatten, Init};
use floret::optim::{Adam, Optimizer};
use ndarray::Array4;

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
