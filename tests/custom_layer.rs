//! Layers that floret does not have: trained, saved, loaded, exported.

use floret::checkpoint::{ModelInfo, load_model, save_model};
use floret::data::Preprocess;
use floret::network::Network;
use floret::nn::{
    Backward, CustomLayer, Dense, Flatten, Forward, Init, Input, Layer, LayerSpec, Memory, Mode, Param,
    Residual, Shape, ShapeError, register,
};
use floret::optim::Sgd;
use ndarray::Array4;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::tempdir;

/// `y = w x` with a weight for each channel; keeps x for the gradient of w, which it could do without.
#[derive(Debug, Serialize, Deserialize)]
struct ChannelScale {
    begin: f32,
}

impl CustomLayer for ChannelScale {
    const KIND: &'static str = "channel_scale";

    fn build(&self, input: Shape) -> Result<Box<dyn Layer>, ShapeError> {
        if self.begin == 0.0 {
            return Err(ShapeError::new("a scale of 0 learns nothing"));
        }
        Ok(Box::new(ChannelScaleLayer { shape: input, begin: self.begin }))
    }
}

#[derive(Debug)]
struct ChannelScaleLayer {
    shape: Shape,
    begin: f32,
}

impl Layer for ChannelScaleLayer {
    fn output(&self) -> Shape {
        self.shape
    }

    fn params(&self) -> Vec<Param> {
        vec![Param::vector("scale", self.shape.channels(), Init::Constant(self.begin))]
    }

    fn memory(&self, batch: usize) -> Memory {
        Memory::default().saved_floats(batch * self.shape.len())
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        if let Mode::Train { saved, .. } = pass.mode {
            saved.floats.copy_from_slice(x);
        }
        for (y, x) in y.chunks_exact_mut(w.len()).zip(x.chunks_exact(w.len())) {
            y.iter_mut().zip(x).zip(w).for_each(|((y, x), w)| *y = w * x);
        }
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        // y = w x
        dw.fill(0.0);
        for (dy, x) in dy.chunks_exact(w.len()).zip(pass.saved.floats.chunks_exact(w.len())) {
            dw.iter_mut().zip(dy).zip(x).for_each(|((dw, dy), x)| *dw += dy * x);
        }
        let Some(dx) = x.gradient() else { return };
        for (dx, dy) in dx.chunks_exact_mut(w.len()).zip(dy.chunks_exact(w.len())) {
            dx.iter_mut().zip(dy).zip(w).for_each(|((dx, dy), w)| *dx = w * dy);
        }
    }
}

/// The same layer under a kind that no test registers.
#[derive(Debug, Serialize, Deserialize)]
struct Unregistered;

impl CustomLayer for Unregistered {
    const KIND: &'static str = "unregistered";

    fn build(&self, input: Shape) -> Result<Box<dyn Layer>, ShapeError> {
        ChannelScale { begin: 1.0 }.build(input)
    }
}

const LABELS: [usize; 4] = [0, 1, 0, 1];

fn images() -> Array4<f32> {
    Array4::from_shape_fn((4, 3, 3, 3), |(n, y, x, c)| ((3 * n + 2 * y + x + 5 * c) % 7) as f32 - 3.0)
}

fn network(layer: impl Into<LayerSpec>) -> Network {
    let layer = layer.into();
    Network::builder((3, 3, 3))
        .add(layer.clone())
        .add(Residual::new().body(layer))
        .add(Flatten)
        .add(Dense::new(2).kernel_init(Init::HeNormal))
        .seed(1)
        .build()
        .unwrap()
}

fn info() -> ModelInfo {
    ModelInfo { classes: vec!["a".into(), "b".into()], preprocess: Preprocess::new(3) }
}

#[test]
fn its_gradients_are_those_of_differences() {
    let layers = || vec![Dense::new(6).into(), ChannelScale { begin: 0.7 }.into(), Dense::new(3).into()];
    crate::gradients::check(layers(), Shape::Vector(5), 3, 1);
    crate::gradients::check(vec![ChannelScale { begin: -1.3 }.into()], (3, 4, 2).into(), 2, 2);
}

#[test]
fn a_network_of_it_trains_and_goes_through_a_file() {
    register::<ChannelScale>();
    let mut network = network(ChannelScale { begin: 0.5 });
    let mut optimizer = Sgd::new(0.05);
    let losses: Vec<f64> =
        (0..5).map(|_| network.train_step(&images(), &LABELS, &mut optimizer).unwrap().loss).collect();
    assert!(losses[4] < losses[0], "{losses:?}");
    assert!(network.array("channel_scale_1/scale").unwrap().iter().all(|scale| *scale != 0.5));
    let summary = network.summary();
    let told = |line: &str| line.split_whitespace().take(2).eq(["channel_scale_1", "channel_scale"]);
    assert!(summary.lines().any(told), "{summary}");

    let folder = tempdir().unwrap();
    let path = folder.path().join("model");
    save_model(&path, &network, &info()).unwrap();
    let (loaded, _) = load_model(&path).unwrap();
    assert_eq!((loaded.spec(), network.clone().spec()), (network.spec(), network.spec()));
    assert_eq!(loaded.forward(&images()).unwrap(), network.forward(&images()).unwrap());
    assert_eq!(
        serde_json::to_value(&loaded.spec().layers[0]).unwrap(),
        json!({
            "name": "channel_scale_1", "layer": "custom", "kind": "channel_scale", "settings": { "begin": 0.5 }
        })
    );
    let other = self::network(ChannelScale { begin: 0.25 });
    assert_ne!(other.spec(), network.spec());
}

#[cfg(feature = "tensorboard")]
#[test]
fn its_kind_is_in_the_graph_of_a_log() {
    let folder = tempdir().unwrap();
    let mut log = floret::log::SummaryWriter::create(folder.path()).unwrap();
    log.graph(&network(ChannelScale { begin: 0.5 })).unwrap();
    let events = std::fs::read(log.path()).unwrap();
    let node = b"channel_scale_1/channel_scale";
    assert!(events.windows(node.len()).any(|bytes| bytes == node));
}

#[test]
fn a_file_with_a_kind_that_is_not_registered_is_refused_by_name() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model");
    save_model(&path, &network(Unregistered), &info()).unwrap();
    let error = load_model(&path).unwrap_err().to_string();
    assert!(
        error.contains("layer `unregistered_1`: floret has no layer of the kind `unregistered`")
            && error.contains("`floret::nn::register`"),
        "{error}"
    );
}

#[test]
fn it_can_refuse_its_settings() {
    let error = Network::builder((3, 3, 3)).add(ChannelScale { begin: 0.0 }).build().unwrap_err();
    assert!(error.to_string().contains("layer `channel_scale_1`: a scale of 0"), "{error}");
}

#[cfg(feature = "onnx")]
#[test]
fn it_is_not_exported_to_onnx() {
    use floret::onnx::{ExportOptions, encode};

    let error = encode(&network(ChannelScale { begin: 1.0 }), None, &ExportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("`channel_scale_1` is of the kind `channel_scale`"), "{error}");
}
