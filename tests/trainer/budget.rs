//! Training under a budget of time. The clock itself is left out: time never ends, or has ended before it began.

use std::time::Duration;

use floret::network::StepReport;
use floret::optim::Schedule;
use floret::train::{Callback, Flow, Moment, TimeBudget, TrainError, TrainOptions, Trainer};

use super::{SIZE, Witness, data, loader, network, sgd, train};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_budget_goes_through_the_whole_schedule() {
    let options = |budget, epochs| TrainOptions {
        schedule: Schedule::Cosine { total: 4 * epochs, warmup: 0, floor: 0.0 },
        budget: Some(budget),
        ..TrainOptions::new(epochs, 0.1)
    };
    // Many epochs fit, so that there are as many as allowed.
    let (witness, ..) = train(options(TimeBudget { time: HOUR, epochs: 2 }, 5), true);
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
    let (witness, _, trainer) = train(options(TimeBudget { time: none, epochs: 1 }, 5), true);
    assert_eq!((witness.epochs.len(), witness.evaluated), (1, 1));
    assert!(witness.rates[3] < 0.02, "{:?}", witness.rates);
    assert_eq!(trainer.progress().expected_epochs(), Some(1));
}

#[test]
fn training_whose_time_is_up_is_done() {
    let (_folder, shards) = data();
    let (train, mut network, mut witness) =
        (loader(&shards), network(SIZE).build().unwrap(), Witness::default());
    let budget = Some(TimeBudget { time: Duration::from_nanos(1), epochs: 9 });
    let options = TrainOptions { budget, ..TrainOptions::new(50, 0.1) };
    let mut trainer = Trainer::new(options.clone());
    trainer.run(&mut network, &mut sgd(), &train, None, &mut []).unwrap();
    let saved = serde_json::to_string(trainer.progress()).unwrap();
    let mut resumed = Trainer::resume(options, serde_json::from_str(&saved).unwrap());
    resumed.run(&mut network, &mut sgd(), &train, None, &mut [&mut witness]).unwrap();
    assert_eq!(witness.sides.len(), 0);
    assert_eq!(resumed.progress(), trainer.progress());
}

/// Stops at a step.
struct StopAt(u64);

impl Callback for StopAt {
    fn on_step(&mut self, _: Moment<'_>, report: &StepReport) -> Result<Flow, TrainError> {
        Ok(if report.step == self.0 { Flow::Stop } else { Flow::Continue })
    }
}

/// Wherever it was stopped in its first epoch, the rest of it says too little of an epoch's time to change the plan: even
/// where nothing is left of it, so that it takes no time at all.
#[test]
fn training_stopped_in_an_epoch_goes_on_by_the_plan() {
    let options = TrainOptions {
        schedule: Schedule::Cosine { total: 4 * 50, warmup: 0, floor: 0.0 },
        budget: Some(TimeBudget { time: HOUR, epochs: 4 }),
        ..TrainOptions::new(50, 0.1)
    };
    let whole = train(options.clone(), true).0;
    let (_folder, shards) = data();
    let train = loader(&shards);
    for stop in [1, 2, 3, 4] {
        let mut network = network(SIZE).build().unwrap();
        let mut trainer = Trainer::new(options.clone());
        let mut before = Witness::default();
        let callbacks: &mut [&mut dyn Callback] = &mut [&mut before, &mut StopAt(stop)];
        trainer.run(&mut network, &mut sgd(), &train, None, callbacks).unwrap();
        assert_eq!(before.rates, whole.rates[..stop as usize]);

        let saved = serde_json::to_string(trainer.progress()).unwrap();
        let mut resumed = Trainer::resume(options.clone(), serde_json::from_str(&saved).unwrap());
        let mut after = Witness::default();
        let callbacks: &mut [&mut dyn Callback] = &mut [&mut after, &mut StopAt(5)];
        resumed.run(&mut network, &mut sgd(), &train, None, callbacks).unwrap();
        let rest = 4 - stop as usize;
        assert_eq!(after.rates[..rest], whole.rates[stop as usize..4]);
        assert!(resumed.progress().seconds() > trainer.progress().seconds());
        // The first step of the second epoch.
        let expected = if 2 * rest >= 4 { 50 } else { 4 };
        assert_eq!(after.expected[rest], Some(expected), "stopped at {stop}");
    }
}

#[test]
fn a_budget_is_there_from_the_beginning_or_not_at_all() {
    let (_folder, shards) = data();
    let train = loader(&shards);
    let without = TrainOptions::new(5, 0.1);
    let with = TrainOptions { budget: Some(TimeBudget { time: HOUR, epochs: 5 }), ..without.clone() };
    for (first, then, message) in [
        (&with, &without, "it began under a budget of time, and needs one to go on"),
        (&without, &with, "it began without a budget of time, and can't go on under one"),
    ] {
        let mut network = network(SIZE).build().unwrap();
        let mut trainer = Trainer::new(first.clone());
        trainer.run(&mut network, &mut sgd(), &train, None, &mut [&mut StopAt(6)]).unwrap();
        let mut resumed = Trainer::resume(then.clone(), trainer.progress().clone());
        let error = resumed.run(&mut network, &mut sgd(), &train, None, &mut []).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
        // Before the first step either may still be chosen.
        let mut trainer = Trainer::new(first.clone());
        trainer.run(&mut network, &mut sgd(), &train, None, &mut [&mut StopAtStart]).unwrap();
        let mut resumed = Trainer::resume(then.clone(), trainer.progress().clone());
        resumed.run(&mut network, &mut sgd(), &train, None, &mut [&mut StopAt(7)]).unwrap();
    }
}

struct StopAtStart;

impl Callback for StopAtStart {
    fn on_start(&mut self, _: Moment<'_>) -> Result<Flow, TrainError> {
        Ok(Flow::Stop)
    }
}
