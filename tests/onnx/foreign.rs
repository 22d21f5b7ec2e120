//! PyTorch's and Keras' own exports (made by the scripts in tests/fixtures/onnx) give their outputs.

use floret::onnx::{ImportError, ImportOptions, OnnxError, decode, import};
use ndarray::Ix4;

use crate::common::{assert_close, fixture, tensors};

/// They compute in float32 too, and sum in another order: 1e-5 is an order of magnitude over the rounding of such short
/// sums.
const TOLERANCE: f64 = 1e-5;

fn check(net: &str, file: &str, probabilities: bool) {
    let file = fixture(&format!("onnx/{file}"));
    let network = import(&file, &ImportOptions::default()).unwrap().network;
    let tensors = tensors(&format!("onnx/{net}.safetensors"));
    let images = tensors["input"].mapv(|value| value as f32).into_dimensionality::<Ix4>().unwrap();
    let outputs = if probabilities { network.predict(images.view()) } else { network.forward(images.view()) };
    assert_close(&file.display().to_string(), &outputs.unwrap(), &tensors["output"], TOLERANCE);
}

#[test]
fn both_exporters_networks_give_pytorchs_outputs() {
    for exporter in ["script", "dynamo"] {
        for net in ["classic", "residual", "means"] {
            check(net, &format!("{net}.{exporter}.onnx"), false);
        }
        check("views", &format!("views.{exporter}.onnx"), true);
    }
}

#[test]
fn networks_of_keras_give_keras_outputs() {
    check("keras", "keras.onnx", true);
    check("keras_mobile", "keras_mobile.onnx", true);
}

#[test]
fn layers_have_the_names_of_their_weights() {
    let names = |file: &str| -> Vec<String> {
        let network = import(fixture(file), &ImportOptions::default()).unwrap().network;
        network.spec().layers.iter().map(|layer| layer.name.clone()).collect()
    };
    let views = ["conv1", "max_pool2d_1", "conv2", "relu_1", "flatten_1", "fc"];
    assert_eq!(names("onnx/views.script.onnx"), views);
    assert_eq!(names("onnx/views.dynamo.onnx"), views);
}

#[test]
fn ways_that_part_and_meet_keep_their_form() {
    let network = import(fixture("onnx/residual.script.onnx"), &ImportOptions::default()).unwrap().network;
    let sums: Vec<_> = network.spec().layers.iter().filter(|layer| layer.layer.kind() == "add").collect();
    // conv, relu, conv with nothing around it; then with a convolution: batch norms are folded by the exporter.
    let [identity, projected] = sums.as_slice() else { panic!("{sums:?}") };
    assert_eq!(identity.from[1], "max_pool2d_1");
    assert!(projected.from.iter().all(|from| from.starts_with("conv2d")), "{projected:?}");
}

#[test]
fn weights_in_another_file_are_looked_for_beside_the_model() {
    let model = std::fs::read(fixture("onnx/views.dynamo.onnx")).unwrap();
    let error = decode(&model, &ImportOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("its values are in another file, and only the model's bytes were given"),
        "{error}"
    );

    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("model.onnx"), folder.path().join("views.dynamo.onnx.data"));
    std::fs::write(&path, &model).unwrap();
    let imported = || import(&path, &ImportOptions::default());
    let OnnxError::Import { error, .. } = imported().unwrap_err() else { panic!("another error") };
    assert!(
        matches!(*error, ImportError::File(_)) && error.to_string().contains("views.dynamo.onnx.data"),
        "{error}"
    );

    let weights = std::fs::read(fixture("onnx/views.dynamo.onnx.data")).unwrap();
    std::fs::write(&data, &weights[..weights.len() - 1]).unwrap();
    let error = imported().unwrap_err().to_string();
    assert!(error.contains("put the file that was exported with the model beside it"), "{error}");
    std::fs::write(&data, &weights).unwrap();
    imported().unwrap();
}
