//! The log for TensorBoard.

use std::fs;
use std::path::{Path, PathBuf};

use floret::log::TensorBoard;
use floret::recipe::Prepared;
use floret::train::Flow;

use crate::Result;
use crate::files::TRAIN;
use crate::ui::{self, note, say, warning};

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Logging {
    /// Log for TensorBoard: curves, photos, filters, confusions, the network's graph; `--log-dir` alone logs into OUT/log.
    /// When a run is resumed, name the same folder again
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    log_dir: Option<Option<PathBuf>>,
}

/// At least so many points has a curve of training in each epoch, where there are as many steps.
const POINTS: usize = 10;
/// The most steps that a point sums up.
const MOST_STEPS: usize = 10;

impl Logging {
    /// The callback that logs a run in the folder `out`, if one is wanted; says how to look at the log.
    pub fn callback(&self, out: &Path, prepared: &Prepared) -> Result<Option<TensorBoard>> {
        let Some(folder) = self.folder(out) else { return Ok(None) };
        let Prepared { settings, train, info, .. } = prepared;
        let serde_json::Value::Object(settings) = serde_json::to_value(settings)? else {
            return Err("the settings are no list of names and values".into());
        };
        if prepared.progress().step == 0 && holds_log(&folder) {
            note!(
                "note: {} holds the log of another run already, and TensorBoard would draw both as one curve: a folder for each, in one above \
                 them, shows them side by side",
                ui::path(&folder)
            );
        }
        say!("logging:  tensorboard --logdir {}", ui::shell(&folder));
        let log = TensorBoard::new(folder, &info.classes)
            .every_steps((train.batches() / POINTS).clamp(1, MOST_STEPS) as u64)
            .hyper_parameters(settings)
            .on_error(|error| {
                warning!("{error}; training goes on, and the log lacks what can't be written");
                Flow::Continue
            });
        Ok(Some(log))
    }

    /// The flag as given, for a command that goes on with the run.
    pub fn flag(&self) -> String {
        match &self.log_dir {
            None => String::new(),
            Some(None) => " --log-dir".into(),
            Some(Some(folder)) => format!(" --log-dir {}", ui::shell(folder)),
        }
    }

    fn folder(&self, out: &Path) -> Option<PathBuf> {
        let given = self.log_dir.as_ref()?;
        Some(given.clone().unwrap_or_else(|| out.join("log")))
    }
}

/// Whether a folder holds a log of training.
fn holds_log(folder: &Path) -> bool {
    let is_log = |file: fs::DirEntry| file.file_name().to_string_lossy().starts_with("events.out.tfevents.");
    fs::read_dir(folder.join(TRAIN)).is_ok_and(|files| files.flatten().any(is_log))
}
