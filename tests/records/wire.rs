//! The reader of examples against prost, which decodes whole messages from generated code.

use std::collections::BTreeMap;

use crate::common::proto::example::feature::Kind;
use crate::common::proto::example::{Example, Feature};
use floret::record::*;
use proptest::prelude::*;
use prost::Message;

use crate::common::message::{field, varint};

/// Bytes that are nearly a message: fields of all wire types, right and wrong, messages in messages, groups, loose ends.
fn message(depth: u32) -> BoxedStrategy<Vec<u8>> {
    let leaf = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..12),
        Just(b"image/encoded".to_vec()),
        Just(b"image/class/label".to_vec()),
    ];
    leaf.prop_recursive(depth, 64, 4, |inner| {
        let number = prop_oneof![30 => 1u8..4, 1 => Just(0), 1 => Just(15)];
        let length_off = prop_oneof![60 => Just(0i64), 1 => -2i64..3];
        let field = prop_oneof![
            8 => (number.clone(), inner.clone(), length_off).prop_map(|(number, bytes, off)| {
                let length = (bytes.len() as i64 + off).max(0) as u64;
                [&[number << 3 | 2][..], &varint(length), &bytes].concat()
            }),
            2 => (number.clone(), any::<u64>(), 0u32..64)
                .prop_map(|(number, value, less)| [&[number << 3][..], &varint(value >> less)].concat()),
            1 => (number.clone(), any::<[u8; 4]>()).prop_map(|(n, b)| [&[n << 3 | 5][..], &b].concat()),
            1 => (number.clone(), any::<[u8; 8]>()).prop_map(|(n, b)| [&[n << 3 | 1][..], &b].concat()),
            1 => (number.clone(), number, inner)
                .prop_map(|(begin, end, bytes)| [&[begin << 3 | 3][..], &bytes, &[end << 3 | 4]].concat()),
        ];
        prop::collection::vec(field, 0..4).prop_map(|fields| fields.concat())
    })
    .boxed()
}

/// An example whose features are nearly right.
fn example() -> impl Strategy<Value = Vec<u8>> {
    let key = prop::sample::select(vec!["image/encoded", "image/class/label", "image/height", ""]);
    let list = prop_oneof![
        2 => message(2),
        1 => Just(field(1, b"bytes")),
        1 => any::<u64>().prop_map(|value| [&[8][..], &varint(value)].concat()),
        1 => (0u8..4).prop_map(|number| field(1, &f32::from(number).to_le_bytes())),
        1 => prop::collection::vec(0u8..2, 1..4).prop_map(|numbers| field(1, &numbers)),
        1 => Just(field(1, b"3")),
        1 => prop::collection::vec(any::<u64>(), 0..3)
            .prop_map(|values| field(1, &values.into_iter().flat_map(varint).collect::<Vec<_>>())),
    ];
    let feature = prop::collection::vec((1u8..4, list).prop_map(|(kind, list)| field(kind, &list)), 0..3);
    let right = prop_oneof![
        Just(("image/encoded", vec![field(1, &field(1, b"bytes"))])),
        any::<u64>()
            .prop_map(|value| ("image/class/label", vec![field(3, &[&[8][..], &varint(value)].concat())])),
    ];
    let entry = prop_oneof![2 => right, 1 => (key, feature)].prop_map(|(key, feature)| {
        field(1, &[field(1, key.as_bytes()), field(2, &feature.concat())].concat())
    });
    prop::collection::vec(entry, 0..5).prop_map(|entries| field(1, &entries.concat()))
}

/// What prost finds.
fn summaries(payload: &[u8]) -> Option<Vec<FeatureSummary>> {
    let features = Example::decode(payload).ok()?.features.unwrap_or_default().feature;
    let summary = |(key, feature): (String, crate::common::proto::example::Feature)| {
        let (kind, values, bytes) = match feature.kind {
            None => (None, 0, 0),
            Some(Kind::BytesList(list)) => {
                (Some(FeatureKind::Bytes), list.value.len(), list.value.concat().len())
            }
            Some(Kind::FloatList(list)) => (Some(FeatureKind::Float), list.value.len(), 4 * list.value.len()),
            Some(Kind::Int64List(list)) => (Some(FeatureKind::Int64), list.value.len(), 8 * list.value.len()),
        };
        FeatureSummary { key, kind, values, bytes }
    };
    Some(features.into_iter().map(summary).collect())
}

/// The image and the label that prost finds, where they are as they must be.
fn labeled(payload: &[u8]) -> Option<(Vec<u8>, i64)> {
    let mut features = Example::decode(payload).ok()?.features?.feature;
    let Some(Kind::BytesList(encoded)) = features.remove("image/encoded")?.kind else { return None };
    let label = match features.remove("image/class/label")?.kind? {
        Kind::BytesList(list) if list.value.len() == 1 => {
            str::from_utf8(&list.value[0]).ok()?.trim().parse().ok()?
        }
        Kind::Int64List(list) if list.value.len() == 1 => list.value[0],
        other => label(&other)?,
    };
    match features.remove("image/height").and_then(|height| height.kind) {
        None => {}
        Some(Kind::Int64List(height)) if height.value.len() == 1 => {}
        Some(_) => return None,
    }
    let [encoded] = &encoded.value[..] else { return None };
    Some((encoded.clone(), label))
}

/// The label that numbers stand for: a whole float, or the place of the one 1 among zeros.
fn label(kind: &Kind) -> Option<i64> {
    let numbers: Vec<f64> = match kind {
        Kind::BytesList(_) => return None,
        Kind::FloatList(list) => list.value.iter().map(|&number| number.into()).collect(),
        Kind::Int64List(list) => list.value.iter().map(|&number| number as f64).collect(),
    };
    match (kind, &numbers[..]) {
        (Kind::FloatList(_), [number]) => {
            (number.trunc() == *number && number.is_finite()).then_some(*number as i64)
        }
        (_, [_] | []) => None,
        (_, list) => {
            let place = list.iter().position(|&number| number == 1.0)?;
            list.iter().enumerate().all(|(at, &number)| at == place || number == 0.0).then_some(place as i64)
        }
    }
}

/// The single values that [`visit_features`] shows, by key.
fn visited(payload: &[u8]) -> Option<BTreeMap<String, FeatureValue<'_>>> {
    let mut values = BTreeMap::new();
    let visited = visit_features(payload, |feature| {
        // The last of one key counts.
        values.remove(feature.key);
        values.extend(feature.single.map(|value| (feature.key.to_owned(), value)));
    });
    visited.ok().map(|()| values)
}

/// The same, as prost decodes them.
fn single_values(features: &BTreeMap<String, Feature>) -> BTreeMap<String, FeatureValue<'_>> {
    let single = features.iter().filter_map(|(key, feature)| {
        let value = match feature.kind.as_ref()? {
            Kind::BytesList(list) if list.value.len() == 1 => FeatureValue::Bytes(&list.value[0]),
            Kind::Int64List(list) if list.value.len() == 1 => FeatureValue::Int64(list.value[0]),
            other => FeatureValue::Label(label(other)?),
        };
        Some((key.clone(), value))
    });
    single.collect()
}

fn agree(payload: &[u8]) {
    assert_eq!(list_features(payload).ok(), summaries(payload));
    let decoded = Example::decode(payload).ok().map(|example| example.features.unwrap_or_default().feature);
    assert_eq!(visited(payload), decoded.as_ref().map(single_values));
    let parsed = ImageExample::parse(payload, &ImageSchema::default()).ok();
    assert_eq!(parsed.map(|example| (example.encoded, example.label)), labeled(payload));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nearly_a_message_is_read_as_prost_reads_it(payload in message(6)) {
        agree(&payload);
    }

    #[test]
    fn what_is_nearly_an_example_is_read_as_prost_reads_it(payload in example()) {
        agree(&payload);
    }

    #[test]
    fn what_became_of_an_example_is_read_as_prost_reads_it(
        mut payload in example(),
        flips in prop::collection::vec((0.0..1.0, 1u8..), 1..4),
    ) {
        for (at, bits) in flips {
            let at = (at * payload.len() as f64) as usize;
            payload[at] ^= bits;
        }
        agree(&payload);
    }
}

/// The comparison would be worth little if all were refused, or all were taken.
#[test]
fn both_kinds_of_payloads_are_compared() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut tried = |strategy: &dyn Fn() -> BoxedStrategy<Vec<u8>>| {
        let strategy = strategy();
        let mut payload = || strategy.new_tree(&mut runner).unwrap().current();
        let payloads: Vec<_> = (0..1000).map(|_| payload()).collect();
        let taken = payloads.iter().filter(|payload| summaries(payload).is_some()).count();
        (taken, payloads.iter().filter(|payload| labeled(payload).is_some()).count())
    };
    let (messages, _) = tried(&|| message(6));
    let (examples, labeled) = tried(&|| example().boxed());
    println!("of 1000 each: {messages} messages and {examples} examples, {labeled} of them labeled");
    for taken in [messages, examples, labeled] {
        assert!((100..900).contains(&taken));
    }
}

#[test]
fn defects_are_named_with_their_places() {
    let message = |payload: &[u8]| list_features(payload).unwrap_err().to_string();
    let features = |bytes: &[u8]| field(1, bytes);
    for (payload, wanted) in [
        (vec![0x0A, 0x05, 0x0A], "5 bytes are needed and 1 left at byte 2"),
        (vec![0x0A, 0x80], "2 bytes are needed and 1 left at byte 1"),
        (vec![0x80; 20], "a number of more than 64 bits at byte 0"),
        (vec![0x02, 0x00], "the impossible field number 0 at byte 0"),
        (features(&[0x12, 0x00, 0x0D, 1, 2, 3, 4]), "field 1 of a wrong type at byte 4"),
        (features(&field(1, &field(1, b"ab\xFF"))), "a text that is not UTF-8 at byte 8"),
        (
            features(&field(1, &field(2, &field(2, &field(1, &[0; 5]))))),
            "4 bytes are needed and 1 left at byte 14",
        ),
    ] {
        assert_eq!(message(&payload), format!("the payload is no tf.train.Example: {wanted}"));
    }
}
