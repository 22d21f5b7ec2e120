//! Training, logged for TensorBoard.

use std::fmt;
use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayView2, Ix4};
use serde_json::{Map, Value};

use super::picture::{confusion_matrix, filters};
use super::watched::{Mistakes, Steps, batch_picture};
use super::{LogError, SummaryWriter};
use crate::data::Batch;
use crate::metrics::Evaluation;
use crate::network::{Network, StepReport};
use crate::train::{Callback, Ended, EpochRecord, Flow, Moment, TrainError};

/// Folders of the runs, below the log's.
const TRAIN: &str = "train";
const EVAL: &str = "eval";

/// Tags of both runs, which TensorBoard draws over each other.
const LOSS: &str = "loss";
const ACCURACY: &str = "accuracy";

/// Pixels of a filter's side in the picture of the first layer.
const FILTER_SIDE: usize = 48;

type Decide = Box<dyn FnMut(&LogError) -> Flow + Send>;

/// Logs a training for TensorBoard: `tensorboard --logdir FOLDER` shows it while it runs.
///
/// | run | when | what |
/// | --- | --- | --- |
/// | `train` | [every so many steps](Self::every_steps) | scalars `loss` and `accuracy` (means since the last), `learning_rate`, `gradient_norm`, `images_per_second` |
/// | | the first step of each epoch | images `batch`: the first photos of it as the network sees them |
/// | | each epoch | histograms `weights/...`, `gradients/...` (of its last step); images `filters/...`: the first convolution's |
/// | | once | text `summary`, the graph |
/// | `eval` | each epoch | scalars `loss`, `accuracy`; images `confusion_matrix`, `mistakes`: the photos it was surest of, wrongly |
/// | `eval`, or `train` without evaluation | once | the hyper-parameters, with the run's `accuracy` and `loss` |
///
/// A run that is resumed logs on, in new files of the same folders; what had been logged of the steps that come again is
/// superseded.
///
/// A write that fails, as on a full disk, ends training with the error unless [`on_error`](Self::on_error) decides
/// otherwise; one before the first step always does.
pub struct TensorBoard {
    folder: PathBuf,
    classes: Vec<String>,
    settings: Map<String, Value>,
    every_steps: u64,
    decide: Decide,
    /// Whether a failed write was told of, and no epoch was logged whole since.
    failing: bool,
    /// Whether nothing of this epoch failed.
    whole: bool,
    runs: Option<Runs>,
    /// Whether the next batch begins an epoch, or the session.
    begins: bool,
    /// What that batch looks like, until its step is done.
    batch: Option<Array3<u8>>,
    steps: Steps,
    /// Whether gradients are there: of a step of this session.
    stepped: bool,
    mistakes: Mistakes,
}

/// The event files of one session.
struct Runs {
    train: SummaryWriter,
    /// From the first evaluation on.
    eval: Option<SummaryWriter>,
    /// The session's first step.
    first_step: u64,
    /// Whether the hyper-parameters are logged.
    described: bool,
}

impl Runs {
    /// The run of the evaluation, which begins with the first.
    fn eval(&mut self, folder: &Path) -> Result<&mut SummaryWriter, LogError> {
        Ok(match &mut self.eval {
            Some(eval) => eval,
            eval => eval.insert(SummaryWriter::resume(folder.join(EVAL), self.first_step)?),
        })
    }

    /// The run whose scores count. The hyper-parameters are in it, since TensorBoard looks for their metrics in the same run or
    /// below.
    fn scored(&mut self) -> &mut SummaryWriter {
        self.eval.as_mut().unwrap_or(&mut self.train)
    }
}

impl TensorBoard {
    /// Logs into `folder`; `classes` names the classes, from 0, in pictures.
    pub fn new(folder: impl Into<PathBuf>, classes: &[String]) -> Self {
        Self {
            folder: folder.into(),
            classes: classes.to_vec(),
            settings: Map::new(),
            every_steps: 10,
            decide: Box::new(|_| Flow::Stop),
            failing: false,
            whole: true,
            runs: None,
            begins: true,
            batch: None,
            steps: Steps::default(),
            stepped: false,
            mistakes: Mistakes::default(),
        }
    }

    /// Sets how many steps one point of the training curves sums up; default 10.
    pub fn every_steps(mut self, steps: u64) -> Self {
        self.every_steps = steps.max(1);
        self
    }

    /// Sets the hyper-parameters to log.
    pub fn hyper_parameters(mut self, settings: Map<String, Value>) -> Self {
        self.settings = settings;
        self
    }

    /// Tells `decide` of a write that fails: [`Flow::Continue`] goes on without what could not be written, [`Flow::Stop`] ends
    /// training with the error, as does no `on_error`. Until an epoch can be logged again only the first failure is told.
    pub fn on_error(mut self, decide: impl FnMut(&LogError) -> Flow + Send + 'static) -> Self {
        self.decide = Box::new(decide);
        self
    }

    /// The folder that TensorBoard's `--logdir` names.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn start(&mut self, network: &Network, step: u64) -> Result<(), LogError> {
        // Of a run that goes on, the step that is done stays.
        let first_step = if step == 0 { 0 } else { step + 1 };
        let mut train = SummaryWriter::resume(self.folder.join(TRAIN), first_step)?;
        train.graph(network)?;
        // Indented text is code in Markdown: the columns stay columns.
        let summary: String = network.summary().lines().map(|line| format!("    {line}\n")).collect();
        train.text(step, "summary", &summary)?;
        if step == 0 {
            log_weights(&mut train, network, step)?;
        }
        self.runs = Some(Runs { train, eval: None, first_step, described: false });
        Ok(())
    }

    fn log_step(&mut self, network: &Network, report: &StepReport, step: u64) -> Result<(), LogError> {
        let Some(runs) = &mut self.runs else { return Ok(()) };
        let batch = self.batch.take();
        if step.is_multiple_of(self.every_steps) {
            let mut scalars = self.steps.take();
            scalars.push(("learning_rate", report.learning_rate.into()));
            let norm = report.gradient_norm.unwrap_or_else(|| gradient_norm(network));
            scalars.push(("gradient_norm", norm));
            runs.train.scalars(step, &scalars)?;
        }
        match batch {
            Some(picture) => runs.train.images(step, "batch", &[picture]),
            None => Ok(()),
        }
    }

    fn log_evaluation(&mut self, evaluation: &Evaluation, step: u64) -> Result<(), LogError> {
        let mistakes = std::mem::take(&mut self.mistakes).picture(&self.classes);
        let Some(runs) = &mut self.runs else { return Ok(()) };
        let eval = runs.eval(&self.folder)?;
        eval.scalars(step, &[(LOSS, evaluation.loss), (ACCURACY, evaluation.accuracy())])?;
        let confusion = confusion_matrix(&evaluation.confusion, &self.classes);
        for (tag, picture) in [("confusion_matrix", confusion), ("mistakes", mistakes)] {
            if let Some(picture) = picture {
                eval.images(step, tag, &[picture])?;
            }
        }
        Ok(())
    }

    fn log_epoch(&mut self, network: &Network, step: u64) -> Result<(), LogError> {
        let Some(runs) = &mut self.runs else { return Ok(()) };
        if !runs.described {
            runs.scored().hyper_parameters(&self.settings, &[ACCURACY, LOSS])?;
            runs.described = true;
        }
        log_weights(&mut runs.train, network, step)?;
        if self.stepped {
            for (param, values) in network.gradients() {
                runs.train.histogram(step, &format!("gradients/{}", param.name), &values)?;
            }
        }
        Ok(())
    }

    fn decide(&mut self, logged: Result<(), LogError>) -> Result<Flow, TrainError> {
        let Err(error) = logged else { return Ok(Flow::Continue) };
        self.whole = false;
        let told = std::mem::replace(&mut self.failing, true);
        match told || (self.decide)(&error) == Flow::Continue {
            true => Ok(Flow::Continue),
            false => Err(failed(error)),
        }
    }
}

/// The distribution of every array, and what the first convolution looks for.
fn log_weights(writer: &mut SummaryWriter, network: &Network, step: u64) -> Result<(), LogError> {
    for (param, values) in network.arrays() {
        writer.histogram(step, &format!("weights/{}", param.name), &values)?;
    }
    let mut kernels = network
        .arrays()
        .filter_map(|(param, values)| Some((param, values.into_dimensionality::<Ix4>().ok()?)));
    let picture = kernels.next().and_then(|(param, kernel)| Some((param, filters(kernel, FILTER_SIDE)?)));
    match picture {
        Some((param, picture)) => writer.images(step, &format!("filters/{}", param.name), &[picture]),
        None => Ok(()),
    }
}

/// L2 norm of all gradients together.
fn gradient_norm(network: &Network) -> f64 {
    let squares =
        network.gradients().map(|(_, values)| values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>());
    squares.sum::<f64>().sqrt()
}

fn failed(error: LogError) -> TrainError {
    TrainError::Callback(error.into())
}

impl Callback for TensorBoard {
    fn on_start(&mut self, moment: Moment<'_>) -> Result<Flow, TrainError> {
        self.start(moment.network, moment.progress.step).map_err(failed)?;
        Ok(Flow::Continue)
    }

    fn on_batch(&mut self, batch: &Batch) {
        if std::mem::replace(&mut self.begins, false) {
            self.batch = batch_picture(batch, &self.classes);
        }
    }

    fn on_step(&mut self, moment: Moment<'_>, report: &StepReport) -> Result<Flow, TrainError> {
        self.stepped = true;
        self.steps.add(report);
        let logged = self.log_step(moment.network, report, moment.progress.step);
        self.decide(logged)
    }

    fn on_evaluation_batch(&mut self, batch: &Batch, outputs: ArrayView2<'_, f32>) {
        self.mistakes.add(batch, outputs);
    }

    fn on_evaluation(&mut self, moment: Moment<'_>, evaluation: &Evaluation) -> Result<(), TrainError> {
        let logged = self.log_evaluation(evaluation, moment.progress.step);
        self.decide(logged).map(drop)
    }

    fn on_epoch(&mut self, moment: Moment<'_>, _record: &EpochRecord) -> Result<Flow, TrainError> {
        self.begins = true;
        self.steps.pause();
        let logged = self.log_epoch(moment.network, moment.progress.step);
        let flow = self.decide(logged);
        self.failing &= !std::mem::replace(&mut self.whole, true);
        flow
    }

    fn on_end(&mut self, _moment: Moment<'_>, ended: Ended) -> Result<(), TrainError> {
        // One that a callback stopped may go on.
        let Some(runs) = self.runs.as_mut().filter(|_| ended != Ended::Stopped) else { return Ok(()) };
        let logged = runs.scored().end();
        self.decide(logged).map(drop)
    }
}

impl fmt::Debug for TensorBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, every_steps, failing, .. } = self;
        f.debug_struct("TensorBoard")
            .field("folder", folder)
            .field("every_steps", every_steps)
            .field("failing", failing)
            .finish_non_exhaustive()
    }
}
