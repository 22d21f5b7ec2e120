//! What happens in which epoch, and what is averaged over them.

use floret::data::{Loader, LoaderOptions, Mix};
use floret::network::Network;
use floret::nn::{Dense, GlobalAvgPool};
use floret::train::{Callback, Ended, Stage, TrainOptions, Trainer, evaluate};

use super::{CLASSES, SIZE, Witness, arrays, data, loader, network, sgd, train};

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

/// Epochs that were not evaluated neither end training nor let an end pass unevaluated.
#[test]
fn patience_waits_for_the_next_evaluation() {
    let (_folder, shards) = data();
    let train = loader(&shards);
    let eval = Loader::open(&shards, train.options().clone().for_evaluation()).unwrap();
    for (evaluate_every, patience, ends) in [(5, 3, 10), (2, 3, 6), (1, 3, 4)] {
        // Nothing but a dense layer, at a rate of 0: no evaluation is better than the first.
        let network = Network::builder((SIZE, SIZE, 3)).add(GlobalAvgPool).add(Dense::new(CLASSES));
        let (mut witness, mut network) = (Witness::default(), network.build().unwrap());
        let options = TrainOptions { evaluate_every, patience: Some(patience), ..TrainOptions::new(20, 0.0) };
        let mut trainer = Trainer::new(options);
        let callbacks: &mut [&mut dyn Callback] = &mut [&mut witness];
        let ended = trainer.run(&mut network, &mut sgd(), &train, Some(&eval), callbacks).unwrap();
        let last = witness.epochs.last().unwrap();
        assert_eq!((ended, witness.epochs.len()), (Ended::NoImprovement, ends), "{evaluate_every}");
        assert!(last.eval.is_some() && trainer.progress().best.is_some());
    }
}
