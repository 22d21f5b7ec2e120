//! The time there is, and what is done in it.

use std::time::{Duration, Instant};

use super::origin::Origin;
use super::{Census, Choices, Note, Plan, Recipe, RecipeError, Settings, plan, tuning};
use crate::train::TimeBudget;
use crate::transfer::in_views;

/// The time there is, from `begun` to the end of everything.
pub(super) struct Time {
    pub begun: Instant,
    pub seconds: f64,
    pub reports: bool,
}

impl Time {
    fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Fits the settings to the time, and says what will be done in it.
    pub fn fit(
        &self,
        settings: &mut Settings,
        choices: &Choices,
        origin: &Origin,
        census: &Census,
        tell: &mut dyn FnMut(Note),
    ) -> Result<Deadline, RecipeError> {
        let mut plan = Plan::measure(settings, origin.network(settings, census)?, census)?;
        // The script is its own network at its own size.
        if let (Origin::New, None, Recipe::Default) = (origin, choices.image_size, settings.recipe) {
            let training = self.seconds - self.elapsed() - plan.conclusion(settings, self.reports);
            plan.choose(settings, choices.network, training);
            plan = Plan::measure(settings, origin.network(settings, census)?, census)?;
        }
        let training = self.seconds * (1.0 - plan::RESERVE) - plan.conclusion(settings, self.reports);
        let fit = plan.epochs(settings, training - self.elapsed());
        let epochs = fit.clamp(1.0, settings.epochs as f64);
        if !matches!(origin, Origin::Saved(_)) {
            let takes = self.elapsed() + plan.seconds(settings, epochs) + self.seconds - training;
            settings.evaluate_every = plan::evaluate_every(epochs);
            tell(Note::Planned {
                // Where photos are few or many it is another time.
                seconds: if fit == epochs { self.seconds } else { takes },
                epochs: epochs as usize,
                train_sizes: settings.train_sizes.clone(),
                image_size: settings.image_size,
            });
            if fit < 1.0 {
                tell(Note::SinglePass { seconds: self.seconds });
            }
        }
        let left = Duration::from_secs_f64((training - origin.spent()).max(0.0));
        // The last epoch is begun if it nearly fits.
        Ok(Deadline { at: self.begun + left, epochs: (epochs + 0.1) as u64 })
    }

    /// The end of training with a new head, where a pass over a photo takes `pass` seconds: how many epochs there will be is found once
    /// the head is fitted.
    pub fn after_head(&self, settings: &Settings, origin: &Origin, census: &Census, pass: f64) -> Deadline {
        // The best network's evaluations; the report has the heads' answers to the training photos.
        let evaluated = (census.eval + census.test) as f64;
        let conclusion = HEAD_CONCLUSION + settings.regularization.passes() * pass * evaluated;
        let training = self.seconds * (1.0 - HEAD_RESERVE) - conclusion;
        let left = Duration::from_secs_f64((training - origin.spent()).max(0.0));
        Deadline { at: self.begun + left, epochs: settings.epochs as u64 }
    }
}

/// Says what comes of a new head, where a pass over a photo takes `pass` seconds, and whether there is time to look at each photo's
/// mirror image too, and at further views of those to train on.
pub(super) fn plan_head(
    settings: &mut Settings,
    choices: &Choices,
    census: &Census,
    pass: f64,
    tell: &mut dyn FnMut(Note),
) {
    let (train, eval) = (census.photos(), census.eval);
    let views = |settings: &Settings| in_views(settings.preprocess(), settings.head_views).len();
    let features_seconds = |settings: &Settings| {
        settings.regularization.passes() * pass * (views(settings) * train + eval) as f64
    };
    let seconds = settings.minutes.map(|minutes| 60.0 * minutes);
    let fits = |settings: &Settings, share: f64| {
        seconds.is_none_or(|seconds| features_seconds(settings) <= share * seconds)
    };
    if choices.test_time_flip.is_none() && !fits(settings, MOST_FEATURES) {
        settings.regularization.test_time_flip = false;
    }
    if choices.head_views.is_none() && !settings.trains_steps() {
        let more = Settings { head_views: tuning::MOST_VIEWS, ..settings.clone() };
        let has_time = match choices.minutes {
            Some(_) => fits(&more, MOST_VIEW_FEATURES),
            // Nobody asked for minutes: it is to be done in seconds, and no clock decides.
            None => train <= tuning::MOST_IN_VIEWS,
        };
        if has_time {
            *settings = more;
        }
    }
    tell(Note::PlannedHead {
        photos: train + eval,
        views: views(settings),
        features_seconds: features_seconds(settings),
        seconds,
        tunes: settings.trains_steps(),
    });
}

/// The most that features may take of the time for mirror images to be looked at too.
const MOST_FEATURES: f64 = 0.7;

/// The most that they may take of it for further views: the fit takes three times as long then too, and has the rest.
const MOST_VIEW_FEATURES: f64 = 0.4;

/// The share of the time, and the seconds, that are held back for the report and a machine that grows slower.
const HEAD_RESERVE: f64 = 0.02;
const HEAD_CONCLUSION: f64 = 1.0;

/// When training is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadline {
    /// When its steps are to be done.
    pub at: Instant,
    /// About how many epochs the run has, from its very beginning.
    pub epochs: u64,
}

impl Deadline {
    /// The budget of a run that has taken `spent` seconds until now.
    pub(super) fn budget(self, spent: f64) -> TimeBudget {
        let left = self.at.saturating_duration_since(Instant::now());
        TimeBudget { time: Duration::from_secs_f64(spent) + left, epochs: self.epochs }
    }
}
