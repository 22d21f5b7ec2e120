//! Layers of one's own: what to implement, and the registry by which they are loaded from files.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::built::Built;
use super::{Layer, Shape, ShapeError};

/// A kind of layer that floret does not have, described by its settings.
///
/// The settings are saved in the network's file by `serde`, under [`KIND`](Self::KIND). A program that loads such a file
/// calls [`register`] first.
///
/// ```
/// use floret::network::Network;
/// use floret::nn::{self, Backward, CustomLayer, Dense, Flatten, Forward, Input, Layer, Shape, ShapeError};
/// use serde::{Deserialize, Serialize};
///
/// /// `y = factor x`
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Scale {
///     factor: f32,
/// }
///
/// impl CustomLayer for Scale {
///     const KIND: &'static str = "scale";
///
///     fn build(&self, input: Shape) -> Result<Box<dyn Layer>, ShapeError> {
///         Ok(Box::new(ScaleLayer { shape: input, factor: self.factor }))
///     }
/// }
///
/// #[derive(Debug)]
/// struct ScaleLayer {
///     shape: Shape,
///     factor: f32,
/// }
///
/// impl Layer for ScaleLayer {
///     fn output(&self) -> Shape {
///         self.shape
///     }
///
///     fn forward(&self, _w: &[f32], x: &[f32], y: &mut [f32], _: Forward<'_>) {
///         y.iter_mut().zip(x).for_each(|(y, x)| *y = self.factor * x);
///     }
///
///     fn backward(&self, _w: &[f32], _dw: &mut [f32], x: Input<'_>, dy: &mut [f32], _: Backward<'_>) {
///         // y = factor x
///         let Some(dx) = x.gradient() else { return };
///         dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = self.factor * *dy);
///     }
/// }
///
/// nn::register::<Scale>();
/// let network = Network::builder((8, 8, 3)).add(Scale { factor: 0.5 }).add(Flatten).add(Dense::new(2)).build()?;
/// assert_eq!(network.spec().layers[0].name, "scale_1");
/// # Ok::<(), floret::Error>(())
/// ```
pub trait CustomLayer: fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind's name, such as `swish`: in files, and as the stem of the names of its layers.
    const KIND: &'static str;

    /// Builds the layer for inputs of shape `input`.
    ///
    /// # Errors
    /// An input that does not fit, or settings that make no sense.
    fn build(&self, input: Shape) -> Result<Box<dyn Layer>, ShapeError>;
}

/// Lets files hold layers of the kind `L`; call it before loading one. A later call for the same kind replaces the earlier.
pub fn register<L: CustomLayer>() {
    let read: Read = |settings| Ok(Arc::new(L::deserialize(settings)?));
    set_read(L::KIND, read);
}

fn set_read(kind: &'static str, read: Read) {
    let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
    registry.retain(|(other, _)| *other != kind);
    registry.push((kind, read));
}

/// Makes a layer of its settings.
type Read = fn(&Value) -> Result<Arc<dyn AnyLayer>, serde_json::Error>;

static REGISTRY: RwLock<Vec<(&'static str, Read)>> = RwLock::new(Vec::new());

/// A [`CustomLayer`] of any type.
trait AnyLayer: fmt::Debug + Send + Sync {
    fn settings(&self) -> Result<Value, serde_json::Error>;
    fn build(&self, input: Shape) -> Result<Box<dyn Layer>, ShapeError>;
}

impl<L: CustomLayer> AnyLayer for L {
    fn settings(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    fn build(&self, input: Shape) -> Result<Box<dyn Layer>, ShapeError> {
        CustomLayer::build(self, input)
    }
}

/// A [`CustomLayer`] in a network's description.
#[derive(Debug, Clone)]
pub struct Custom {
    kind: Cow<'static, str>,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// Added by the program.
    Layer(Arc<dyn AnyLayer>),
    /// Read from a file.
    File(Value),
}

impl<L: CustomLayer> From<L> for Custom {
    fn from(layer: L) -> Self {
        Self { kind: L::KIND.into(), source: Source::Layer(Arc::new(layer)) }
    }
}

impl Custom {
    /// The kind's name.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The settings, as files hold them.
    fn settings(&self) -> Result<Value, serde_json::Error> {
        match &self.source {
            Source::Layer(layer) => layer.settings(),
            Source::File(settings) => Ok(settings.clone()),
        }
    }

    pub(crate) fn build(&self, input: Shape) -> Result<Built, ShapeError> {
        let layer = match &self.source {
            Source::Layer(layer) => layer.build(input),
            Source::File(settings) => self.read(settings)?.build(input),
        }?;
        let output = layer.output();
        output.check("an output")?;
        if output.is_empty() {
            return Err(ShapeError::new(format!("an output of {output} holds no value")));
        }
        Ok(Built::Layer(layer.into()))
    }

    fn read(&self, settings: &Value) -> Result<Arc<dyn AnyLayer>, ShapeError> {
        let kind = self.kind.escape_debug();
        let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
        let read = registry.iter().find(|(kind, _)| *kind == self.kind()).map(|(_, read)| *read);
        drop(registry);
        let read = read.ok_or_else(|| {
            ShapeError::new(format!(
                "floret has no layer of the kind `{kind}`: the program that has it calls `floret::nn::register` with its \
                 type before it loads the network"
            ))
        })?;
        read(settings).map_err(|error| ShapeError::new(format!("the settings of the kind `{kind}`: {error}")))
    }
}

/// Layers are equal whose kinds and settings are.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        match (self.settings(), other.settings()) {
            (Ok(settings), Ok(others)) => self.kind == other.kind && settings == others,
            _ => false,
        }
    }
}

/// [`Custom`] as files hold it.
#[derive(Serialize, Deserialize)]
struct File {
    kind: String,
    settings: Value,
}

impl Serialize for Custom {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.settings().map_err(serde::ser::Error::custom)?;
        File { kind: self.kind().to_owned(), settings }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let File { kind, settings } = File::deserialize(deserializer)?;
        Ok(Self { kind: kind.into(), source: Source::File(settings) })
    }
}
