//! `export`: a trained network for other programs.
//!
//! The format is told by the name of the file to write: [`Format::of`]. Each has a file of its own here.

mod onnx;

use std::path::{Path, PathBuf};

use floret::checkpoint::load_model;

use crate::{Result, ui};

/// Write a model in the format of other programs, told by the name of the file.
///
/// OUT.onnx: an ONNX graph, for onnxruntime, OpenVINO and other programs.
#[derive(clap::Args)]
pub struct Args {
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The file to write; its ending tells the format
    #[arg(value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    onnx: onnx::Args,
}

pub fn run(args: &Args) -> Result<()> {
    let format = Format::of(&args.out)?;
    let (network, info) = load_model(&args.model)?;
    match format {
        Format::Onnx => onnx::write(&args.out, &network, &info, &args.onnx),
    }
}

/// A format that is written.
enum Format {
    Onnx,
}

impl Format {
    /// The format that a file's name asks for.
    fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("onnx") => Ok(Format::Onnx),
            _ => Err(format!(
                "{}: no format is known by this name: name a file that ends in .onnx",
                ui::path(path)
            )
            .into()),
        }
    }
}
