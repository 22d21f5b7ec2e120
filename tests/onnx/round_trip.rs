//! What is written is read again: every weight to the bit, and the same function.

use floret::checkpoint::ModelInfo;
use floret::data::Preprocess;
use floret::image::Fit;
use floret::loss::{Loss, Reduction};
use floret::models;
use floret::network::Network;
use floret::nn::LayerSpec;
use floret::onnx::{ExportOptions, ImportOptions, Layout, Output, decode, encode, export, import};
use proptest::prelude::*;

use super::networks;

fn options() -> impl Iterator<Item = ExportOptions> {
    let outputs = [Output::Probabilities, Output::Logits, Output::Both];
    [Layout::Nhwc, Layout::Nchw]
        .into_iter()
        .flat_map(move |layout| outputs.map(|output| ExportOptions { layout, output, preprocessing: false }))
}

/// Names and kinds, a block's layers one by one, without what inference does without.
fn layers(network: &Network) -> Vec<(String, &str)> {
    let mut layers = Vec::new();
    network.spec().layers.iter().for_each(|layer| append(layer.name.clone(), &layer.layer, &mut layers));
    layers
}

fn append<'n>(name: String, layer: &'n LayerSpec, layers: &mut Vec<(String, &'n str)>) {
    let LayerSpec::Residual(block) = layer else {
        if !matches!(layer, LayerSpec::Dropout(_) | LayerSpec::StochasticDepth(_)) {
            layers.push((name, layer.kind()));
        }
        return;
    };
    for (part, of_part) in [("body", &block.body), ("shortcut", &block.shortcut)] {
        for (index, layer) in of_part.iter().enumerate() {
            append(format!("{name}/{part}_{}_{}", index + 1, layer.kind()), layer, layers);
        }
    }
    layers.push((name, "add"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_network_of_any_layers_comes_back(seed: u64) {
        let network = networks::random(seed);
        let images = networks::images(&network, 3, seed);
        let wanted = network.forward(images.view()).unwrap();
        for options in options() {
            let bytes = encode(&network, None, &options).unwrap();
            let back = decode(&bytes, &ImportOptions::default()).unwrap().network;
            prop_assert_eq!(layers(&network), layers(&back));
            prop_assert_eq!(network.spec().test_time_flip, back.spec().test_time_flip);
            let arrays = |network: &Network| -> Vec<_> {
                network.arrays().map(|(param, values)| (param.name.clone(), values.to_owned())).collect()
            };
            prop_assert_eq!(arrays(&network), arrays(&back));
            // The same layers with the same weights: the same sums.
            prop_assert_eq!(&wanted, &back.forward(images.view()).unwrap());
        }
    }
}

#[test]
fn a_file_tells_classes_preprocessing_and_loss() {
    let network =
        models::seed(32, 2, 0.5).loss(Loss::MeanSquaredError { reduction: Reduction::Mean }).build().unwrap();
    let classes = vec!["Ros\u{e9}".to_owned(), "\"quoted\"\n".into()];
    let info = ModelInfo { classes, preprocess: Preprocess::new(32).fit(Fit::Crop) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    export(&path, &network, Some(&info), &ExportOptions::default()).unwrap();
    let back = import(&path, &ImportOptions::default()).unwrap();
    assert_eq!(back.info, Some(info));
    assert_eq!(back.network.spec().loss, network.spec().loss);
    assert_eq!(layers(&back.network), layers(&network));
}

/// Preprocessing inside the graph is no layer: it is said how to come back.
#[test]
fn a_graph_that_standardizes_is_refused_with_advice() {
    let network = networks::random(1);
    let options = ExportOptions { preprocessing: true, ..ExportOptions::default() };
    let error = decode(&encode(&network, None, &options).unwrap(), &ImportOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("takes UINT8, and FLOAT is read: export the network without preprocessing"),
        "{error}"
    );
}
