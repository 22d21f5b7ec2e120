//! Which features of records hold the photos and their labels, by what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use floret::data::MAX_CLASSES;
use floret::image::{ImageError, read_header};
use floret::recipe::{FIRST_LABEL, Keys};
use floret::record::{
    ExampleError, FeatureValue, FeatureView, ImageSchema, PixelFormat, guess_pixels, list_features,
    visit_features,
};

use crate::ui;

/// How many keys are looked at: records of millions of features must not fill the memory.
const MAX_KEYS: usize = 100;
/// How many records pixels are guessed from, and how many bytes of them all.
const MAX_FIRST: usize = 16;
const MAX_FIRST_BYTES: usize = 16 << 20;
/// How long a key may be.
const MAX_KEY_BYTES: usize = 200;

/// What the features of records hold, over any number of records.
#[derive(Debug, Default)]
pub struct Survey {
    /// Records that were looked at.
    records: u64,
    keys: BTreeMap<String, Found>,
    /// The first records without an image file, from which pixels are guessed.
    first: Vec<Vec<u8>>,
    usual: ImageSchema,
}

/// What was found under a key.
#[derive(Debug, Clone, Default)]
struct Found {
    /// Records with one image file there.
    images: u64,
    /// The bytes of those.
    image_bytes: u64,
    /// Records with one other byte string there.
    texts: u64,
    /// What those are, if they are no numbers, and the key says that they name classes.
    names: BTreeSet<String>,
    /// Records with one integer there.
    integers: u64,
    /// The least and the greatest of those.
    range: Option<(i64, i64)>,
}

/// How the records are to be read.
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// The feature of the photos.
    pub image: String,
    /// That of their labels.
    pub label: String,
    /// The least and the greatest label.
    pub labels: (i64, i64),
    /// How the photos are stored, if not as image files.
    pub pixels: Option<PixelFormat>,
    /// The names of the classes, where labels are such; they count as labels from 1.
    pub names: Vec<String>,
}

/// What the records lack to be read.
#[derive(Debug, PartialEq)]
pub enum Lacking {
    Records,
    Image,
    Label {
        /// The feature of the photos.
        image: String,
        /// How the photos are stored, if not as image files.
        pixels: Option<PixelFormat>,
        /// A feature of text that would name the class, were it not another text in nearly each record.
        text: Option<String>,
    },
}

impl Survey {
    /// Looks at a record.
    ///
    /// # Errors
    /// A payload that is no example; it does not count.
    pub fn add(&mut self, payload: &[u8]) -> Result<(), ExampleError> {
        visit_features(payload, |_| ())?;
        self.records += 1;
        let mut has_image_file = false;
        visit_features(payload, |feature| has_image_file |= self.look_at(feature))?;
        if !has_image_file && self.has_room(payload) {
            self.first.push(payload.to_vec());
        }
        Ok(())
    }

    /// Looks at a feature; whether it is an image file.
    fn look_at(&mut self, FeatureView { key, single, .. }: FeatureView<'_>) -> bool {
        let names_classes = text_rank(key, &self.usual).is_some();
        let (Some(value), Some(found)) = (single, self.found(key)) else { return false };
        match value {
            FeatureValue::Bytes(bytes) if is_image(bytes) => {
                found.images += 1;
                found.image_bytes += bytes.len() as u64;
                return true;
            }
            FeatureValue::Bytes(bytes) => {
                found.texts += 1;
                let text = str::from_utf8(bytes).map(str::trim).unwrap_or_default();
                if let Ok(number) = text.parse() {
                    found.integers += 1;
                    found.range = join(found.range, Some((number, number)));
                } else if names_classes && text.len() <= MAX_KEY_BYTES {
                    found.add_name(text);
                }
            }
            FeatureValue::Int64(value) | FeatureValue::Label(value) => {
                found.integers += 1;
                found.range = join(found.range, Some((value, value)));
            }
            _ => {}
        }
        false
    }

    /// What was found under a key; `None` beyond so many.
    fn found(&mut self, key: &str) -> Option<&mut Found> {
        if key.len() > MAX_KEY_BYTES || (self.keys.len() >= MAX_KEYS && !self.keys.contains_key(key)) {
            return None;
        }
        Some(self.keys.entry(key.to_owned()).or_default())
    }

    /// Whether pixels are guessed from this record, too.
    fn has_room(&self, payload: &[u8]) -> bool {
        let bytes: usize = self.first.iter().map(Vec::len).sum();
        self.first.len() < MAX_FIRST && bytes + payload.len() <= MAX_FIRST_BYTES
    }

    /// Adds what another survey found.
    pub fn join(&mut self, other: Survey) {
        self.records += other.records;
        for payload in other.first {
            if self.has_room(&payload) {
                self.first.push(payload);
            }
        }
        for (key, other) in other.keys {
            let Some(found) = self.found(&key) else { continue };
            found.images += other.images;
            found.image_bytes += other.image_bytes;
            found.texts += other.texts;
            other.names.iter().for_each(|name| found.add_name(name));
            found.integers += other.integers;
            found.range = join(found.range, other.range);
        }
    }

    /// The features that hold a photo and a label in nearly every record: a tenth may be damaged. Of several photos the one
    /// under a usual name, else the largest; of several numbers the one whose name says most plainly that it is a label.
    pub fn reading(&self) -> Result<Reading, Lacking> {
        self.reading_among(&[])
    }

    /// The same, where labels may be these names, whichever of them were met.
    pub fn reading_among(&self, known: &[String]) -> Result<Reading, Lacking> {
        if self.records == 0 {
            return Err(Lacking::Records);
        }
        let (enough, usual) = (self.enough(), &self.usual);
        let (image, pixels) = self.image().ok_or(Lacking::Image)?;
        let numbers = self.keys.iter().filter(|(key, found)| found.integers >= enough && **key != image);
        let ranked = numbers.filter_map(|(key, found)| Some((label_rank(key, usual)?, key, found.range?)));
        if let Some((_, label, labels)) = ranked.min() {
            return Ok(Reading { image, label: label.clone(), labels, pixels, names: Vec::new() });
        }
        // Text that is another in each record tells no class.
        let is_of_classes = |found: &Found| {
            let count = found.names.len();
            let few = count == 2 || count as u64 <= (self.records / 2).min(MAX_CLASSES as u64);
            count > 0 && (few || found.names.iter().all(|name| known.contains(name)))
        };
        let texts = self.keys.iter().filter(|(key, found)| found.texts >= enough && **key != image);
        let ranked = texts.filter_map(|(key, found)| Some((text_rank(key, usual)?, key, found)));
        match ranked.min_by_key(|(rank, ..)| *rank) {
            Some((_, label, found)) if is_of_classes(found) => {
                let names: Vec<_> = found.names.iter().cloned().collect();
                Ok(Reading { image, label: label.clone(), labels: (1, names.len() as i64), pixels, names })
            }
            text => Err(Lacking::Label { image, pixels, text: text.map(|(_, key, _)| key.clone()) }),
        }
    }

    /// Records that are nearly all.
    fn enough(&self) -> u64 {
        self.records - self.records / 10
    }

    /// The feature that holds a photo in nearly every record, and how, if not as a file.
    pub fn image(&self) -> Option<(String, Option<PixelFormat>)> {
        let enough = self.enough();
        let images = self.keys.iter().filter(|(_, found)| found.images >= enough && enough > 0);
        let image = images.min_by_key(|(key, found)| {
            let unusual = **key != self.usual.encoded && **key != ImageSchema::tfds().encoded;
            (unusual, std::cmp::Reverse(found.image_bytes))
        });
        match image {
            Some((image, _)) => Some((image.clone(), None)),
            None => self.pixels().map(|(key, pixels)| (key, Some(pixels))),
        }
    }

    /// The feature that holds pixels, of several the one whose name says so most plainly, and how.
    fn pixels(&self) -> Option<(String, PixelFormat)> {
        let payloads: Vec<&[u8]> = self.first.iter().map(Vec::as_slice).collect();
        let keys = list_features(payloads.first()?).ok()?.into_iter().map(|feature| feature.key);
        let mut ranked: Vec<(usize, String)> =
            keys.filter_map(|key| pixels_rank(&key).map(|rank| (rank, key))).collect();
        ranked.sort_unstable();
        ranked.into_iter().find_map(|(_, key)| guess_pixels(&payloads, &key).map(|format| (key, format)))
    }
}

impl Found {
    /// Adds the name of a class; one more than there may be tells that they are too many.
    fn add_name(&mut self, name: &str) {
        if self.names.len() <= MAX_CLASSES && !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }
}

impl Reading {
    /// The values of the flags that name the features, where they are not the usual ones.
    pub fn keys(&self) -> Keys {
        let usual = ImageSchema::default();
        Keys {
            image_key: Some(self.image.clone()).filter(|key| *key != usual.encoded),
            label_key: Some(self.label.clone()).filter(|key| *key != usual.label),
            pixels: self.pixels.map(|pixels| pixels.to_string()),
        }
    }

    /// The names of all features.
    pub fn schema(&self) -> ImageSchema {
        self.keys().schema()
    }

    /// The flags that such records, whose first class has this label, are read with.
    pub fn flags(&self, first_label: i64) -> Vec<String> {
        let Keys { image_key, label_key, pixels } = self.keys();
        let offset = (first_label != FIRST_LABEL).then(|| first_label.to_string());
        let flags = [
            ("image-key", image_key),
            ("label-key", label_key),
            ("pixels", pixels),
            ("label-offset", offset),
        ];
        let flag =
            |(name, value): (_, Option<String>)| Some(format!("--{name} {}", ui::shell(Path::new(&value?))));
        flags.into_iter().filter_map(flag).collect()
    }

    /// What the first class's label is, and whether that is more than the custom of the feature's name; `classes` is the number
    /// of names in `labels.txt`, if there is one.
    pub fn first_label(&self, classes: Option<usize>) -> (i64, bool) {
        let (least, greatest) = self.labels;
        let classes = classes.and_then(|classes| i64::try_from(classes).ok());
        match classes {
            // Labels of all classes, and 0 for the background.
            _ if classes == Some(greatest) => (1, true),
            _ if !self.names.is_empty() => (FIRST_LABEL, true),
            _ if least <= 0 => (0, true),
            // None reaches the last number, and none is 0: a class without a photo is the first or the last.
            _ if self.label == ImageSchema::tfds().label => (0, false),
            _ => (FIRST_LABEL, least == 1 && classes.is_none()),
        }
    }
}

/// How plainly a key says that its number is a label, the plainest first; `None` if it says something else.
fn label_rank(key: &str, usual: &ImageSchema) -> Option<usize> {
    let lower = key.to_lowercase();
    let last = lower.rsplit(['/', '.', '_']).next().unwrap_or(&lower);
    let ranks = [
        key == usual.label,
        lower == "label",
        last == "label",
        lower.contains("label"),
        lower.contains("class"),
    ];
    ranks.into_iter().position(|is| is)
}

/// The same of text that names a class.
fn text_rank(key: &str, usual: &ImageSchema) -> Option<usize> {
    let lower = key.to_lowercase();
    let ranks = [key == usual.class_text, lower.contains("label"), lower.contains("class")];
    ranks.into_iter().position(|is| is)
}

/// How plainly a key says that it holds a picture, the plainest first; `None` if it says nothing of that.
fn pixels_rank(key: &str) -> Option<usize> {
    let lower = key.to_lowercase();
    let words = ["image", "img", "pixel", "picture", "photo", "raw", "data", "feature", "input"];
    words.into_iter().position(|word| lower.contains(word)).or((lower == "x").then_some(words.len()))
}

fn is_image(bytes: &[u8]) -> bool {
    !matches!(read_header(bytes), Err(ImageError::NotAnImage { .. }))
}

fn join(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use floret::record::ImageExample;

    use super::*;

    const JPEG: [u8; 6] = [0xFF, 0xD8, 0xFF, 0xE0, 0, 16];

    fn reading(label: &str, least: i64, greatest: i64) -> Reading {
        Reading {
            image: "image".into(),
            label: label.into(),
            labels: (least, greatest),
            pixels: None,
            names: vec![],
        }
    }

    #[test]
    fn the_first_label_follows_from_labels_and_names() {
        for (key, least, greatest, classes, wanted) in [
            ("label", 0, 4, None, (0, true)),
            ("label", 0, 4, Some(5), (0, true)),
            ("label", 1, 5, Some(5), (1, true)),
            ("label", 1, 4, Some(5), (0, false)),
            ("label", 1, 4, None, (0, false)),
            ("label", -1, 4, None, (0, true)),
            ("image/class/label", 1, 5, None, (1, true)),
            ("image/class/label", 1, 5, Some(5), (1, true)),
            ("image/class/label", 0, 5, Some(5), (1, true)),
            ("image/class/label", 0, 4, Some(5), (0, true)),
            ("image/class/label", 2, 4, None, (1, false)),
        ] {
            let got = reading(key, least, greatest).first_label(classes);
            assert_eq!(got, wanted, "{key} {least} {greatest} {classes:?}");
        }
    }

    #[test]
    fn photos_and_labels_are_told_from_what_else_there_is() {
        let mut survey = Survey::default();
        assert_eq!(survey.reading(), Err(Lacking::Records));
        let schema = ImageSchema {
            encoded: "picture".into(),
            label: "species_label".into(),
            height: "a_height".into(),
            class_text: "class_name".into(),
            filename: "id".into(),
            ..ImageSchema::default()
        };
        let example = |encoded: &[u8], label| ImageExample {
            encoded: encoded.into(),
            label,
            height: Some(7),
            class_text: Some("rose".into()),
            filename: Some("x".into()),
            ..ImageExample::default()
        };
        for label in [3, 0, 2] {
            survey.add(&example(&JPEG, label).encode(&schema)).unwrap();
        }
        let wanted = Reading {
            image: "picture".into(),
            label: "species_label".into(),
            labels: (0, 3),
            pixels: None,
            names: vec![],
        };
        assert_eq!(survey.reading(), Ok(wanted));
        // No number that is called a label.
        let mut texts = Survey::default();
        let numbered = ImageSchema { label: "id_number".into(), ..schema.clone() };
        texts.add(&example(&JPEG, 1).encode(&numbered)).unwrap();
        let lacking = |text| Err(Lacking::Label { image: "picture".into(), pixels: None, text });
        assert_eq!(texts.reading(), lacking(Some("class_name".into())));
        // One text in several records is a class, as shards of one class have it.
        texts.add(&example(&JPEG, 1).encode(&numbered)).unwrap();
        assert_eq!(texts.reading().unwrap().names, ["rose"]);
        let mut unlabeled = Survey::default();
        let nameless = ImageSchema { class_text: "title".into(), ..numbered };
        unlabeled.add(&example(&JPEG, 1).encode(&nameless)).unwrap();
        assert_eq!(unlabeled.reading(), lacking(None));
        let mut none = Survey::default();
        none.add(&example(b"text", 1).encode(&schema)).unwrap();
        assert_eq!(none.reading(), Err(Lacking::Image));
        // As many bytes as pixels.
        let mut raw = Survey::default();
        let sized = ImageSchema { height: "height".into(), width: "image/width".into(), ..schema.clone() };
        let pixels = ImageExample { height: Some(4), width: Some(5), ..example(&[7; 60], 1) };
        raw.add(&pixels.encode(&sized)).unwrap();
        let reading = raw.reading().unwrap();
        assert_eq!((reading.image.as_str(), reading.pixels), ("picture", Some(PixelFormat::default())));
        assert_eq!(reading.keys().pixels.as_deref(), Some("auto"));
        assert!(none.add(b"\xff\xff").is_err());
        assert_eq!(none.records, 1);
    }

    /// A field of a protocol buffer message that holds bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut len = bytes.len();
        while len >= 0x80 {
            field.push(len as u8 | 0x80);
            len >>= 7;
        }
        field.push(len as u8);
        field.extend(bytes);
        field
    }

    /// A record of hundreds of thousands of features, and one with a key of a megabyte.
    #[test]
    fn keys_without_end_take_no_memory() {
        // Protocol buffers: the features under their keys, each a list of the one integer 1.
        let one = field(3, &field(1, &[1]));
        let feature = |key: &str| field(1, &[field(1, key.as_bytes()), field(2, &one)].concat());
        let mut features: Vec<_> = (0..300_000).map(|key: u32| feature(&key.to_string())).collect();
        features.push(feature(&"x".repeat(1 << 20)));
        let payload = field(1, &features.concat());
        let mut survey = Survey::default();
        survey.add(&payload).unwrap();
        assert_eq!(survey.keys.len(), MAX_KEYS);
        assert!(survey.keys.keys().all(|key| key.len() <= MAX_KEY_BYTES));
    }

    /// Only what records without an image file hold may be pixels, and only some texts may be classes.
    #[test]
    fn no_more_is_kept_than_is_needed() {
        let schema = ImageSchema { class_text: "label_name".into(), ..ImageSchema::default() };
        let example = |encoded: &[u8]| ImageExample {
            encoded: encoded.into(),
            class_text: Some("rose".into()),
            filename: Some("1.jpg".into()),
            ..ImageExample::default()
        };
        let mut survey = Survey::default();
        survey.add(&example(&JPEG).encode(&schema)).unwrap();
        assert!(survey.first.is_empty());
        assert!(survey.keys["image/filename"].names.is_empty());
        assert_eq!(survey.keys["label_name"].names.len(), 1);
        let kept = |survey: &Survey| survey.first.iter().map(Vec::len).sum::<usize>();
        let mut other = Survey::default();
        for _ in 0..3 {
            let payload = example(&vec![0; MAX_FIRST_BYTES / 3]).encode(&schema);
            survey.add(&payload).unwrap();
            other.add(&payload).unwrap();
        }
        assert_eq!((survey.first.len(), other.first.len()), (2, 2));
        survey.join(other);
        assert!(survey.first.len() == 2 && kept(&survey) <= MAX_FIRST_BYTES);
        assert_eq!(survey.records, 7);
    }

    #[test]
    fn surveys_joined_hold_no_more_than_one() {
        let survey = |from: usize| {
            let names = |count: usize| (from..from + count).map(|name| name.to_string()).collect();
            let found = |key: usize| Found {
                names: if key == 0 { names(40_000) } else { names(1) },
                ..Found::default()
            };
            let keys = (0..80)
                .map(|key| (if key == 0 { "label".into() } else { (from + key).to_string() }, found(key)));
            Survey { keys: keys.collect(), ..Survey::default() }
        };
        let mut joined = survey(0);
        joined.join(survey(40_000));
        assert_eq!(joined.keys.len(), MAX_KEYS);
        assert_eq!(joined.keys["label"].names.len(), MAX_CLASSES + 1);
    }

    #[test]
    fn distinct_names_rank_as_labels() {
        let usual = ImageSchema::default();
        let ranked: Vec<_> =
            ["image/class/label", "label", "fine_label", "label/number", "class_id", "height", "image/width"]
                .map(|key| label_rank(key, &usual))
                .into();
        assert_eq!(ranked, [Some(0), Some(1), Some(2), Some(3), Some(4), None, None]);
        let flag = |key| reading(key, 0, 1).keys().label_key;
        assert_eq!((flag("label"), flag("image/class/label")), (Some("label".into()), None));
    }
}
