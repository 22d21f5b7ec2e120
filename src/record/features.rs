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

    /// The one byte string of feature `key`, or its numbers, of which there may be `most`; `None` if there is no such feature.
    pub fn bytes_or_numbers(
        &self,
        key: &str,
        most: usize,
    ) -> Result<Option<BytesOrNumbers<'a>>, ExampleError> {
        let Some(feature) = self.0.get(key) else { return Ok(None) };
        match feature.kind {
            None => Ok(None),
            Some(FeatureKind::Bytes) => Ok(self.bytes(key)?.map(BytesOrNumbers::Bytes)),
            Some(_) if feature.values > most => {
                let reason = format!("it holds {} numbers, over the limit of {most}", feature.values);
                Err(ExampleError::Pixels { key: key.into(), reason })
            }
            Some(_) => {
                let (_, numbers) = read_entry::<Numbers>(feature.entry)?;
                Ok(Some(BytesOrNumbers::Numbers(numbers.0)))
            }
        }
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

/// What a feature may hold a picture by.
pub(super) enum BytesOrNumbers<'a> {
    Bytes(&'a [u8]),
    Numbers(Vec<f32>),
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
    /// The key and the values, as they lie in the record.
    entry: Span<'a>,
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

impl Feature<'_> {
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

    /// Counts a value of this size.
    fn count(&mut self, bytes: usize) {
        self.values += 1;
        self.bytes += bytes;
    }
}

impl<'a> Values<'a> for Feature<'a> {
    fn of_kind(kind: FeatureKind) -> Self {
        Feature { kind: Some(kind), ..Feature::default() }
    }

    fn add_bytes(&mut self, value: &'a [u8]) {
        self.last_bytes = value;
        self.count(value.len());
    }

    fn add_float(&mut self, value: f32) {
        self.last_float = value;
        self.hot.add(self.values, f64::from(value));
        self.count(4);
    }

    fn add_int64(&mut self, value: i64) {
        self.last_int64 = value;
        self.hot.add(self.values, value as f64);
        self.count(8);
    }
}

/// The numbers of a feature.
#[derive(Default)]
struct Numbers(Vec<f32>);

impl<'a> Values<'a> for Numbers {
    fn of_kind(_: FeatureKind) -> Self {
        Self::default()
    }

    fn add_bytes(&mut self, _: &'a [u8]) {}

    fn add_float(&mut self, value: f32) {
        self.0.push(value);
    }

    fn add_int64(&mut self, value: i64) {
        self.0.push(value as f32);
    }
}

/// What is made of a feature's values, which come one after the other.
trait Values<'a>: Default {
    /// Of a list without values.
    fn of_kind(kind: FeatureKind) -> Self;
    fn add_bytes(&mut self, value: &'a [u8]);
    fn add_float(&mut self, value: f32);
    fn add_int64(&mut self, value: i64);
}

/// The key of an entry of the features, and what is made of its values. Where it has several lists, the last one's type is the
/// feature's; lists of one type are one list.
fn read_entry<'a, V: Values<'a>>(entry: Span<'a>) -> Result<(&'a str, V), WireError> {
    let (mut key, mut kind, mut values) = ("", None, V::default());
    for field in entry.fields() {
        let field = field?;
        match field.number {
            1 => key = field.bytes()?.text()?,
            2 => {
                for list in field.bytes()?.fields() {
                    add_list(list?, &mut kind, &mut values)?;
                }
            }
            _ => {}
        }
    }
    Ok((key, values))
}

/// Adds a list to the values, which are of the type `kind`.
fn add_list<'a, V: Values<'a>>(
    list: Field<'a>,
    kind: &mut Option<FeatureKind>,
    values: &mut V,
) -> Result<(), WireError> {
    let listed = match list.number {
        1 => FeatureKind::Bytes,
        2 => FeatureKind::Float,
        3 => FeatureKind::Int64,
        _ => return Ok(()),
    };
    if *kind != Some(listed) {
        (*kind, *values) = (Some(listed), V::of_kind(listed));
    }
    for value in list.bytes()?.fields() {
        let value = value?;
        if value.number == 1 {
            add_value(value, listed, values)?;
        }
    }
    Ok(())
}

/// Adds a value, or a packed list of them.
fn add_value<'a, V: Values<'a>>(
    field: Field<'a>,
    kind: FeatureKind,
    values: &mut V,
) -> Result<(), WireError> {
    match (kind, field.value) {
        (FeatureKind::Bytes, Value::Bytes(value)) => values.add_bytes(value.bytes),
        (FeatureKind::Float, Value::Fixed32(bits)) => values.add_float(f32::from_le_bytes(bits)),
        (FeatureKind::Float, Value::Bytes(packed)) => {
            packed.fixed32s()?;
            packed.bytes.as_chunks().0.iter().for_each(|bits| values.add_float(f32::from_le_bytes(*bits)));
        }
        (FeatureKind::Int64, Value::Varint(value)) => values.add_int64(value.cast_signed()),
        (FeatureKind::Int64, Value::Bytes(packed)) => {
            for value in packed.varints() {
                values.add_int64(value?.cast_signed());
            }
        }
        _ => return Err(field.mistyped()),
    }
    Ok(())
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
            let entry = entry?.bytes()?;
            let (key, feature) = read_entry::<Feature<'_>>(entry)?;
            each(key, Feature { entry, ..feature });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::{field, varint};

    fn ints(values: &[u64]) -> Vec<u8> {
        field(3, &field(1, &values.iter().flat_map(|&value| varint(value)).collect::<Vec<_>>()))
    }

    fn bytes(values: &[&[u8]]) -> Vec<u8> {
        field(1, &values.iter().flat_map(|value| field(1, value)).collect::<Vec<_>>())
    }

    #[test]
    fn numbers_are_read_by_the_rules_of_all_features() {
        let floats = field(2, &field(1, &[0.5f32, 2.0].map(f32::to_le_bytes).concat()));
        let read = |features: &[Vec<u8>]| {
            let features: Vec<u8> = features.iter().flat_map(|feature| field(2, feature)).collect();
            let payload = field(1, &field(1, &[field(1, b"image"), features].concat()));
            let features = FeatureMap::of(&payload, |_| true).unwrap();
            match features.bytes_or_numbers("image", 3) {
                Ok(Some(BytesOrNumbers::Numbers(numbers))) => format!("{numbers:?}"),
                Ok(Some(BytesOrNumbers::Bytes(bytes))) => format!("{bytes:?}"),
                Ok(None) => "nothing".into(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(read(std::slice::from_ref(&floats)), "[0.5, 2.0]");
        assert_eq!(read(&[[ints(&[1, 2]), ints(&[3])].concat()]), "[1.0, 2.0, 3.0]");
        assert_eq!(read(&[ints(&[1]), ints(&[2])]), "[1.0, 2.0]");
        assert_eq!(read(&[[floats, ints(&[7])].concat()]), "[7.0]");
        assert_eq!(read(&[[ints(&[7]), bytes(&[b"ab"])].concat()]), "[97, 98]");
        assert_eq!(read(&[Vec::new()]), "nothing");
        assert!(read(&[bytes(&[b"a", b"b"])]).contains("has 2 values"));
        assert!(read(&[ints(&[1, 2, 3, 4])]).contains("4 numbers, over the limit of 3"));
    }
}
