//! What the trainer does beside steps: averages weights, changes image sizes, keeps to a budget, evaluates now and then.

mod budget;
mod epochs;
mod networks;
mod refused;
mod sets;

use std::path::PathBuf;

use crate::common::photos::{payloads, write_shards};
use floret::data::{Batch, Loader, LoaderOptions, Preprocess};
use floret::image::Augment;
use floret::network::{Network, NetworkBuilder, StepReport};
use floret::nn::{BatchNorm, Conv2d, Dense, GlobalAvgPool, Init, MaxPool2d, Relu};
use floret::optim::Sgd;
use floret::record::Compression;
use floret::train::{Callback, EpochRecord, Flow, Moment, TrainError, TrainOptions, Trainer};
use ndarray::{Array4, ArrayD};
use tempfile::{TempDir, tempdir};

const SIZE: usize = 16;
const CLASSES: usize = 3;

/// 20 photos in batches of 5.
fn data() -> (TempDir, Vec<PathBuf>) {
    let folder = tempdir().unwrap();
    let shards = write_shards(folder.path(), &payloads(20, CLASSES), 1, Compression::Plain);
    (folder, shards)
}

fn loader(shards: &[PathBuf]) -> Loader {
    let options = LoaderOptions {
        batch_size: 5,
        seed: 3,
        augment: Some(Augment::standard()),
        source_size: SIZE + 4,
        ..LoaderOptions::new(Preprocess::new(SIZE), CLASSES)
    };
    Loader::open(shards, options).unwrap()
}

fn network(size: usize) -> NetworkBuilder {
    Network::builder((size, size, 3))
        .add(Conv2d::new(8, 3).kernel_init(Init::HeNormal))
        .add(Relu)
        .add(MaxPool2d::new(2))
        .add(BatchNorm::default())
        .add(GlobalAvgPool)
        .add(Dense::new(CLASSES))
        .seed(7)
}

fn sgd() -> Sgd {
    Sgd::new(0.1).momentum(0.9)
}

fn arrays(network: &Network) -> Vec<ArrayD<f32>> {
    network.arrays().map(|(_, values)| values.to_owned()).collect()
}

/// Notes what it sees.
#[derive(Default)]
struct Witness {
    sides: Vec<usize>,
    rates: Vec<f32>,
    weights: Vec<Vec<ArrayD<f32>>>,
    epochs: Vec<EpochRecord>,
    evaluated: usize,
    expected: Vec<Option<u64>>,
}

impl Callback for Witness {
    fn on_batch(&mut self, batch: &Batch) {
        self.sides.push(batch.images.dim().1);
    }

    fn on_step(&mut self, moment: Moment<'_>, report: &StepReport) -> Result<Flow, TrainError> {
        self.rates.push(report.learning_rate);
        self.weights.push(arrays(moment.network));
        self.expected.push(moment.progress.expected_epochs());
        Ok(Flow::Continue)
    }

    fn on_evaluation(
        &mut self,
        moment: Moment<'_>,
        _: &floret::metrics::Evaluation,
    ) -> Result<(), TrainError> {
        self.evaluated += 1;
        assert_eq!(moment.outcome().input(), (SIZE, SIZE, 3).into(), "evaluated at the loader's size");
        Ok(())
    }

    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        assert_eq!(moment.network.input(), (SIZE, SIZE, 3).into());
        self.epochs.push(record.clone());
        Ok(Flow::Continue)
    }
}

fn train(options: TrainOptions, eval: bool) -> (Witness, Network, Trainer) {
    let (_folder, shards) = data();
    let (train, mut network, mut witness) =
        (loader(&shards), network(SIZE).build().unwrap(), Witness::default());
    let eval = eval.then(|| Loader::open(&shards, train.options().clone().for_evaluation()).unwrap());
    let mut trainer = Trainer::new(options);
    trainer.run(&mut network, &mut sgd(), &train, eval.as_ref(), &mut [&mut witness]).unwrap();
    (witness, network, trainer)
}

fn images(count: usize, side: usize) -> Array4<f32> {
    Array4::from_shape_fn((count, side, side, 3), |(n, y, x, c)| {
        ((n + 3 * y + 5 * x + 7 * c) % 11) as f32 / 5.0 - 1.0
    })
}
