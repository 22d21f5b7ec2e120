//! What is written is read again, whatever it is.

use floret::record::*;
use proptest::prelude::*;

use super::oracle;
use super::support::*;

fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::Plain), Just(Compression::Gzip), Just(Compression::Zlib)]
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    // Some longer than the reader's buffer of 64 KiB; bytes that repeat are quick to generate.
    let short = prop::collection::vec(any::<u8>(), 0..200);
    let long = (any::<u8>(), 60_000..200_000usize).prop_map(|(byte, length)| vec![byte; length]);
    prop::collection::vec(prop_oneof![9 => short, 1 => long], 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records(payloads in payloads(), compression in compressions()) {
        let file = written(&payloads, compression);
        let plain = oracle::file_of(&payloads);
        if compression == Compression::Plain {
            prop_assert!(file == plain);
        }
        prop_assert!(events(file.as_slice(), &options(Some(compression))) == oracle::read(&plain));
        prop_assert!(events(file.as_slice(), &options(None)) == oracle::read(&plain));
    }

    /// Any bytes at all: typed errors, no panic, and what is read as plain is what the definition says.
    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(events(bytes.as_slice(), &options(Some(Compression::Plain))), oracle::read(&bytes));
        let detected = RecordReader::new(bytes.as_slice(), "noise", &options(None)).unwrap();
        prop_assert!(bytes.is_empty() || detected.last().unwrap().is_err());
        let _ = list_features(&bytes);
    }

    #[test]
    fn image_examples(
        encoded in prop::collection::vec(any::<u8>(), 0..100),
        label: i64,
        texts: [Option<String>; 4],
        numbers: [Option<i64>; 3],
    ) {
        let [class_text, filename, format, colorspace] = texts;
        let [height, width, channels] = numbers;
        let example = ImageExample {
            pixels: None,
            encoded, label, class_text, filename, height, width, format, colorspace, channels,
        };
        let payload = example.clone().encode(&ImageSchema::default());
        prop_assert_eq!(&payload, &example.clone().encode(&ImageSchema::default()));
        prop_assert_eq!(ImageExample::parse(&payload, &ImageSchema::default()).unwrap(), example);
    }
}
