//! From a data folder to a trained network.

use std::path::PathBuf;
use std::time::Instant;

use super::brightness::{normalization, told_by_brightness};
use super::deadline::{Deadline, Time, plan_head};
use super::head::HeadOpening;
use super::mirror::mirrored_classes;
use super::origin::Origin;
use super::samples::samples;
use super::settings::SEED;
use super::start::Start;
use super::{
    Augmentation, Census, Choices, Conflict, DataFolder, EVAL, FIRST_LABEL, Normalization, Note, Recipe,
    RecipeError, Settings, TRAIN, note, plan, rules,
};
use crate::checkpoint::{Arithmetic, CheckpointError, ModelInfo, SavedTraining, save_model};
use crate::data::{Loader, LoaderOptions, Preprocess};
use crate::image::ChannelOrder;
use crate::metrics::Evaluation;
use crate::network::Network;
use crate::optim::Optimizer;
use crate::train::{
    Best, Callback, Ended, EpochRecord, Flow, Moment, Progress, TrainError, TrainOptions, Trainer, evaluate,
};

/// How long training may take.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Budget {
    /// So many minutes, the evaluation of the best network included. Image size and epochs are fitted to the speed of this
    /// machine.
    Minutes(f64),
    /// So many passes over the training photos, however long they take. The same seed then gives the same network.
    Epochs(usize),
}

impl Budget {
    /// [`Budget::Minutes`].
    pub fn minutes(minutes: f64) -> Self {
        Budget::Minutes(minutes)
    }

    /// [`Budget::Epochs`].
    pub fn epochs(epochs: usize) -> Self {
        Budget::Epochs(epochs)
    }
}

/// Training by a recipe: what was chosen, and the rest as suits the photos and the time.
///
/// [`run`](Self::run) does it all. [`prepare`](Self::prepare) stops before the first step, for programs that show, save and
/// interrupt by [callbacks](Callback).
///
/// ```no_run
/// use floret::recipe::{Choices, Training};
///
/// let choices = Choices { image_size: Some(64), ..Choices::default() };
/// let trained = Training::new("data").choose(choices).epochs(20).seed(1).run()?;
/// # Ok::<(), floret::Error>(())
/// ```
#[derive(Debug)]
pub struct Training {
    data: Source,
    begun: Instant,
    choices: Choices,
    settings: Option<Settings>,
    begin: Begin,
    reports: bool,
    features: Option<PathBuf>,
}

/// What it trains on.
#[derive(Debug)]
enum Source {
    Path(PathBuf),
    Open(DataFolder),
}

/// What training begins with.
#[derive(Debug)]
enum Begin {
    /// A new network.
    New,
    /// That of a model.
    Model(PathBuf),
    /// Where a run was.
    Saved(Box<SavedTraining>),
}

impl Training {
    /// Training on the data folder `data`. Under a budget of time, the time begins now.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self::of(Source::Path(data.into()))
    }

    /// Training on data that were opened before. Under a budget of time, the time begins now.
    pub fn on(data: DataFolder) -> Self {
        Self::of(Source::Open(data))
    }

    fn of(data: Source) -> Self {
        Self {
            data,
            begun: Instant::now(),
            choices: Choices::default(),
            settings: None,
            begin: Begin::New,
            reports: false,
            features: None,
        }
    }

    /// Under a budget of time, counts from this moment on.
    pub fn since(mut self, begun: Instant) -> Self {
        self.begun = begun;
        self
    }

    /// Takes these choices instead of those before.
    pub fn choose(mut self, choices: Choices) -> Self {
        self.choices = choices;
        self
    }

    /// Sets how long it may take.
    pub fn budget(mut self, budget: Budget) -> Self {
        (self.choices.minutes, self.choices.epochs) = match budget {
            Budget::Minutes(minutes) => (Some(minutes), None),
            Budget::Epochs(epochs) => (None, Some(epochs)),
        };
        self
    }

    /// [`budget`](Self::budget) of so many minutes.
    pub fn minutes(self, minutes: f64) -> Self {
        self.budget(Budget::Minutes(minutes))
    }

    /// [`budget`](Self::budget) of so many epochs.
    pub fn epochs(self, epochs: usize) -> Self {
        self.budget(Budget::Epochs(epochs))
    }

    /// Sets the source of all randomness, 1 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.choices.seed = Some(seed);
        self
    }

    /// Trains with exactly these settings, whatever was chosen.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Begins with the network of this file, a model or an ONNX graph.
    ///
    /// If its classes are those of the data it trains on as a new one would. Else it gets a new last layer
    /// ([`Network::with_head`]): every photo goes once through the rest, the new layer is fitted to what comes out, in the first epoch's
    /// place, and the later layers train in the time that is left; the better of both is kept. [`Choices::head_only`] ends behind the
    /// new layer, and then that may be fitted to further views of the photos ([`Choices::head_views`]).
    pub fn start_from(mut self, model: impl Into<PathBuf>) -> Self {
        self.begin = Begin::Model(model.into());
        self
    }

    /// Keeps the features of photos, where a network gets a new head, in this folder, so that a run that is interrupted goes on with
    /// those it has.
    pub fn keep_features(mut self, folder: impl Into<PathBuf>) -> Self {
        self.features = Some(folder.into());
        self
    }

    /// Goes on where a run was, with its settings.
    pub fn resume(mut self, saved: SavedTraining) -> Self {
        self.begin = Begin::Saved(Box::new(saved));
        self
    }

    /// Whether a budget of time is to leave time for the best network's answers to the training photos too, as for a report.
    pub fn with_report(mut self, reports: bool) -> Self {
        self.reports = reports;
        self
    }

    /// The first label, as far as it is known before the settings are.
    fn first_label(&self) -> i64 {
        match (&self.settings, &self.begin) {
            (Some(settings), _) => settings.label_offset,
            (None, Begin::Saved(saved)) => {
                Settings::of(saved).map_or(FIRST_LABEL, |saved| saved.label_offset)
            }
            (None, _) => self.choices.label_offset.unwrap_or(FIRST_LABEL),
        }
    }

    /// Holds photos out for evaluation, where that was chosen, now or when the run began.
    fn hold_out(&self, data: DataFolder) -> Result<DataFolder, RecipeError> {
        match (&self.settings, &self.begin, self.choices.hold_out) {
            (Some(settings), ..) => settings.hold_out_of(data),
            // Bad records may be skipped from now on.
            (None, Begin::Saved(saved), _) => {
                Settings::resumed(saved, &self.choices, &mut |_| {})?.hold_out_of(data)
            }
            (None, _, Some(share)) => {
                let options = counting_options(&self.choices, data.classes.names().len());
                data.hold_out(share, self.choices.seed.unwrap_or(SEED), options)
            }
            (None, _, None) => Ok(data),
        }
    }

    /// Counts the photos, chooses the settings, plans the time, and makes the network; `tell` hears what is worth knowing, as
    /// it is found.
    ///
    /// # Errors
    /// Choices that can't be had; data, a model or a saved run that can't be read or don't fit each other; too little memory.
    pub fn prepare(mut self, tell: &mut dyn FnMut(Note)) -> Result<Prepared, RecipeError> {
        let data = match &self.data {
            Source::Path(path) => DataFolder::open_counting_from(path, self.first_label())?,
            Source::Open(data) => data.clone(),
        };
        for split in [TRAIN, EVAL] {
            if let Some(set) = data.shards(split)?.and_then(|shards| shards.set) {
                tell(Note::OtherShards { split: split.into(), set });
            }
        }
        let data = self.hold_out(data)?;
        // The script is its own network at its own size.
        let is_script = self.choices.recipe == Some(Recipe::Script);
        if let (Begin::New, Some(side), false) = (&self.begin, data.side(), is_script) {
            // Of scikit-learn's digits (8x8, 500 of 1797 to choose by) 99 % are right after ten epochs so, 94 % with strong changes.
            self.choices.image_size.get_or_insert(side);
            self.choices.augment.get_or_insert(Augmentation::Light);
        }
        let classes = data.classes.names();
        let (mut settings, mut census) = match (&self.begin, self.settings) {
            (_, Some(settings)) => (settings, None),
            (Begin::Saved(saved), None) => (Settings::resumed(saved, &self.choices, tell)?, None),
            (begin, None) => {
                let is_new = matches!(begin, Begin::New);
                let (settings, census) = new_settings(&data, &self.choices, is_new, tell)?;
                (settings, Some(census))
            }
        };
        let origin = match self.begin {
            Begin::New if settings.head_only => return Err(Conflict::HeadOnly.into()),
            Begin::New if settings.head_views > 1 => return Err(Conflict::HeadViews.into()),
            Begin::New => Origin::New,
            Begin::Model(path) => {
                let census = match &mut census {
                    Some(census) => census,
                    none => none.insert(Census::of(&data, settings.loader_options(classes.len()))?),
                };
                let start = Start::read(&path, &mut settings, &self.choices, classes, census, tell)?;
                Origin::Model(Box::new(start))
            }
            Begin::Saved(saved) => {
                let run = &saved.info.classes;
                if run != classes {
                    return Err(RecipeError::RunClasses { run: run.clone(), data: classes.into() });
                }
                Origin::Saved(saved)
            }
        };
        let time = settings.minutes.map(|minutes| Time {
            begun: self.begun,
            seconds: 60.0 * minutes,
            reports: self.reports,
        });
        let begins_with_head = settings.head.is_some() && matches!(origin, Origin::Model(_));
        let deadline = if time.is_some() && origin.is_finished() {
            Some(Deadline { at: self.begun, epochs: origin.epochs_done() })
        } else if time.is_some() || begins_with_head {
            let census = match census {
                Some(census) => census,
                None => Census::of(&data, settings.loader_options(classes.len()))?,
            };
            if settings.head.is_some() {
                let network = origin.network(&settings, &census)?;
                let pass = plan::pass_seconds(&network, census.photos() + census.eval)?;
                if begins_with_head {
                    plan_head(&mut settings, &self.choices, &census, pass, tell);
                }
                time.map(|time| time.after_head(&settings, &origin, &census, pass))
            } else {
                time.map(|time| time.fit(&mut settings, &self.choices, &origin, &census, tell)).transpose()?
            }
        } else {
            None
        };
        let mut prepared = Prepared::new(data, settings, deadline, origin, tell)?;
        prepared.features = self.features;
        Ok(prepared)
    }

    /// Trains, and gives the best network.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare); whatever ends training; [`RecipeError::NoNetwork`].
    pub fn run(self) -> Result<Trained, RecipeError> {
        let mut notes = Vec::new();
        let mut prepared = self.prepare(&mut |note| notes.push(note))?;
        let mut kept = KeepBest::default();
        let ended = prepared.run(&mut [&mut kept])?;
        let (Some(network), Some(best)) = (kept.network, prepared.progress().best) else {
            return Err(RecipeError::NoNetwork);
        };
        let evaluation = prepared.eval.as_ref().map(|eval| evaluate(&network, eval)).transpose()?;
        let Prepared { settings, info, trainer, .. } = prepared;
        let progress = trainer.progress().clone();
        Ok(Trained { network, info, evaluation, best, ended, progress, settings, notes })
    }
}

/// Options to read labels by.
fn counting_options(choices: &Choices, classes: usize) -> LoaderOptions {
    let mut options = LoaderOptions::new(Preprocess::new(1), classes);
    choices.read_records(&mut options);
    options
}

/// The settings of a new run, by what was chosen and its photos, which are counted; whether of a new network, too.
fn new_settings(
    data: &DataFolder,
    choices: &Choices,
    is_new: bool,
    tell: &mut dyn FnMut(Note),
) -> Result<(Settings, Census), RecipeError> {
    choices.check()?;
    let classes = data.classes.names();
    let mut options = counting_options(choices, classes.len());
    options.preprocess.channel_order = choices.channel_order.unwrap_or_default();
    let census = Census::of(data, options.clone())?;
    tell(Note::Counted { classes: classes.iter().cloned().zip(census.classes.iter().copied()).collect() });
    let mut settings = Settings::new(choices, &census)?;
    let by_data = choices.normalize == Some(Normalization::Data);
    let is_default = settings.recipe == Recipe::Default;
    let mirrors = settings.augment != Augmentation::None || settings.regularization.test_time_flip;
    let asks_mirrors = is_default && mirrors && choices.mirror.is_none();
    let asks_brightness = is_default && is_new && choices.normalize.is_none();
    let asks_color = is_default && is_new && choices.channel_order.is_none();
    if by_data || asks_mirrors || asks_brightness || asks_color {
        let samples = samples(&data.train(options)?);
        let named = |pair: [usize; 2]| pair.map(|class| classes[class].clone());
        let pairs = if asks_mirrors { mirrored_classes(&samples) } else { Vec::new() };
        if !pairs.is_empty() {
            settings.set_no_mirror(choices);
            tell(Note::MirrorClasses { pairs: pairs.into_iter().map(named).collect() });
        }
        let told = if asks_brightness { told_by_brightness(&samples, classes.len()) } else { None };
        if let Some(normalize) = normalization(&samples).filter(|_| by_data || told.is_some()) {
            settings.normalize = normalize;
        }
        if let Some(pair) = told {
            tell(Note::BrightnessTells { classes: named(pair), normalize: settings.normalize });
        }
        let are_gray = !samples.is_empty() && samples.iter().all(|sample| sample.is_gray);
        if asks_color && are_gray && settings.normalize.is_same_for_colors() {
            settings.channel_order = ChannelOrder::Gray;
            tell(Note::Gray);
        }
    }
    if settings.recipe == Recipe::Default {
        note::of_photos(&census, choices.class_weights(), &settings, classes).into_iter().for_each(tell);
    }
    Ok((settings, census))
}

/// Training that is ready for its first step, or for its next.
#[non_exhaustive]
pub struct Prepared {
    /// The data folder.
    pub data: DataFolder,
    /// What decides the result.
    pub settings: Settings,
    /// When training is to end, under a budget of time.
    pub deadline: Option<Deadline>,
    /// The photos to train on.
    pub train: Loader,
    /// The photos to evaluate on, if there are any.
    pub eval: Option<Loader>,
    /// The network.
    pub network: Network,
    /// The optimizer.
    pub optimizer: Box<dyn Optimizer>,
    /// What prediction needs besides the network.
    pub info: ModelInfo,
    trainer: Trainer,
    features: Option<PathBuf>,
}

impl Prepared {
    fn new(
        data: DataFolder,
        settings: Settings,
        deadline: Option<Deadline>,
        origin: Origin,
        tell: &mut dyn FnMut(Note),
    ) -> Result<Self, RecipeError> {
        let classes = data.classes.names();
        let options = settings.loader_options(classes.len());
        let train = data.train(options.clone())?;
        let eval = data.eval(options.clone().for_evaluation())?;
        if eval.is_none() {
            tell(Note::NoEvaluation);
        }
        let budget = deadline.map(|deadline| deadline.budget(origin.spent()));
        let train_options = settings.train_options(train.batches(), budget);
        let mut optimizer = settings.optimizer();
        let (photos, batch_size) = (train.len(), settings.batch_size);
        let smaller = rules::batch_size(photos);
        if !matches!(origin, Origin::Saved(_)) && photos < batch_size && smaller < photos {
            tell(Note::SmallerBatches { photos, batch_size, smaller });
        }
        let (network, trainer) = match origin {
            Origin::New => (settings.network(classes.len(), photos)?, Trainer::new(train_options)),
            Origin::Model(start) => (start.network(&settings, photos)?, Trainer::new(train_options)),
            Origin::Saved(mut saved) => {
                saved.restore(optimizer.as_mut())?;
                tell(Note::GoingOn { epochs: saved.progress.epoch, batches: saved.progress.batch });
                let now = Arithmetic::here();
                if let Some(before) = saved.arithmetic.take().filter(|before| *before != now) {
                    tell(Note::OtherArithmetic { before, now });
                }
                let trainer = Trainer::resume(train_options, saved.progress).with_average(saved.average);
                (saved.network, trainer)
            }
        };
        let info = ModelInfo { classes: classes.to_vec(), preprocess: options.preprocess };
        Ok(Self { data, settings, deadline, train, eval, network, optimizer, info, trainer, features: None })
    }

    /// Where training is.
    pub fn progress(&self) -> &Progress {
        self.trainer.progress()
    }

    /// How the trainer goes through the epochs.
    pub fn options(&self) -> &TrainOptions {
        self.trainer.options()
    }

    /// About how many epochs the run has, from its very beginning, under a budget of time.
    pub fn expected_epochs(&self) -> Option<u64> {
        let planned = self.deadline.map(|deadline| deadline.epochs);
        self.progress().expected_epochs().or(planned)
    }

    /// Trains to the end, or until a callback stops it.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run(&mut self, callbacks: &mut [&mut dyn Callback]) -> Result<Ended, TrainError> {
        let Self { network, optimizer, train, eval, trainer, settings, features, .. } = self;
        if settings.head.is_some() {
            let census = Census {
                eval: eval.as_ref().map_or(0, Loader::len),
                ..Census::new(vec![train.len() as u64])
            };
            let (settings, folder) = (&*settings, features.clone());
            let mut opening =
                HeadOpening { settings, census, train: train.clone(), eval: eval.clone(), folder };
            return trainer.run_after(
                &mut opening,
                network,
                optimizer.as_mut(),
                train,
                eval.as_ref(),
                callbacks,
            );
        }
        trainer.run(network, optimizer.as_mut(), train, eval.as_ref(), callbacks)
    }
}

/// What training gave.
#[derive(Debug)]
#[non_exhaustive]
pub struct Trained {
    /// The best network.
    pub network: Network,
    /// What prediction needs besides the network: class names, and the way from a photo to its input.
    pub info: ModelInfo,
    /// Its evaluation, if there are photos to evaluate on.
    pub evaluation: Option<Evaluation>,
    /// Its epoch.
    pub best: Best,
    /// Why training ended.
    pub ended: Ended,
    /// What each epoch gave.
    pub progress: Progress,
    /// What was chosen.
    pub settings: Settings,
    /// What is worth knowing of the photos and the choices.
    pub notes: Vec<Note>,
}

impl Trained {
    /// Saves the network as a model file, for [`Classifier`](crate::Classifier) and the program.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<(), CheckpointError> {
        save_model(path, &self.network, &self.info)
    }
}

/// Keeps the best network.
#[derive(Default)]
struct KeepBest {
    network: Option<Network>,
}

impl Callback for KeepBest {
    fn on_epoch(&mut self, moment: Moment<'_>, record: &EpochRecord) -> Result<Flow, TrainError> {
        if record.best {
            self.network = Some(moment.outcome().clone());
        }
        Ok(Flow::Continue)
    }
}
