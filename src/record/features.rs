//! The features of a `tf.train.Example`, read where they lie in the record.

use std::collections::HashMap;
use std::fmt;

use super::example_error::ExampleError;
use super::feature_kind::FeatureKind;
use crate::proto::wire::{Field, Span, Value, WireError};

/// Features of an example by their keys. One without a list counts as absent, as in TensorFlow.
pub(super) struct FeatureMap<'a>(HashMap<&'a str, Feature<'a>>);

impl<'a> FeatureMap<'a> {
    /// The features whose keys are `wanted`.
    pub fn of(payload: &'a [u8], wanted: impl Fn(&str) -> bool) -> Result<Self, WireError> {
        let mut features = HashMap::new();
        for_each_feature(payload, &mut |key, feature| {
            if wanted(key) {
                features.insert(key, feature);
            }
        })?;
        Ok(FeatureMap(features))
    }

    /// Whether there is a feature `key`, of whatever type.
    pub fn has(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|feature| feature.kind.is_some())
    }

    /// The one byte string of feature `key`; `None` if there is no such feature.
    pub fn bytes(&self, key: &str) -> Result<Option<&'a [u8]>, ExampleError> {
        Ok(self.single(key, FeatureKind::Bytes)?.map(|feature| feature.last_bytes))
    }

    pub fn text(&self, key: &str) -> Result<Option<String>, ExampleError> {
        Ok(self.bytes(key)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    }

    pub fn int64(&self, key: &str) -> Result<Option<i64>, ExampleError> {
        Ok(self.single(key, FeatureKind::Int64)?.map(|feature| feature.last_int64))
    }

    /// The label that feature `key` tells: by a whole number, as an integer, a float or in text; or by the one 1 of a list that holds 0
    /// otherwise, whose place from 0 it is. `None` if there is no such feature.
    pub fn label(&self, key: &str) -> Result<Option<i64>, ExampleError> {
        let Some(feature) = self.0.get(key) else { return Ok(None) };
        if let Some(label) = feature.label() {
            return Ok(Some(label));
        }
        match (feature.kind, feature.values) {
            (Some(FeatureKind::Bytes), 1) => {
                let text = String::from_utf8_lossy(feature.last_bytes);
                let number = text.trim().parse();
                number
                    .map(Some)
                    .map_err(|_| ExampleError::TextLabel { key: key.into(), text: text.trim().into() })
            }
            (Some(FeatureKind::Float), 2..) => {
                Err(ExampleError::Count { key: key.into(), got: feature.values })
            }
            _ => self.int64(key),
        }
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

/// What numbers there are in a list that may be one-hot.
#[derive(Debug, Clone, Copy, Default)]
struct Hot {
    /// The place of the first 1.
    one: Option<usize>,
    /// Whether there are more, or any that are neither 0 nor 1.
    others: bool,
}

impl Hot {
    fn add(&mut self, place: usize, number: f64) {
        if number == 1.0 && self.one.is_none() {
            self.one = Some(place);
        } else {
            self.others |= number != 0.0;
        }
    }
}

/// What there is to know of a feature without taking its values out of the record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Feature<'a> {
    /// The type of its values; `None` without a list.
    pub kind: Option<FeatureKind>,
    /// The number of its values.
    values: usize,
    /// Their size in bytes.
    bytes: usize,
    /// The last value, if it is of this type.
    last_bytes: &'a [u8],
    last_int64: i64,
    last_float: f32,
    /// Of numbers.
    hot: Hot,
}

impl<'a> Feature<'a> {
    /// The label that a whole float or a list of one 1 and zeros stands for.
    fn label(&self) -> Option<i64> {
        match (self.kind?, self.values) {
            (FeatureKind::Float, 1) => (self.last_float.fract() == 0.0).then_some(self.last_float as i64),
            (FeatureKind::Int64 | FeatureKind::Float, 2..) if !self.hot.others => {
                self.hot.one.map(|place| place as i64)
            }
            _ => None,
        }
    }

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
            (FeatureKind::Float, Value::Fixed32(bits)) => self.add_float(f32::from_le_bytes(bits)),
            (FeatureKind::Float, Value::Bytes(packed)) => {
                packed.fixed32s()?;
                for bits in packed.bytes.chunks_exact(4) {
                    self.add_float(f32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]));
                }
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
        self.hot.add(self.values, self.last_int64 as f64);
        self.count(1, 8);
    }

    fn add_float(&mut self, value: f32) {
        self.last_float = value;
        self.hot.add(self.values, f64::from(value));
        self.count(1, 4);
    }

    fn count(&mut self, values: usize, bytes: usize) {
        self.values += values;
        self.bytes += bytes;
    }
}

/// The one byte string of feature `key`, or its numbers, of which `most` are taken; nothing of a feature that there is not. Where several
/// have this key, the last one counts.
pub(super) fn numbers_of<'a>(
    payload: &'a [u8],
    key: &str,
    most: usize,
) -> Result<(Option<&'a [u8]>, Vec<f32>), WireError> {
    let mut last = None;
    for features in numbered(1, Span::whole(payload)) {
        for entry in numbered(1, features?.bytes()?) {
            let (mut found, mut feature) = ("", None);
            for field in entry?.bytes()?.fields() {
                let field = field?;
                match field.number {
                    1 => found = field.bytes()?.text()?,
                    2 => feature = Some(field.bytes()?),
                    _ => {}
                }
            }
            if found == key {
                last = feature;
            }
        }
    }
    let (mut bytes, mut numbers) = (None, Vec::new());
    for list in last.into_iter().flat_map(Span::fields) {
        let list = list?;
        for value in list.bytes()?.fields() {
            match (list.number, value?.value) {
                (1, Value::Bytes(value)) => bytes = Some(value.bytes),
                (2, Value::Fixed32(bits)) => numbers.push(f32::from_le_bytes(bits)),
                (2, Value::Bytes(packed)) => {
                    let values = packed.bytes.as_chunks().0.iter().map(|bits| f32::from_le_bytes(*bits));
                    numbers.extend(values.take(most.saturating_sub(numbers.len()) + 1));
                }
                (3, Value::Varint(value)) => numbers.push(value.cast_signed() as f32),
                (3, Value::Bytes(packed)) => {
                    for value in packed.varints() {
                        numbers.push(value?.cast_signed() as f32);
                    }
                }
                _ => {}
            }
        }
    }
    Ok((bytes, numbers))
}

/// Gives each single integer of an example with its key; nothing where the payload is none.
pub(super) fn single_integers<'a>(payload: &'a [u8], mut each: impl FnMut(&'a str, i64)) {
    let given = for_each_feature(payload, &mut |key, feature| {
        if feature.kind == Some(FeatureKind::Int64) && feature.values == 1 {
            each(key, feature.last_int64);
        }
    });
    // What is wrong with it is told where it is read.
    given.unwrap_or_default();
}

/// Gives each feature of an example in the order of the record, where of several with the same key the last one counts.
pub(super) fn for_each_feature<'a>(
    payload: &'a [u8],
    each: &mut dyn FnMut(&'a str, Feature<'a>),
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
    let mut features: Vec<_> = features.0.into_iter().map(summarize).collect();
    features.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(features)
}

/// A feature of an example, as it lies in the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureView<'a> {
    /// The feature's key.
    pub key: &'a str,
    /// The type of its values; `None` if it has no list, and so counts as absent.
    pub kind: Option<FeatureKind>,
    /// The number of its values.
    pub values: usize,
    /// The values' size in bytes, as in [`FeatureSummary`].
    pub bytes: usize,
    /// The value, if it is the only one, or what a list stands for as a label.
    pub single: Option<FeatureValue<'a>>,
}

/// The value of a feature that has one.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FeatureValue<'a> {
    /// A byte string.
    Bytes(&'a [u8]),
    /// A 64-bit integer.
    Int64(i64),
    /// A number that stands for a label otherwise: a whole float, or the place from 0 of the one 1 in a list of 0.
    Label(i64),
}

/// Shows `each` every feature of a record's payload, whatever they are, in the order of the record. Where several have one
/// key, the last one counts.
///
/// Takes no memory, whatever the payload's bytes. [`list_features`] makes a list of them.
///
/// # Errors
/// When the payload is no `tf.train.Example`; features before the defect were shown.
pub fn visit_features<'a>(
    payload: &'a [u8],
    mut each: impl FnMut(FeatureView<'a>),
) -> Result<(), ExampleError> {
    for_each_feature(payload, &mut |key, feature| {
        let label = feature.label().map(FeatureValue::Label);
        let Feature { kind, values, bytes, last_bytes, last_int64, .. } = feature;
        let single = match (kind, values) {
            (Some(FeatureKind::Bytes), 1) => Some(FeatureValue::Bytes(last_bytes)),
            (Some(FeatureKind::Int64), 1) => Some(FeatureValue::Int64(last_int64)),
            _ => label,
        };
        each(FeatureView { key, kind, values, bytes, single });
    })?;
    Ok(())
}
