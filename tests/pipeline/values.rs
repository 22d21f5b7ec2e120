//! What batches hold, and the records that it came from.

use floret::data::{Loader, LoaderOptions, Picture, Preprocess, Shuffle};
use floret::image::{Fit, Orientation, decode, standardize};
use floret::record::{Compression, ImageExample, ImageSchema, RecordReader};

use super::{CLASSES, batches, drawn, examples, options, sorted};
use crate::common::photos::payloads;
use crate::common::{Fixtures, assert_close, fixture};

/// TensorFlow's own chain: decode_jpeg, resize_image_with_crop_or_pad, per_image_standardization. The JPEG decoder's
/// levels may differ by a few, so pixels are compared by the crop of the decoded image by hand, and TensorFlow's values
/// to a few levels of a deviation of about 50.
#[test]
fn batches_of_the_fixtures_are_decoded_cropped_and_standardized() {
    let shards = [0, 1].map(|i| fixture(&format!("train-0000{i}-of-00002.tfrecord")));
    let preprocess = Preprocess::new(24).fit(Fit::Crop).orientation(Orientation::AsStored);
    let options =
        LoaderOptions { batch_size: 5, shuffle: Shuffle::None, ..LoaderOptions::new(preprocess, 5) };
    let loader = Loader::open(&shards, options.clone()).unwrap();
    assert_eq!((loader.len(), loader.batches()), (24, 5));

    let fixtures = Fixtures::load("images");
    let records = shards.iter().flat_map(|shard| RecordReader::open(shard).unwrap());
    let mut seen = 0;
    let got = batches(&loader, 0);
    assert_eq!(got.iter().map(|batch| batch.labels.len()).collect::<Vec<_>>(), [5, 5, 5, 5, 4]);
    let images = got.iter().flat_map(|batch| batch.images.outer_iter().zip(&batch.labels));
    for ((image, &label), record) in images.zip(records) {
        let example = ImageExample::parse(&record.unwrap().payload, &ImageSchema::default()).unwrap();
        assert_eq!(label as i64, example.label - 1);
        let fitted = Fit::Crop.apply(&decode(&example.encoded, &options.decode).unwrap(), (24, 24)).unwrap();
        let mut by_hand = vec![0.0; fitted.len()];
        standardize(fitted.as_slice().unwrap(), &mut by_hand).unwrap();
        assert!(image.iter().eq(&by_hand), "{:?}", example.filename);

        let case = fixtures.cases.iter().find(|case| case["filename"] == example.filename.clone().unwrap());
        let wanted = fixtures.f64(&format!("{}/standardized_24", case.unwrap()["key"].as_str().unwrap()));
        assert_close(&example.filename.unwrap(), image, &wanted, 0.05);
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn a_batch_tells_which_records_its_images_came_from() {
    for compression in [Compression::Plain, Compression::Gzip] {
        let data = drawn(17, compression);
        let loader = Loader::open(&data.shards, options()).unwrap();
        let mut seen = Vec::new();
        for batch in batches(&loader, 3) {
            let examples = loader.examples(&batch.records).unwrap();
            assert_eq!(examples.len(), batch.labels.len());
            for ((image, &label), example) in batch.images.outer_iter().zip(&batch.labels).zip(examples) {
                assert_eq!(label as i64 + 1, example.label);
                let Picture::File(encoded) = &example.picture else { panic!("records hold files") };
                let preprocess = loader.options().preprocess;
                assert_eq!(image, preprocess.input(encoded, &Default::default()).unwrap());
            }
            seen.extend(batch.records);
        }
        assert_eq!(sorted(seen), (0..17).collect::<Vec<_>>());
        assert!(loader.examples(&[17]).is_err());

        // One that there is not stands in the way of no other; none is in its way on the way to others.
        let stash_bytes = 0;
        let loader = Loader::open(&data.shards, LoaderOptions { stash_bytes, ..options() }).unwrap();
        let [first, last] = [0, 16].map(|record| loader.examples(&[record]).unwrap().remove(0));
        let mut each = loader.each_example(&[0, 17, 16]);
        assert_eq!(each.next().unwrap().unwrap(), first);
        assert!(each.next().unwrap().is_err());
        assert_eq!(each.next().unwrap().unwrap(), last);
        assert!(each.next().is_none());
    }
}

#[test]
fn resized_photos_are_what_preprocessing_alone_makes_of_them() {
    let data = drawn(17, Compression::Plain);
    let options = LoaderOptions { shuffle: Shuffle::None, ..options() };
    let loader = Loader::open(&data.shards, options.clone()).unwrap();
    // Shards are written in turn, and read one after the other.
    let order: Vec<usize> = (0..3).flat_map(|shard| (shard..17).step_by(3)).collect();
    let payloads = payloads(17, CLASSES);
    for (place, (image, label)) in examples(&batches(&loader, 0)).into_iter().enumerate() {
        let example = ImageExample::parse(&payloads[order[place]], &ImageSchema::default()).unwrap();
        let alone = options.preprocess.input(&example.encoded, &options.decode).unwrap();
        assert_eq!(image, alone.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        assert_eq!(label, order[place] % CLASSES);
    }
}
