//! What photos there are.

use floret::batch::{Loader, LoaderOptions, Preprocess};

use super::{Args, Settings};
use crate::data::DataFolder;
use crate::files::{EVAL, TRAIN};
use crate::ui::note;
use crate::{Result, args};

/// How many photos of each class there are to train on, and how many to evaluate on.
#[derive(Debug, Clone, Default)]
pub struct Census {
    pub classes: Vec<u64>,
    pub eval: usize,
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
        let classes = data.loader(TRAIN, options)?.class_counts();
        Ok(Self { classes, eval: eval.as_ref().map_or(0, Loader::len) })
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
}

/// Under so many photos of a class a network that begins with nothing learns the photos rather than what is on them.
pub const FEW: u64 = 100;

/// Warns where there are too few photos to believe much of what comes out.
pub fn tell_few(census: &Census) {
    let (fewest, eval) = (census.fewest(), census.eval);
    if fewest < FEW {
        let classes = census.classes.len();
        note!(
            "note: there are few photos to train on, {} in all and {fewest} of the smallest class: it is kept from learning them \
             by heart by stronger regularization, but will often be wrong about new ones. {FEW} photos of each class \
             or more would help most",
            census.photos()
        );
        if eval > 0 && eval < 20 * classes {
            // Two standard deviations of a share of about a half.
            let margin = 100.0 / (eval as f64).sqrt();
            note!("note: an accuracy on {eval} photos is right to about {margin:.0} percentage points only");
        }
    }
}
