//! Errors in the words of the program: where the library advises its options, the message names the flag, or leaves the
//! advice out where there is no flag.

use std::error::Error as StdError;
use std::io::ErrorKind;

use floret::checkpoint::CheckpointError;
use floret::data::BatchError;
use floret::data::convert::{BadPhoto, ConvertError, PhotoFault};
use floret::files::HoldError;
use floret::image::{ImageError, PhotoError};
use floret::network::NetworkError;
use floret::record::{ExampleError, RecordDefect, RecordError};
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
        Some(BatchError::Record(RecordError::Example { error, .. })) => {
            !matches!(**error, ExampleError::Missing { .. })
        }
        Some(BatchError::Record(error)) => {
            error.is_recoverable() || matches!(error, RecordError::Damaged { .. }) && !has_changed(error)
        }
        _ => false,
    };
    if !skippable {
        return error;
    }
    format!("{}; --skip-bad leaves out what can't be used", message(error.as_ref())).into()
}

/// Whether a shard was written anew while it was read, which is no defect of a record's.
fn has_changed(error: &RecordError) -> bool {
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
                "{} has changed since it was opened ({what} was {indexed}, is {found}): leave the data alone while it is in \
                 use, and start again (a training run with --resume, if these are the data it began with)",
                at.file.display()
            ),
            _ => error.to_string(),
        },
        // The keys that every record must have, so it is the data that is of another kind.
        RecordError::Example { at, error } if matches!(**error, ExampleError::Missing { .. }) => format!(
            "{at}: {error}; for the flags that such records are read with, see `flowers inspect {}`",
            ui::shell(&at.file)
        ),
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
    let lines =
        bad.iter().map(|bad| format!("\n  {}: {}", ui::path(&bad.path), ui::escaped(&fault(&bad.fault))));
    lines.collect()
}

fn convert(error: &ConvertError) -> String {
    match error {
        ConvertError::BadPhotos(bad) => {
            let files = ui::count(bad.len(), "file");
            format!("{files} can't be used, so nothing was written:{}", bad_photos(bad))
        }
        ConvertError::EmptyClasses { photos, classes, bad } => {
            let classes: Vec<_> = classes.iter().map(|class| format!("`{}`", ui::escaped(class))).collect();
            let (photos, classes) = (photos.display(), classes.join(", "));
            let bad = if bad.is_empty() { String::new() } else { format!(":{}", bad_photos(bad)) };
            format!(
                "{photos}: there is no usable photo of {classes}: add some, or remove the class's folder{bad}"
            )
        }
        ConvertError::EmptyListedClasses { list, classes, bad } => {
            let (list, classes) = (ui::path(list), ui::names(classes));
            let bad = if bad.is_empty() { String::new() } else { format!(":{}", bad_photos(bad)) };
            format!("{list}: there is no usable photo to train on of {classes}{bad}")
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
            let rate = learning_rate.map(|rate| format!("learning rate {rate}"));
            let layer = layer.as_ref().map(|layer| format!("first in the outputs of `{layer}`"));
            let details: Vec<_> = rate.into_iter().chain(layer).collect();
            format!(
                "the loss became {loss} at step {step} ({}): what was saved before is kept; train again with a lower \
                 --learning-rate",
                details.join(", ")
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
    fn of_shards_that_changed_no_record_is_to_be_left_out() {
        let damaged = |defect| {
            let position = RecordPosition::default();
            let at = RecordLocation { file: "train".into(), compression: Compression::Plain, position };
            RecordError::Damaged { at: Box::new(at), lost: Lost::Rest, defect: Box::new(defect) }
        };
        let told = |defect| suggest_skipping(BatchError::from(damaged(defect)).into());
        let changed = RecordDefect::Changed { what: "its length in bytes", indexed: 7, found: 8 };
        let error = told(changed);
        let message = message(error.as_ref());
        assert!(
            message.starts_with("train has changed since it was opened (its length in bytes was 7, is 8)")
        );
        assert!(
            message.contains("--resume") && !message.contains("--skip-bad") && !message.contains("index")
        );
        let other = told(RecordDefect::Io(std::io::Error::other("gone")));
        assert!(other.to_string().contains("--skip-bad"), "{other}");
    }
}
