//! The typed view of an image example: what is missing, mistyped or too many is named.

use crate::common::proto::example::feature::Kind;
use crate::common::proto::example::{BytesList, Example, Feature, Features, FloatList, Int64List};
use floret::record::*;
use prost::Message;

use super::support::*;

fn bytes(values: &[&[u8]]) -> Option<Kind> {
    Some(Kind::BytesList(BytesList { value: values.iter().map(|value| value.to_vec()).collect() }))
}

fn int64(values: &[i64]) -> Option<Kind> {
    Some(Kind::Int64List(Int64List { value: values.to_vec() }))
}

fn floats(values: &[f32]) -> Option<Kind> {
    Some(Kind::FloatList(FloatList { value: values.to_vec() }))
}

/// A payload of these features.
fn payload(features: &[(&str, Option<Kind>)]) -> Vec<u8> {
    let feature =
        features.iter().map(|(key, kind)| (key.to_string(), Feature { kind: kind.clone() })).collect();
    Example { features: Some(Features { feature }) }.encode_to_vec()
}

fn parse(features: &[(&str, Option<Kind>)]) -> Result<ImageExample, ExampleError> {
    ImageExample::parse(&payload(features), &ImageSchema::default())
}

#[test]
fn the_image_and_its_label_are_enough() {
    let example = parse(&[("image/encoded", bytes(&[b"jpeg"])), ("image/class/label", int64(&[3]))]).unwrap();
    let wanted = ImageExample { encoded: b"jpeg".to_vec(), label: 3, ..ImageExample::default() };
    assert_eq!(example, wanted);
}

#[test]
fn a_missing_feature_is_named_with_those_present() {
    let error = parse(&[("image/encoded", bytes(&[b"jpeg"])), ("label", int64(&[3]))]).unwrap_err();
    let wanted = r#"there is no feature "image/class/label": the record has "image/encoded", "label""#;
    assert_eq!(error.to_string(), wanted);

    // A feature without a list is absent, as for TensorFlow.
    let error = parse(&[("image/encoded", None), ("image/class/label", int64(&[3]))]).unwrap_err();
    let wanted = r#"there is no feature "image/encoded": the record has "image/class/label""#;
    assert_eq!(error.to_string(), wanted);

    let error = ImageExample::parse(b"", &ImageSchema::default()).unwrap_err();
    assert_eq!(error.to_string(), r#"there is no feature "image/encoded": the record has none at all"#);
}

#[test]
fn the_list_of_keys_present_is_bounded() {
    let keys: Vec<String> = (0..1000).map(|key| format!("key{key:04}")).collect();
    let features: Vec<_> = keys.iter().map(|key| (key.as_str(), int64(&[1]))).collect();
    let message = parse(&features).unwrap_err().to_string();
    assert!(message.contains(r#""key0019" and 980 more"#), "{message}");
}

#[test]
fn a_mistyped_feature_is_named_with_both_types() {
    let floats = floats(&[3.5]);
    let error =
        parse(&[("image/encoded", bytes(&[b"jpeg"])), ("image/class/label", floats.clone())]).unwrap_err();
    assert_eq!(error.to_string(), r#"feature "image/class/label" has float values: int64 is wanted"#);
    let error = parse(&[("image/encoded", int64(&[1])), ("image/class/label", int64(&[3]))]).unwrap_err();
    assert_eq!(error.to_string(), r#"feature "image/encoded" has int64 values: bytes is wanted"#);
    // Optional features too: what is there must be right.
    let image = [("image/encoded", bytes(&[b"jpeg"])), ("image/class/label", int64(&[3]))];
    let error = parse(&[&image[..], &[("image/height", floats)]].concat()).unwrap_err();
    assert_eq!(error.to_string(), r#"feature "image/height" has float values: int64 is wanted"#);
}

#[test]
fn a_class_may_be_told_by_its_name() {
    let long = "Chevrolet Silverado 1500 Hybrid Crew Cab 2012";
    let names = ["cat", &long[..40], long].map(String::from).to_vec();
    let schema = ImageSchema { label_names: (names, 1), ..ImageSchema::default() };
    for (name, wanted) in
        [("cat", Some(1)), (" cat ", Some(1)), (&long[..40], Some(2)), (long, Some(3)), ("dog", None)]
    {
        let features =
            [("image/encoded", bytes(&[b"jpeg"])), ("image/class/label", bytes(&[name.as_bytes()]))];
        let label = ImageExample::parse(&payload(&features), &schema).map(|example| example.label);
        assert_eq!(label.ok(), wanted, "{name}");
    }
}

/// As `tf.io.FixedLenFeature([], tf.float32)`, `tf.one_hot` and text write them.
#[test]
fn labels_are_read_from_all_that_stands_for_a_number() {
    let label = |label| {
        let example = parse(&[("image/encoded", bytes(&[b"jpeg"])), ("image/class/label", label)]);
        example.map(|example| example.label).map_err(|error| error.to_string())
    };
    for (kind, wanted) in [
        (int64(&[7]), 7),
        (floats(&[7.0]), 7),
        (floats(&[-1.0]), -1),
        (int64(&[0, 0, 1]), 2),
        (int64(&[1, 0]), 0),
        (floats(&[0.0, 1.0, 0.0, 0.0]), 1),
        (bytes(&[b"12"]), 12),
        (bytes(&[b" 3\n"]), 3),
    ] {
        assert_eq!(label(kind.clone()), Ok(wanted), "{kind:?}");
    }
    for (kind, part) in [
        (floats(&[0.5]), "float values"),
        (floats(&[f32::NAN]), "float values"),
        (int64(&[1, 0, 1]), "3 values"),
        (int64(&[0, 0]), "2 values"),
        (floats(&[0.4, 0.6]), "2 values"),
        (bytes(&[b"cat"]), r#"is the text "cat": the number of a class is wanted"#),
    ] {
        let error = label(kind.clone()).unwrap_err();
        assert!(error.contains(part), "{kind:?}: {error}");
    }
}

#[test]
fn a_feature_has_exactly_one_value() {
    for (values, got) in [(int64(&[]), 0), (int64(&[1, 2]), 2)] {
        let error =
            parse(&[("image/encoded", bytes(&[b"jpeg"])), ("image/class/label", values)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(r#"feature "image/class/label" has {got} values: 1 is wanted"#)
        );
    }
}

#[test]
fn text_need_not_be_utf8() {
    let features = [
        ("image/encoded", bytes(&[b"jpeg"])),
        ("image/class/label", int64(&[3])),
        ("image/filename", bytes(&[b"\xe9t\xe9.jpg"])),
    ];
    assert_eq!(parse(&features).unwrap().filename.as_deref(), Some("\u{fffd}t\u{fffd}.jpg"));
}

#[test]
fn what_is_no_example_is_an_error() {
    let error = ImageExample::parse(b"\xff\xd8\xff\xe0 a bare photo", &ImageSchema::default()).unwrap_err();
    assert!(error.to_string().starts_with("the payload is no tf.train.Example: "), "{error}");
}

#[test]
fn the_records_place_is_added() {
    let mut reader = RecordReader::open(fixture("zero_length.tfrecord")).unwrap();
    let mut payload = Vec::new();
    let position = reader.read_into(&mut payload).unwrap().unwrap();
    let error = ImageExample::parse(&payload, &ImageSchema::default()).unwrap_err();
    let error = error.at(reader.location(position));
    assert!(error.is_recoverable());
    let wanted = r#"zero_length.tfrecord: record 0 at byte 0: there is no feature "image/encoded""#;
    assert!(error.to_string().contains(wanted), "{error}");
}

#[test]
fn other_keys_can_be_chosen() {
    let schema = ImageSchema { encoded: "jpg".into(), label: "cls".into(), ..ImageSchema::default() };
    let example = ImageExample {
        encoded: b"jpeg".to_vec(),
        label: -7,
        class_text: Some("daisy".into()),
        channels: Some(3),
        ..ImageExample::default()
    };
    let payload = example.clone().encode(&schema);
    assert_eq!(ImageExample::parse(&payload, &schema).unwrap(), example);
    assert!(ImageExample::parse(&payload, &ImageSchema::default()).is_err());
}

#[test]
fn features_are_listed() {
    let payload = &payloads_of(fixture("zero_length.tfrecord"))[1];
    let lines: Vec<_> = list_features(payload).unwrap().iter().map(ToString::to_string).collect();
    let encoded = ImageExample::parse(payload, &ImageSchema::default()).unwrap().encoded.len();
    let wanted = [
        "extra/floats: 3 float values, 12 bytes",
        "extra/ints: 3 int64 values, 24 bytes",
        "image/channels: 1 int64 value, 8 bytes",
        "image/class/label: 1 int64 value, 8 bytes",
        "image/class/text: 1 bytes value, 5 bytes",
        "image/colorspace: 1 bytes value, 3 bytes",
        &format!("image/encoded: 1 bytes value, {encoded} bytes"),
        "image/filename: 1 bytes value, 19 bytes",
        "image/format: 1 bytes value, 4 bytes",
        "image/height: 1 int64 value, 8 bytes",
        "image/width: 1 int64 value, 8 bytes",
    ];
    assert_eq!(lines, wanted);
}
