//! The table of all settings that can be chosen, saved and asked for: each is described here and nowhere else.
//!
//! A program makes its flags of it; [`Settings::resumed`] finds choices that contradict a run, and [`Settings::of`] holds what was
//! saved to what can be chosen. To add a setting, add a field to [`Choices`], one to [`Settings`], a line to [`Settings::new`], and
//! a row here.

use std::fmt::Display;
use std::str::FromStr;

use super::{Architecture, Augmentation, Choices, ClassWeights, Named, Recipe, RecipeError, Rule, Settings};
use crate::image::Fit;

/// One setting: its name, its help, and its ways from and to text.
#[derive(Debug)]
pub struct Setting {
    /// Its name, as in `--image-size`.
    pub name: &'static str,
    /// What stands for its value in a help text; empty for one that is true where it is named.
    pub value: &'static str,
    /// Where it stands in a help text.
    pub group: Group,
    /// What it is.
    pub help: &'static str,
    /// The value it has where its name stands alone, if it may.
    pub alone: Option<&'static str>,
    /// Settings, and other flags of a program, that it can't be chosen with.
    pub excludes: &'static [&'static str],
    /// Whether a run that goes on may be given another value.
    pub changes: bool,
    values: fn() -> Vec<(&'static str, &'static str)>,
    choose: fn(&mut Choices, &str) -> Result<(), String>,
    chosen: fn(&Choices) -> Option<String>,
    saved: fn(&Settings) -> Option<String>,
}

/// The groups of settings, in the order of a help text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// Where the photos are, and how they are read.
    Data,
    /// How long training takes.
    Time,
    /// What is trained.
    Network,
    /// How its weights move.
    Optimization,
    /// How training photos are changed.
    Augmentation,
    /// What keeps it from learning the photos by heart.
    Regularization,
}

impl Group {
    /// Its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Group::Data => "Data",
            Group::Time => "Time",
            Group::Network => "Network",
            Group::Optimization => "Optimization",
            Group::Augmentation => "Augmentation",
            Group::Regularization => "Regularization",
        }
    }
}

impl Setting {
    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its values with what each is, where there are only a few.
    pub fn values(&self) -> Vec<(&'static str, &'static str)> {
        (self.values)()
    }

    /// Whether it takes no value, and is true where it is named.
    pub fn is_switch(&self) -> bool {
        self.value.is_empty()
    }

    /// Chooses a value by its text.
    ///
    /// # Errors
    /// What is wanted instead.
    pub fn choose(&self, choices: &mut Choices, text: &str) -> Result<(), String> {
        (self.choose)(choices, text)
    }

    /// The value that was chosen.
    pub fn chosen(&self, choices: &Choices) -> Option<String> {
        (self.chosen)(choices)
    }

    /// The value of a run's settings; `None` where no text chooses it.
    pub fn saved(&self, settings: &Settings) -> Option<String> {
        (self.saved)(settings)
    }
}

impl Choices {
    /// Chooses a value of the setting `name` by its text, such as one from a configuration file.
    ///
    /// ```
    /// let mut choices = floret::recipe::Choices::default();
    /// choices.set("image-size", "96")?;
    /// assert_eq!(choices.image_size, Some(96));
    /// assert!(choices.set("image-size", "7").is_err());
    /// # Ok::<(), floret::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`RecipeError::Value`]: no such setting, or a value that it can't have.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), RecipeError> {
        let refused = |setting, reason| RecipeError::Value { setting, value: text.into(), reason };
        let Some(setting) = Setting::named(name) else {
            let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
            return Err(refused("an unknown setting", format!("there are {}", names.join(", "))));
        };
        setting.choose(self, text).map_err(|reason| refused(setting.name, reason))
    }

    /// Fails if a value is none that can be chosen.
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        SETTINGS.iter().try_for_each(|setting| match setting.chosen(self) {
            Some(text) => Choices::default().set(setting.name, &text),
            None => Ok(()),
        })
    }
}

/// A setting of any value.
const ANY: Setting = Setting {
    name: "",
    value: "",
    group: Group::Data,
    help: "",
    alone: None,
    excludes: &[],
    changes: false,
    values: Vec::new,
    choose: |_, _| Ok(()),
    chosen: |_| None,
    saved: |_| None,
};

/// Every setting, in the order of a help text.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "image-key",
        value: "KEY",
        group: Group::Data,
        help: "The feature that holds a record's photo, such as `image` in TensorFlow Datasets' records [default: image/encoded]",
        choose: |choices, text| choose(&mut choices.image_key, Ok(text.to_owned())),
        chosen: |choices| choices.image_key.clone(),
        saved: |settings| Some(settings.keys.schema().encoded),
        ..ANY
    },
    Setting {
        name: "label-key",
        value: "KEY",
        group: Group::Data,
        help: "The feature that holds its label, such as `label` [default: image/class/label]",
        choose: |choices, text| choose(&mut choices.label_key, Ok(text.to_owned())),
        chosen: |choices| choices.label_key.clone(),
        saved: |settings| Some(settings.keys.schema().label),
        ..ANY
    },
    Setting {
        name: "label-offset",
        value: "N",
        group: Group::Data,
        help: "The label of the first class in the records: 1 as `flowers convert` writes them, 0 in data that counts from 0 \
               [default: 1]",
        choose: |choices, text| choose(&mut choices.label_offset, label(text)),
        chosen: |choices| words(&choices.label_offset),
        saved: |settings| Some(settings.label_offset.to_string()),
        ..ANY
    },
    Setting {
        name: "skip-bad",
        group: Group::Data,
        help: "Leave out and count records that are damaged, have no usable photo or a label of no class",
        changes: true,
        choose: |choices, text| {
            choices.skip_bad = parsed(text, "true or false")?;
            Ok(())
        },
        chosen: |choices| choices.skip_bad.then(|| true.to_string()),
        saved: |settings| Some(settings.skip_bad.to_string()),
        ..ANY
    },
    Setting {
        name: "fit",
        value: "crop|resize|resize-crop",
        group: Group::Data,
        help: "How a photo becomes a square: resize the whole of it, its centre (resize-crop), or a cut from its middle at full \
               resolution (crop) [default: resize; with --recipe script crop]",
        choose: |choices, text| choose(&mut choices.fit, text.parse::<Fit>().map_err(|e| e.to_string())),
        chosen: |choices| words(&choices.fit),
        saved: |settings| Some(settings.fit.to_string()),
        ..ANY
    },
    Setting {
        name: "class-weights",
        value: "CLASS_WEIGHTS",
        group: Group::Data,
        help: "Whether photos of rare classes count more [default: auto; with --recipe script none]",
        values: named::<ClassWeights>,
        choose: |choices, text| choose(&mut choices.class_weights, of_names(text)),
        chosen: |choices| words(&choices.class_weights),
        ..ANY
    },
    Setting {
        name: "minutes",
        value: "N",
        group: Group::Time,
        help: "How long it may all take, report included: image size and epochs are fitted to the speed of this machine \
               [default: 5, unless --epochs or --recipe script is given]",
        excludes: &["epochs"],
        changes: true,
        choose: |choices, text| choose(&mut choices.minutes, minutes(text)),
        chosen: |choices| words(&choices.minutes),
        saved: |settings| words(&settings.minutes),
        ..ANY
    },
    Setting {
        name: "epochs",
        value: "N",
        group: Group::Time,
        help: "Passes over the training photos, however long they take. The same seed then gives the same network on every \
               machine of its kind [default with --recipe script: 20]",
        changes: true,
        choose: |choices, text| choose(&mut choices.epochs, count(text)),
        chosen: |choices| words(&choices.epochs),
        saved: |settings| Some(settings.epochs.to_string()),
        ..ANY
    },
    Setting {
        name: "image-size",
        value: "PIXELS",
        group: Group::Network,
        help: "Side of the square image that the finished network sees, in pixels. Small and large networks train on smaller \
               ones, if changes are strong [default: what there is time for; with --epochs 96, with --recipe script 64]",
        choose: |choices, text| choose(&mut choices.image_size, image_size(text)),
        chosen: |choices| words(&choices.image_size),
        saved: |settings| Some(settings.image_size.to_string()),
        ..ANY
    },
    Setting {
        name: "network",
        value: "NETWORK",
        group: Group::Network,
        help: "The network's architecture [default: small, for images of 128 pixels and more large; with --recipe script \
               reference]",
        excludes: &["start-from"],
        values: named::<Architecture>,
        choose: |choices, text| choose(&mut choices.network, of_names(text)),
        chosen: |choices| words(&choices.network),
        saved: |settings| Some(settings.network.to_string()),
        ..ANY
    },
    Setting {
        name: "recipe",
        value: "RECIPE",
        group: Group::Optimization,
        help: "What the defaults are [default: default]",
        values: named::<Recipe>,
        choose: |choices, text| choose(&mut choices.recipe, of_names(text)),
        chosen: |choices| words(&choices.recipe),
        saved: |settings| Some(settings.recipe.to_string()),
        ..ANY
    },
    Setting {
        name: "batch-size",
        value: "N",
        group: Group::Optimization,
        help: "Photos in a step [default: 64, fewer where there are few photos]",
        choose: |choices, text| choose(&mut choices.batch_size, count(text)),
        chosen: |choices| words(&choices.batch_size),
        saved: |settings| Some(settings.batch_size.to_string()),
        ..ANY
    },
    Setting {
        name: "optimizer",
        value: "OPTIMIZER",
        group: Group::Optimization,
        help: "The rule that moves the weights [default: momentum; with --recipe script sgd]",
        values: named::<Rule>,
        choose: |choices, text| choose(&mut choices.optimizer, of_names(text)),
        chosen: |choices| words(&choices.optimizer),
        saved: |settings| Some(settings.optimizer.to_string()),
        ..ANY
    },
    Setting {
        name: "learning-rate",
        value: "X",
        group: Group::Optimization,
        help: "Step size [default: sgd and momentum 0.05 x batch size / 64, for the reference network 0.02; adam and adamw \
               0.0005; with --recipe script, where the loss is a sum over the batch, sgd 0.0005 and momentum 0.02 / batch size]",
        choose: |choices, text| choose(&mut choices.learning_rate, positive(text)),
        chosen: |choices| words(&choices.learning_rate),
        saved: |settings| Some(settings.learning_rate.to_string()),
        ..ANY
    },
    Setting {
        name: "seed",
        value: "N",
        group: Group::Optimization,
        help: "Source of all randomness: with the same --epochs the same seed gives the same network [default: 1]",
        choose: |choices, text| choose(&mut choices.seed, parsed(text, "a whole number")),
        chosen: |choices| words(&choices.seed),
        saved: |settings| Some(settings.seed.to_string()),
        ..ANY
    },
    Setting {
        name: "augment",
        value: "AUGMENT",
        group: Group::Augmentation,
        help: "Change training photos at random, so that the network sees more than there are; `--augment` alone is \
               `--augment standard` [default: strong; with --recipe script none]",
        alone: Some("standard"),
        values: named::<Augmentation>,
        choose: |choices, text| choose(&mut choices.augment, of_names(text)),
        chosen: |choices| words(&choices.augment),
        saved: |settings| Some(settings.augment.to_string()),
        ..ANY
    },
    Setting {
        name: "mixup",
        value: "X",
        group: Group::Augmentation,
        help: "Share of the photos blended with another one [default: 0]",
        choose: |choices, text| choose(&mut choices.mixup, share(text)),
        chosen: |choices| words(&choices.mixup),
        saved: |settings| Some(settings.regularization.mix.map_or(0.0, |mix| mix.mixup).to_string()),
        ..ANY
    },
    Setting {
        name: "cutmix",
        value: "X",
        group: Group::Augmentation,
        help: "Share of the photos that get a rectangle of another one [default: 0.5, for few photos 0.8; with --recipe script 0]",
        choose: |choices, text| choose(&mut choices.cutmix, share(text)),
        chosen: |choices| words(&choices.cutmix),
        saved: |settings| Some(settings.regularization.mix.map_or(0.0, |mix| mix.cutmix).to_string()),
        ..ANY
    },
    Setting {
        name: "dropout",
        value: "X",
        group: Group::Regularization,
        help: "Share of the features dropped before the last layer [default: 0.2, for few photos 0.5; with --recipe script 0.5]",
        excludes: &["start-from"],
        choose: |choices, text| choose(&mut choices.dropout, share(text)),
        chosen: |choices| words(&choices.dropout),
        saved: |settings| Some(settings.regularization.dropout.to_string()),
        ..ANY
    },
    Setting {
        name: "label-smoothing",
        value: "X",
        group: Group::Regularization,
        help: "Share of each target spread over all classes [default: 0.1; with --recipe script 0]",
        choose: |choices, text| choose(&mut choices.label_smoothing, share(text)),
        chosen: |choices| words(&choices.label_smoothing),
        saved: |settings| Some(settings.regularization.label_smoothing.to_string()),
        ..ANY
    },
    Setting {
        name: "weight-decay",
        value: "X",
        group: Group::Regularization,
        help: "Decoupled weight decay, for the optimizers momentum and adamw [default: momentum 0.0005, for few photos 0.001; \
               adamw 0.05; with --recipe script and momentum 0]",
        choose: |choices, text| choose(&mut choices.weight_decay, not_negative(text)),
        chosen: |choices| words(&choices.weight_decay),
        saved: |settings| Some(settings.regularization.weight_decay.to_string()),
        ..ANY
    },
    Setting {
        name: "average",
        value: "X",
        group: Group::Regularization,
        help: "Decay of the average of the weights that is evaluated and saved; 0 for the weights themselves [default: 0.998; \
               with --recipe script 0]",
        choose: |choices, text| choose(&mut choices.average, share(text)),
        chosen: |choices| words(&choices.average),
        saved: |settings| Some(settings.regularization.average.unwrap_or(0.0).to_string()),
        ..ANY
    },
    Setting {
        name: "test-time-flip",
        value: "true|false",
        group: Group::Regularization,
        help: "Whether answers are the means of a photo's and its mirror image's [default: true; with --recipe script false]",
        choose: |choices, text| choose(&mut choices.test_time_flip, parsed(text, "true or false")),
        chosen: |choices| words(&choices.test_time_flip),
        saved: |settings| Some(settings.regularization.test_time_flip.to_string()),
        ..ANY
    },
];

fn choose<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

fn words(value: &Option<impl Display>) -> Option<String> {
    value.as_ref().map(|value| value.to_string())
}

fn named<T: Named>() -> Vec<(&'static str, &'static str)> {
    T::ALL.iter().map(|value| (value.name(), value.about())).collect()
}

fn of_names<T: Named + FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn parsed<T: FromStr>(text: &str, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{wanted} is wanted"))
}

/// A label in a record.
pub fn label(text: &str) -> Result<i64, String> {
    whole(text, 0, 1 << 20).map(|label| label as i64)
}

/// An image side: the reference network halves it five times, so under 32 little would be left.
pub fn image_size(text: &str) -> Result<usize, String> {
    whole(text, 32, 1024)
}

/// A time: from a second to a week.
pub fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (1.0 / 60.0..=7.0 * 24.0 * 60.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.02 to 10080 is wanted".into()),
    }
}

/// A count of at least one.
pub fn count(text: &str) -> Result<usize, String> {
    whole(text, 1, 1 << 20)
}

fn whole(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let value: usize = parsed(text, "a whole number")?;
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(format!("a number from {least} to {most} is wanted")),
    }
}

fn positive(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number over 0 is wanted".into()),
    }
}

fn not_negative(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number of at least 0 is wanted".into()),
    }
}

/// A share that is multiplied with.
fn share(text: &str) -> Result<f32, String> {
    Ok(fraction(text)? as f32)
}

/// A number from 0 to under 1.
pub fn fraction(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to under 1 is wanted".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Census;

    /// Other values than those of [`Settings::sample`].
    fn other(setting: &Setting) -> &'static str {
        match setting.name {
            "image-key" | "label-key" => "picture",
            "skip-bad" => "true",
            "test-time-flip" => "false",
            "fit" => "crop",
            "class-weights" => "balanced",
            "network" => "reference",
            "recipe" => "script",
            "optimizer" => "adamw",
            "augment" => "light",
            "image-size" => "77",
            "minutes" | "epochs" | "batch-size" | "seed" | "label-offset" => "7",
            _ => "0.25",
        }
    }

    #[test]
    fn what_is_chosen_is_what_is_saved() {
        let census = Census { classes: vec![1000; 5], ..Census::default() };
        for setting in SETTINGS {
            let text = other(setting);
            let mut choices = Choices::default();
            assert_eq!(setting.chosen(&choices), None, "{}", setting.name);
            setting.choose(&mut choices, text).unwrap();
            assert_eq!(setting.chosen(&choices).as_deref(), Some(text), "{}", setting.name);
            let settings = Settings::new(&choices, &census).unwrap();
            let saved = setting.saved(&settings);
            let has_text = setting.name != "class-weights";
            assert_eq!(saved.as_deref(), has_text.then_some(text), "{}", setting.name);
            assert_ne!(saved, setting.saved(&Settings::sample()).filter(|_| has_text).or(Some("?".into())));
        }
    }

    #[test]
    fn names_are_unique_and_values_are_listed() {
        for (place, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..place].iter().all(|before| before.name != setting.name), "{}", setting.name);
            assert!(!setting.help.is_empty() && !setting.name.contains('_'));
            for (value, _) in setting.values() {
                setting.choose(&mut Choices::default(), value).unwrap();
            }
            assert!(setting.group as usize >= SETTINGS[place.saturating_sub(1)].group as usize, "by groups");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let refused = |name, text| Choices::default().set(name, text).unwrap_err().to_string();
        assert_eq!(refused("image-size", "7"), "image-size can't be 7: a number from 32 to 1024 is wanted");
        assert_eq!(refused("seed", "-1"), "seed can't be -1: a whole number is wanted");
        for (name, text) in [
            ("dropout", "1"),
            ("learning-rate", "0"),
            ("learning-rate", "NaN"),
            ("weight-decay", "-1"),
            ("minutes", "0"),
            ("network", "huge"),
            ("sneed", "1"),
        ] {
            refused(name, text);
        }
    }
}
