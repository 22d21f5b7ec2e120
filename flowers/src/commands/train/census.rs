//! What photos there are.

use floret::data::{Loader, LoaderOptions, Preprocess};

use super::{Args, Settings};
use crate::data::DataFolder;
use crate::files::{EVAL, TRAIN};
use crate::ui::{self, note};
use crate::{Result, args};

/// How many photos of each class there are to train on, and how many to evaluate on.
#[derive(Debug, Clone, Default)]
pub struct Census {
    pub classes: Vec<u64>,
    pub eval: usize,
    /// Whether there are records that are not counted: bad ones, labels out of range.
    pub has_others: bool,
}

impl Census {
    /// Counts the photos of a data folder, read as the flags of a new run say. Those that are bad are left out: training tells
    /// of them.
    pub fn of(data: &DataFolder, args: &Args) -> Result<Self> {
        let mut options = LoaderOptions::new(Preprocess::new(1), data.classes.names().len());
        let records = &args.records;
        args::read_records(&mut options, &records.keys, records.label_offset, records.skip_bad);
        Self::read(data, options)
    }

    /// The same, read as the settings of a run say.
    pub fn of_run(data: &DataFolder, settings: &Settings) -> Result<Self> {
        Self::read(data, settings.loader_options(data.classes.names().len()))
    }

    fn read(data: &DataFolder, options: LoaderOptions) -> Result<Self> {
        let eval = data.loader_if_any(EVAL, options.clone())?;
        let train = data.loader(TRAIN, options)?;
        let classes = train.class_counts();
        let has_others = classes.iter().sum::<u64>() < train.len() as u64;
        Ok(Self { classes, eval: eval.as_ref().map_or(0, Loader::len), has_others })
    }

    /// Photos to train on.
    pub fn photos(&self) -> usize {
        self.classes.iter().sum::<u64>() as usize
    }

    /// Photos of the smallest class that has any.
    pub fn fewest(&self) -> u64 {
        self.classes.iter().copied().filter(|&photos| photos > 0).min().unwrap_or(0)
    }

    /// Photos of the largest.
    pub fn most(&self) -> u64 {
        self.classes.iter().copied().max().unwrap_or(0)
    }

    /// Whether there are so few that a network that begins with nothing learns the photos rather than what is on them.
    pub fn is_small(&self) -> bool {
        let classes = self.classes.iter().filter(|&&photos| photos > 0).count();
        (self.photos() as u64) < FEW * classes as u64
    }
}

/// Photos of each class, on the average, under which there are few.
const FEW: u64 = 100;

/// Photos of each class to evaluate on, under which the accuracy is no more than a hint.
const FEW_TO_EVALUATE: usize = 20;

/// Warns where there are too few photos to believe much of what comes out.
pub fn tell_few(census: &Census) {
    let eval = census.eval;
    if census.is_small() {
        note!(
            "note: there are few photos to train on, {} in all and {} of the smallest class: the network is kept from learning \
             them by heart by stronger regularization, but will often be wrong about new ones. {FEW} photos of each class or \
             more would help most",
            census.photos(),
            census.fewest()
        );
    }
    if eval > 0 && eval < FEW_TO_EVALUATE * census.classes.len() {
        // Two standard deviations of a share of about a half.
        let margin = 100.0 / (eval as f64).sqrt();
        note!(
            "note: an accuracy on {} is right to about {margin:.0} percentage points only",
            ui::count(eval, "photo")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_small_class_among_large_ones_makes_no_small_set() {
        let census = |classes: &[u64]| Census { classes: classes.to_vec(), ..Census::default() };
        assert!(census(&[12; 5]).is_small() && census(&[120, 70, 0]).is_small());
        assert!(!census(&[100; 5]).is_small() && !census(&[5000, 40, 0]).is_small());
        assert_eq!(census(&[5000, 40, 0]).fewest(), 40);
    }
}
