//! Networks of TensorFlow's slim. Their checkpoints hold no graph, so each is known by the names of its variables, and its widths are
//! theirs.

use super::{Checkpoint, TensorFlowError};
use crate::image::Normalize;
use crate::loss::Loss;
use crate::network::{Network, NetworkBuilder, NetworkSpec};
use crate::nn::nodes::INPUT;
use crate::nn::{
    Add, BatchNorm, Conv2d, Dense, GlobalAvgPool, LayerSpec, MaxPool2d, NamedLayer, Padding, Relu, Relu6,
    Shape,
};

/// The side of the images that the published networks were trained with, mostly.
const IMAGE_SIZE: usize = 224;

/// What slim adds to the variance, by family.
const MOBILENET_EPSILON: f32 = 1e-3;
const RESNET_EPSILON: f32 = 1e-5;

/// The means of red, green and blue over ImageNet that slim takes off for ResNet v1.
const RESNET_MEAN: [f32; 3] = [123.68, 116.78, 103.94];

/// A network out of a checkpoint of slim's.
#[derive(Debug)]
#[non_exhaustive]
pub struct SlimNetwork {
    /// The scope of its variables.
    pub scope: String,
    /// The network with its weights.
    pub network: Network,
    /// How slim's own training normalizes levels for it.
    pub normalize: Normalize,
}

/// The network of slim's (`research/slim/nets` of TensorFlow's models) whose checkpoint this is, for images of this side, or else 224;
/// `None` if the variables are not called as those of a network in this table. Where a variable has an average over the steps of
/// training, that is taken.
///
/// | scope | network |
/// | --- | --- |
/// | `MobilenetV1` | MobileNet v1 (Howard et al. 2017, <https://arxiv.org/abs/1704.04861>) |
/// | `MobilenetV2` | MobileNet v2 (Sandler et al. 2018, <https://arxiv.org/abs/1801.04381>) |
/// | `resnet_v1_50`, `_101`, `_152`, `_200` | ResNet v1 (He et al. 2016, <https://arxiv.org/abs/1512.03385>), with the stride of a block in its last unit |
///
/// # Errors
/// Variables that are missing, don't fit each other or can't be read; images that are too small.
pub fn slim_network(
    checkpoint: &Checkpoint,
    image_size: Option<usize>,
) -> Result<Option<SlimNetwork>, TensorFlowError> {
    let resnet = checkpoint.tensors().find_map(|(name, _)| {
        let scope = name.strip_suffix("/conv1/weights")?;
        scope.strip_prefix("resnet_v1_").filter(|depth| depth.parse::<u16>().is_ok()).map(|_| scope)
    });
    let is_there = |name: &str| checkpoint.tensor(name).is_some();
    let draft = |scope, epsilon, activation| Draft {
        checkpoint,
        scope,
        epsilon,
        activation,
        pads_evenly: false,
        layers: Vec::new(),
        arrays: Vec::new(),
    };
    let by_halves = Normalize::Fixed { mean: [127.5; 3], deviation: [127.5; 3] };
    let (draft, normalize) = if is_there("MobilenetV1/Conv2d_0/weights") {
        (draft("MobilenetV1", MOBILENET_EPSILON, Relu6.into()).mobilenet_v1()?, by_halves)
    } else if is_there("MobilenetV2/Conv/weights") {
        (draft("MobilenetV2", MOBILENET_EPSILON, Relu6.into()).mobilenet_v2()?, by_halves)
    } else if let Some(scope) = resnet {
        let normalize = Normalize::Fixed { mean: RESNET_MEAN, deviation: [1.0; 3] };
        (draft(scope, RESNET_EPSILON, Relu.into()).resnet_v1()?, normalize)
    } else {
        return Ok(None);
    };
    let side = image_size.unwrap_or(IMAGE_SIZE);
    let scope = draft.scope.to_owned();
    Ok(Some(SlimNetwork { scope, network: draft.build(Shape::from((side, side, 3)))?, normalize }))
}

/// A network as far as it is read. Layers are called as the scopes of their variables.
struct Draft<'a> {
    checkpoint: &'a Checkpoint,
    scope: &'a str,
    epsilon: f32,
    activation: LayerSpec,
    /// Whether a convolution with a stride is padded by as much before as after, whatever the image; else it is SAME.
    pads_evenly: bool,
    layers: Vec<NamedLayer>,
    /// Arrays of the network, with the variables that they are read from.
    arrays: Vec<(String, String)>,
}

impl Draft<'_> {
    fn mobilenet_v1(mut self) -> Result<Self, TensorFlowError> {
        /// The blocks that halve the image.
        const HALVING: [usize; 4] = [2, 4, 6, 12];
        let mut last = self.conv("Conv2d_0", INPUT, 2)?;
        for block in 1.. {
            let [depthwise, pointwise] =
                ["depthwise", "pointwise"].map(|part| format!("Conv2d_{block}_{part}"));
            if !self.has(&format!("{depthwise}/depthwise_weights")) {
                break;
            }
            let stride = if HALVING.contains(&block) { 2 } else { 1 };
            last = self.depthwise(&depthwise, &last, stride)?;
            last = self.conv(&pointwise, &last, 1)?;
        }
        self.head(&last, "Logits/Conv2d_1c_1x1")
    }

    fn mobilenet_v2(mut self) -> Result<Self, TensorFlowError> {
        /// The blocks that halve the image.
        const HALVING: [usize; 4] = [1, 3, 6, 13];
        let mut last = self.conv("Conv", INPUT, 2)?;
        let mut channels = self.filters("Conv")?;
        for block in 0.. {
            let name = if block == 0 { "expanded_conv".into() } else { format!("expanded_conv_{block}") };
            let [expand, depthwise, project] =
                ["expand", "depthwise", "project"].map(|part| format!("{name}/{part}"));
            if !self.has(&format!("{project}/weights")) {
                break;
            }
            let stride = if HALVING.contains(&block) { 2 } else { 1 };
            let input = last.clone();
            if self.has(&format!("{expand}/weights")) {
                last = self.conv(&expand, &last, 1)?;
            }
            last = self.depthwise(&depthwise, &last, stride)?;
            last = self.linear_conv(&project, &last, 1)?;
            let filters = self.filters(&project)?;
            if stride == 1 && filters == channels {
                last = self.add(&name, Add, &[&input, &last]);
            }
            channels = filters;
        }
        last = self.conv("Conv_1", &last, 1)?;
        self.head(&last, "Logits/Conv2d_1c_1x1")
    }

    fn resnet_v1(mut self) -> Result<Self, TensorFlowError> {
        const BLOCKS: usize = 4;
        self.pads_evenly = true;
        let mut last = self.conv("conv1", INPUT, 2)?;
        last = self.add("pool1", MaxPool2d::new(3).stride(2).padding(Padding::Same), &[&last]);
        for block in 1..=BLOCKS {
            let unit = |unit: usize| format!("block{block}/unit_{unit}/bottleneck_v1");
            let units =
                (1..).take_while(|&number| self.has(&format!("{}/conv1/weights", unit(number)))).count();
            for number in 1..=units {
                let name = unit(number);
                let stride = if number == units && block < BLOCKS { 2 } else { 1 };
                let part = |part: &str| format!("{name}/{part}");
                let shortcut = if self.has(&part("shortcut/weights")) {
                    self.linear_conv(&part("shortcut"), &last, stride)?
                } else if stride > 1 {
                    // One pixel of each square.
                    self.add(&part("shortcut"), MaxPool2d::new(1).stride(stride), &[&last])
                } else {
                    last.clone()
                };
                last = self.conv(&part("conv1"), &last, 1)?;
                last = self.conv(&part("conv2"), &last, stride)?;
                last = self.linear_conv(&part("conv3"), &last, 1)?;
                last = self.add(&part("sum"), Add, &[&shortcut, &last]);
                last = self.add(&name, self.activation.clone(), &[&last]);
            }
        }
        self.head(&last, "logits")
    }

    /// Whether there is a variable of this name in the scope.
    fn has(&self, name: &str) -> bool {
        self.checkpoint.tensor(&self.variable(name)).is_some()
    }

    fn variable(&self, name: &str) -> String {
        format!("{}/{name}", self.scope)
    }

    /// The four sizes of a kernel.
    fn kernel(&self, name: &str) -> Result<[usize; 4], TensorFlowError> {
        let variable = self.variable(name);
        let shape = &self.checkpoint.info(&variable)?.shape;
        shape[..].try_into().map_err(|_| TensorFlowError::Ambiguous {
            path: self.checkpoint.index_path().into(),
            reasons: vec![format!("`{}` has the shape {shape:?}, and is a kernel", variable.escape_debug())],
        })
    }

    fn filters(&self, conv: &str) -> Result<usize, TensorFlowError> {
        Ok(self.kernel(&format!("{conv}/weights"))?[3])
    }

    /// Adds a layer, and gives its name.
    fn add(&mut self, name: &str, layer: impl Into<LayerSpec>, from: &[&str]) -> String {
        self.layers.push(NamedLayer::new(name, layer).from(from.iter().copied()));
        name.to_owned()
    }

    /// A convolution, its batch norm and its activation; the name of the last of them.
    fn conv(&mut self, name: &str, from: &str, stride: usize) -> Result<String, TensorFlowError> {
        let last = self.linear_conv(name, from, stride)?;
        Ok(self.add(&format!("{name}/activation"), self.activation.clone(), &[&last]))
    }

    /// The same without an activation.
    fn linear_conv(&mut self, name: &str, from: &str, stride: usize) -> Result<String, TensorFlowError> {
        let [height, width, _, filters] = self.kernel(&format!("{name}/weights"))?;
        let conv = Conv2d::new(filters, (height, width)).stride(stride).no_bias();
        if !self.pads_evenly || stride == 1 {
            return self.with_norm(name, conv, "weights", from);
        }
        let (top, left) = (height.saturating_sub(1) / 2, width.saturating_sub(1) / 2);
        let (bottom, right) = (height.saturating_sub(1) - top, width.saturating_sub(1) - left);
        let padding = Padding::Explicit { top, bottom, left, right };
        self.with_norm(name, conv.padding(padding), "weights", from)
    }

    /// A depthwise convolution, its batch norm and its activation.
    fn depthwise(&mut self, name: &str, from: &str, stride: usize) -> Result<String, TensorFlowError> {
        let [height, width, channels, _] = self.kernel(&format!("{name}/depthwise_weights"))?;
        let conv = Conv2d::depthwise(channels, (height, width)).stride(stride).no_bias();
        let last = self.with_norm(name, conv, "depthwise_weights", from)?;
        Ok(self.add(&format!("{name}/activation"), self.activation.clone(), &[&last]))
    }

    fn with_norm(
        &mut self,
        name: &str,
        conv: Conv2d,
        weights: &str,
        from: &str,
    ) -> Result<String, TensorFlowError> {
        let last = self.add(name, conv, &[from]);
        self.arrays.push((format!("{name}/kernel"), format!("{name}/{weights}")));
        let norm = format!("{name}/BatchNorm");
        self.add(&norm, BatchNorm::new().epsilon(self.epsilon), &[&last]);
        for array in ["gamma", "beta", "moving_mean", "moving_variance"] {
            let array = format!("{norm}/{array}");
            // Without a scale it is 1, as a new network has it.
            if self.has(&array) || !array.ends_with("gamma") {
                self.arrays.push((array.clone(), array));
            }
        }
        Ok(norm)
    }

    /// The mean over all pixels, and the last layer, which slim has as a convolution of 1x1.
    fn head(mut self, from: &str, conv: &str) -> Result<Self, TensorFlowError> {
        let classes = self.filters(conv)?;
        let means = self.add("global_pool", GlobalAvgPool, &[from]);
        self.add("logits", Dense::new(classes), &[&means]);
        for (array, variable) in [("kernel", "weights"), ("bias", "biases")] {
            self.arrays.push((format!("logits/{array}"), format!("{conv}/{variable}")));
        }
        Ok(self)
    }

    /// The network with the values of its variables.
    fn build(self, input: Shape) -> Result<Network, TensorFlowError> {
        let spec = NetworkSpec { input, layers: self.layers, loss: Loss::default(), test_time_flip: false };
        let (params, _) = spec.params().map_err(Box::new)?;
        let mut variables = Vec::new();
        for (array, variable) in self.arrays {
            let variable = format!("{}/{variable}", self.scope);
            let averaged = format!("{variable}/ExponentialMovingAverage");
            let is_averaged = self.checkpoint.tensor(&averaged).is_some();
            let variable = if is_averaged { averaged } else { variable };
            let param = params.iter().find(|param| param.name == array).expect("each is of a layer");
            let info = self.checkpoint.info(&variable)?;
            // Before room is made for the network: a variable without values may claim any width.
            if info.len() != param.len() {
                return Err(TensorFlowError::Shape {
                    path: self.checkpoint.index_path().into(),
                    array,
                    wanted: param.shape.clone(),
                    tensor: variable,
                    got: info.shape.clone(),
                });
            }
            variables.push((param, variable));
        }
        let mut network = NetworkBuilder::from_spec(spec).build().map_err(Box::new)?;
        for (param, variable) in variables {
            let values = self.checkpoint.read(&variable)?.to_f32()?;
            // Kernels of depthwise convolutions have the last two axes changed, and one of them is 1; the last layer's has two of 1 more.
            let values = values.into_shape_with_order(&param.shape[..]).expect("as many values");
            network.set_array(&param.name, values.view()).map_err(Box::new)?;
        }
        Ok(network)
    }
}
