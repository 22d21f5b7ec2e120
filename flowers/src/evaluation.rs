//! An evaluation, shown while it is under way.

use floret::data::{Batch, Loader, Skipped};
use floret::metrics::Evaluation;
use floret::network::Network;
use floret::train::TrainError;
use ndarray::ArrayView2;

use crate::Result;
use crate::messages;
use crate::ui::{self, Progress, Unit, note};

/// Evaluates over every example of `data`, each once.
pub fn evaluate(network: &mut Network, data: &Loader) -> Result<Evaluation> {
    evaluate_each(network, data, "evaluating", |_, _| {})
}

/// The same, with a look at each batch and its outputs (logits; examples, outputs); `what` is shown while it is under way.
pub fn evaluate_each(
    network: &Network,
    data: &Loader,
    what: &str,
    look: impl FnMut(&Batch, ArrayView2<f32>),
) -> Result<Evaluation> {
    let progress = Progress::new(what, data.len() as u64, Unit::Photos);
    let mut done = 0;
    let batches = data.epoch(0).map(|batch| {
        // Asked for when the batches before it are done.
        progress.set(done);
        let batch = batch?;
        done += batch.labels.len() as u64;
        Ok::<_, TrainError>(batch)
    });
    Ok(network.evaluate_each(batches, look)?)
}

/// Says how many bad records of a split were left out, and what is wrong with them, as far as the loader keeps it. `told`
/// is how many had been left out when it was last said; returns how many are now.
pub fn note_skipped(split: &str, data: &Loader, told: usize) -> usize {
    let Skipped { count, errors, .. } = data.skipped();
    if count > told {
        let mut told = format!("note: left out {} of the {split} shards:", ui::count(count, "bad record"));
        for error in &errors {
            told += &format!("\n  {}", ui::escaped(&messages::message(error.as_ref())));
        }
        if count > errors.len() {
            told += &format!("\n  and {} more", count - errors.len());
        }
        note!("{told}");
    }
    count
}
