//! An ONNX graph as a network.

use std::path::Path;

use floret::onnx::{self, ImportOptions};

use super::Imported;
use crate::{Result, args};

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
    let onnx::Imported { network, info } =
        onnx::import(file, &ImportOptions { image_size: args.image_size })?;
    Ok(Imported { network, info })
}
