//! Pixels in records, in every form that TensorFlow gives them.

use std::collections::BTreeMap;

use floret::record::{ImageExample, ImageSchema, ParsePixelFormatError, PixelFormat, Pixels, guess_pixels};
use proptest::prelude::*;
use prost::Message;

use crate::common::message::{field, varint};
use crate::common::proto::example::feature::Kind;
use crate::common::proto::example::{BytesList, Example, Feature, Features, FloatList, Int64List};

fn bytes(value: Vec<u8>) -> Kind {
    Kind::BytesList(BytesList { value: vec![value] })
}

fn floats(value: Vec<f32>) -> Kind {
    Kind::FloatList(FloatList { value })
}

fn int64s(value: Vec<i64>) -> Kind {
    Kind::Int64List(Int64List { value })
}

fn record(features: &[(&str, Kind)]) -> Vec<u8> {
    let feature: BTreeMap<_, _> = features
        .iter()
        .map(|(key, kind)| ((*key).to_owned(), Feature { kind: Some(kind.clone()) }))
        .chain([("label".into(), Feature { kind: Some(int64s(vec![1])) })])
        .collect();
    Example { features: Some(Features { feature }) }.encode_to_vec()
}

fn read(payload: &[u8], format: &str) -> Result<Pixels, String> {
    let schema = ImageSchema {
        encoded: "image".into(),
        label: "label".into(),
        pixels: Some(format.parse().unwrap()),
        ..ImageSchema::default()
    };
    let example = ImageExample::parse(payload, &schema).map_err(|error| error.to_string())?;
    assert!(example.encoded.is_empty());
    Ok(example.pixels.unwrap())
}

/// A serialized tensor of this type and shape.
fn tensor(kind: u64, shape: &[u64], content: &[u8]) -> Vec<u8> {
    let axes = shape.iter().flat_map(|&size| field(2, &[&[8][..], &varint(size)].concat()));
    [&[8][..], &varint(kind), &field(2, &axes.collect::<Vec<_>>()), &field(4, content)].concat()
}

fn le_bytes(values: impl Iterator<Item = f32>) -> Vec<u8> {
    values.flat_map(f32::to_le_bytes).collect()
}

/// 3 rows of 2 pixels of 3 channels, every level another.
const LEVELS: [u8; 18] = [0, 255, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160];

/// The same, channel after channel.
fn channels_first() -> Vec<u8> {
    (0..3).flat_map(|channel| LEVELS.into_iter().skip(channel).step_by(3)).collect()
}

#[test]
fn pixels_are_read_in_every_form() {
    let shares = || LEVELS.into_iter().map(|level| f32::from(level) / 255.0);
    let sizes = [("image/height", int64s(vec![3])), ("cols", int64s(vec![2])), ("depth", int64s(vec![3]))];
    let sized = |image: Kind| record(&[&[("image", image)][..], &sizes].concat());
    let alone = |image: Kind| record(&[("image", image)]);
    let doubles: Vec<u8> = LEVELS.iter().flat_map(|&level| f64::from(level).to_le_bytes()).collect();
    for (payload, format) in [
        (sized(bytes(LEVELS.into())), "auto"),
        (record(&[&[("image", bytes(LEVELS.into()))][..], &sizes[..2]].concat()), "auto"),
        (sized(bytes(channels_first())), "auto-channels-first"),
        (alone(bytes(LEVELS.into())), "3x2x3"),
        (alone(bytes(le_bytes(shares()))), "3x2x3:0..1"),
        (sized(bytes(le_bytes(shares().map(|share| 2.0 * share - 1.0)))), "auto:-1..1"),
        (sized(bytes(doubles)), "auto"),
        (sized(floats(shares().collect())), "auto:0..1"),
        (alone(int64s(LEVELS.map(i64::from).into())), "3x2x3"),
        (alone(bytes(tensor(4, &[3, 2, 3], &LEVELS))), "auto"),
        (alone(bytes(tensor(1, &[1, 3, 2, 3], &le_bytes(shares())))), "auto:0..1"),
    ] {
        let Pixels { height, width, channels, levels, .. } = read(&payload, format).unwrap();
        assert_eq!((height, width, channels, &levels[..]), (3, 2, 3, &LEVELS[..]), "{format}");
    }
    let first = read(&alone(bytes(channels_first())), "3x3x2");
    assert_eq!(first.unwrap().levels, LEVELS, "three channels of 3 x 2");
    let gray = read(&alone(bytes(tensor(4, &[9, 2], &LEVELS))), "auto").unwrap();
    assert_eq!((gray.height, gray.width, gray.channels, &gray.levels[..]), (9, 2, 1, &LEVELS[..]));
}

#[test]
fn pixels_that_are_none_say_why() {
    for (image, format, part) in [
        (bytes(vec![0; 17]), "3x2x3", "17 numbers where 3x2 pixels of 3 channels are told"),
        (bytes(vec![0; 18]), "auto", "18 numbers, and nothing tells height, width and channels"),
        (floats(vec![]), "3x2x3", "it holds no numbers"),
        (bytes(vec![]), "3x2x1", "0 numbers where"),
        (floats(vec![f32::NAN; 18]), "3x2x3", "it holds values that are no numbers"),
        (Kind::BytesList(BytesList { value: vec![LEVELS.into(); 2] }), "3x2x3", "has 2 values: 1 is wanted"),
    ] {
        let error = read(&record(&[("image", image)]), format).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let sized =
        record(&[("image", bytes(vec![0; 17])), ("height", int64s(vec![3])), ("width", int64s(vec![2]))]);
    let error = read(&sized, "auto").unwrap_err();
    assert!(error.contains("17 numbers, and 3x2 pixels of one channel or three are others"), "{error}");
}

#[test]
fn formats_are_written_as_they_are_read() {
    for text in ["auto", "auto:0..1", "28x28x1", "32x31x3:-1..1", "3x32x31", "auto-channels-first:0..1"] {
        assert_eq!(text.parse::<PixelFormat>().unwrap().to_string(), text);
    }
    for text in ["", "28x28", "28x28x2", "0x28x1", "28x28x1:1", "28x28x1:1..0", "28x28x1:0..inf", "-1x2x3"] {
        assert_eq!(text.parse::<PixelFormat>(), Err(ParsePixelFormatError(text.into())));
    }
}

/// A smooth picture of 32 x 32, as bytes.
fn smooth(number: usize) -> Vec<u8> {
    let level = |y: usize, x: usize, channel: usize| (y * 3 + x * 4 + channel * 40 + number * 5) as u8 / 2;
    (0..32 * 32 * 3).map(|at| level(at / 96, at / 3 % 32, at % 3)).collect()
}

#[test]
fn formats_are_guessed_from_the_records() {
    let guess = |image: &dyn Fn(usize) -> Kind| {
        let payloads: Vec<_> = (0..4).map(|number| record(&[("image", image(number))])).collect();
        let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        guess_pixels(&payloads, "image").map(|format| format.to_string())
    };
    let by_channel = |number| -> Vec<u8> {
        (0..3).flat_map(|channel| smooth(number).into_iter().skip(channel).step_by(3)).collect()
    };
    let shares = |number| smooth(number).into_iter().map(|level| f32::from(level) / 255.0);
    assert_eq!(guess(&|number| bytes(smooth(number))).as_deref(), Some("32x32x3"));
    assert_eq!(guess(&|number| bytes(by_channel(number))).as_deref(), Some("3x32x32"));
    assert_eq!(guess(&|number| bytes(smooth(number)[..784].to_vec())).as_deref(), Some("28x28x1"));
    assert_eq!(guess(&|number| bytes(le_bytes(shares(number)))).as_deref(), Some("32x32x3:0..1"));
    assert_eq!(guess(&|number| floats(shares(number).take(784).collect())).as_deref(), Some("28x28x1:0..1"));
    assert_eq!(guess(&|number| bytes(tensor(4, &[32, 32, 3], &smooth(number)))).as_deref(), Some("auto"));
    let range = |from: f32, to: f32| {
        guess(&|number| floats(shares(number).take(784).map(|share| from + share * (to - from)).collect()))
    };
    assert_eq!(range(-0.5, 0.5).as_deref(), Some("28x28x1:-0.5..0.5"));
    assert_eq!(range(-1.0, 1.0).as_deref(), Some("28x28x1:-1..1"));
    assert_eq!(range(0.0, 1.05).as_deref(), Some("28x28x1:0..1"), "a little beyond, as resizing makes it");
    assert_eq!(range(0.0, 255.0).as_deref(), Some("28x28x1"));
    assert!(range(-2.0, 2.5).unwrap().starts_with("28x28x1:-2.."));
    let told = |image: Vec<u8>| {
        let sizes =
            [("height", int64s(vec![32])), ("width", int64s(vec![32])), ("orig_height", int64s(vec![500]))];
        let payload = record(&[&[("image", bytes(image))][..], &sizes].concat());
        guess_pixels(&[&payload], "image").map(|format| format.to_string())
    };
    assert_eq!(told(smooth(1)).as_deref(), Some("auto"));
    assert_eq!(told(by_channel(1)).as_deref(), Some("auto-channels-first"));
    assert_eq!(told(smooth(1)[..784].to_vec()), None, "of another size than the record says");
    // A check sum in letters, as ImageNet's records have it; numbers that are all the same.
    assert_eq!(guess(&|_| bytes(vec![b'f'; 64])), None);
    assert_eq!(guess(&|_| floats(vec![-5.0; 784])), None);
    // Other lengths, another length in each, no feature.
    assert_eq!(guess(&|_| bytes(vec![7; 1000])), None);
    assert_eq!(guess(&|number| bytes(vec![7; (8 + number) * (8 + number)])), None);
    assert_eq!(guess_pixels(&[&record(&[])], "image"), None);
    assert_eq!(guess_pixels(&[], "image"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the record, there is a picture of the size told, or an error.
    #[test]
    fn any_record_is_read_or_refused(
        content in prop::collection::vec(any::<u8>(), 0..200),
        as_tensor in prop::option::of((0u64..12, prop::collection::vec(0u64..9, 0..5))),
        sizes in prop::collection::vec(prop_oneof![0i64..9, any::<i64>()], 3),
        format in prop::sample::select(vec!["auto", "auto-channels-first", "3x2x3", "3x4x4:0..1", "8x8x1"]),
    ) {
        let image = match as_tensor {
            Some((kind, shape)) => tensor(kind, &shape, &content),
            None => content,
        };
        let keys = ["height", "width", "depth"].into_iter().zip(&sizes).map(|(key, size)| (key, int64s(vec![*size])));
        let payload = record(&[("image", bytes(image))].into_iter().chain(keys).collect::<Vec<_>>());
        if let Ok(Pixels { height, width, channels, levels, .. }) = read(&payload, format) {
            prop_assert_eq!(levels.len(), height * width * channels);
        }
        guess_pixels(&[&payload, &payload], "image");
    }
}
