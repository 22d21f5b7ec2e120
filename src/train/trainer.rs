//! The loop over epochs.

use std::time::Instant;

use super::callback::{Callback, Ended, Flow, Moment};
use super::opening::{Opened, Opening};
use super::pace::Pace;
use super::{Estimate, Progress, TrainError, TrainOptions, TrainOptionsError};
use crate::data::{Batch, Loader};
use crate::metrics::Evaluation;
use crate::network::{Network, NetworkError};
use crate::nn::Shape;
use crate::optim::Optimizer;

/// The loop over epochs.
#[derive(Debug, Clone)]
pub struct Trainer {
    options: TrainOptions,
    progress: Progress,
    average: Option<Network>,
}

/// What a run goes through its epochs with.
struct Run<'a, 'c> {
    network: &'a mut Network,
    optimizer: &'a mut dyn Optimizer,
    train: &'a Loader,
    eval: Option<&'a Loader>,
    callbacks: &'a mut [&'c mut dyn Callback],
    opening: Option<&'a mut dyn Opening>,
}

/// The time of a run.
struct Clock {
    begun: Instant,
    /// Seconds that earlier runs took.
    before: f64,
}

impl Clock {
    fn start(before: f64) -> Self {
        Self { begun: Instant::now(), before }
    }

    fn spent(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }
}

impl Trainer {
    /// Starts at the beginning.
    pub fn new(options: TrainOptions) -> Self {
        let progress = Progress::new(options.reduce_on_plateau.clone());
        Self::resume(options, progress)
    }

    /// Goes on from where another run stopped.
    pub fn resume(options: TrainOptions, progress: Progress) -> Self {
        Self { options, progress, average: None }
    }

    /// Goes on with an average of earlier weights; without, it begins with those that the network has then.
    pub fn with_average(mut self, average: Option<Network>) -> Self {
        self.average = average;
        self
    }

    /// How it goes through the epochs.
    pub fn options(&self) -> &TrainOptions {
        &self.options
    }

    /// Where training is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The average of the weights, if [one is kept](TrainOptions::average) and training has begun.
    pub fn average(&self) -> Option<&Network> {
        self.average.as_ref()
    }

    /// Trains `network` on `train` until the last epoch is done, evaluating on `eval` after each epoch or
    /// [now and then](TrainOptions::evaluate_every).
    ///
    /// "Better" is a higher accuracy on `eval`, or of equal ones a lower loss; without `eval` a lower training loss. A loss
    /// that is not finite is never better.
    ///
    /// # Errors
    /// Options that make no sense, here or where training goes on; other data than those that training began with, or mixed ones
    /// to evaluate on; the first error of the data, the network or a callback. The network is as the last whole step left it.
    pub fn run(
        &mut self,
        network: &mut Network,
        optimizer: &mut dyn Optimizer,
        train: &Loader,
        eval: Option<&Loader>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Ended, TrainError> {
        if self.options.opening && self.progress.is_at_beginning() {
            return Err(TrainOptionsError::NoOpening.into());
        }
        self.train(Run { network, optimizer, train, eval, callbacks, opening: None })
    }

    /// [`run`](Self::run) with an opening in the first epoch's place, if that is not done yet. [`TrainOptions::opening`] must say so.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_after(
        &mut self,
        opening: &mut dyn Opening,
        network: &mut Network,
        optimizer: &mut dyn Optimizer,
        train: &Loader,
        eval: Option<&Loader>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Ended, TrainError> {
        self.train(Run { network, optimizer, train, eval, callbacks, opening: Some(opening) })
    }

    fn train(&mut self, mut run: Run<'_, '_>) -> Result<Ended, TrainError> {
        let Run { network, train, eval, .. } = &mut run;
        let (train, eval) = (*train, *eval);
        self.options.check()?;
        self.progress.check_data(train, eval)?;
        eval.map_or(Ok(()), require_unmixed)?;
        let (want, got) = (network.input(), Shape::from(input(train, None)));
        if want != got {
            return Err(NetworkError::ImageShape { want, got }.into());
        }
        let batches = train.batches();
        if self.progress.batch > batches {
            return Err(TrainError::Position { batch: self.progress.batch, batches });
        }
        self.try_stages(network, train)?;
        self.begin_average(network)?;
        self.begin_budget()?;
        let mut clock = Clock::start(self.progress.seconds());
        let ended = match self.notify(&mut run, |callback, moment| callback.on_start(moment))? {
            Flow::Continue => self.run_epochs(&mut run, &mut clock),
            Flow::Stop => Ok(Ended::Stopped),
        };
        // A stop in the middle of an epoch may have left it at the size of its stage.
        run.network.set_input(input(train, None))?;
        if let Err(TrainError::Batch(_)) = ended {
            self.notify(&mut run, |callback, moment| {
                callback.on_data_error(moment);
                Ok(Flow::Continue)
            })?;
        }
        let ended = ended?;
        self.notify(&mut run, |callback, moment| callback.on_end(moment, ended).map(|()| Flow::Continue))?;
        Ok(ended)
    }

    /// Fails if there is a stage that the data or the network have no images for, rather than when it begins.
    fn try_stages(&self, network: &mut Network, train: &Loader) -> Result<(), TrainError> {
        let tried = self.options.stages.iter().try_for_each(|stage| {
            train.at_size(stage.image_size)?;
            Ok(network.set_input(input(train, Some(stage.image_size)))?)
        });
        network.set_input(input(train, None))?;
        tried
    }

    /// The average begins with the network's weights, unless it goes on.
    fn begin_average(&mut self, network: &Network) -> Result<(), TrainError> {
        if self.options.average.is_none() {
            self.average = None;
        } else if self.average.get_or_insert_with(|| network.clone()).spec() != network.spec() {
            return Err(TrainOptionsError::OtherAverage.into());
        }
        Ok(())
    }

    /// Training begins under a budget or without one, and stays so.
    fn begin_budget(&mut self) -> Result<(), TrainError> {
        let Self { options, progress, .. } = self;
        if progress.is_at_beginning() {
            // That of an opening which was broken off counts.
            let spent = progress.seconds();
            let first = |epochs: u64| Pace { spent, ..Pace::first(epochs) };
            progress.pace = options.budget.map(|budget| first(budget.epochs.min(options.epochs)));
        }
        match (progress.pace.is_some(), options.budget.is_some()) {
            (true, false) => Err(TrainOptionsError::NoBudget.into()),
            (false, true) => Err(TrainOptionsError::NewBudget.into()),
            _ => Ok(()),
        }
    }

    /// [`run`](Self::run) between its start and its end.
    fn run_epochs(&mut self, run: &mut Run<'_, '_>, clock: &mut Clock) -> Result<Ended, TrainError> {
        if self.options.opening && self.progress.is_at_beginning() && self.open(run, clock)? == Flow::Stop {
            return Ok(Ended::Stopped);
        }
        while self.progress.epoch < self.options.epochs {
            if self.has_lost_patience() {
                return Ok(Ended::NoImprovement);
            }
            if self.progress.is_finished() {
                break;
            }
            if self.run_steps(run, clock)? == Flow::Stop {
                return Ok(Ended::Stopped);
            }
            run.network.set_input(input(run.train, None))?;
            let is_due = (self.progress.epoch + 1).is_multiple_of(self.options.evaluate_every);
            let mut evaluation = if is_due { self.evaluate(run)? } else { None };
            let next = self.next_pace(run, clock);
            let is_last = match self.options.budget {
                Some(_) => next.is_none(),
                None => self.progress.epoch + 1 >= self.options.epochs,
            };
            if is_last && !is_due {
                evaluation = self.evaluate(run)?;
            }
            let record = self.progress.end_epoch(None, evaluation, next, clock.spent());
            let (begun, told) =
                (Instant::now(), self.notify(run, |callback, moment| callback.on_epoch(moment, &record))?);
            if let Some(pace) = &mut self.progress.pace {
                pace.times.callbacks.add(begun.elapsed().as_secs_f64());
            }
            if told == Flow::Stop {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Finished)
    }

    /// The opening, in the first epoch's place.
    fn open(&mut self, run: &mut Run<'_, '_>, clock: &Clock) -> Result<Flow, TrainError> {
        let Some(opening) = run.opening.take() else { return Ok(Flow::Continue) };
        let callbacks = &mut *run.callbacks;
        let opened = opening.run(run.network, &mut |progress| {
            let flows = callbacks.iter_mut().map(|callback| callback.on_opening(progress));
            flows.fold(Flow::Continue, |flow, asked| if asked == Flow::Stop { asked } else { flow })
        })?;
        let Some(Opened { train, evaluation, epoch_seconds }) = opened else {
            if let Some(pace) = &mut self.progress.pace {
                pace.spent = clock.spent();
            }
            return Ok(Flow::Stop);
        };
        // The average begins anew, with what the opening made.
        self.average = self.options.average.map(|_| run.network.clone());
        if let Some(evaluation) = &evaluation {
            self.notify(run, |callback, moment| {
                callback.on_evaluation(moment, evaluation).map(|()| Flow::Continue)
            })?;
        }
        let next = self.progress.pace.as_ref().zip(self.options.budget).and_then(|(pace, budget)| {
            let pace = Pace { spent: clock.spent(), ..pace.clone() };
            let next = pace.next(budget.time.as_secs_f64(), epoch_seconds, self.options.epochs - 1)?;
            // The schedule begins behind it.
            Some(Pace { done: 0.0, ..next })
        });
        let record = self.progress.end_epoch(Some(train), evaluation, next, clock.spent());
        self.notify(run, |callback, moment| callback.on_epoch(moment, &record))
    }

    /// The steps of the epoch under way, up to its end or where a callback stops it.
    fn run_steps(&mut self, run: &mut Run<'_, '_>, clock: &mut Clock) -> Result<Flow, TrainError> {
        let size = self.options.image_size(self.progress.share_done(0.0, self.options.epochs));
        run.network.set_input(input(run.train, size))?;
        let train = size.map_or_else(|| Ok(run.train.clone()), |size| run.train.at_size(size))?;
        let batches = train.batches();
        let (begun, first) = (Instant::now(), self.progress.batch);
        let mut epoch = train.epoch_from(self.progress.epoch, first);
        while let Some(batch) = epoch.next() {
            let batch = batch?;
            run.callbacks.iter_mut().for_each(|callback| callback.on_batch(&batch));
            run.optimizer.set_learning_rate(self.learning_rate(batches));
            let report = run.network.train_step(batch.images.view(), &batch, run.optimizer)?;
            self.progress.add_step(&report, epoch.position(), clock.spent());
            self.follow(run.network);
            if self.notify(run, |callback, moment| callback.on_step(moment, &report))? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        if let Some(pace) = &mut self.progress.pace {
            let (made, side) = (batches - first, train.options().preprocess.image_size);
            // Less than half of an epoch, after an interruption, says little of a whole one.
            if 2 * made >= batches {
                let seconds = begun.elapsed().as_secs_f64() * batches as f64 / made.max(1) as f64;
                pace.times.steps.add(seconds / (side * side) as f64);
            }
        }
        Ok(Flow::Continue)
    }

    /// Moves the average, if there is one, towards the network's weights.
    fn follow(&mut self, network: &Network) {
        if let (Some(average), Some(decay)) = (&mut self.average, self.options.average) {
            let step = self.progress.step as f32;
            average.move_towards(network, 1.0 - decay.min((1.0 + step) / (10.0 + step)));
        }
    }

    /// Evaluates, if there is anything to evaluate on.
    fn evaluate(&mut self, run: &mut Run<'_, '_>) -> Result<Option<Evaluation>, TrainError> {
        let Some(eval) = run.eval else { return Ok(None) };
        let begun = Instant::now();
        let network = self.average.as_ref().unwrap_or(run.network);
        let evaluation = evaluate_watched(network, eval, run.callbacks)?;
        self.notify(run, |callback, moment| {
            callback.on_evaluation(moment, &evaluation).map(|()| Flow::Continue)
        })?;
        if let Some(pace) = &mut self.progress.pace {
            pace.times.evaluation.add(begun.elapsed().as_secs_f64());
        }
        Ok(Some(evaluation))
    }

    /// Of training under a budget, the pace of the next epoch; `None` if the one whose steps are done is the last.
    fn next_pace(&self, run: &Run<'_, '_>, clock: &Clock) -> Option<Pace> {
        let (budget, pace) = (self.options.budget?, self.progress.pace.as_ref()?);
        let pace = Pace { spent: clock.spent(), ..pace.clone() };
        let pixels = |side: usize| (side * side) as f64;
        let full = run.train.options().preprocess.image_size;
        let steps = pace.times.steps.typical();
        // Perhaps it looks at each photo and its mirror image.
        let stand_in = |eval: &Loader| {
            let share = eval.batches() as f64 / run.train.batches().max(1) as f64;
            Estimate::unmeasured_evaluation(steps.unwrap_or(0.0), pixels(full), share, 2.0)
        };
        let evaluation =
            run.eval.map_or(0.0, |eval| pace.times.evaluation.typical().unwrap_or_else(|| stand_in(eval)));
        // Those that are due share the epochs' time; the last one is made even where it is not due.
        let share = 1.0 / self.options.evaluate_every as f64;
        let budget = budget.time.as_secs_f64() - evaluation * (1.0 - share);
        let mut epoch_seconds = steps.map(|steps| {
            let overhead = pace.times.callbacks.typical().unwrap_or(0.0);
            let remaining = self.options.mean_pixels(pace.after(1.0), full);
            Estimate { steps, overhead, evaluation }.seconds(1.0, remaining, share)
        });
        if let (Some(seconds), Some(steps), true) = (&mut epoch_seconds, steps, pace.times.steps.is_single())
        {
            // The first epoch decodes all photos too: as long as another one like it fits, it takes nothing from the plan.
            let rest = budget - pace.spent;
            let again = steps * pixels(self.options.image_size(pace.done).unwrap_or(full));
            if again <= rest {
                *seconds = seconds.min(rest / pace.left.saturating_sub(1).max(1) as f64);
            }
        }
        let most = self.options.epochs - self.progress.epoch - 1;
        pace.next(budget, epoch_seconds, most)
    }

    /// Whether the best epoch lies too far back. Asked before each epoch, so that a run resumed after its end stays ended.
    fn has_lost_patience(&self) -> bool {
        let lost = |patience| self.progress.epochs_since_best() >= patience;
        self.progress.is_judged() && self.options.patience.is_some_and(lost)
    }

    /// The learning rate of the next step, of an epoch of so many batches.
    fn learning_rate(&self, batches: usize) -> f32 {
        let step = match &self.progress.pace {
            // Where the step would be if there were as many epochs as the schedule is made for.
            Some(pace) => {
                let share = pace.after(self.progress.batch as f64 / batches as f64);
                (share * self.options.scheduled_epochs() as f64 * batches as f64) as u64
            }
            None => self.progress.step,
        };
        self.options.learning_rate * self.options.schedule.factor(step) * self.progress.plateau_factor()
    }

    /// Tells every callback, even after one that wants to stop.
    fn notify(
        &self,
        run: &mut Run<'_, '_>,
        mut tell: impl FnMut(&mut dyn Callback, Moment<'_>) -> Result<Flow, TrainError>,
    ) -> Result<Flow, TrainError> {
        let mut flow = Flow::Continue;
        for callback in run.callbacks.iter_mut() {
            let moment = Moment {
                network: run.network,
                average: self.average.as_ref(),
                optimizer: &*run.optimizer,
                progress: &self.progress,
            };
            if tell(*callback, moment)? == Flow::Stop {
                flow = Flow::Stop;
            }
        }
        Ok(flow)
    }
}

/// The network's input for images of this side, or the loader's.
fn input(train: &Loader, size: Option<usize>) -> (usize, usize, usize) {
    let (side, _, channels) = train.options().preprocess.shape();
    let size = size.unwrap_or(side);
    (size, size, channels)
}

/// Evaluates over every example of `data`, each once.
///
/// # Errors
/// Data that can't be read, does not fit the network, or is [mixed](crate::data::LoaderOptions::mix): a photo of two classes has
/// no right answer.
pub fn evaluate(network: &Network, data: &Loader) -> Result<Evaluation, TrainError> {
    require_unmixed(data)?;
    evaluate_watched(network, data, &mut [])
}

fn require_unmixed(data: &Loader) -> Result<(), TrainError> {
    match data.options().mix {
        Some(_) => Err(TrainOptionsError::MixedEvaluation.into()),
        None => Ok(()),
    }
}

/// [`evaluate`] that shows callbacks each batch.
fn evaluate_watched(
    network: &Network,
    data: &Loader,
    callbacks: &mut [&mut dyn Callback],
) -> Result<Evaluation, TrainError> {
    let batches = data.epoch(0).map(|batch: Result<Batch, _>| batch.map_err(TrainError::from));
    network.evaluate_each(batches, |batch, outputs| {
        callbacks.iter_mut().for_each(|callback| callback.on_evaluation_batch(batch, outputs));
    })
}
