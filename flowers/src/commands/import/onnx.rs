//! An ONNX graph as a network.

use std::path::Path;

use floret::onnx::{self, ImportOptions};

use super::Imported;
use crate::Result;

pub fn read(file: &Path, image_size: Option<usize>) -> Result<Imported> {
    let onnx::Imported { network, info, takes, .. } = onnx::import(file, &ImportOptions { image_size })?;
    Ok(Imported { network, info, takes })
}
