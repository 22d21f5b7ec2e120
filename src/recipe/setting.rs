//! What a setting is, and how its values are read.

use std::fmt::Display;
use std::str::FromStr;

use super::rules::LEAST_SIDE;
use super::tuning::MOST_VIEWS;
use super::{Choices, Named, Settings};

/// One setting: its name, its help, and its ways from and to text.
#[derive(Debug)]
pub struct Setting {
    /// Its name, such as `image-size`.
    pub name: &'static str,
    /// What stands for its value in a help text; empty for one that is true where it is named.
    pub value: &'static str,
    /// Where it stands in a help text.
    pub group: Group,
    /// What it is. Names of other settings stand in backticks, for a program to show as it asks for them.
    pub help: &'static str,
    /// The value it has where its name stands alone, if it may.
    pub alone: Option<&'static str>,
    /// Settings that it can't be chosen with.
    pub excludes: &'static [&'static str],
    /// Whether a [model that training begins with](super::Training::start_from) decides it, so that it can't be chosen then.
    pub is_of_model: bool,
    /// Whether a run that goes on may be given another value.
    pub changes: bool,
    pub(super) values: fn() -> Vec<(&'static str, &'static str)>,
    pub(super) choose: fn(&mut Choices, &str) -> Result<(), String>,
    pub(super) chosen: fn(&Choices) -> Option<String>,
    pub(super) saved: fn(&Settings) -> Option<String>,
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

/// A setting of any value.
pub(super) const ANY: Setting = Setting {
    name: "",
    value: "",
    group: Group::Data,
    help: "",
    alone: None,
    excludes: &[],
    is_of_model: false,
    changes: false,
    values: Vec::new,
    choose: |_, _| Ok(()),
    chosen: |_| None,
    saved: |_| None,
};

pub(super) fn choose<T>(place: &mut Option<T>, value: Result<T, String>) -> Result<(), String> {
    *place = Some(value?);
    Ok(())
}

pub(super) fn words(value: &Option<impl Display>) -> Option<String> {
    value.as_ref().map(|value| value.to_string())
}

pub(super) fn named<T: Named>() -> Vec<(&'static str, &'static str)> {
    T::ALL.iter().map(|value| (value.name(), value.about())).collect()
}

pub(super) fn of_names<T: Named + FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

pub(super) fn parsed<T: FromStr>(text: &str, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{wanted} is wanted"))
}

/// A label in a record.
pub(super) fn label(text: &str) -> Result<i64, String> {
    whole(text, 0, 1 << 20).map(|label| label as i64)
}

/// A limit on a photo's pixels.
pub(super) fn pixels(text: &str) -> Result<u64, String> {
    whole(text, 1, 1 << 32).map(|pixels| pixels as u64)
}

/// An image side. Under 32 the reference network has nothing left after its five halvings, and is refused when it is built.
pub(super) fn image_size(text: &str) -> Result<usize, String> {
    whole(text, LEAST_SIDE, 1024)
}

/// A time: from a second to a week.
pub(super) fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (1.0 / 60.0..=7.0 * 24.0 * 60.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.02 to 10080 is wanted".into()),
    }
}

/// A share of a photo's side.
pub(super) fn crop_share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.1..=1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0.1 to 1 is wanted".into()),
    }
}

/// A count of at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    whole(text, 1, 1 << 20)
}

/// Views of a photo.
pub(super) fn views(text: &str) -> Result<usize, String> {
    whole(text, 1, MOST_VIEWS)
}

fn whole(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let value: usize = parsed(text, "a whole number")?;
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(format!("a number from {least} to {most} is wanted")),
    }
}

pub(super) fn positive(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number over 0 is wanted".into()),
    }
}

pub(super) fn not_negative(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number of at least 0 is wanted".into()),
    }
}

/// A share that is multiplied with.
pub(super) fn share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to under 1 is wanted".into()),
    }
}
