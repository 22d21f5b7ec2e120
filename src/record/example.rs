//! RECORDS -> EXAMPLES: the features of a labeled image in a `tf.train.Example`.

use super::example_error::ExampleError;
use super::features::{FeatureMap, for_each_feature};
use super::pixels::{PixelFormat, Pixels};
use crate::proto::wire::{WireError, field, varint};

/// How many of an example's keys an error lists.
const LISTED_KEYS: usize = 20;

/// How much of each.
const LISTED_CHARS: usize = 100;

/// The names of an image example's features. The defaults are those of TensorFlow's image data sets;
/// `encoded` and `label` must be present in every record.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSchema {
    /// bytes, `image/encoded`: the image file.
    pub encoded: String,
    /// int64, `image/class/label`: the class's number; in TensorFlow's data sets from 1, 0 being the
    /// background. Read, too: a whole number as float or text, one-hot lists, whose classes count from 0, and texts of `label_names`.
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
    /// How `encoded` holds pixels as they are; `None` if it holds an image file.
    pub pixels: Option<PixelFormat>,
    /// The names by which `label` may tell a class in text, and the label of the first of them.
    pub label_names: (Vec<String>, i64),
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
            pixels: None,
            label_names: (Vec::new(), 0),
        }
    }
}

impl ImageSchema {
    /// The names that TensorFlow Datasets gives the features of its image classification sets: `image`, `label` (whose
    /// numbers count from 0) and `file_name`; the others as by default, though it writes none of them.
    pub fn tfds() -> Self {
        ImageSchema {
            encoded: "image".into(),
            label: "label".into(),
            filename: "file_name".into(),
            ..ImageSchema::default()
        }
    }

    /// The label of the class of this name.
    fn named_label(&self, name: &str) -> Option<i64> {
        let (names, first) = &self.label_names;
        let class = names.iter().position(|known| known == name.trim())?;
        first.checked_add(i64::try_from(class).ok()?)
    }

    fn keys(&self) -> [&str; 9] {
        let ImageSchema {
            encoded,
            label,
            class_text,
            filename,
            height,
            width,
            format,
            colorspace,
            channels,
            pixels: _,
            label_names: _,
        } = self;
        [encoded, label, class_text, filename, height, width, format, colorspace, channels]
            .map(String::as_str)
    }
}

/// A labeled image as a record holds it, under the names of an [`ImageSchema`].
///
/// Text that is not UTF-8 has its invalid bytes replaced by U+FFFD. The sizes are what the record says; the
/// encoded image may differ.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageExample {
    /// The image file.
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
    /// The picture, where [`ImageSchema::pixels`] says that the record holds it as pixels; `encoded` is empty then.
    pub pixels: Option<Pixels>,
}

impl ImageExample {
    /// Understands a record's payload. Features that the schema does not name are ignored.
    ///
    /// Takes no memory but for what it gives, whatever the payload's bytes; for pixels as numbers, four bytes for each.
    ///
    /// # Errors
    /// When the payload is no `tf.train.Example`; when `encoded` or `label` is missing; when a feature the
    /// schema names has another type or not exactly one value; a label that is no number. [`ExampleError::at`] adds the record's place.
    pub fn parse(payload: &[u8], schema: &ImageSchema) -> Result<Self, ExampleError> {
        Self::read(payload, schema, true)
    }

    /// The same of a record without a label, or whose label is not asked for: it is 0 then.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), but for the label.
    pub fn parse_unlabeled(payload: &[u8], schema: &ImageSchema) -> Result<Self, ExampleError> {
        Self::read(payload, schema, false)
    }

    fn read(payload: &[u8], schema: &ImageSchema, labeled: bool) -> Result<Self, ExampleError> {
        let keys = schema.keys();
        let features = FeatureMap::of(payload, |key| keys.contains(&key))?;
        // Looked up first: without them the record is of another kind, whatever else is wrong.
        for key in std::iter::once(&schema.encoded).chain(labeled.then_some(&schema.label)) {
            if !features.has(key) {
                return Err(missing(key, payload)?);
            }
        }
        let (encoded, pixels) = match &schema.pixels {
            None => (features.bytes(&schema.encoded)?.unwrap_or_default().to_vec(), None),
            Some(format) => (Vec::new(), Some(format.read(payload, &features, &schema.encoded)?)),
        };
        Ok(ImageExample {
            encoded,
            pixels,
            label: match features.label(&schema.label) {
                _ if !labeled => 0,
                Err(ExampleError::TextLabel { key, text }) => {
                    schema.named_label(&text).ok_or(ExampleError::TextLabel { key, text })?
                }
                label => label?.unwrap_or_default(),
            },
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
    /// `None`, in the keys' order, but for pixels. The same example is always the same bytes.
    pub fn encode(self, schema: &ImageSchema) -> Vec<u8> {
        // Of a feature, field 1 is a list of byte strings, field 3 one of integers.
        let bytes = |value: &[u8]| field(1, &field(1, value));
        let text = |value: Option<String>| value.map(|value| bytes(value.as_bytes()));
        let int64 = |value: i64| field(3, &field(1, &varint(value.cast_unsigned())));
        let fields = [
            (&schema.encoded, Some(bytes(&self.encoded))),
            (&schema.label, Some(int64(self.label))),
            (&schema.class_text, text(self.class_text)),
            (&schema.filename, text(self.filename)),
            (&schema.height, self.height.map(int64)),
            (&schema.width, self.width.map(int64)),
            (&schema.format, text(self.format)),
            (&schema.colorspace, text(self.colorspace)),
            (&schema.channels, self.channels.map(int64)),
        ];
        let mut present: Vec<(&str, Vec<u8>)> =
            fields.into_iter().filter_map(|(key, feature)| Some((key.as_str(), feature?))).collect();
        present.sort_by_key(|(key, _)| *key);
        let mut features = Vec::new();
        // Of several fields under one key the last one counts.
        for (key, feature) in present.chunk_by(|(a, _), (b, _)| a == b).filter_map(<[_]>::last) {
            features.extend(field(1, &[field(1, key.as_bytes()), field(2, feature)].concat()));
        }
        field(1, &features)
    }
}

/// The error of a record without feature `key`, with those that it has.
fn missing(key: &str, payload: &[u8]) -> Result<ExampleError, WireError> {
    // The first in order, each once.
    let (mut present, mut more) = (Vec::new(), 0);
    for_each_feature(payload, &mut |key, feature| {
        if feature.kind.is_some()
            && let Err(place) = present.binary_search(&key)
        {
            present.insert(place, key);
        }
        if present.len() > LISTED_KEYS {
            present.pop();
            more += 1;
        }
    })?;
    let present = present.into_iter().map(|key| key.chars().take(LISTED_CHARS).collect()).collect();
    Ok(ExampleError::Missing { key: key.to_string(), present, more })
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::example::feature::Kind;
    use crate::proto::example::{BytesList, Example, Feature, Features, Int64List};

    #[test]
    fn an_example_is_encoded_as_prost_encodes_it() {
        let schema = ImageSchema::default();
        let bytes = |value: &[u8]| Kind::BytesList(BytesList { value: vec![value.to_vec()] });
        let int64 = |value| Kind::Int64List(Int64List { value: vec![value] });
        for (encoded, label, filename) in
            [(vec![7; 300], 0, None), (vec![], -1, Some("tulipes d'\u{e9}t\u{e9}"))]
        {
            let features = [
                (&schema.encoded, Some(bytes(&encoded))),
                (&schema.label, Some(int64(label))),
                (&schema.filename, filename.map(|name: &str| bytes(name.as_bytes()))),
                (&schema.height, Some(int64(1 << 40))),
            ];
            let present = features
                .into_iter()
                .filter_map(|(key, kind)| Some((key.clone(), Feature { kind: Some(kind?) })));
            let wanted = Example { features: Some(Features { feature: present.collect() }) }.encode_to_vec();
            let filename = filename.map(str::to_owned);
            let example =
                ImageExample { encoded, label, filename, height: Some(1 << 40), ..Default::default() };
            assert_eq!(example.encode(&schema), wanted);
        }
    }
}
