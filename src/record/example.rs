//! RECORDS -> EXAMPLES: the features of a labelled image in a `tf.train.Example`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prost::Message;

use super::error::{RecordError, RecordLocation};
use super::wire::{Field, Span, Value, WireError};
use crate::proto::example::feature::Kind;
use crate::proto::example::{self as proto, BytesList, Example, Features, Int64List};

/// How many of an example's keys an error lists.
const LISTED_KEYS: usize = 20;

/// How much of each.
const LISTED_CHARS: usize = 100;

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

impl ImageSchema {
    fn keys(&self) -> [&str; 9] {
        let ImageSchema { encoded, label, class_text, filename, height, width, format, colorspace, channels } =
            self;
        [encoded, label, class_text, filename, height, width, format, colorspace, channels]
            .map(String::as_str)
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
    /// Takes no memory but for what it gives, whatever the payload's bytes.
    ///
    /// # Errors
    /// When the payload is no `tf.train.Example`; when `encoded` or `label` is missing; when a feature the
    /// schema names has another type or not exactly one value. [`ExampleError::at`] adds the record's place.
    pub fn parse(payload: &[u8], schema: &ImageSchema) -> Result<Self, ExampleError> {
        let keys = schema.keys();
        let features = FeatureMap::of(payload, |key| keys.contains(&key))?;
        // Looked up first: without them the record is of another kind, whatever else is wrong.
        for key in [&schema.encoded, &schema.label] {
            if features.0.get(key.as_str()).is_none_or(|feature| feature.kind.is_none()) {
                return Err(missing(key, payload)?);
            }
        }
        Ok(ImageExample {
            encoded: features.bytes(&schema.encoded)?.unwrap_or_default().to_vec(),
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
        let present = fields
            .into_iter()
            .filter_map(|(key, kind)| Some((key.clone(), proto::Feature { kind: Some(kind?) })));
        Example { features: Some(Features { feature: present.collect() }) }.encode_to_vec()
    }
}

/// Features of an example by their keys. One without a list counts as absent, as in TensorFlow.
struct FeatureMap<'a>(BTreeMap<&'a str, Feature<'a>>);

impl<'a> FeatureMap<'a> {
    /// The features whose keys are `wanted`.
    fn of(payload: &'a [u8], wanted: impl Fn(&str) -> bool) -> Result<Self, WireError> {
        let mut features = BTreeMap::new();
        for_each_feature(payload, |key, feature| {
            if wanted(key) {
                features.insert(key, feature);
            }
        })?;
        Ok(FeatureMap(features))
    }

    /// The one byte string of feature `key`; `None` if there is no such feature.
    fn bytes(&self, key: &str) -> Result<Option<&'a [u8]>, ExampleError> {
        Ok(self.single(key, FeatureKind::Bytes)?.map(|feature| feature.last_bytes))
    }

    fn text(&self, key: &str) -> Result<Option<String>, ExampleError> {
        Ok(self.bytes(key)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }

    fn int64(&self, key: &str) -> Result<Option<i64>, ExampleError> {
        Ok(self.single(key, FeatureKind::Int64)?.map(|feature| feature.last_int64))
    }

    fn single(&self, key: &str, wanted: FeatureKind) -> Result<Option<&Feature<'a>>, ExampleError> {
        let Some(feature) = self.0.get(key) else { return Ok(None) };
        let key = || key.to_string();
        match feature.kind {
            None => Ok(None),
            Some(got) if got != wanted => Err(ExampleError::Mistyped { key: key(), wanted, got }),
            Some(_) if feature.values != 1 => Err(ExampleError::Count { key: key(), got: feature.values }),
            Some(_) => Ok(Some(feature)),
        }
    }
}

/// The error of a record without feature `key`, with those that it has.
fn missing(key: &str, payload: &[u8]) -> Result<ExampleError, WireError> {
    let (mut present, mut more) = (BTreeSet::new(), 0);
    for_each_feature(payload, |key, feature| {
        if feature.kind.is_some() {
            present.insert(key);
        }
        if present.len() > LISTED_KEYS {
            present.pop_last();
            more += 1;
        }
    })?;
    let present = present.into_iter().map(|key| key.chars().take(LISTED_CHARS).collect()).collect();
    Ok(ExampleError::Missing { key: key.to_string(), present, more })
}

/// What there is to know of a feature without taking its values out of the record.
#[derive(Debug, Clone, Copy, Default)]
struct Feature<'a> {
    /// The type of its values; `None` without a list.
    kind: Option<FeatureKind>,
    /// The number of its values.
    values: usize,
    /// Their size in bytes.
    bytes: usize,
    /// The last value, if it is of this type.
    last_bytes: &'a [u8],
    last_int64: i64,
}

impl<'a> Feature<'a> {
    /// Adds what the message `feature` says. Where a message has several lists, the last one's type is the feature's; lists of
    /// one type are one list.
    fn merge(&mut self, feature: Span<'a>) -> Result<(), WireError> {
        for field in feature.fields() {
            let field = field?;
            let kind = match field.number {
                1 => FeatureKind::Bytes,
                2 => FeatureKind::Float,
                3 => FeatureKind::Int64,
                _ => continue,
            };
            if self.kind != Some(kind) {
                *self = Feature { kind: Some(kind), ..Feature::default() };
            }
            for value in field.bytes()?.fields() {
                let value = value?;
                if value.number == 1 {
                    self.add(kind, value)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a value, or a packed list of them.
    fn add(&mut self, kind: FeatureKind, field: Field<'a>) -> Result<(), WireError> {
        match (kind, field.value) {
            (FeatureKind::Bytes, Value::Bytes(value)) => {
                self.last_bytes = value.bytes;
                self.count(1, value.bytes.len());
            }
            (FeatureKind::Float, Value::Fixed32) => self.count(1, 4),
            (FeatureKind::Float, Value::Bytes(packed)) => {
                let values = packed.fixed32s()?;
                self.count(values, 4 * values);
            }
            (FeatureKind::Int64, Value::Varint(value)) => self.add_int64(value),
            (FeatureKind::Int64, Value::Bytes(packed)) => {
                for value in packed.varints() {
                    self.add_int64(value?);
                }
            }
            _ => return Err(field.mistyped()),
        }
        Ok(())
    }

    fn add_int64(&mut self, value: u64) {
        self.last_int64 = value.cast_signed();
        self.count(1, 8);
    }

    fn count(&mut self, values: usize, bytes: usize) {
        self.values += values;
        self.bytes += bytes;
    }
}

/// Gives each feature of an example in the order of the record, where of several with the same key the last one counts.
fn for_each_feature<'a>(
    payload: &'a [u8],
    mut each: impl FnMut(&'a str, Feature<'a>),
) -> Result<(), WireError> {
    for features in numbered(1, Span::whole(payload)) {
        for entry in numbered(1, features?.bytes()?) {
            let (mut key, mut feature) = ("", Feature::default());
            for field in entry?.bytes()?.fields() {
                let field = field?;
                match field.number {
                    1 => key = field.bytes()?.text()?,
                    2 => feature.merge(field.bytes()?)?,
                    _ => {}
                }
            }
            each(key, feature);
        }
    }
    Ok(())
}

/// The fields of a message that have this number, and what is wrong among all.
fn numbered(number: u32, message: Span<'_>) -> impl Iterator<Item = Result<Field<'_>, WireError>> {
    message.fields().filter(move |field| field.as_ref().map_or(true, |field| field.number == number))
}

/// Why a payload is not the example that was wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExampleError {
    /// The payload is not a `tf.train.Example`.
    #[error("the payload is no tf.train.Example: {0}")]
    Decode(#[from] WireError),
    /// A feature that must be there is not.
    #[error("there is no feature {key:?}: the record has {}", listed(present, *more))]
    Missing {
        /// The feature's key.
        key: String,
        /// The keys of the features that are there: the first of them in order, if they are many.
        present: Vec<String>,
        /// How many more there are.
        more: usize,
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

fn listed(keys: &[String], more: usize) -> String {
    if keys.is_empty() {
        return "none at all".to_string();
    }
    let named = keys.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ");
    match more {
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
    let features = FeatureMap::of(payload, |_| true)?;
    let summarize = |(key, feature): (&str, Feature<'_>)| {
        let Feature { kind, values, bytes, .. } = feature;
        FeatureSummary { key: key.to_string(), kind, values, bytes }
    };
    Ok(features.0.into_iter().map(summarize).collect())
}
