//! A run's folder, and the data that it was trained on.

use std::path::{Path, PathBuf};

use floret::checkpoint::{ModelInfo, SavedTraining, load_model, load_training};
use floret::data::{Loader, Preprocess};
use floret::network::Network;
use floret::recipe::{DataFolder, Settings};

use crate::files::{EVAL, MODEL, TRAIN, TRAINING};
use crate::run_file::RunFile;
use crate::ui::{self, warning};
use crate::{Result, data, messages};

/// What a run's folder holds.
pub struct Run {
    pub folder: PathBuf,
    pub state: SavedTraining,
    pub settings: Settings,
    /// The best network, if an epoch was good enough.
    pub best: Option<Network>,
    pub info: ModelInfo,
    /// Where the data lay and how long epochs took, if that was noted.
    pub file: Option<RunFile>,
}

/// A run's data.
///
/// Both splits come unchanged and in order, as [`LoaderOptions::for_evaluation`](floret::data::LoaderOptions::for_evaluation)
/// has them.
pub struct RunData {
    pub path: PathBuf,
    pub train: Loader,
    pub eval: Option<Loader>,
}

impl RunData {
    /// Those of a run whose networks see photos by `preprocess`; `train` may augment, `eval` must not.
    pub fn new(
        folder: &DataFolder,
        train: &Loader,
        eval: Option<Loader>,
        preprocess: Preprocess,
    ) -> Result<Self> {
        Ok(Self { path: folder.path.clone(), train: train.for_evaluation(preprocess)?, eval })
    }
}

impl Run {
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(TRAINING);
        if !path.try_exists().map_err(|error| format!("cannot open {}: {error}", path.display()))? {
            return Err(format!(
                "{} is missing: name the folder of a run (--run), the --out of `flowers train`",
                path.display()
            )
            .into());
        }
        let mut state = load_training(&path)?;
        let settings = Settings::of(&state).map_err(messages::recipe)?;
        let model = folder.join(MODEL);
        state.confirm_best(&model)?;
        let best = match state.progress.best {
            Some(_) => Some(load_model(&model)?.0),
            None => None,
        };
        let file = RunFile::load(folder).inspect_err(|error| {
            let error = messages::message(error.as_ref());
            warning!("{}; the report leaves out how long the epochs took", ui::escaped(&error));
        });
        let info = state.info.clone();
        Ok(Self { folder: folder.into(), state, settings, best, info, file: file.ok().flatten() })
    }

    /// The data in `named`, or where the run had them. Why there are none is told in words for the report.
    ///
    /// # Errors
    /// With `named`, whatever keeps these data from being those of the run.
    pub fn data(&self, named: Option<&Path>) -> Result<std::result::Result<RunData, String>> {
        let how = "make the report again with --data and the folder of the data";
        match (named, self.file.as_ref().and_then(|file| file.data.as_deref())) {
            (Some(path), _) => self.open(path).map(Ok),
            (None, None) => Ok(Err(format!("Where the data lie was not noted: {how}."))),
            (None, Some(path)) => Ok(self.open(path).map_err(|error| {
                let error = messages::message(error.as_ref());
                format!("The data are no longer as they were ({error}): {how}.")
            })),
        }
    }

    fn open(&self, path: &Path) -> Result<RunData> {
        let folder = data::open(path, Some(self.settings.label_offset), self.settings.max_pixels)?;
        let folder = self.settings.hold_out_of(folder).map_err(messages::recipe)?;
        if folder.classes.names() != self.info.classes {
            let [run, data] = [&self.info.classes[..], folder.classes.names()].map(ui::names);
            return Err(format!("the run knows the classes {run}, but the data has {data}").into());
        }
        let mut options = self.settings.loader_options(self.info.classes.len()).for_evaluation();
        // Each photo is asked for once.
        options.cache_bytes = 0;
        let train = data::loader(&folder, TRAIN, options.clone())?;
        let eval = data::loader_if_any(&folder, EVAL, options)?;
        self.state.progress.clone().check_data(&train, eval.as_ref())?;
        RunData::new(&folder, &train, eval, self.info.preprocess)
    }
}
