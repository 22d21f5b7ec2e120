//! Data sets other than shards: the same batches as of shards, in the same order, for the same seed.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};

use floret::data::{
    Arrays, BatchError, ClassNames, Dataset, Example, LoaderOptionsError, OnBadRecord, Photos, Picture,
    Place, Records, Subset,
};
use floret::image::decode;
use floret::record::ImageSchema;
use ndarray::Array4;

use super::*;
use crate::common::photos::{jpeg, png};

fn classes() -> Vec<String> {
    (0..CLASSES).map(|class| format!("class {class}")).collect()
}

/// Photos of one size: as shards, as files, and decoded.
struct Same {
    _folder: TempDir,
    shards: Loader,
    files: Photos,
    records: Records,
    arrays: Arrays,
}

fn same(photos: usize, options: LoaderOptions) -> Same {
    let folder = tempdir().unwrap();
    let photo = |index: usize| {
        if index.is_multiple_of(3) { png(index as u64, 14, 12) } else { jpeg(index as u64, 14, 12) }
    };
    let label = |index: usize| index * 3 % CLASSES;
    let payloads: Vec<_> = (0..photos)
        .map(|index| crate::common::photos::payload(photo(index), label(index) as i64 + 1))
        .collect();
    let shards = write_shards(folder.path(), &payloads, 1, Compression::Plain);
    let file = |index: usize| {
        let path = folder.path().join(format!("{index}.jpg"));
        std::fs::write(&path, photo(index)).unwrap();
        (path, label(index))
    };
    let decoded: Vec<u8> = (0..photos)
        .flat_map(|index| decode(&photo(index), &Default::default()).unwrap().into_raw_vec_and_offset().0)
        .collect();
    let images = Array4::from_shape_vec((photos, 12, 14, 3), decoded).unwrap();
    Same {
        shards: Loader::open(&shards, options).unwrap(),
        files: Photos::new((0..photos).map(file).collect(), classes()),
        records: Records::open(&shards, ClassNames::new(classes()), ImageSchema::default(), 1).unwrap(),
        arrays: Arrays::new(images, (0..photos).map(label).collect(), classes()).unwrap(),
        _folder: folder,
    }
}

#[test]
fn the_same_pictures_are_the_same_batches_wherever_they_are() {
    for shuffle in SHUFFLES {
        let options = LoaderOptions { shuffle, ..augmented() };
        let Same { shards, files, records, arrays, _folder } = same(23, options.clone());
        let loaders = [
            Loader::of(files, options.clone()).unwrap(),
            Loader::of(records, options.clone()).unwrap(),
            Loader::of(arrays, options).unwrap(),
        ];
        for epoch in [0, 1, 5] {
            let wanted = examples(&batches(&shards, epoch));
            for loader in &loaders {
                for threads in [1, 3] {
                    let got = with_threads(threads, || examples(&batches(loader, epoch)));
                    assert_eq!(got, wanted, "{shuffle:?}, epoch {epoch}, {threads} threads");
                }
            }
        }
        for loader in &loaders {
            assert_eq!((loader.len(), loader.options().label_offset), (23, 0));
            assert_eq!(loader.class_counts(), shards.class_counts());
            assert!(loader.examples(&[23]).is_err() && loader.place(23).is_none());
            assert_eq!(loader.examples(&[7]).unwrap()[0].label, 7 * 3 % CLASSES as i64);
        }
        assert!(loaders[0].place(3).unwrap().to_string().ends_with("3.jpg"));
        assert_eq!(loaders[2].place(3), Some(Place::Example { index: 3, name: None }));
    }
}

#[test]
fn other_data_are_told_from_those_of_a_run() {
    let one = |photos| Loader::of(same(photos, options()).arrays, options()).unwrap().fingerprint();
    assert_eq!(one(8), one(8));
    assert_eq!(one(8).difference(&one(9)).unwrap(), "9 examples stands where 8 examples was");
    let Same { files, _folder, .. } = same(8, options());
    let before = Loader::of(files.clone(), options()).unwrap().fingerprint();
    std::fs::write(_folder.path().join("3.jpg"), "changed").unwrap();
    assert!(before.difference(&Loader::of(files, options()).unwrap().fingerprint()).is_some());
}

/// A data set of which each third example is missing.
struct Thirds {
    classes: Vec<String>,
    asked: AtomicUsize,
}

impl Dataset for Thirds {
    fn len(&self) -> usize {
        9
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn example(&self, index: usize) -> Result<Example, Box<dyn Error + Send + Sync>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if index.is_multiple_of(3) {
            return Err("it is gone".into());
        }
        Ok(Example::new(Picture::File(jpeg(index as u64, 9, 9)), if index == 4 { 99 } else { 1 }))
    }

    fn name(&self, index: usize) -> Option<String> {
        (index == 3).then(|| "the third".into())
    }
}

#[test]
fn examples_that_can_not_be_used_are_errors_or_left_out() {
    let thirds = || Thirds { classes: classes(), asked: AtomicUsize::new(0) };
    let shuffle = Shuffle::None;
    let loader = Loader::of(thirds(), LoaderOptions { shuffle, ..options() }).unwrap();
    let error = loader.epoch(0).next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "example 0: it is gone");
    let skipping = LoaderOptions { shuffle, on_bad_record: OnBadRecord::Skip, ..options() };
    let loader = Loader::of(thirds(), skipping).unwrap();
    for _ in 0..2 {
        let batches = batches(&loader, 0);
        let records: Vec<_> = batches.iter().flat_map(|batch| batch.records.clone()).collect();
        assert_eq!(records, [1, 2, 5, 7, 8]);
    }
    let skipped = loader.skipped();
    let errors: Vec<_> = skipped.errors.iter().map(|error| error.to_string()).collect();
    assert_eq!(skipped.count, 4);
    assert!(errors.iter().any(|error| error == "the third: it is gone"), "{errors:?}");
    assert!(
        errors.iter().any(|error| error.starts_with("example 4: label 99 is out of range")),
        "{errors:?}"
    );
}

#[test]
fn data_sets_that_make_no_batches_are_refused() {
    let refused = |set: Photos, classes| Loader::of(set, LoaderOptions { classes, ..options() }).unwrap_err();
    assert!(matches!(refused(Photos::new(vec![], classes()), CLASSES), BatchError::NoExample));
    let Same { files, _folder, .. } = same(3, options());
    let error = refused(files, CLASSES + 1);
    let wanted = LoaderOptionsError::OtherClasses { set: CLASSES, options: CLASSES + 1 };
    assert!(matches!(error, BatchError::Options(error) if error == wanted));
}

/// What was decoded once and kept is not asked for again.
#[test]
fn what_is_kept_is_asked_for_once() {
    let set = std::sync::Arc::new(Thirds { classes: classes(), asked: AtomicUsize::new(0) });
    let options = LoaderOptions { on_bad_record: OnBadRecord::Skip, ..options() };
    let loader = Loader::of_shared(set.clone(), options).unwrap();
    batches(&loader, 0);
    assert_eq!(set.asked.load(Ordering::Relaxed), 9);
    batches(&loader, 1);
    // Those that can't be used are not kept.
    assert_eq!(set.asked.load(Ordering::Relaxed), 9 + 4);
}

#[test]
fn classes_are_counted_without_the_pictures() {
    let Same { shards, files, _folder, .. } = same(23, options());
    for index in 0..23 {
        std::fs::remove_file(_folder.path().join(format!("{index}.jpg"))).unwrap();
    }
    let part = Subset::new(std::sync::Arc::new(files.clone()), (0..23).collect());
    assert_eq!(Loader::of(files, options()).unwrap().class_counts(), shards.class_counts());
    assert_eq!(Loader::of(part, options()).unwrap().class_counts(), shards.class_counts());
}

/// Not a bad example: skipping it would train on nothing without a word.
#[test]
fn a_file_that_is_gone_ends_an_epoch_that_skips_bad_examples() {
    let Same { files, records, _folder, .. } = same(8, options());
    let skipping = || LoaderOptions { on_bad_record: OnBadRecord::Skip, ..options() };
    for (loader, name) in [
        (Loader::of(files, skipping()).unwrap(), "3.jpg"),
        (Loader::of(records, skipping()).unwrap(), "train-00000-of-00001.tfrecord"),
    ] {
        std::fs::remove_file(_folder.path().join(name)).unwrap();
        let error = loader.epoch(0).find_map(Result::err).unwrap().to_string();
        assert!(error.contains("No such file") && error.matches(name).count() == 1, "{error}");
        assert_eq!(loader.skipped().count, 0);
    }
}

#[test]
fn a_damaged_record_of_a_data_set_is_a_bad_example_told_with_its_place_once() {
    let Same { records, _folder, .. } = same(8, options());
    let shard = _folder.path().join("train-00000-of-00001.tfrecord");
    let mut bytes = std::fs::read(&shard).unwrap();
    // The first byte behind a header.
    bytes[12] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let skipping = LoaderOptions { on_bad_record: OnBadRecord::Skip, ..options() };
    let loader = Loader::of(records, skipping).unwrap();
    assert_eq!(examples(&batches(&loader, 0)).len(), 7);
    let error = loader.skipped().errors[0].to_string();
    assert_eq!(error.matches("record 0 at byte 0").count(), 1, "{error}");
}
