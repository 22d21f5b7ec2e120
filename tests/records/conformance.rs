//! TensorFlow's files read, and written again byte for byte.

use floret::record::*;

use super::oracle;
use super::support::*;

fn compression(name: &str) -> Compression {
    match name {
        "" => Compression::Plain,
        "GZIP" => Compression::Gzip,
        "ZLIB" => Compression::Zlib,
        other => panic!("{other}"),
    }
}

#[test]
fn every_record_of_every_file_is_read() {
    for (name, file) in manifest().files {
        for chosen in [None, Some(compression(&file.compression))] {
            let reader = RecordReader::open_with(fixture(&name), &options(chosen)).unwrap();
            assert_eq!(reader.compression(), compression(&file.compression), "{name}");
            let hashes: Vec<_> = reader.map(|record| sha256(&record.unwrap().payload)).collect();
            assert_eq!(hashes, file.payload_sha256, "{name}");
        }
    }
}

#[test]
fn positions_are_those_of_the_uncompressed_stream() {
    for name in ["all.gzip.tfrecord", "all.zlib.tfrecord"] {
        let mut offset = 0;
        for (number, record) in RecordReader::open(fixture(name)).unwrap().enumerate() {
            let record = record.unwrap();
            assert_eq!(record.position, RecordPosition { record: number as u64, offset });
            offset += 12 + record.payload.len() as u64 + 4;
        }
    }
}

#[test]
fn plain_files_are_written_byte_for_byte_as_tensorflow_does() {
    for (name, _) in manifest().files.iter().filter(|(_, file)| file.compression.is_empty()) {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let payloads = payloads_of(fixture(name));
        assert_eq!(written(&payloads, Compression::Plain), bytes, "{name}");
        assert_eq!(oracle::file_of(&payloads), bytes, "the oracle, {name}");
    }
}

#[test]
fn examples_hold_what_tensorflow_put_in() {
    let schema = ImageSchema::default();
    let records = manifest().records;
    let payloads = payloads_of(fixture("all.gzip.tfrecord"));
    assert_eq!(payloads.len(), records.len());
    for (payload, wanted) in payloads.iter().zip(records) {
        assert_eq!((payload.len(), sha256(payload)), (wanted.payload_len, wanted.payload_sha256));
        let example = ImageExample::parse(payload, &schema).unwrap();
        assert_eq!(sha256(&example.encoded), wanted.encoded_sha256);
        assert_eq!(example.label, wanted.label);
        assert_eq!(example.class_text, Some(wanted.class_text));
        assert_eq!(example.filename, Some(wanted.filename));
        assert_eq!((example.height, example.width), (Some(wanted.height), Some(wanted.width)));
        assert_eq!(example.format.as_deref(), Some("JPEG"));
        assert_eq!(example.colorspace.as_deref(), Some("RGB"));
        assert_eq!(example.channels, Some(3));
    }
}

/// TensorFlow serialized its examples with sorted keys, as the crate's ordered maps do.
#[test]
fn examples_are_encoded_byte_for_byte_as_tensorflow_does() {
    use crate::common::proto::example::Example;
    use prost::Message;
    for payload in payloads_of(fixture("train-00000-of-00002.tfrecord")) {
        let mut example = Example::decode(payload.as_slice()).unwrap();
        assert!(example.encode_to_vec() == payload);

        // The typed view has no place for the fixtures' two extra features.
        let typed = ImageExample::parse(&payload, &ImageSchema::default()).unwrap();
        let features = &mut example.features.as_mut().unwrap().feature;
        features.retain(|key, _| !key.starts_with("extra/"));
        assert!(typed.encode(&ImageSchema::default()) == example.encode_to_vec());
    }
}

/// An event file of TensorFlow is a TFRecord file of other messages.
#[test]
fn event_files_are_framed_alike() {
    let records = RecordReader::open(fixture("tf_events/events.out.tfevents.0.fixture.v2")).unwrap();
    let payloads: Vec<_> = records.map(|record| record.unwrap().payload).collect();
    assert!(payloads.len() > 1);
    assert!(payloads[0].windows(13).any(|window| window == b"brain.Event:2"));
}
