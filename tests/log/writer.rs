//! What [`SummaryWriter`] writes, field by field, beside what TensorFlow wrote.

use std::fs;

use crate::common::proto::events::event::What;
use crate::common::proto::events::session_log::SessionStatus;
use crate::common::proto::events::summary::value::Value as Content;
use crate::common::proto::events::{DataClass, Event, SummaryMetadata};
use crate::common::proto::graph::{GraphDef, NodeDef, attr_value};
use crate::common::proto::hparams::HParamsPluginData;
use crate::common::proto::hparams::h_params_plugin_data::Data;
use crate::common::proto::hparams::value::Kind;
use crate::common::proto::tensor::{DataType, TensorProto};
use floret::image::{DecodeOptions, decode};
use floret::log::{LogError, SummaryWriter};
use floret::network::Network;
use floret::nn::{AvgPool2d, BatchNorm, Conv2d, Dense, Flatten, MaxPool2d, Relu, Residual};
use ndarray::Array3;
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tempfile::tempdir;

use super::reading::{events, files, only_events, run, sizes};
use crate::common::fixture;

/// The only value of an event.
fn value(event: &Event) -> (String, SummaryMetadata, TensorProto) {
    let Some(What::Summary(summary)) = &event.what else { panic!("{event:?}") };
    let [value] = &summary.value[..] else { panic!("{event:?}") };
    let Some(Content::Tensor(tensor)) = &value.value else { panic!("{event:?}") };
    (value.tag.clone(), value.metadata.clone().unwrap(), tensor.clone())
}

#[test]
fn a_file_begins_as_tensorboard_wants_it_and_is_named_so() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("a/run");
    let begun = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let writers: Vec<_> = (0..3).map(|step| SummaryWriter::resume(&run, step).unwrap()).collect();
    let files = files(&run);
    // In the order of their making.
    assert_eq!(writers.iter().map(|writer| writer.path().to_owned()).collect::<Vec<_>>(), files);
    for (step, file) in files.iter().enumerate() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let [seconds, nanos] = name
            .strip_prefix("events.out.tfevents.")
            .and_then(|rest| rest.strip_suffix(".floret"))
            .map(|times| times.split('.').collect::<Vec<_>>().try_into().unwrap())
            .unwrap();
        assert_eq!((seconds.len(), nanos.len()), (10, 9), "{name}");
        let events = events(file);
        assert_eq!(events[0].what, Some(What::FileVersion("brain.Event:2".into())));
        assert_eq!(events[0].source_metadata.as_ref().unwrap().writer, "floret.log");
        assert!((begun..begun + 600.0).contains(&events[0].wall_time));
        let Some(What::SessionLog(log)) = &events[1].what else { panic!("{:?}", events[1]) };
        assert_eq!((log.status(), events[1].step), (SessionStatus::Start, step as i64));
        assert_eq!(events.len(), 2);
    }
}

#[test]
fn scalars_and_histograms_are_as_tensorflow_writes_them() {
    let theirs = events(&fixture("tf_events/events.out.tfevents.0.fixture.v2"));
    let folder = tempdir().unwrap();
    let mut writer = SummaryWriter::create(folder.path()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let weights: Vec<f32> = (0..50).map(|_| rng.random_range(-1.0..1.0)).collect();
    for step in 0..5 {
        writer.scalar(step, "loss", 1.0 / (step + 1) as f64).unwrap();
        writer.histogram(step, "weights", &weights).unwrap();
    }
    let ours = only_events(folder.path());
    assert_eq!(theirs[0].what, ours[0].what);
    let numbers = |tensor: &TensorProto, width: usize| match tensor.tensor_content.as_slice() {
        [] => tensor.float_val.iter().map(|&v| f64::from(v)).chain(tensor.double_val.clone()).collect(),
        bytes if width == 4 => {
            bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect::<Vec<f64>>()
        }
        bytes => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
    };
    let mut described = 0;
    for (theirs, ours) in theirs[1..].iter().zip(&ours[2..]) {
        let (tag, metadata, tensor) = value(ours);
        let (their_tag, their_metadata, their_tensor) = value(theirs);
        assert_eq!((&tag, ours.step), (&their_tag, theirs.step));
        assert_eq!((tensor.dtype, sizes(&tensor)), (their_tensor.dtype, sizes(&their_tensor)));
        if let Some(plugin) = their_metadata.plugin_data {
            assert_eq!(metadata.plugin_data, Some(plugin));
            described += 1;
        }
        if tag == "loss" {
            assert_eq!(numbers(&tensor, 4), numbers(&their_tensor, 4));
        } else {
            for buckets in [numbers(&tensor, 8), numbers(&their_tensor, 8)] {
                assert_eq!(buckets.chunks(3).map(|row| row[2]).sum::<f64>(), 50.0);
                let width = (buckets[88] - buckets[0]) / 30.0;
                for (index, row) in buckets.chunks(3).enumerate() {
                    // Rounding of the edges: a few units of the last place of a double.
                    assert!((row[0] - (buckets[0] + index as f64 * width)).abs() < 1e-12, "{row:?}");
                    assert!((row[1] - row[0] - width).abs() < 1e-12, "{row:?}");
                }
            }
        }
    }
    assert!(described >= 2, "the fixture no longer says which plugin reads a tag");
}

#[test]
fn histograms_hold_what_lies_between_their_edges() {
    let folder = tempdir().unwrap();
    let mut writer = SummaryWriter::create(folder.path()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let cases: Vec<Vec<f32>> = (1..40)
        .map(|case| (0..case * 7).map(|_| rng.random_range(-1.0f32..1.0).powi(3) * case as f32).collect())
        .collect();
    for (step, values) in cases.iter().enumerate() {
        writer.histogram(step as u64, "values", values).unwrap();
    }
    for ((_, tensor), values) in run(folder.path())["values"].iter().zip(&cases) {
        let rows: Vec<_> = tensor.double_val.chunks(3).collect();
        let last = rows.len() - 1;
        let (least, greatest) = (rows[0][0], rows[last][1]);
        assert!(values.iter().all(|&v| (least..=greatest).contains(&f64::from(v))));
        for (index, row) in rows.iter().enumerate() {
            // A value may lie so close to an edge that rounding decides: it may count on either side of it.
            let slack = (greatest - least) * 1e-12;
            let within = |from: f64, to: f64| {
                let within = |v: &&f32| f64::from(**v) >= from && (f64::from(**v) < to || index == last);
                values.iter().filter(within).count() as f64
            };
            assert!(within(row[0] + slack, row[1] - slack) <= row[2], "{row:?}");
            assert!(within(row[0] - slack, row[1] + slack) >= row[2], "{row:?}");
        }
        assert_eq!(rows.iter().map(|row| row[2]).sum::<f64>(), values.len() as f64);
    }
}

#[test]
fn images_and_text_come_back_as_they_were() {
    let folder = tempdir().unwrap();
    let mut writer = SummaryWriter::create(folder.path()).unwrap();
    let image =
        |height, width| Array3::from_shape_fn((height, width, 3), |(y, x, c)| (31 * y + 7 * x + c) as u8);
    let images = [image(5, 9), image(3, 2)];
    writer.images(4, "pictures", &images).unwrap();
    writer.text(5, "words", "# Grüße\n\n    and *code*").unwrap();
    let events = only_events(folder.path());
    let (tag, metadata, tensor) = value(&events[2]);
    assert_eq!((tag.as_str(), tensor.dtype(), sizes(&tensor)), ("pictures", DataType::DtString, vec![4]));
    assert_eq!(metadata.data_class(), DataClass::BlobSequence);
    assert_eq!(metadata.plugin_data.unwrap().plugin_name, "images");
    assert_eq!(tensor.string_val[..2], [b"9".to_vec(), b"5".to_vec()]);
    for (file, image) in tensor.string_val[2..].iter().zip(&images) {
        assert_eq!(decode(file, &DecodeOptions::default()).unwrap(), image);
    }
    let (_, metadata, tensor) = value(&events[3]);
    assert_eq!((tensor.dtype(), sizes(&tensor)), (DataType::DtString, vec![]));
    assert_eq!(metadata.plugin_data.unwrap().plugin_name, "text");
    assert_eq!(tensor.string_val, ["# Grüße\n\n    and *code*".as_bytes()]);
}

#[test]
fn an_image_that_is_none_is_an_error_and_leaves_the_file_whole() {
    let folder = tempdir().unwrap();
    let mut writer = SummaryWriter::create(folder.path()).unwrap();
    for dim in [(0, 3, 3), (3, 0, 3), (3, 3, 1), (3, 3, 4)] {
        let error = writer.images(0, "odd", &[Array3::zeros(dim)]).unwrap_err();
        assert!(
            matches!(&error, LogError::Image(_)) && error.to_string().contains("height, width, 3"),
            "{error}"
        );
    }
    writer.scalar(1, "after", 2.0).unwrap();
    assert_eq!(only_events(folder.path()).len(), 3);
}

#[test]
fn hyper_parameters_are_in_the_metadata() {
    let folder = tempdir().unwrap();
    let mut writer = SummaryWriter::create(folder.path()).unwrap();
    let settings = json!({ "rate": 0.5, "batch": 32, "rule": "adam", "skip": true, "shift": { "by": 2 } });
    writer.hyper_parameters(settings.as_object().unwrap(), &["accuracy"]).unwrap();
    writer.end().unwrap();
    let data = |event: &Event| {
        let plugin = value(event).1.plugin_data.unwrap();
        assert_eq!(plugin.plugin_name, "hparams");
        HParamsPluginData::decode(&*plugin.content).unwrap().data.unwrap()
    };
    let events = only_events(folder.path());
    assert_eq!(value(&events[2]).0, "_hparams_/experiment");
    let Data::Experiment(experiment) = data(&events[2]) else { panic!() };
    let infos: Vec<_> = experiment.hparam_infos.iter().map(|info| (&*info.name, info.r#type)).collect();
    assert_eq!(infos, [("batch", 3), ("rate", 3), ("rule", 1), ("shift", 1), ("skip", 2)]);
    let name = experiment.metric_infos[0].name.as_ref().unwrap();
    assert_eq!((&*name.group, &*name.tag), ("", "accuracy"));
    let Data::SessionStartInfo(start) = data(&events[3]) else { panic!() };
    let kind = |name: &str| start.hparams[name].kind.clone().unwrap();
    assert_eq!(kind("rate"), Kind::NumberValue(0.5));
    assert_eq!(kind("batch"), Kind::NumberValue(32.0));
    assert_eq!(kind("rule"), Kind::StringValue("adam".into()));
    assert_eq!(kind("skip"), Kind::BoolValue(true));
    assert_eq!(kind("shift"), Kind::StringValue(r#"{"by":2}"#.into()));
    assert!(matches!(data(&events[4]), Data::SessionEndInfo(end) if end.status == 1));
}

#[test]
fn the_graph_is_the_network() {
    let network = Network::builder((16, 16, 3))
        .add(Conv2d::new(4, 3).no_bias())
        .add(BatchNorm::new())
        .add(Relu)
        .add(
            Residual::new()
                .body(Conv2d::new(8, 3).stride(2))
                .body(Relu)
                .shortcut(Conv2d::new(8, 1).stride(2)),
        )
        .add(MaxPool2d::new(2))
        .add_named("odd name:0", Conv2d::new(2, 3))
        .add(AvgPool2d::new(2))
        .add(Flatten)
        .add(Dense::new(5))
        .build()
        .unwrap();
    let folder = tempdir().unwrap();
    SummaryWriter::create(folder.path()).unwrap().graph(&network).unwrap();
    let events = only_events(folder.path());
    let Some(What::GraphDef(bytes)) = &events[2].what else { panic!("{:?}", events[2]) };
    let nodes = GraphDef::decode(&**bytes).unwrap().node;

    // Each takes only what stands above it, and no name comes twice.
    for (index, node) in nodes.iter().enumerate() {
        let above = &nodes[..index];
        assert!(above.iter().all(|other| other.name != node.name), "{}", node.name);
        for input in &node.input {
            assert!(above.iter().any(|other| other.name == *input), "{} takes {input}", node.name);
        }
    }
    let shape = |node: &NodeDef| {
        let Some(attr_value::Value::List(list)) = &node.attr["_output_shapes"].value else {
            panic!("{node:?}")
        };
        list.shape[0].dim.iter().map(|dim| dim.size).collect::<Vec<_>>()
    };
    let found: Vec<_> = nodes
        .iter()
        .filter(|node| node.op != "VariableV2")
        .map(|node| (&*node.name, &*node.op, node.input.last().map_or("", |name| &**name), shape(node)))
        .collect();
    let image = |side: i64, channels: i64| vec![-1, side, side, channels];
    assert_eq!(
        found,
        [
            ("input", "Placeholder", "", image(16, 3)),
            ("conv2d_1/Conv2D", "Conv2D", "conv2d_1/kernel", image(16, 4)),
            (
                "batch_norm_1/FusedBatchNormV3",
                "FusedBatchNormV3",
                "batch_norm_1/moving_variance",
                image(16, 4)
            ),
            ("batch_norm_1/relu_1", "Relu", "batch_norm_1/FusedBatchNormV3", image(16, 4)),
            ("residual_1/body_1_conv2d/Conv2D", "Conv2D", "residual_1/body_1_conv2d/kernel", image(8, 8)),
            ("residual_1/body_1_conv2d/BiasAdd", "BiasAdd", "residual_1/body_1_conv2d/bias", image(8, 8)),
            ("residual_1/body_1_conv2d/body_2_relu", "Relu", "residual_1/body_1_conv2d/BiasAdd", image(8, 8)),
            (
                "residual_1/shortcut_1_conv2d/Conv2D",
                "Conv2D",
                "residual_1/shortcut_1_conv2d/kernel",
                image(8, 8)
            ),
            (
                "residual_1/shortcut_1_conv2d/BiasAdd",
                "BiasAdd",
                "residual_1/shortcut_1_conv2d/bias",
                image(8, 8)
            ),
            ("residual_1/AddV2", "AddV2", "residual_1/shortcut_1_conv2d/BiasAdd", image(8, 8)),
            ("residual_1/max_pool2d_1", "MaxPool", "residual_1/AddV2", image(4, 8)),
            ("odd_name_0/Conv2D", "Conv2D", "odd_name_0/kernel", image(4, 2)),
            ("odd_name_0/BiasAdd", "BiasAdd", "odd_name_0/bias", image(4, 2)),
            ("odd_name_0/avg_pool2d_1", "AvgPool", "odd_name_0/BiasAdd", image(2, 2)),
            ("odd_name_0/flatten_1", "Reshape", "odd_name_0/avg_pool2d_1", vec![-1, 8]),
            ("dense_1/MatMul", "MatMul", "dense_1/kernel", vec![-1, 5]),
            ("dense_1/BiasAdd", "BiasAdd", "dense_1/bias", vec![-1, 5]),
            ("labels", "Placeholder", "", vec![-1]),
            ("loss", "SparseSoftmaxCrossEntropyWithLogits", "labels", vec![-1]),
            ("predictions", "Softmax", "dense_1/BiasAdd", vec![-1, 5]),
        ]
    );
    let variables = nodes.iter().filter(|node| node.op == "VariableV2").count();
    assert_eq!(variables, network.arrays().count());
    let kernel = nodes.iter().find(|node| node.name == "residual_1/body_1_conv2d/kernel").unwrap();
    assert_eq!(shape(kernel), [3, 3, 4, 8]);
}

#[test]
fn a_folder_that_can_t_be_written_to_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SummaryWriter::create(file.join("log")).unwrap_err().to_string();
    assert!(error.starts_with("cannot create the folder ") && error.contains("file"), "{error}");
}
