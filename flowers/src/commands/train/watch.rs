//! Follows training with a clock, for those who look on.

use std::fmt;
use std::time::Instant;

use floret::data::Loader;
use floret::metrics::Evaluation;
use floret::network::StepReport;
use floret::recipe::{FEATURES, Prepared};
use floret::train::{
    Callback, EpochRecord, Estimate, Flow, Moment, OpeningProgress, Progress, Score, TrainError, TrainOptions,
};

use crate::evaluation::note_skipped;
use crate::files::{EVAL, TRAIN};
use crate::run_file::EpochTime;

/// Someone who looks on.
pub trait View {
    /// After each step.
    fn step(&mut self, _step: &Step) {}

    /// A network trained before gets a new head: photos done of how many, and seconds left.
    fn opening(&mut self, _progress: OpeningProgress, _images_per_second: f64) {}

    /// An evaluation begins, which takes about so many seconds.
    fn evaluation_begins(&mut self, _step: &Step, _seconds: f64) {}

    /// After each epoch and its evaluation.
    fn epoch(&mut self, _record: &EpochRecord, _time: &EpochTime, _epochs: Epochs) {}
}

/// How many epochs the run has.
#[derive(Debug, Clone, Copy)]
pub struct Epochs {
    pub number: usize,
    /// Whether that is a guess by the time there is.
    pub guessed: bool,
}

impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.guessed { "~" } else { "" };
        f.pad(&format!("{about}{}", self.number))
    }
}

/// A step of training and its pace. Epochs and batches count from 1.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub epoch: u64,
    pub epochs: Epochs,
    pub batch: usize,
    pub batches: usize,
    /// Of the whole run.
    pub step: u64,
    /// Mean loss of its examples.
    pub loss: f64,
    /// Over the epoch so far.
    pub running: Option<Score>,
    pub learning_rate: f32,
    pub images_per_second: f64,
    /// Until the epoch's last step.
    pub epoch_seconds_left: f64,
    /// Until the end of the run.
    pub seconds_left: f64,
}

/// Tells its views of each step and epoch, and how long they take.
pub struct Watch {
    views: Vec<Box<dyn View>>,
    /// The data by the name of its split, with the bad records told so far.
    data: Vec<(&'static str, Loader, usize)>,
    batches: usize,
    /// Photos to evaluate on for each to train on.
    eval_share: f64,
    options: TrainOptions,
    /// Side of the images that the network is evaluated with.
    image_size: usize,
    /// When training is to end.
    deadline: Option<Instant>,
    /// Seconds of the last evaluation.
    evaluation: Option<f64>,
    watched: usize,
    clock: Clock,
}

/// The times of the epoch under way.
struct Clock {
    begun: Instant,
    steps: u64,
    photos: u64,
    /// Photos whose features were there when the epoch began.
    kept: Option<u64>,
    /// From the beginning to the last step.
    train_seconds: f64,
    eval_seconds: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self {
            begun: Instant::now(),
            steps: 0,
            photos: 0,
            kept: None,
            train_seconds: 0.0,
            eval_seconds: None,
        }
    }

    fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }
}

impl Watch {
    pub fn new(prepared: &Prepared, views: Vec<Box<dyn View>>) -> Self {
        let Prepared { settings, train, eval, deadline, .. } = prepared;
        let data = [(TRAIN, Some(train)), (EVAL, eval.as_ref())].into_iter();
        Self {
            views,
            data: data.filter_map(|(split, loader)| Some((split, loader?.clone(), 0))).collect(),
            batches: train.batches(),
            eval_share: eval.as_ref().map_or(0.0, |eval| eval.len() as f64 / train.len() as f64),
            options: prepared.options().clone(),
            image_size: settings.image_size,
            deadline: deadline.map(|deadline| deadline.at),
            evaluation: None,
            watched: 0,
            clock: Clock::start(),
        }
    }

    /// Ends the views; how many epochs came to their end.
    pub fn finish(self) -> usize {
        self.watched
    }

    fn epochs(&self, progress: &Progress) -> Epochs {
        let expected = progress.expected_epochs();
        Epochs { number: expected.unwrap_or(self.options.epochs) as usize, guessed: expected.is_some() }
    }

    fn step(&self, moment: &Moment<'_>, report: &StepReport) -> Step {
        let progress = moment.progress;
        let Clock { photos, train_seconds, .. } = self.clock;
        let estimate = self.estimate(progress);
        let left = estimate.left(progress, &self.options, self.batches, self.image_size);
        let until = |deadline: Instant| deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        Step {
            epoch: progress.epoch + 1,
            epochs: self.epochs(progress),
            batch: progress.batch,
            batches: self.batches,
            step: progress.step,
            loss: report.mean_loss,
            running: progress.running(),
            learning_rate: report.learning_rate,
            images_per_second: photos as f64 / train_seconds.max(1e-9),
            epoch_seconds_left: estimate.epoch_left(progress, &self.options, self.batches, self.image_size),
            seconds_left: self.deadline.map_or(left, |deadline| left.min(until(deadline))),
        }
    }

    /// What the parts of training take, by the steps of this epoch.
    fn estimate(&self, progress: &Progress) -> Estimate {
        let Clock { steps, train_seconds, .. } = self.clock;
        let epoch = self.batches as f64 * train_seconds / steps.max(1) as f64;
        let done = progress.share_done(0.0, self.options.epochs);
        let side = self.options.image_size(done).unwrap_or(self.image_size);
        let pixels = |side: usize| (side * side) as f64;
        let steps = epoch / pixels(side);
        // Perhaps it looks at each photo and its mirror image.
        let unmeasured =
            || Estimate::unmeasured_evaluation(steps, pixels(self.image_size), self.eval_share, 2.0);
        Estimate::new(steps, 0.0, self.evaluation.unwrap_or_else(unmeasured))
    }
}

impl Callback for Watch {
    fn on_start(&mut self, _: Moment<'_>) -> Result<Flow, TrainError> {
        self.clock = Clock::start();
        Ok(Flow::Continue)
    }

    fn on_opening(&mut self, progress: OpeningProgress) -> Flow {
        if progress.part == FEATURES {
            // Those that were kept from before took no time.
            let kept = *self.clock.kept.get_or_insert(progress.done as u64);
            self.clock.photos = progress.done as u64 - kept;
            self.clock.train_seconds = self.clock.elapsed();
        }
        let pace = self.clock.photos as f64 / self.clock.train_seconds.max(1e-9);
        self.views.iter_mut().for_each(|view| view.opening(progress, pace));
        Flow::Continue
    }

    fn on_step(&mut self, moment: Moment<'_>, report: &StepReport) -> Result<Flow, TrainError> {
        self.clock.steps += 1;
        self.clock.photos += report.examples as u64;
        self.clock.train_seconds = self.clock.elapsed();
        let step = self.step(&moment, report);
        self.views.iter_mut().for_each(|view| view.step(&step));
        let evaluates =
            step.epoch.is_multiple_of(self.options.evaluate_every) || step.epoch == step.epochs.number as u64;
        if step.batch == step.batches && self.eval_share > 0.0 && evaluates {
            let seconds = self.estimate(moment.progress).evaluation;
            self.views.iter_mut().for_each(|view| view.evaluation_begins(&step, seconds));
        }
        Ok(Flow::Continue)
    }

    fn on_evaluation(&mut self, _: Moment<'_>, _: &Evaluation) -> Result<(), TrainError> {
        // By features it takes no time.
        if self.clock.steps > 0 {
            self.evaluation = Some(self.clock.elapsed() - self.clock.train_seconds);
            self.clock.eval_seconds = self.evaluation;
        }
        Ok(())
    }

    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        let epochs = self.epochs(moment.progress);
        let Clock { photos, train_seconds, eval_seconds, .. } = self.clock;
        let time = EpochTime { epoch: record.epoch, photos, train_seconds, eval_seconds };
        self.views.iter_mut().for_each(|view| view.epoch(record, &time, epochs));
        for (split, loader, told) in &mut self.data {
            *told = note_skipped(split, loader, *told);
        }
        self.watched += 1;
        self.clock = Clock::start();
        Ok(Flow::Continue)
    }
}
