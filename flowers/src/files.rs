//! The names of the files that the program reads and writes, as the library's `Conversion` and `Saver` give them.

use std::path::Path;

use floret::recipe::is_record_name;

pub use floret::recipe::{EVAL, LABELS, TEST, TRAIN};

/// Whether a file is an ONNX graph by its name.
pub fn is_onnx_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

/// Whether a file is one of records by its name.
pub fn is_of_records(path: &Path) -> bool {
    is_record_name(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// The best network of a run.
pub const MODEL: &str = "model.safetensors";
/// The state of a run, to go on from.
pub const TRAINING: &str = "training.safetensors";
/// Where the data of a run lay, and how long its epochs took.
pub const RUN: &str = "run.json";
/// The report of a run.
pub const REPORT: &str = "report.html";
/// Photos whose labels may be wrong, beside the report.
pub const LABEL_ERRORS: &str = "label-errors.csv";
/// Photos that are there more than once, beside the shards or in the run's folder.
pub const COPIES: &str = "copies.csv";
