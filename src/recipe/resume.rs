//! The settings of a run that goes on.

use super::setting::image_size;
use super::{Choices, Clash, Note, Recipe, RecipeError, SETTINGS, Settings};
use crate::checkpoint::SavedTraining;

impl Settings {
    /// Those that a run was saved with.
    ///
    /// # Errors
    /// Settings of another program; values that can't be chosen, as after a change by hand.
    pub fn of(saved: &SavedTraining) -> Result<Self, RecipeError> {
        let settings: Self = serde_json::from_value(saved.settings.clone()).map_err(RecipeError::Foreign)?;
        settings.check()?;
        Ok(settings)
    }

    /// The saved settings, if no choice contradicts them. Another number of epochs or minutes may be chosen, and bad records be
    /// skipped from now on; `tell` hears what that does.
    ///
    /// # Errors
    /// As [`of`](Self::of); [`RecipeError::Clashes`], and [`RecipeError::TimeIsUp`].
    pub fn resumed(
        saved: &SavedTraining,
        choices: &Choices,
        tell: &mut dyn FnMut(Note),
    ) -> Result<Self, RecipeError> {
        let mut settings = Self::of(saved)?;
        let clashes = settings.clashes(choices);
        if !clashes.is_empty() {
            return Err(RecipeError::Clashes { clashes });
        }
        settings.skip_bad |= choices.skip_bad;
        settings.max_pixels = choices.max_pixels.or(settings.max_pixels);
        if let Some(minutes) = choices.minutes {
            let seconds = saved.progress.seconds();
            if saved.progress.is_finished() {
                tell(Note::Complete);
            } else if 60.0 * minutes <= seconds {
                return Err(RecipeError::TimeIsUp { minutes, seconds });
            } else {
                settings.minutes = Some(minutes);
            }
        }
        // A head alone is done with the first epoch.
        let trains_on = !settings.head_only;
        if let Some(epochs) = choices.epochs.filter(|epochs| trains_on && *epochs != settings.epochs) {
            if settings.recipe == Recipe::Default {
                tell(Note::OtherEpochs { epochs, before: settings.epochs });
            }
            settings.epochs = epochs;
        }
        Ok(settings)
    }

    /// The choices that a run with these settings can't follow.
    fn clashes(&self, choices: &Choices) -> Vec<Clash> {
        let fixed = SETTINGS.iter().filter(|setting| !setting.changes).filter_map(|setting| {
            let given = setting.chosen(choices)?;
            match setting.saved(self) {
                Some(saved) if saved == given => None,
                Some(saved) => Some(Clash::Other { setting: setting.name, given, saved }),
                None => Some(Clash::Unnamed { setting: setting.name }),
            }
        });
        let budget = match (choices.epochs, choices.minutes, self.minutes) {
            (Some(_), _, Some(minutes)) => Some(Clash::Minutes(minutes)),
            (_, Some(_), None) => Some(Clash::Epochs(self.epochs)),
            _ => None,
        };
        fixed.chain(budget).collect()
    }

    /// Fails if a value is none that can be chosen.
    fn check(&self) -> Result<(), RecipeError> {
        let wrong = |setting: &str, reason| Err(RecipeError::Saved { setting: setting.into(), reason });
        for setting in SETTINGS {
            let Some(saved) = setting.saved(self) else { continue };
            if let Err(reason) = setting.choose(&mut Choices::default(), &saved) {
                return wrong(&setting.name.replace('-', " "), reason);
            }
        }
        let (sizes, largest) = (&self.train_sizes, self.image_size);
        if sizes.is_empty() || !sizes.iter().all(|size| (1..=largest).contains(size)) {
            return wrong("size of training images", format!("{sizes:?}, with {largest} in evaluation"));
        }
        if self.evaluate_every == 0 {
            return wrong("number of epochs between evaluations", "0".into());
        }
        Ok(())
    }
}

/// Why images of this side can't be trained on, if so.
pub(super) fn untrainable(side: usize) -> Option<String> {
    image_size(&side.to_string()).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{ClassWeights, Regularization};

    #[test]
    fn saved_settings_are_held_to_what_can_be_chosen() {
        let good = Settings::sample();
        good.check().unwrap();
        let regular = |regularization| Settings { regularization, ..good.clone() };
        for (settings, what) in [
            (Settings { image_size: 7, ..good.clone() }, "image size"),
            (Settings { batch_size: 0, ..good.clone() }, "batch size"),
            (Settings { epochs: 0, ..good.clone() }, "epochs"),
            (Settings { learning_rate: -5.0, ..good.clone() }, "learning rate"),
            (Settings { learning_rate: f32::NAN, ..good.clone() }, "learning rate"),
            (Settings { evaluate_every: 0, ..good.clone() }, "number of epochs between evaluations"),
            (Settings { minutes: Some(-1.0), ..good.clone() }, "minutes"),
            (Settings { train_sizes: vec![65], ..good.clone() }, "size of training images"),
            (Settings { train_sizes: Vec::new(), ..good.clone() }, "size of training images"),
            (regular(Regularization { dropout: 1.0, ..good.regularization }), "dropout"),
            (regular(Regularization { weight_decay: -1.0, ..good.regularization }), "weight decay"),
        ] {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(&format!("an impossible {what}: ")), "{error}");
        }
        regular(Regularization::SCRIPT).check().unwrap();
    }

    #[test]
    fn choices_that_contradict_a_run_are_told() {
        let run = Settings::sample();
        let same =
            Choices { seed: Some(1), learning_rate: Some(0.02), epochs: Some(9), ..Choices::default() };
        assert_eq!(run.clashes(&same), []);
        let other = Choices {
            seed: Some(2),
            cutmix: Some(0.1),
            class_weights: Some(ClassWeights::None),
            minutes: Some(1.0),
            ..Choices::default()
        };
        let told: Vec<_> = run.clashes(&other).iter().map(Clash::to_string).collect();
        assert_eq!(
            told,
            [
                "class-weights (they are as they were)",
                "seed 2 (it was 1)",
                "cutmix 0.1 (it was 0.5)",
                "minutes (it has 20 epochs)"
            ]
        );
        let timed = Settings { minutes: Some(2.0), ..run };
        assert_eq!(timed.clashes(&same), [Clash::Minutes(2.0)]);
    }
}
