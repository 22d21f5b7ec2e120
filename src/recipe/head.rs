//! The opening of training with a new head: features once, then the head.

use std::path::PathBuf;

use ndarray::ArrayView2;

use super::{Census, Plan, Settings};
use crate::data::{Loader, LoaderOptions};
use crate::metrics::Evaluation;
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
        let train_photos = photos(&self.train)?;
        let train =
            extract(&body, &train_photos, file(super::TRAIN).as_deref(), &mut |done| watch_from(0, done))?;
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
        // What the whole network would say, by the features of the photos.
        let of_eval = eval.map(|eval| {
            let labels = eval.labels.clone();
            let logits = eval.into_array(body.outputs()).dot(&fitted.layer.kernel) + &fitted.layer.bias;
            evaluation(logits.view(), &labels)
        });
        if let Some(folder) = self.folder.as_ref().filter(|_| fitted.held_out) {
            let values = fitted.logits.iter().copied().collect();
            // Without it the report asks the network about each photo again.
            let _ = keep_held_out(
                &folder.join(HELD_OUT),
                &train_photos,
                &Features { values, labels: labels.clone(), records },
            );
        }
        let of_train = evaluation(fitted.logits.view(), &labels)?;
        let score = Score { loss: of_train.loss, accuracy: of_train.accuracy() };
        let opened = Opened::new(score, of_eval.transpose()?);
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

/// What these logits are worth.
fn evaluation(logits: ArrayView2<f32>, labels: &[usize]) -> Result<Evaluation, NetworkError> {
    let mut evaluation = Evaluation::new(logits.ncols());
    evaluation.add_logits(logits, labels)?;
    Ok(evaluation)
}
