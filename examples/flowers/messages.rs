//! Errors in the words of the program: where the library advises its options, the message names the flag, or leaves the
//! advice out where there is no flag.

use std::error::Error as StdError;
use std::io::ErrorKind;

use floret::batch::{BadPhoto, BatchError, ConvertError, PhotoFault};
use floret::checkpoint::CheckpointError;
use floret::held_folder::HoldError;
use floret::image::{ImageError, PhotoError};
use floret::network::NetworkError;
use floret::record::{RecordDefect, RecordError};
use floret::train::TrainError;

use crate::Error;
use crate::files::LABELS;
use crate::ui;

/// The whole message of any error.
pub fn message(error: &(dyn StdError + 'static)) -> String {
    if let Some(TrainError::Network(error)) = error.downcast_ref() {
        network(error)
    } else if let Some(error) = batch_error(error) {
        batch(error)
    } else if let Some(error) = error.downcast_ref() {
        convert(error)
    } else if let Some(error) = error.downcast_ref() {
        record(error)
    } else {
        error.to_string()
    }
}

/// The same error with a word about `--skip-bad`, where that flag would help.
pub fn suggest_skipping(error: Error) -> Error {
    let skippable = match batch_error(error.as_ref()) {
        Some(BatchError::Image { .. }) => true,
        Some(BatchError::Label { label, first, .. }) => !counts_from_0(*label, *first),
        Some(BatchError::Record(error)) => {
            !is_changed(error) && (error.is_recoverable() || matches!(error, RecordError::Damaged { .. }))
        }
        _ => false,
    };
    if !skippable {
        return error;
    }
    format!("{}; --skip-bad leaves out what can't be used", message(error.as_ref())).into()
}

/// Whether the file is no longer the one that was opened.
fn is_changed(error: &RecordError) -> bool {
    matches!(error, RecordError::Damaged { defect, .. } if matches!(**defect, RecordDefect::Changed { .. }))
}

/// The data's error, of opening it or of training on it.
fn batch_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a BatchError> {
    match error.downcast_ref() {
        Some(TrainError::Batch(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

fn batch(error: &BatchError) -> String {
    match error {
        BatchError::Image { at, error } => format!("{at}: {}", image(error)),
        BatchError::Record(error) => record(error),
        BatchError::Label { at, label, classes, first, last } => {
            let hint = if counts_from_0(*label, *first) {
                "; if labels count from 0 in this data, say --label-offset 0"
            } else if *first == 0 && *label == last + 1 {
                "; if labels count from 1 in this data, say --label-offset 1"
            } else {
                ""
            };
            format!(
                "{at}: label {label} is out of range: labels from {first} to {last} are expected, since \
                     {LABELS} names {classes} classes{hint}"
            )
        }
        _ => error.to_string(),
    }
}

fn counts_from_0(label: i64, first: i64) -> bool {
    first == 1 && label == 0
}

/// An error of reading records.
pub fn record(error: &RecordError) -> String {
    match error {
        RecordError::Damaged { at, lost, defect } => match &**defect {
            RecordDefect::TooLong { length, limit } => {
                format!("{at}: the record has {length} bytes, over the limit of {limit} for one photo{lost}")
            }
            RecordDefect::Changed { what, indexed, found } => format!(
                "{at}: the file was changed while it was in use ({what} was {indexed}, is {found}): put it back as it was \
                 and go on with --resume, or train on the new data in another folder (--out)"
            ),
            _ => error.to_string(),
        },
        RecordError::StashFull { at, limit } => format!(
            "{at}: this {} file can only be read in order, and the records passed over on the way to this one exceed \
             {limit} bytes: decompress the shards first",
            at.compression
        ),
        _ => error.to_string(),
    }
}

/// An error of a photo's.
pub fn image(error: &ImageError) -> String {
    match error {
        ImageError::Truncated { format, offset } => format!(
            "{format} is cut off: the image data ends at byte {offset}, before the end of the image; fetch the file again"
        ),
        ImageError::TooLarge { width, height, max_pixels } => {
            format!("image of {width}x{height} pixels is over the limit of {max_pixels} pixels; shrink it")
        }
        _ => error.to_string(),
    }
}

/// What is wrong with a photo's file.
pub fn photo(error: &PhotoError) -> String {
    match error {
        PhotoError::Image(error) => image(error),
        _ => error.to_string(),
    }
}

fn fault(fault: &PhotoFault) -> String {
    match fault {
        PhotoFault::Photo(error) => photo(error),
        _ => fault.to_string(),
    }
}

/// Files that can't be used, a line each.
pub fn bad_photos(bad: &[BadPhoto]) -> String {
    let line = |bad: &BadPhoto| {
        let path = bad.path.to_string_lossy();
        format!("\n  {}: {}", ui::escaped(&path), fault(&bad.fault))
    };
    bad.iter().map(line).collect()
}

fn convert(error: &ConvertError) -> String {
    match error {
        ConvertError::BadPhotos(bad) => {
            let files = ui::count(bad.len(), "file");
            format!("{files} can't be used, so nothing was written:{}", bad_photos(bad))
        }
        ConvertError::EmptyClasses { photos, classes, bad } => {
            let classes: Vec<_> = classes.iter().map(|class| format!("`{class}`")).collect();
            let (photos, classes) = (photos.display(), classes.join(", "));
            let bad = if bad.is_empty() { String::new() } else { format!(":{}", bad_photos(bad)) };
            format!(
                "{photos}: there is no usable photo of {classes}: add some, or remove the class's folder{bad}"
            )
        }
        ConvertError::Occupied { .. } => format!("{error} with --overwrite"),
        // Each is one line, but for what the names of files hold.
        _ => ui::escaped(&error.to_string()).into_owned(),
    }
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
    let hint = match file.source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its disk",
        ErrorKind::FileTooLarge => "raise the limit on the size of files (ulimit -f)",
        ErrorKind::NotFound => "its folder is gone: bring it back",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "make its folder writable",
        ErrorKind::IsADirectory => "move the folder of this name away",
        _ => "see whether its disk is sound",
    };
    format!("{error}: {hint}")
}

fn network(error: &NetworkError) -> String {
    match error {
        NetworkError::NotFinite { loss, step, learning_rate, layer } => {
            let layer = layer
                .as_ref()
                .map(|layer| format!(", first in the outputs of `{layer}`"))
                .unwrap_or_default();
            format!(
                "the loss became {loss} at step {step} (learning rate {learning_rate}{layer}): what was saved before is \
                 kept; train again with a lower --learning-rate"
            )
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use floret::record::{Compression, Lost, RecordLocation, RecordPosition};

    use super::*;

    #[test]
    fn a_shard_that_changed_is_not_to_be_skipped() {
        let position = RecordPosition { record: 3, offset: 99 };
        let at = RecordLocation { file: "data/train".into(), compression: Compression::Plain, position };
        let damaged = |defect| {
            let (at, defect) = (Box::new(at.clone()), Box::new(defect));
            let error = RecordError::Damaged { at, lost: Lost::Rest, defect };
            suggest_skipping(TrainError::Batch(BatchError::Record(error)).into())
        };
        let changed = RecordDefect::Changed { what: "its length in bytes", indexed: 7, found: 5 };
        let text = message(damaged(changed).as_ref());
        assert!(
            text.starts_with("data/train: record 3 at byte 99: the file was changed while it was in use"),
            "{text}"
        );
        assert!(text.contains("--resume") && !text.contains("--skip-bad"), "{text}");
        let text = message(damaged(RecordDefect::Io(ErrorKind::Other.into())).as_ref());
        assert!(text.contains("--skip-bad"), "{text}");
    }
}
