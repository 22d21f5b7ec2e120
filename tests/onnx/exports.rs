//! Networks that others exported, in a folder: they give the outputs that ONNX Runtime gave, and come back from an export of floret's.
//!
//! `FLORET_ONNX_EXPORTS=FOLDER cargo test --test files -- --ignored --nocapture exports_of_a_folder`; `tests/interop` makes such.

use std::path::{Path, PathBuf};

use floret::network::Network;
use floret::onnx::{ExportOptions, ImportOptions, Layout, Output, decode, encode, import};
use ndarray::{Array4, Ix4};

use crate::common::{fixture, tensors_of};

/// Both compute in float32, and sum in another order.
const TOLERANCE: f64 = 1e-4;

/// The largest difference from the outputs `wanted` of `NAME.safetensors`, as a share of the largest of them.
fn difference(network: &Network, images: &Array4<f32>, wanted: &ndarray::ArrayD<f64>) -> f64 {
    let outputs = network.forward(images).unwrap();
    assert_eq!(outputs.shape(), wanted.shape());
    let largest = wanted.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let differences = outputs.iter().zip(wanted).map(|(got, want)| (f64::from(*got) - want).abs());
    differences.fold(0.0, |most, value| if value > most || value.is_nan() { value } else { most }) / largest
}

/// Compares the network of a file `NAME.ANYTHING.onnx` with `NAME.safetensors`: `input` (NHWC) and `output`.
fn check(file: &Path) {
    let stem = file.file_name().unwrap().to_str().unwrap().split('.').next().unwrap();
    let tensors = tensors_of(&file.with_file_name(format!("{stem}.safetensors")));
    let images = tensors["input"].mapv(|value| value as f32).into_dimensionality::<Ix4>().unwrap();
    let network = import(file, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}")).network;
    let far = difference(&network, &images, &tensors["output"]);
    println!("{}: {far:.1e}", file.file_name().unwrap().display());
    assert!(far <= TOLERANCE, "{}: {far}", file.display());
    // Out again and back: the same weights, and so the same outputs to the bit.
    let options = ExportOptions { layout: Layout::Nchw, output: Output::Logits, preprocessing: false };
    let bytes = encode(&network, None, &options).unwrap();
    let back = decode(&bytes, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}")).network;
    let arrays = |network: &Network| -> Vec<_> {
        network.arrays().map(|(param, values)| (param.name.clone(), values.to_owned())).collect()
    };
    assert!(arrays(&network) == arrays(&back), "{}: other weights came back", file.display());
    assert_eq!(network.forward(&images).unwrap(), back.forward(&images).unwrap(), "{}", file.display());
}

/// Small networks of the operators of today's classifiers, by both of PyTorch's exporters, in old and new sets of operators
/// (`check_onnx_networks.py --small` in tests/interop).
#[test]
fn small_networks_give_onnx_runtimes_outputs() {
    let files = networks(&fixture("onnx/networks"));
    assert_eq!(files.len(), 40);
    compare(&files);
}

#[test]
#[ignore = "needs networks that tests/interop/check_onnx_networks.py exports"]
fn exports_of_a_folder() {
    let folder = std::env::var("FLORET_ONNX_EXPORTS").expect("FLORET_ONNX_EXPORTS names a folder");
    let files = networks(Path::new(&folder));
    assert!(!files.is_empty(), "{folder} holds no networks");
    compare(&files);
}

fn networks(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|kind| kind == "onnx")).collect();
    files.sort();
    files
}

/// Compares all, so that each that fails is named.
fn compare(files: &[PathBuf]) {
    let failed: Vec<_> =
        files.iter().filter(|file| std::panic::catch_unwind(|| check(file)).is_err()).collect();
    assert!(failed.is_empty(), "{} of {} networks failed: {failed:?}", failed.len(), files.len());
}

/// The first training step on networks `NAME.onnx`, beside PyTorch's in `NAME.step.safetensors`: `input` (NHWC) and `labels`, the mean
/// cross-entropy `loss`, and `gradient/N`, that of the Nth kernel.
///
/// `FLORET_FIRST_STEPS=FOLDER cargo test --test files -- --ignored --nocapture first_steps_of_a_folder`
#[test]
#[ignore = "needs networks that tests/interop/check_pretrained.py exports"]
fn first_steps_of_a_folder() {
    let folder = std::env::var("FLORET_FIRST_STEPS").expect("FLORET_FIRST_STEPS names a folder");
    let files = networks(Path::new(&folder));
    assert!(!files.is_empty(), "{folder} holds no networks");
    for file in files {
        let tensors = tensors_of(&file.with_extension("step.safetensors"));
        let images = tensors["input"].mapv(|value| value as f32).into_dimensionality::<Ix4>().unwrap();
        let labels: Vec<usize> = tensors["labels"].iter().map(|label| *label as usize).collect();
        let mut network = import(&file, &ImportOptions::default()).unwrap().network;
        let mut pass = network.forward_train(&images).unwrap();
        let (loss, gradient) = pass.loss_and_gradient(&labels).unwrap();
        pass.backward(gradient).unwrap();
        let wanted = tensors["loss"].iter().next().unwrap();
        println!("{}: loss {loss} {wanted}", file.display());
        assert!((loss / wanted - 1.0).abs() < TOLERANCE, "{loss} {wanted}");
        let kernels: Vec<_> =
            network.gradients().filter(|(param, _)| param.name.ends_with("/kernel")).collect();
        let mut compared = 0;
        for (name, wanted) in &tensors {
            let Some(index) = name.strip_prefix("gradient/") else { continue };
            let (param, got) = &kernels[index.parse::<usize>().unwrap()];
            assert_eq!(got.shape(), wanted.shape(), "{name} is not {}", param.name);
            let norm =
                |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
            let off = norm(&mut got.iter().zip(wanted).map(|(got, want)| f64::from(*got) - want));
            let far = off / norm(&mut wanted.iter().copied());
            println!("{name}, {}: {far:.1e}", param.name);
            // Through 49 layers PyTorch itself in float32 is up to 1.6e-3 off its own float64.
            assert!(far < 50.0 * TOLERANCE, "{name}, {}: {far}", param.name);
            compared += 1;
        }
        assert_eq!(compared, 3);
    }
}
