//! Event files.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ndarray::Array3;
use prost::Message;

use super::hparams::{self, EXPERIMENT, SESSION_END, SESSION_START};
use super::{LogError, graph, summary};
use crate::files::{FileError, create_folder};
use crate::network::Network;
use crate::proto::events::event::What;
use crate::proto::events::session_log::SessionStatus;
use crate::proto::events::summary::Value;
use crate::proto::events::{Event, SessionLog, SourceMetadata, Summary};
use crate::record::{Compression, RecordWriter};

/// The version of the format, which a file begins with.
const VERSION: &str = "brain.Event:2";

/// Logs one run for TensorBoard, in a new event file of the run's folder.
///
/// Each call writes whole events and hands them to the system, so that a TensorBoard that watches the folder shows them within
/// its reload interval. They are not synced to the disk: a power cut may take the last of them.
///
/// A write that fails leaves the file as it was before: the next goes on behind the last whole event, and only what could not
/// be written is missing.
///
/// ```no_run
/// use floret::log::SummaryWriter;
///
/// let mut writer = SummaryWriter::create("runs/first")?;
/// for step in 0..100 {
///     writer.scalar(step, "loss", 1.0 / (step + 1) as f64)?;
/// }
/// # Ok::<(), floret::log::LogError>(())
/// ```
pub struct SummaryWriter {
    path: PathBuf,
    file: File,
    /// Bytes of whole records.
    written: u64,
    /// Whether there may be more in the file, of a record that failed.
    torn: bool,
}

impl SummaryWriter {
    /// Begins a run in `folder`, which is created where it is missing. What earlier files in it hold is superseded.
    ///
    /// # Errors
    /// A folder or a file that can't be created or written to.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::resume(folder, 0)
    }

    /// Goes on with the run in `folder` from `step` on: what earlier files in it hold of that step and later ones is
    /// superseded, since it will come again.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn resume(folder: impl AsRef<Path>, step: u64) -> Result<Self, LogError> {
        let folder = folder.as_ref();
        create_folder(folder)?;
        let (path, file) = new_file(folder)?;
        let mut writer = Self { path, file, written: 0, torn: false };
        let source_metadata = Some(SourceMetadata { writer: "floret.log".into() });
        let version = Some(What::FileVersion(VERSION.into()));
        writer.write(Event { wall_time: seconds_now(), step: 0, what: version, source_metadata })?;
        writer.event(step, What::SessionLog(SessionLog { status: SessionStatus::Start.into() }))?;
        Ok(writer)
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Logs a number (as a 32-bit float).
    ///
    /// # Errors
    /// Those of the file.
    pub fn scalar(&mut self, step: u64, tag: &str, number: f64) -> Result<(), LogError> {
        self.scalars(step, &[(tag, number)])
    }

    /// Logs numbers under their tags.
    ///
    /// # Errors
    /// Those of the file.
    pub fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<(), LogError> {
        self.values(step, scalars.iter().map(|(tag, number)| summary::scalar(tag, *number)).collect())
    }

    /// Logs how values are distributed. Those that are not finite do not count.
    ///
    /// # Errors
    /// Those of the file.
    pub fn histogram<'a>(
        &mut self,
        step: u64,
        tag: &str,
        values: impl IntoIterator<Item = &'a f32, IntoIter: Clone>,
    ) -> Result<(), LogError> {
        self.values(step, vec![summary::histogram(tag, values.into_iter().copied())])
    }

    /// Logs RGB images, each of shape (height, width, 3). How many of a tag TensorBoard shows is its `--samples_per_plugin`.
    ///
    /// # Errors
    /// An image of another shape or without a pixel; those of the file.
    pub fn images(&mut self, step: u64, tag: &str, images: &[Array3<u8>]) -> Result<(), LogError> {
        self.values(step, vec![summary::images(tag, images)?])
    }

    /// Logs text in Markdown.
    ///
    /// # Errors
    /// Those of the file.
    pub fn text(&mut self, step: u64, tag: &str, markdown: &str) -> Result<(), LogError> {
        self.values(step, vec![summary::text(tag, markdown)])
    }

    /// Logs the layers of a network as the graph of the run: a scope each, with the operations TensorFlow would use.
    ///
    /// # Errors
    /// Those of the file.
    pub fn graph(&mut self, network: &Network) -> Result<(), LogError> {
        self.event(0, What::GraphDef(graph::graph(network).encode_to_vec()))
    }

    /// Logs the values that the run trains with, and the tags of its scalars that the HParams tab shows beside them. Numbers, texts
    /// and truths show as such, other values as their JSON.
    ///
    /// # Errors
    /// Those of the file.
    pub fn hyper_parameters(
        &mut self,
        settings: &serde_json::Map<String, serde_json::Value>,
        metrics: &[&str],
    ) -> Result<(), LogError> {
        let now = seconds_now();
        let experiment = hparams::experiment(settings, metrics, now);
        let start = hparams::session_start(settings, now);
        self.values(0, vec![summary::hparams(EXPERIMENT, &experiment)])?;
        self.values(0, vec![summary::hparams(SESSION_START, &start)])
    }

    /// Logs that the run came to its end. Until then the HParams tab shows it as running.
    ///
    /// # Errors
    /// Those of the file.
    pub fn end(&mut self) -> Result<(), LogError> {
        self.values(0, vec![summary::hparams(SESSION_END, &hparams::session_end(seconds_now()))])
    }

    fn values(&mut self, step: u64, value: Vec<Value>) -> Result<(), LogError> {
        self.event(step, What::Summary(Summary { value }))
    }

    fn event(&mut self, step: u64, what: What) -> Result<(), LogError> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.write(Event { wall_time: seconds_now(), step, what: Some(what), source_metadata: None })
    }

    fn write(&mut self, event: Event) -> Result<(), LogError> {
        self.append(&event.encode_to_vec()).map_err(|error| FileError::new(&self.path, "write", error).into())
    }

    /// Writes a record in one go.
    fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut record = RecordWriter::new(Vec::new(), Compression::Plain);
        record.write(payload)?;
        let record = record.finish()?;
        if std::mem::replace(&mut self.torn, true) {
            self.file.set_len(self.written)?;
        }
        self.file.write_all(&record)?;
        self.written += record.len() as u64;
        self.torn = false;
        Ok(())
    }
}

impl fmt::Debug for SummaryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SummaryWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A file that was not there before. TensorBoard reads those of a run in the order of their names, which is that of time.
fn new_file(folder: &Path) -> Result<(PathBuf, File), FileError> {
    let mut time = now();
    loop {
        let name = format!("events.out.tfevents.{:010}.{:09}.floret", time.as_secs(), time.subsec_nanos());
        let path = folder.join(name);
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => time += Duration::from_nanos(1),
            Err(error) => return Err(FileError::new(path, "create", error)),
        }
    }
}

/// Time since 1970; none on a clock that is before it.
fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

fn seconds_now() -> f64 {
    now().as_secs_f64()
}
