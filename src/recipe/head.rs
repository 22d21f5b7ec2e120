//! The opening of training with a new head: features once, then the head.

use std::path::PathBuf;

use ndarray::Array2;

use super::{Census, Plan, Settings};
use crate::data::{Loader, LoaderOptions};
use crate::loss::{Loss, SoftmaxCrossEntropy, Targets};
use crate::metrics::{Evaluation, predicted};
use crate::network::{Network, NetworkError};
use crate::train::{Flow, Opened, Opening, OpeningProgress, Score, TrainError};
use crate::transfer::{Features, Fitted, extract, fit, keep_held_out, photos};

/// Fits the new head of a network to the features of all photos, and finds out how long an epoch of the whole network would take.
pub(super) struct HeadOpening<'a> {
    pub settings: &'a Settings,
    pub census: Census,
    pub train: Loader,
    pub eval: Option<Loader>,
    /// Where features are kept, as FOLDER/features-train and FOLDER/features-eval.
    pub folder: Option<PathBuf>,
}

/// The file of what heads say of photos that they were not fitted to.
pub(super) const HELD_OUT: &str = "held-out";

/// The part of [`OpeningProgress`] in which photos go through a network that gets a new head.
pub const FEATURES: &str = "features";
/// That in which the head is fitted.
const HEAD: &str = "head";

impl Opening for HeadOpening<'_> {
    fn run(
        &mut self,
        network: &mut Network,
        watch: &mut dyn FnMut(OpeningProgress) -> Flow,
    ) -> Result<Option<Opened>, TrainError> {
        let body = network.body()?;
        let total = self.train.len() + self.eval.as_ref().map_or(0, Loader::len);
        let mut watch_from =
            |before: usize, done: usize| watch(OpeningProgress::new(FEATURES, before + done, total));
        let file = |split: &str| self.folder.as_ref().map(|folder| folder.join(format!("features-{split}")));
        let of_train = photos(&self.train)?;
        let train =
            extract(&body, &of_train, file(super::TRAIN).as_deref(), &mut |done| watch_from(0, done))?;
        let Some(train) = train else { return Ok(None) };
        let mut eval = None;
        if let Some(loader) = &self.eval {
            let before = self.train.len();
            let features = extract(&body, &photos(loader)?, file(super::EVAL).as_deref(), &mut |done| {
                watch_from(before, done)
            })?;
            let Some(features) = features else { return Ok(None) };
            eval = Some(features);
        }
        if watch(OpeningProgress::new(HEAD, 0, 1)) == Flow::Stop {
            return Ok(None);
        }
        let LoaderOptions { classes, .. } = *self.train.options();
        let (labels, records) = (train.labels.clone(), train.records.clone());
        let weights = self.settings.class_weights.as_deref();
        let fitted = fit(
            train.into_array(body.outputs()),
            &labels,
            classes,
            weights,
            self.settings.seed,
            network.isa(),
            &mut || watch(OpeningProgress::new(HEAD, 0, 1)),
        );
        let Some(fitted) = fitted else { return Ok(None) };
        self.install(network, &fitted)?;
        let evaluation = eval.map(|eval| evaluate(&fitted, eval, body.outputs(), classes)).transpose()?;
        if let Some(folder) = self.folder.as_ref().filter(|_| fitted.held_out) {
            let values = fitted.logits.iter().copied().collect();
            // Without it the report asks the network about each photo again.
            let _ = keep_held_out(
                &folder.join(HELD_OUT),
                &of_train,
                &Features { values, labels: labels.clone(), records },
            );
        }
        let score = score(&fitted.logits, &labels)?;
        let opened = Opened::new(score, evaluation);
        if !self.settings.trains_steps() {
            // However much time there is.
            return Ok(Some(opened.epoch_seconds(f64::INFINITY)));
        }
        let plan = Plan::measure(self.settings, network.clone(), &self.census);
        Ok(Some(match plan {
            Ok(plan) => opened.epoch_seconds(plan.epoch_seconds(self.settings)),
            Err(_) => opened,
        }))
    }
}

impl HeadOpening<'_> {
    fn install(&self, network: &mut Network, Fitted { layer, .. }: &Fitted) -> Result<(), NetworkError> {
        let head = self.settings.head.as_deref().unwrap_or_default();
        network.set_array(&format!("{head}/kernel"), layer.kernel.view().into_dyn())?;
        network.set_array(&format!("{head}/bias"), layer.bias.view().into_dyn())
    }
}

/// The head's evaluation by the features of the photos: what the whole network would say.
fn evaluate(
    fitted: &Fitted,
    eval: Features,
    features: usize,
    classes: usize,
) -> Result<Evaluation, NetworkError> {
    let labels = eval.labels.clone();
    let logits = eval.into_array(features).dot(&fitted.layer.kernel) + &fitted.layer.bias;
    let mut evaluation = Evaluation::new(classes);
    let loss = Loss::from(SoftmaxCrossEntropy::default().sum());
    evaluation.add(loss.evaluate(logits.view(), Targets::from(&labels), None)?, logits.view(), &labels);
    Ok(evaluation)
}

/// How good these logits are.
fn score(logits: &Array2<f32>, labels: &[usize]) -> Result<Score, NetworkError> {
    let loss =
        Loss::from(SoftmaxCrossEntropy::default()).evaluate(logits.view(), Targets::from(labels), None)?;
    let right =
        logits.rows().into_iter().zip(labels).filter(|(row, label)| predicted(*row) == Some(**label)).count();
    Ok(Score { loss, accuracy: right as f64 / labels.len().max(1) as f64 })
}
