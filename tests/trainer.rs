//! What the trainer does beside steps: averages weights, changes image sizes, keeps to a budget, evaluates now and then.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::photos::{payloads, write_shards};
use floret::batch::{Batch, Loader, LoaderOptions, Mix, Preprocess};
use floret::image::Augment;
use floret::network::{Network, NetworkBuilder, StepReport};
use floret::nn::{BatchNorm, Conv2d, Dense, Flatten, GlobalAvgPool, Init, MaxPool2d, Relu};
use floret::optim::{Schedule, Sgd};
use floret::record::Compression;
use floret::train::{
    Budget, Callback, EpochRecord, Flow, Moment, Stage, TrainError, TrainOptions, Trainer, evaluate,
};
use ndarray::{Array4, ArrayD, s};
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
        .add(Relu {})
        .add(MaxPool2d::new(2))
        .add(BatchNorm::default())
        .add(GlobalAvgPool {})
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

/// By hand, in f64: what weights and moving averages were after each step, weighted.
#[test]
fn the_average_is_that_of_the_weights_after_each_step() {
    let decay = 0.7;
    let begin = arrays(&network(SIZE).build().unwrap());
    let (witness, last, trainer) =
        train(TrainOptions { average: Some(decay), ..TrainOptions::new(3, 0.1) }, true);
    let mut wanted: Vec<_> = begin.iter().map(|values| values.mapv(f64::from)).collect();
    for (step, weights) in (1..).zip(&witness.weights) {
        let kept = f64::from(decay).min((1.0 + f64::from(step)) / (10.0 + f64::from(step)));
        for (average, now) in wanted.iter_mut().zip(weights) {
            average.zip_mut_with(now, |a, &w| *a = kept * *a + (1.0 - kept) * f64::from(w));
        }
    }
    let average = trainer.average().unwrap();
    for ((got, wanted), last) in arrays(average).iter().zip(&wanted).zip(&arrays(&last)) {
        assert!(got.iter().zip(wanted).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{got} {wanted}");
        assert_ne!(got, last);
    }
    assert_eq!(average.steps(), 12);
    // It is what was evaluated.
    let (_folder, shards) = data();
    let eval = Loader::open(&shards, loader(&shards).options().clone().for_evaluation()).unwrap();
    let score = witness.epochs.last().unwrap().eval.unwrap();
    assert_eq!(score.loss, evaluate(average, &eval).unwrap().loss);
    assert_ne!(score.loss, evaluate(&last, &eval).unwrap().loss);
}

#[test]
fn an_average_takes_nothing_from_training() {
    let plain = train(TrainOptions::new(2, 0.1), true).1;
    let averaged = train(TrainOptions { average: Some(0.9), ..TrainOptions::new(2, 0.1) }, true).1;
    assert_eq!(arrays(&plain), arrays(&averaged));
}

#[test]
fn each_stage_trains_on_images_of_its_size() {
    let stage = |from, image_size| Stage { from, image_size };
    let stages = vec![stage(0.0, 8), stage(0.4, 12), stage(0.9, SIZE)];
    let (witness, network, _) = train(TrainOptions { stages, ..TrainOptions::new(6, 0.1) }, true);
    let sides: Vec<usize> = witness.sides.chunks(4).map(|epoch| epoch[0]).collect();
    assert!(witness.sides.chunks(4).all(|epoch| epoch.iter().all(|side| *side == epoch[0])));
    // Shares 0, 1/6, .. 5/6 are done before them.
    assert_eq!(sides, [8, 8, 8, 12, 12, 12]);
    assert_eq!(network.input(), (SIZE, SIZE, 3).into());
}

#[test]
fn evaluations_may_be_rare_but_the_last_epoch_has_one() {
    let (witness, _, trainer) = train(TrainOptions { evaluate_every: 3, ..TrainOptions::new(8, 0.1) }, true);
    let evaluated: Vec<u64> = witness.epochs.iter().filter(|e| e.eval.is_some()).map(|e| e.epoch).collect();
    assert_eq!((evaluated, witness.evaluated), (vec![2, 5, 7], 3));
    assert!(witness.epochs.iter().all(|epoch| epoch.eval.is_some() || !epoch.best));
    assert!([2, 5, 7].contains(&trainer.progress().best.unwrap().epoch));
    // Without data to evaluate on, the training loss decides after every epoch.
    let (witness, ..) = train(TrainOptions { evaluate_every: 3, ..TrainOptions::new(4, 0.1) }, false);
    assert!(witness.epochs[0].best);
}

/// Time that never ends, or has ended before it began: the clock itself is left out.
#[test]
fn a_budget_goes_through_the_whole_schedule() {
    let hour = Duration::from_secs(3600);
    let options = |budget, epochs| TrainOptions {
        schedule: Schedule::Cosine { total: 4 * epochs, warmup: 0, floor: 0.0 },
        budget: Some(budget),
        ..TrainOptions::new(epochs, 0.1)
    };
    // Many epochs fit, so that there are as many as allowed.
    let (witness, ..) = train(options(Budget { time: hour, epochs: 2 }, 5), true);
    assert_eq!((witness.epochs.len(), witness.evaluated), (5, 5));
    assert_eq!(witness.expected[0], Some(2), "before the first epoch's time is known");
    assert_eq!(witness.expected[19], Some(5));
    assert!(witness.rates.windows(2).all(|pair| pair[0] >= pair[1]), "{:?}", witness.rates);
    // The first epoch went half the way, the others the rest; the last step is a sixteenth of it from the end.
    let wanted = |share: f64| 0.05 * (1.0 + (std::f64::consts::PI * share).cos());
    let share = |step: usize| match step {
        0..4 => 0.5 * step as f64 / 4.0,
        _ => 0.5 + 0.5 * (step - 4) as f64 / 16.0,
    };
    for (step, rate) in witness.rates.iter().enumerate() {
        // Shares are rounded down to one of the schedule's 20 steps.
        let range = wanted(share(step))..=wanted((share(step) - 0.05).max(0.0)) + 1e-6;
        assert!(
            *rate as f64 >= range.start() - 1e-6 && *rate as f64 <= *range.end(),
            "{step}: {rate} {range:?}"
        );
    }
    // One epoch is the least, with the whole schedule where it was expected to be the only one.
    let none = Duration::from_nanos(1);
    let (witness, _, trainer) = train(options(Budget { time: none, epochs: 1 }, 5), true);
    assert_eq!((witness.epochs.len(), witness.evaluated), (1, 1));
    assert!(witness.rates[3] < 0.02, "{:?}", witness.rates);
    assert_eq!(trainer.progress().expected_epochs(), Some(1));
}

#[test]
fn training_whose_time_is_up_is_done() {
    let (_folder, shards) = data();
    let (train, mut network, mut witness) =
        (loader(&shards), network(SIZE).build().unwrap(), Witness::default());
    let budget = Some(Budget { time: Duration::from_nanos(1), epochs: 9 });
    let options = TrainOptions { budget, ..TrainOptions::new(50, 0.1) };
    let mut trainer = Trainer::new(options.clone());
    trainer.run(&mut network, &mut sgd(), &train, None, &mut []).unwrap();
    let saved = serde_json::to_string(trainer.progress()).unwrap();
    let mut resumed = Trainer::resume(options, serde_json::from_str(&saved).unwrap());
    resumed.run(&mut network, &mut sgd(), &train, None, &mut [&mut witness]).unwrap();
    assert_eq!(witness.sides.len(), 0);
    assert_eq!(resumed.progress(), trainer.progress());
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let (_folder, shards) = data();
    let (train, mut network) = (loader(&shards), network(SIZE).build().unwrap());
    let mut refused = |options: TrainOptions| {
        let error = Trainer::new(options).run(&mut network, &mut sgd(), &train, None, &mut []);
        error.unwrap_err().to_string()
    };
    let new = || TrainOptions::new(1, 0.1);
    let stage = |image_size| vec![Stage { from: 0.0, image_size }];
    for (options, message) in [
        (
            TrainOptions { average: Some(1.0), ..new() },
            "the decay of the average must be at least 0 and under 1",
        ),
        (TrainOptions { average: Some(f32::NAN), ..new() }, "the decay of the average"),
        (TrainOptions { evaluate_every: 0, ..new() }, "evaluate_every must be at least 1"),
        (TrainOptions { stages: stage(SIZE + 5), ..new() }, "the source size (20) must not be under"),
        (TrainOptions { stages: stage(0), ..new() }, "an input of 0x0x3"),
    ] {
        let error = refused(options);
        assert!(error.contains(message), "{error}");
    }
}

/// Though it could be set to that size.
#[test]
fn a_network_for_other_images_is_refused_and_stays_as_it_is() {
    let (_folder, shards) = data();
    let mut other = network(SIZE + 2).build().unwrap();
    let mut trainer = Trainer::new(TrainOptions::new(1, 0.1));
    let error = trainer.run(&mut other, &mut sgd(), &loader(&shards), None, &mut []).unwrap_err().to_string();
    assert!(error.contains("the network takes images of 18x18x3") && error.contains("16x16x3"), "{error}");
    assert_eq!(other.input(), (SIZE + 2, SIZE + 2, 3).into());
}

#[test]
fn mixed_batches_are_what_the_network_learns_from() {
    let (_folder, shards) = data();
    let options = LoaderOptions { mix: Some(Mix::new(0.5, 0.5)), ..loader(&shards).options().clone() };
    let mixed = Loader::open(&shards, options).unwrap();
    let mut by_trainer = network(SIZE).build().unwrap();
    Trainer::new(TrainOptions::new(1, 0.1)).run(&mut by_trainer, &mut sgd(), &mixed, None, &mut []).unwrap();
    let (mut by_hand, mut optimizer) = (network(SIZE).build().unwrap(), sgd());
    let mut between = 0;
    for batch in mixed.epoch(0) {
        let batch = batch.unwrap();
        let targets = batch.mixed.as_ref().unwrap();
        between += targets.iter().filter(|&&target| target > 0.01 && target < 0.99).count();
        by_hand.train_step(batch.images.view(), targets.view(), &mut optimizer).unwrap();
    }
    assert!(between > 0);
    assert_eq!(arrays(&by_hand), arrays(&by_trainer));
}

// ---------------------------------------------------------------- networks of any size

fn images(count: usize, side: usize) -> Array4<f32> {
    Array4::from_shape_fn((count, side, side, 3), |(n, y, x, c)| {
        ((n + 3 * y + 5 * x + 7 * c) % 11) as f32 / 5.0 - 1.0
    })
}

#[test]
fn a_network_set_to_another_size_is_that_of_the_size_with_its_weights() {
    let mut changed = network(SIZE).build().unwrap();
    changed.train_step(images(4, SIZE).view(), &[0, 1, 2, 0], &mut sgd()).unwrap();
    for size in [10, 24, SIZE] {
        changed.set_input((size, size, 3)).unwrap();
        let mut built = network(size).build().unwrap();
        for (param, values) in changed.arrays() {
            built.set_array(&param.name, values).unwrap();
        }
        assert_eq!(changed.spec(), built.spec());
        assert_eq!(changed.forward(&images(2, size)).unwrap(), built.forward(&images(2, size)).unwrap());
        // It trains on: the forms that inference had prepared are not those of the new size.
        let [a, b] = [&mut changed.clone(), &mut built].map(|network| {
            network.train_step(images(3, size).view(), &[2, 1, 0], &mut sgd()).unwrap();
            (arrays(network), network.forward(&images(1, size)).unwrap())
        });
        assert_eq!(a, b);
    }
}

#[test]
fn a_network_whose_weights_depend_on_the_size_keeps_it() {
    let flat = Network::builder((SIZE, SIZE, 3)).add(Flatten {}).add_named("fc", Dense::new(2));
    let mut network = flat.build().unwrap();
    let error = network.set_input((8, 8, 3)).unwrap_err().to_string();
    assert!(
        error.contains("`fc/kernel` is [768, 2] for images of 16x16x3 and would be [192, 2] for 8x8x3"),
        "{error}"
    );
    assert!(error.contains("GlobalAvgPool"), "{error}");
    assert_eq!(network.input(), (SIZE, SIZE, 3).into());
    network.forward(&images(1, SIZE)).unwrap();
}

#[test]
fn test_time_flips_average_an_image_with_its_mirror_image() {
    let plain = network(SIZE).build().unwrap();
    let flipping = network(SIZE).test_time_flip(true).build().unwrap();
    for count in [1, 7] {
        let x = images(count, SIZE);
        let mirrored = x.slice(s![.., .., ..;-1, ..]).to_owned();
        let wanted = (plain.forward(&x).unwrap() + plain.forward(&mirrored).unwrap()) / 2.0;
        let got = flipping.forward(&x).unwrap();
        assert!((&got - &wanted).iter().all(|d| d.abs() < 1e-6), "{got} {wanted}");
        assert!((&got - &plain.forward(&x).unwrap()).iter().any(|d| d.abs() > 1e-3));
    }
    // Training knows nothing of it.
    let (mut a, mut b) = (plain.clone(), flipping.clone());
    for network in [&mut a, &mut b] {
        network.train_step(images(4, SIZE).view(), &[0, 1, 2, 0], &mut sgd()).unwrap();
    }
    assert_eq!(arrays(&a), arrays(&b));
    assert_eq!(arrays(&b), arrays(&b.clone()));
}
