//! Payloads that are no `tf.train.Example`, or one that asks for much.

use floret::record::{ImageExample, ImageSchema, list_features};

use super::within_limits;
use crate::common::message::{field, varint};

/// An example of one feature, whose list (1 bytes, 2 floats, 3 integers) is encoded already.
fn example(key: &str, kind: u8, list: &[u8]) -> Vec<u8> {
    field(1, &field(1, &[field(1, key.as_bytes()), field(2, &field(kind, list))].concat()))
}

/// Fails if either reader takes the payload; gives the messages.
fn is_refused(payload: &[u8]) -> String {
    let parsed = within_limits(|| ImageExample::parse(payload, &ImageSchema::default())).unwrap_err();
    let listed = within_limits(|| list_features(payload)).unwrap_err();
    format!("{parsed}\n{listed}")
}

#[test]
fn what_breaks_the_encoding_is_an_error() {
    let length = |length: u64| [&[0x0A][..], &varint(length)].concat();
    for payload in [
        length(u64::MAX),
        length(1 << 62),
        length(u64::from(u32::MAX)),
        length(1),
        [0xFF; 11].to_vec(),     // a varint of more than ten bytes
        vec![0x08, 0x01],        // the features as a number
        vec![0x0D, 1, 2, 3, 4],  // and as a fixed32
        vec![0x0E],              // a wire type that does not exist
        vec![0x02, 0x00],        // field number 0
        vec![0x0C],              // the end of a group that never began
        field(1, &[0x08, 0x01]), // a feature as a number
        example("image/encoded", 1, &[0x08, 0x01]),
        example("image/class/label", 3, &[0x0A, 0x01, 0x80]), // packed numbers that end within one
        field(1, &field(1, &field(1, &[0xFF]))),              // a text that is not UTF-8
    ] {
        let message = is_refused(&payload);
        assert!(message.contains("the payload is no tf.train.Example"), "{payload:?}: {message}");
    }
}

/// Unknown fields are passed over, groups within groups too: not deeper than the stack lasts.
#[test]
fn groups_nested_a_million_deep_are_an_error() {
    let deep = [vec![0x7B; 1 << 20], vec![0x7C; 1 << 20]].concat();
    assert!(is_refused(&deep).contains("groups nested over 100 deep"));
    let shallow = [vec![0x7B; 50], vec![0x7C; 50]].concat();
    assert_eq!(list_features(&shallow).unwrap(), []);
}

/// A value takes at least a byte in the record; in a list of its own it would take up to 24, before the list is doubled.
#[test]
fn lists_of_millions_of_values_are_counted_within_the_limits() {
    const BYTES: usize = 64 << 20;
    let schema = ImageSchema::default();
    for (kind, list) in
        [(1, [0x0A, 0x00].repeat(BYTES / 2)), (2, field(1, &vec![0; BYTES])), (3, field(1, &vec![0; BYTES]))]
    {
        let payload = example(&schema.encoded, kind, &list);
        let features = within_limits(|| list_features(&payload)).unwrap();
        assert!(features[0].values >= BYTES / 4, "{}", features[0]);
        within_limits(|| ImageExample::parse(&payload, &schema)).unwrap_err();
    }
    let keys: Vec<u8> =
        (0..300_000u32).flat_map(|key| field(1, &field(1, format!("{key:x}").as_bytes()))).collect();
    let features = field(1, &keys);
    assert_eq!(within_limits(|| list_features(&features)).unwrap().len(), 300_000);
    within_limits(|| ImageExample::parse(&features, &schema)).unwrap_err();
}
