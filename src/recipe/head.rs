//! The opening of training with a new head: features once, then the head.

use std::path::PathBuf;

use ndarray::ArrayView2;

use super::{Census, EVAL, Plan, Settings, TRAIN};
use crate::data::{Loader, LoaderOptions};
use crate::metrics::Evaluation;
use crate::network::{Network, NetworkError};
use crate::train::{Flow, Opened, Opening, OpeningProgress, Score, TrainError};
use crate::transfer::{Extraction, Features, Fitted, Views, fit, in_views, keep_held_out, photos};

/// Fits the new head of a network to the features of all photos, and finds out how long an epoch of the whole network would take.
pub(super) struct HeadOpening<'a> {
    pub settings: &'a Settings,
    pub census: Census,
    pub train: Loader,
    pub eval: Option<Loader>,
    /// Where features are kept, as FOLDER/features-train and FOLDER/features-eval; those of further views as
    /// FOLDER/features-train-2 and so on.
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
        let file = |name: String| self.folder.as_ref().map(|folder| folder.join(name));
        let mut parts = Vec::new();
        for (place, view) in
            in_views(self.settings.preprocess(), self.settings.head_views).into_iter().enumerate()
        {
            let name = match place {
                0 => format!("features-{TRAIN}"),
                _ => format!("features-{TRAIN}-{}", place + 1),
            };
            parts.push(Extraction::open(&body, photos(&self.train, view)?, file(name).as_deref()));
        }
        if let Some(eval) = &self.eval {
            let photos = photos(eval, eval.options().preprocess)?;
            parts.push(Extraction::open(&body, photos, file(format!("features-{EVAL}")).as_deref()));
        }
        let Some(mut views) = run(parts, watch)? else { return Ok(None) };
        let eval = self.eval.as_ref().and_then(|_| views.pop());
        let Views { values, labels, records } = Views::stack(views, body.outputs());
        if watch(OpeningProgress::new(HEAD, 0, 1)) == Flow::Stop {
            return Ok(None);
        }
        let LoaderOptions { classes, .. } = *self.train.options();
        let weights = self.settings.class_weights.as_deref();
        let fitted = fit(values, &labels, classes, weights, self.settings.seed, network.isa(), &mut || {
            watch(OpeningProgress::new(HEAD, 0, 1))
        });
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
                &self.train,
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

/// Computes the features of all parts, one part after the other. `watch` hears how many photos of all are done, with those that
/// were kept from the beginning on; `None` if it says to stop.
fn run(
    parts: Vec<Extraction<'_>>,
    watch: &mut dyn FnMut(OpeningProgress) -> Flow,
) -> Result<Option<Vec<Features>>, TrainError> {
    let total = parts.iter().map(Extraction::total).sum();
    let mut done: usize = parts.iter().map(Extraction::done).sum();
    let mut features = Vec::new();
    for part in parts {
        let others = done - part.done();
        let all = others + part.total();
        let of_part =
            part.run(&mut |of_part| watch(OpeningProgress::new(FEATURES, others + of_part, total)))?;
        let Some(of_part) = of_part else { return Ok(None) };
        features.push(of_part);
        done = all;
    }
    Ok(Some(features))
}

/// What these logits are worth.
fn evaluation(logits: ArrayView2<f32>, labels: &[usize]) -> Result<Evaluation, NetworkError> {
    let mut evaluation = Evaluation::new(logits.ncols());
    evaluation.add_logits(logits, labels)?;
    Ok(evaluation)
}
