//! An ONNX graph as a network.

use std::path::Path;

use floret::onnx::{self, ImportError, ImportOptions, OnnxError};

use super::Imported;
use crate::{Error, Result, args};

// No doc comment: clap would take it for the help of `import`.
#[derive(clap::Args)]
#[command(next_help_heading = "ONNX")]
#[group(skip)]
pub struct Args {
    /// The side of the network's square pictures, where the graph takes pictures of any size
    #[arg(long, value_parser = args::positive, value_name = "PIXELS")]
    image_size: Option<usize>,
}

pub fn read(file: &Path, args: &Args) -> Result<Imported> {
    let imported = onnx::import(file, &ImportOptions { image_size: args.image_size });
    let onnx::Imported { network, info } = imported.map_err(with_flag)?;
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
