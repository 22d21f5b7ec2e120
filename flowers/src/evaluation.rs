//! An evaluation, shown while it is under way.

use floret::data::{Batch, Loader, Skipped};
use floret::metrics::Evaluation;
use floret::network::Network;
use floret::recipe::Answers;
use floret::train::TrainError;

use crate::Result;
use crate::messages;
use crate::ui::{self, Progress, Unit, note, warning};

/// Evaluates over every example of `data`, each once.
pub fn evaluate(network: &Network, data: &Loader) -> Result<Evaluation> {
    Ok(network.evaluate(batches(data, "evaluating"))?)
}

/// The same, with the answers worth a look; `what` is shown while it is under way.
pub fn answers(network: &Network, data: &Loader, what: &str) -> Result<Answers> {
    Ok(Answers::gather(network, batches(data, what))?)
}

/// Every batch of `data` once; `what` is shown while they are asked for.
fn batches<'a>(
    data: &'a Loader,
    what: &str,
) -> impl Iterator<Item = std::result::Result<Batch, TrainError>> + 'a {
    let progress = Progress::new(what, data.len() as u64, Unit::Photos);
    let mut done = 0;
    data.epoch(0).map(move |batch| {
        // Asked for when the batches before it are done.
        progress.set(done);
        let batch = batch?;
        done += batch.labels.len() as u64;
        Ok(batch)
    })
}

/// The share of bad records from which on they are not just noted.
const MANY: f64 = 0.05;

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
        // So many that the result is another's: said even where notes are not.
        if count as f64 >= MANY * data.len() as f64 {
            warning!("{}", told.trim_start_matches("note: "));
        } else {
            note!("{told}");
        }
    }
    count
}
