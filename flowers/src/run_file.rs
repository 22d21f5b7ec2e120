//! `OUT/run.json`: what a run's report tells and going on does not need, so that it lies beside the training state, which
//! is the same bit for bit however long the epochs took.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use floret::files::{FileError, write_atomically};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::files::RUN;
use crate::machine::Machine;

/// Where a run's data lay, and how long its epochs took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// The data folder as an absolute path; `None` where that is no text.
    pub data: Option<PathBuf>,
    /// The processes that trained, first to last.
    pub sessions: Vec<Session>,
}

/// One process that trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// When it began, in seconds since 1970.
    pub begun: u64,
    pub threads: usize,
    pub machine: Machine,
    /// The epochs that came to their end in it.
    pub epochs: Vec<EpochTime>,
}

/// How long an epoch took, or the part of it since training went on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochTime {
    /// Its number, from 0.
    pub epoch: u64,
    /// Photos trained on in this time.
    pub photos: u64,
    pub train_seconds: f64,
    pub eval_seconds: Option<f64>,
}

impl EpochTime {
    /// Photos trained on in a second.
    pub fn images_per_second(&self) -> f64 {
        self.photos as f64 / self.train_seconds.max(1e-9)
    }
}

/// Far more than a run of many thousand epochs writes.
const MAX_BYTES: u64 = 64 << 20;

impl RunFile {
    /// That of the run in `folder`; `None` if it has none, as from an earlier version.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RUN);
        let failed = |error| FileError::new(&path, "open", error);
        if !path.try_exists().map_err(failed)? {
            return Ok(None);
        }
        let metadata = fs::metadata(&path).map_err(failed)?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(format!("{} is not the file of a run: move it away", path.display()).into());
        }
        let bytes = fs::read(&path).map_err(failed)?;
        let read = serde_json::from_slice(&bytes);
        Ok(Some(read.map_err(|error| format!("{} is damaged: {error}: move it away", path.display()))?))
    }

    /// Replaces that of the run in `folder`.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)?;
        write_atomically(folder.join(RUN), |file| file.write_all(&json))?;
        Ok(())
    }

    /// Notes that a process begins to train on the data in `data`.
    pub fn begin_session(&mut self, data: &Path) {
        let absolute = std::path::absolute(data).unwrap_or_else(|_| data.into());
        self.data = absolute.to_str().is_some().then_some(absolute);
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.sessions.push(Session {
            begun: since_1970.map_or(0, |time| time.as_secs()),
            threads: rayon::current_num_threads(),
            machine: Machine::here(),
            epochs: Vec::new(),
        });
    }

    /// Notes an epoch of the process that trains now.
    pub fn add_epoch(&mut self, time: EpochTime) {
        if let Some(session) = self.sessions.last_mut() {
            session.epochs.push(time);
        }
    }

    /// How long an epoch took when it was last trained: a process that is killed may leave one to be trained again.
    pub fn epoch(&self, epoch: u64) -> Option<EpochTime> {
        let times = self.sessions.iter().rev().flat_map(|session| session.epochs.iter().rev());
        times.copied().find(|time| time.epoch == epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_the_last_time_of_an_epoch_counts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(RunFile::load(folder.path()).unwrap(), None);
        let mut run = RunFile::default();
        let time =
            |epoch, photos| EpochTime { epoch, photos, train_seconds: 0.1, eval_seconds: Some(1.0 / 3.0) };
        run.begin_session(folder.path());
        run.add_epoch(time(0, 10));
        run.add_epoch(time(1, 10));
        run.begin_session(folder.path());
        run.add_epoch(time(1, 4));
        run.save(folder.path()).unwrap();
        assert_eq!(RunFile::load(folder.path()).unwrap(), Some(run.clone()));
        assert_eq!((run.epoch(0), run.epoch(1), run.epoch(2)), (Some(time(0, 10)), Some(time(1, 4)), None));
        assert_eq!(run.epoch(1).unwrap().images_per_second(), 40.0);
        fs::write(folder.path().join(RUN), "{\"sessions\": 3}").unwrap();
        assert!(RunFile::load(folder.path()).unwrap_err().to_string().contains("run.json is damaged"));
    }
}
