//! The folder of a run: what is in it, and that no one else is at work there.

use std::path::Path;

use floret::checkpoint::{SavedTraining, load_training};
use floret::files::{HeldFolder, create_folder};

use crate::Result;
use crate::files::{MODEL, TRAINING};
use crate::ui::{note, warning};

/// The folder of a new run, held.
pub fn begin(out: &Path) -> Result<HeldFolder> {
    let run = claim(out)?;
    // Only once it is held: what lies in it may be another's that is just beginning.
    refuse_occupied(out)?;
    Ok(run)
}

/// Fails where a new run could not have the folder `out`, and makes nothing where it could.
pub fn check_free(out: &Path) -> Result<()> {
    // A run that is still at work there is what is to be told.
    refuse_occupied(out).or_else(|_| begin(out).map(drop))
}

/// The folder of a run to go on with, held, and its state.
pub fn resume(out: &Path) -> Result<(HeldFolder, SavedTraining)> {
    let path = out.join(TRAINING);
    if !exists(&path)? {
        return Err(format!(
            "{} is missing: there is no run to go on with; leave out --resume to begin one, or name its folder with --out",
            path.display()
        )
        .into());
    }
    let run = claim(out)?;
    let mut saved = load_training(path)?;
    let model = out.join(MODEL);
    if let Some(lost) = saved.confirm_best(&model)? {
        warning!(
            "{} is missing, the network of epoch {}: the best of the epochs to come will take its place",
            model.display(),
            lost.epoch + 1
        );
    }
    Ok((run, saved))
}

/// Whether there is such a file; an error where that can't be told.
fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| format!("cannot open {}: {error}", path.display()).into())
}

/// Makes the folder `out` where it is missing, and keeps other runs out of it.
pub fn claim(out: &Path) -> Result<HeldFolder> {
    create_folder(out)?;
    let run = HeldFolder::claim(out)?;
    if let Some(error) = run.unlocked() {
        note!(
            "note: {} can't be locked ({error}): see to it yourself that no other run uses it",
            out.display()
        );
    }
    Ok(run)
}

/// Fails if the folder `out` holds what another run made.
fn refuse_occupied(out: &Path) -> Result<()> {
    let choose = "choose another folder (--out), or move the file away";
    let (state, model) = (out.join(TRAINING), out.join(MODEL));
    if exists(&model)? && !exists(&state)? {
        return Err(format!("{} exists already: {choose}", model.display()).into());
    }
    if !exists(&state)? {
        return Ok(());
    }
    match load_training(&state) {
        // One that failed before its first step has left nothing that would be missed.
        Ok(saved) if saved.progress.step == 0 && !exists(&model)? => Ok(()),
        Ok(_) => {
            let out = out.display();
            Err(format!("{out} holds a training run already: go on with it (--resume), or {choose}").into())
        }
        Err(error) => Err(format!("{error}; {choose}").into()),
    }
}
