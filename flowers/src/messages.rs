//! The library's errors, with the flag or command of this program that helps: its messages say what is wrong, and here is added
//! what to do about it. Only what a command alone knows, such as where else a file may go, it adds itself.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::path::Path;

use floret::checkpoint::CheckpointError;
use floret::data::BatchError;
use floret::data::convert::ConvertError;
use floret::files::HoldError;
use floret::image::ImageError;
use floret::network::NetworkError;
use floret::onnx::{ImportError, OnnxError};
use floret::recipe::{Clash, Conflict, FolderFault, ModelFault, RecipeError};
use floret::record::{ExampleError, RecordDefect, RecordError};
use floret::train::TrainError;
use indicatif::DecimalBytes;

use crate::Error;
use crate::files::{LABELS, TRAINING};
use crate::ui;

/// The whole message of any error.
pub fn message(error: &(dyn StdError + 'static)) -> String {
    match advice(error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}

fn advice(error: &(dyn StdError + 'static)) -> Option<String> {
    if let Some(error) = record_error(error) {
        return match error {
            RecordError::Damaged { defect, .. } if is_changed(defect) => Some(
                "leave the data alone while it is in use, and start again (a training run with --resume, if these are the \
                 data it began with)"
                    .into(),
            ),
            // The keys that every record must have, so it is the data that is of another kind.
            RecordError::Example { at, error } if is_of_another_kind(error) => Some(format!(
                "for the flags that such records are read with, see `flowers inspect {}`",
                ui::shell(&at.file)
            )),
            _ => None,
        };
    }
    if let Some(BatchError::Image { at, error: ImageError::NotAnImage { .. } }) = batch_error(error) {
        return Some(format!(
            "if these are pixels as they are, for tf.io.decode_raw, `flowers inspect {}` tells the flags",
            ui::shell(at.file())
        ));
    }
    if let Some(error @ BatchError::Label { .. }) = batch_error(error) {
        return Some(match error.fitting_label_offset() {
            Some(offset) => format!("if that is so in this data, say --label-offset {offset}"),
            None => format!("{LABELS} names the classes"),
        });
    }
    if let Some(TrainError::Network(
        NetworkError::NotFinite { .. } | NetworkError::GradientNotFinite { .. },
    )) = error.downcast_ref()
    {
        return Some("what was saved before is kept; train again with a lower --learning-rate".into());
    }
    if let Some(OnnxError::Import { error, .. }) = error.downcast_ref()
        && matches!(**error, ImportError::AnySize { .. })
    {
        return Some("--image-size does".into());
    }
    let occupied = matches!(error.downcast_ref(), Some(ConvertError::Occupied { .. }));
    occupied.then(|| "--overwrite replaces it".into())
}

/// The same error of a recipe, with what to do about it. What comes from elsewhere in the library is unwrapped, for [`message`].
pub fn recipe(error: RecipeError) -> Error {
    let advice = match error {
        RecipeError::File(inner) => return inner.into(),
        RecipeError::Shards(inner) => return inner.into(),
        RecipeError::Batch(inner) => return inner.into(),
        RecipeError::Network(inner) => return inner.into(),
        RecipeError::Train(inner) => return inner.into(),
        RecipeError::Checkpoint(inner) => return inner.into(),
        RecipeError::Onnx(inner) => return inner.into(),
        // What is to be left out, as flags.
        RecipeError::Clashes { clashes } => {
            let clashes: Vec<_> = clashes.iter().map(clash).collect();
            return format!("--resume goes on with the settings saved; leave out {}", clashes.join(", ")).into();
        }
        // In a unit that suits.
        RecipeError::Memory { batch_size, image_size, needed, available } => {
            let (needed, available) = (DecimalBytes(needed), DecimalBytes(available));
            return format!(
                "--batch-size {batch_size} at --image-size {image_size} needs about {needed} of memory, and there are \
                 {available} for this program: use smaller ones"
            )
            .into();
        }
        RecipeError::Folder { ref path, ref fault } => of_folder(path, fault),
        RecipeError::Conflict(Conflict::HeadOnly | Conflict::HeadViews) => Some("name such a one with --start-from".into()),
        RecipeError::TimeIsUp { .. } => Some("give it more --minutes, or leave --minutes out".into()),
        RecipeError::RunClasses { .. } => Some(
            "go on with the data it began with (--data), or begin a new run in another folder (--out, without --resume)".into(),
        ),
        RecipeError::Model { ref reason, .. } => match reason {
            ModelFault::ImageSize { chosen, .. } => Some(format!("leave out --image-size {chosen}")),
            ModelFault::Normalization => Some("--normalize does that".into()),
            _ => None,
        },
        _ => None,
    };
    match advice {
        Some(advice) => format!("{error}; {advice}").into(),
        None => error.into(),
    }
}

/// What makes a data folder of `path`.
fn of_folder(path: &Path, fault: &FolderFault) -> Option<String> {
    Some(match fault {
        FolderFault::Missing => "make one from photos with `flowers convert PHOTOS_DIR DATA_DIR`".into(),
        FolderFault::Unfinished { labeled } => {
            // The next conversion replaces by itself what is without class names.
            let overwrite = if *labeled { " with --overwrite" } else { "" };
            format!("run `flowers convert PHOTOS_DIR {}` again{overwrite}", ui::shell(path))
        }
        FolderFault::Unlabeled => {
            "`flowers inspect FILE` shows what the records say, `flowers convert PHOTOS_DIR DATA_DIR` makes new data".into()
        }
        FolderFault::Contradicted { .. } => {
            "`flowers inspect` shows the name of each label".into()
        }
        FolderFault::Ambiguous { .. } => "move all but one away".into(),
        _ => return None,
    })
}

/// A choice that a run can't follow, as the flag that it was made by.
fn clash(clash: &Clash) -> String {
    match clash {
        Clash::Minutes(minutes) => format!("--epochs (it trains for --minutes {minutes})"),
        Clash::Epochs(epochs) => format!("--minutes (it has --epochs {epochs})"),
        other => format!("--{other}"),
    }
}

/// The same error with a word about `--skip-bad`, where that flag would help.
pub fn suggest_skipping(error: Error) -> Error {
    let skippable = match batch_error(error.as_ref()) {
        Some(BatchError::Image { .. }) => true,
        Some(error @ BatchError::Label { .. }) => error.fitting_label_offset() != Some(0),
        Some(BatchError::Record(RecordError::Example { error, .. })) => !is_of_another_kind(error),
        // A shard that was written anew while it was read has no defect.
        Some(BatchError::Record(RecordError::Damaged { defect, .. })) => !is_changed(defect),
        _ => false,
    };
    if !skippable {
        return error;
    }
    format!("{}; --skip-bad leaves out what can't be used", message(error.as_ref())).into()
}

/// The data's error, of opening it or of training on it.
fn batch_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a BatchError> {
    match error.downcast_ref() {
        Some(TrainError::Batch(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

fn record_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a RecordError> {
    match batch_error(error) {
        Some(BatchError::Record(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

fn is_changed(defect: &RecordDefect) -> bool {
    matches!(defect, RecordDefect::Changed { .. })
}

/// Whether the records are of another kind than is read: likely all of them.
fn is_of_another_kind(error: &ExampleError) -> bool {
    let of_all = matches!(error, ExampleError::Missing { .. } | ExampleError::TextLabel { .. });
    of_all || matches!(error, ExampleError::Mistyped { .. } | ExampleError::Count { .. })
}

/// An error of saving, with what to do about it.
pub fn checkpoint(error: &CheckpointError) -> String {
    let file = match error {
        CheckpointError::Held(HoldError::Replaced { .. }) => {
            return format!("{error}: put the run's own folder back");
        }
        CheckpointError::File(file) | CheckpointError::Held(HoldError::File(file)) => file,
        _ => return error.to_string(),
    };
    let advice = match file.cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its disk",
        ErrorKind::FileTooLarge => "raise the limit on the size of files (ulimit -f)",
        ErrorKind::NotFound => "its folder is gone: bring it back",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "make its folder writable",
        ErrorKind::IsADirectory => "move the folder of this name away",
        _ => "see whether its disk is sound",
    };
    format!("{error}: {advice}")
}

/// The same error of training; where a save failed, with what is left in the folder `out`.
pub fn training(error: TrainError, out: &Path) -> Error {
    let TrainError::Callback(inner) = &error else { return error.into() };
    let Some(failed) = inner.downcast_ref() else { return error.into() };
    let left = if out.join(TRAINING).is_file() {
        "; what was saved before is whole, and --resume goes on from there"
    } else {
        ""
    };
    format!("{}{left}", checkpoint(failed)).into()
}

#[cfg(test)]
mod tests {
    use floret::record::{Compression, Lost, RecordLocation, RecordPosition};

    use super::*;

    fn at() -> Box<RecordLocation> {
        let position = RecordPosition::default();
        Box::new(RecordLocation { file: "train".into(), compression: Compression::Plain, position })
    }

    #[test]
    fn of_shards_that_changed_no_record_is_to_be_left_out() {
        let damaged = |defect| RecordError::Damaged { at: at(), lost: Lost::Rest, defect: Box::new(defect) };
        let told = |defect| suggest_skipping(BatchError::from(damaged(defect)).into());
        let changed = RecordDefect::Changed { what: "its length in bytes", indexed: 7, found: 8 };
        let error = told(changed);
        let message = message(error.as_ref());
        assert!(
            message.contains("has changed since it was opened (its length in bytes was 7, is 8)"),
            "{message}"
        );
        assert!(
            message.contains("--resume") && !message.contains("--skip-bad") && !message.contains("index"),
            "{message}"
        );
        let other = told(RecordDefect::Io(std::io::Error::other("gone")));
        assert!(other.to_string().contains("--skip-bad"), "{other}");
    }

    #[test]
    fn a_label_just_outside_of_the_classes_is_answered_by_an_offset_and_no_other() {
        let told = |label, first, last| {
            let error = BatchError::Label {
                at: Box::new(floret::data::Place::Record(*at())),
                label,
                classes: 3,
                first,
                last,
            };
            suggest_skipping(TrainError::Batch(error).into()).to_string()
        };
        // suggest_skipping leaves an error as it is where skipping does not help.
        let whole = |label, first, last| {
            message(&BatchError::Label {
                at: Box::new(floret::data::Place::Record(*at())),
                label,
                classes: 3,
                first,
                last,
            })
        };
        assert!(whole(0, 1, 3).ends_with("say --label-offset 0"), "{}", whole(0, 1, 3));
        assert!(whole(3, 0, 2).ends_with("say --label-offset 1"), "{}", whole(3, 0, 2));
        assert!(whole(7, 1, 3).ends_with("labels.txt names the classes"), "{}", whole(7, 1, 3));
        assert!(!told(0, 1, 3).contains("--skip-bad"), "each label would be wrong");
        assert!(told(7, 1, 3).contains("--skip-bad"));
    }
}
