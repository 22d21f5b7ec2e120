//! RECORDS -> EXAMPLES: the features of a labelled image in a `tf.train.Example`.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message;

use super::error::{RecordError, RecordLocation};
use crate::proto::example::feature::Kind;
use crate::proto::example::{BytesList, Example, Feature, Features, Int64List};

/// How many of an example's keys an error lists.
const LISTED_KEYS: usize = 20;

/// The names of an image example's features. The defaults are those of TensorFlow's image data sets;
/// `encoded` and `label` must be present in every record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSchema {
    /// bytes, `image/encoded`: the JPEG or PNG file.
    pub encoded: String,
    /// int64, `image/class/label`: the class's number; in TensorFlow's data sets from 1, 0 being the
    /// background.
    pub label: String,
    /// bytes, `image/class/text`: the class's name.
    pub class_text: String,
    /// bytes, `image/filename`: the name of the file the image came from.
    pub filename: String,
    /// int64, `image/height`: in pixels.
    pub height: String,
    /// int64, `image/width`: in pixels.
    pub width: String,
    /// bytes, `image/format`: `JPEG` or `PNG`.
    pub format: String,
    /// bytes, `image/colorspace`: `RGB` or another.
    pub colorspace: String,
    /// int64, `image/channels`: 3 for RGB.
    pub channels: String,
}

impl Default for ImageSchema {
    fn default() -> Self {
        ImageSchema {
            encoded: "image/encoded".into(),
            label: "image/class/label".into(),
            class_text: "image/class/text".into(),
            filename: "image/filename".into(),
            height: "image/height".into(),
            width: "image/width".into(),
            format: "image/format".into(),
            colorspace: "image/colorspace".into(),
            channels: "image/channels".into(),
        }
    }
}

/// A labelled image as a record holds it, under the names of an [`ImageSchema`].
///
/// Text that is not UTF-8 has its invalid bytes replaced by U+FFFD. The sizes are what the record says; the
/// encoded image may differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageExample {
    /// The JPEG or PNG file.
    pub encoded: Vec<u8>,
    /// The class's number.
    pub label: i64,
    /// The class's name.
    pub class_text: Option<String>,
    /// The name of the file the image came from.
    pub filename: Option<String>,
    /// The height in pixels.
    pub height: Option<i64>,
    /// The width in pixels.
    pub width: Option<i64>,
    /// `JPEG` or `PNG`.
    pub format: Option<String>,
    /// `RGB` or another.
    pub colorspace: Option<String>,
    /// 3 for RGB.
    pub channels: Option<i64>,
}

impl ImageExample {
    /// Understands a record's payload. Features that the schema does not name are ignored.
    ///
    /// # Errors
    /// When the payload is no `tf.train.Example`; when `encoded` or `label` is missing; when a feature the
    /// schema names has another type or not exactly one value. [`ExampleError::at`] adds the record's place.
    pub fn parse(payload: &[u8], schema: &ImageSchema) -> Result<Self, ExampleError> {
        let mut features = FeatureMap(Example::decode(payload)?.features.unwrap_or_default().feature);
        // Looked up first: their absence is reported with the keys present, before any are taken out.
        features.require(&schema.encoded)?;
        features.require(&schema.label)?;
        Ok(ImageExample {
            encoded: features.bytes(&schema.encoded)?.unwrap_or_default(),
            label: features.int64(&schema.label)?.unwrap_or_default(),
            class_text: features.text(&schema.class_text)?,
            filename: features.text(&schema.filename)?,
            height: features.int64(&schema.height)?,
            width: features.int64(&schema.width)?,
            format: features.text(&schema.format)?,
            colorspace: features.text(&schema.colorspace)?,
            channels: features.int64(&schema.channels)?,
        })
    }

    /// The record's payload: a serialized `tf.train.Example` with a feature for each field that is not
    /// `None`, in the keys' order. The same example is always the same bytes.
    pub fn encode(self, schema: &ImageSchema) -> Vec<u8> {
        let bytes = |value| Kind::BytesList(BytesList { value: vec![value] });
        let text = |value: Option<String>| value.map(|value| bytes(value.into_bytes()));
        let int64 = |value| Kind::Int64List(Int64List { value: vec![value] });
        let fields = [
            (&schema.encoded, Some(bytes(self.encoded))),
            (&schema.label, Some(int64(self.label))),
            (&schema.class_text, text(self.class_text)),
            (&schema.filename, text(self.filename)),
            (&schema.height, self.height.map(int64)),
            (&schema.width, self.width.map(int64)),
            (&schema.format, text(self.format)),
            (&schema.colorspace, text(self.colorspace)),
            (&schema.channels, self.channels.map(int64)),
        ];
        let present =
            fields.into_iter().filter_map(|(key, kind)| Some((key.clone(), Feature { kind: Some(kind?) })));
        Example { features: Some(Features { feature: present.collect() }) }.encode_to_vec()
    }
}

/// The features of an example, to be taken out by key.
struct FeatureMap(BTreeMap<String, Feature>);

impl FeatureMap {
    fn require(&self, key: &str) -> Result<(), ExampleError> {
        // As in TensorFlow, a feature without a list counts as absent.
        let present = self.0.iter().filter(|(_, feature)| feature.kind.is_some()).map(|(key, _)| key);
        if self.0.get(key).is_some_and(|feature| feature.kind.is_some()) {
            return Ok(());
        }
        Err(ExampleError::Missing { key: key.to_string(), present: present.cloned().collect() })
    }

    /// Takes the one byte string of feature `key`, without copying it; `None` if there is no such feature.
    fn bytes(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExampleError> {
        match self.take(key) {
            None => Ok(None),
            Some(Kind::BytesList(list)) => single(key, list.value).map(Some),
            Some(other) => Err(mistyped(key, FeatureKind::Bytes, &other)),
        }
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, ExampleError> {
        Ok(self.bytes(key)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn int64(&mut self, key: &str) -> Result<Option<i64>, ExampleError> {
        match self.take(key) {
            None => Ok(None),
            Some(Kind::Int64List(list)) => single(key, list.value).map(Some),
            Some(other) => Err(mistyped(key, FeatureKind::Int64, &other)),
        }
    }

    fn take(&mut self, key: &str) -> Option<Kind> {
        self.0.remove(key)?.kind
    }
}

fn single<T>(key: &str, values: Vec<T>) -> Result<T, ExampleError> {
    let wrong = |values: Vec<T>| ExampleError::Count { key: key.to_string(), got: values.len() };
    let [value] = values.try_into().map_err(wrong)?;
    Ok(value)
}

fn mistyped(key: &str, wanted: FeatureKind, got: &Kind) -> ExampleError {
    ExampleError::Mistyped { key: key.to_string(), wanted, got: got.into() }
}

/// Why a payload is not the example that was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExampleError {
    /// The payload is not a `tf.train.Example`.
    #[error("the payload is no tf.train.Example: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A feature that must be there is not.
    #[error("there is no feature {key:?}: the record has {}", listed(present))]
    Missing {
        /// The feature's key.
        key: String,
        /// The keys of the features that are there.
        present: Vec<String>,
    },
    /// A feature's values are of another type.
    #[error("feature {key:?} has {got} values: {wanted} is wanted")]
    Mistyped {
        /// The feature's key.
        key: String,
        /// The type wanted.
        wanted: FeatureKind,
        /// The type found.
        got: FeatureKind,
    },
    /// A feature has no value, or several.
    #[error("feature {key:?} has {got} values: 1 is wanted")]
    Count {
        /// The feature's key.
        key: String,
        /// The number of values found.
        got: usize,
    },
}

impl ExampleError {
    /// Adds the place of the record the payload came from.
    pub fn at(self, at: RecordLocation) -> RecordError {
        RecordError::Example { at: Box::new(at), error: Box::new(self) }
    }
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() {
        return "none at all".to_string();
    }
    let named = keys.iter().take(LISTED_KEYS).map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(LISTED_KEYS) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// The type of a feature's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeatureKind {
    /// Byte strings.
    Bytes,
    /// 32-bit floating-point numbers.
    Float,
    /// 64-bit integers.
    Int64,
}

impl From<&Kind> for FeatureKind {
    fn from(kind: &Kind) -> Self {
        match kind {
            Kind::BytesList(_) => FeatureKind::Bytes,
            Kind::FloatList(_) => FeatureKind::Float,
            Kind::Int64List(_) => FeatureKind::Int64,
        }
    }
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FeatureKind::Bytes => "bytes",
            FeatureKind::Float => "float",
            FeatureKind::Int64 => "int64",
        })
    }
}

/// One feature of an example, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSummary {
    /// The feature's key.
    pub key: String,
    /// The type of its values; `None` if it has no list, and so counts as absent.
    pub kind: Option<FeatureKind>,
    /// The number of its values.
    pub values: usize,
    /// The values' size in bytes: of byte strings their lengths together, of numbers 4 or 8 each.
    pub bytes: usize,
}

impl fmt::Display for FeatureSummary {
    /// `image/encoded: 1 bytes value, 1384 bytes`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FeatureSummary { key, kind, values, bytes } = self;
        let plural = if *values == 1 { "" } else { "s" };
        match kind {
            Some(kind) => write!(f, "{key}: {values} {kind} value{plural}, {bytes} bytes"),
            None => write!(f, "{key}: no values"),
        }
    }
}

/// Lists the features of a record's payload, whatever they are, in the order of their keys.
///
/// # Errors
/// When the payload is no `tf.train.Example`.
pub fn list_features(payload: &[u8]) -> Result<Vec<FeatureSummary>, ExampleError> {
    let features = Example::decode(payload)?.features.unwrap_or_default().feature;
    Ok(features.into_iter().map(|(key, feature)| summarize(key, feature.kind)).collect())
}

fn summarize(key: String, kind: Option<Kind>) -> FeatureSummary {
    let (values, bytes) = match &kind {
        None => (0, 0),
        Some(Kind::BytesList(list)) => (list.value.len(), list.value.iter().map(Vec::len).sum()),
        Some(Kind::FloatList(list)) => (list.value.len(), size_of_val(list.value.as_slice())),
        Some(Kind::Int64List(list)) => (list.value.len(), size_of_val(list.value.as_slice())),
    };
    FeatureSummary { key, kind: kind.as_ref().map(FeatureKind::from), values, bytes }
}
