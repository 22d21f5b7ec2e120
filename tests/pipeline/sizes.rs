//! Loaders at another size, or for evaluation, from one that is open.

use floret::data::{BatchError, Loader, LoaderOptions, LoaderOptionsError, Mix, Preprocess};
use floret::record::Compression;

use super::{Drawn, SIZE, augmented, batches, drawn, options};

/// What a loader opened for evaluation serves, from the loader of training.
#[test]
fn a_training_loader_serves_evaluation_without_decoding_anew_where_it_can() {
    let Drawn { folder, shards } = drawn(20, Compression::Plain);
    let wanted = |size| {
        let options = LoaderOptions { preprocess: Preprocess::new(size), ..augmented() }.for_evaluation();
        batches(&Loader::open(&shards, options).unwrap(), 0)
    };
    let wanted = [SIZE, SIZE + 3].map(wanted);
    let options = LoaderOptions { mix: Some(Mix::new(0.4, 0.0)), ..augmented() };
    let train = Loader::open(&shards, options).unwrap();
    assert_eq!(train.place(20), None);
    batches(&train, 0);
    let evaluation = |size| train.for_evaluation(Preprocess::new(size));
    assert_eq!(
        batches(&evaluation(SIZE).unwrap(), 0),
        wanted[0],
        "fitted to another size than the cached ones"
    );
    assert!(matches!(evaluation(0), Err(BatchError::Options(LoaderOptionsError::ImageSize))));
    folder.close().unwrap();
    assert_eq!(batches(&evaluation(SIZE + 3).unwrap(), 0), wanted[1], "from the cache");
    assert!(evaluation(SIZE).unwrap().epoch(0).next().unwrap().is_err(), "nothing is cached");
}

/// The same photos, changed alike, from one cache: only the number of pixels differs.
#[test]
fn a_loader_at_another_size_makes_what_one_opened_at_it_makes() {
    let data = drawn(13, Compression::Plain);
    let loader = Loader::open(&data.shards, augmented()).unwrap();
    for size in [SIZE - 4, SIZE, SIZE + 3] {
        let options = LoaderOptions { preprocess: Preprocess::new(size), ..augmented() };
        let wanted = Loader::open(&data.shards, options).unwrap();
        let other = loader.at_size(size).unwrap();
        assert_eq!(other.options().preprocess.image_size, size);
        for epoch in [0, 1] {
            assert!(batches(&other, epoch) == batches(&wanted, epoch), "{size}");
        }
    }
    let refused = |loader: &Loader, size| loader.at_size(size).unwrap_err().to_string();
    assert!(
        refused(&loader, SIZE + 4).contains("the source size (13) must not be under the image size (14)")
    );
    assert!(refused(&loader, 0).contains("at least 1"));
    let plain = Loader::open(&data.shards, options()).unwrap();
    assert!(refused(&plain, SIZE - 1).contains("only be made with augmentation"));
    assert!(plain.at_size(SIZE).is_ok());
}
