//! An ONNX graph as a network.

use std::path::Path;

use floret::onnx::{self, ImportError, ImportOptions, OnnxError};

use super::Imported;
use crate::{Error, Result};

pub fn read(file: &Path, image_size: Option<usize>) -> Result<Imported> {
    let imported = onnx::import(file, &ImportOptions { image_size });
    let onnx::Imported { network, info, .. } = imported.map_err(with_flag)?;
    Ok(Imported { network, info })
}

/// The error, with the flag that helps.
fn with_flag(error: OnnxError) -> Error {
    match &error {
        OnnxError::Import { error: reason, .. } if matches!(**reason, ImportError::AnySize { .. }) => {
            format!("{error} with --image-size").into()
        }
        _ => error.into(),
    }
}
