//! `export`: a trained network for other programs.
//!
//! The format is told by a flag, or by the name of the file to write: [`Format::of`]. Each has a file of its own here.

mod onnx;
mod tensorflow;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use floret::checkpoint::load_model;

pub use self::tensorflow::is_checkpoint_name;
use crate::files::is_onnx_name;
use crate::{Result, ui};

/// Write a model in the format of other programs, told by the name of the file or by --format.
///
/// OUT.onnx: an ONNX graph, for onnxruntime and other programs.
///
/// PREFIX.ckpt, PREFIX.ckpt-100: a TensorFlow checkpoint: OUT.index and OUT.data-00000-of-00001, and a file `checkpoint` beside
/// them that names it as the latest. It holds the weights alone, without what is done to photos before and to outputs after.
#[derive(clap::Args)]
pub struct Args {
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The file to write; its ending tells the format
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The format, where the name does not tell it
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    onnx: onnx::Args,
    #[command(flatten)]
    tensorflow: tensorflow::Args,
}

pub fn run(args: &Args) -> Result<()> {
    let format = args.format.map_or_else(|| Format::of(&args.out), Ok)?;
    let (network, info) = load_model(&args.model)?;
    match format {
        Format::Onnx => onnx::write(&args.out, &network, &info, &args.onnx),
        Format::Tensorflow => tensorflow::write(&args.out, &network, &args.tensorflow),
    }
}

/// A format that is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// An ONNX graph
    Onnx,
    /// A TensorFlow checkpoint
    Tensorflow,
}

impl Format {
    /// The format that a file's name asks for.
    fn of(path: &Path) -> Result<Self> {
        if is_checkpoint_name(path) {
            return Ok(Format::Tensorflow);
        }
        if is_onnx_name(path) {
            return Ok(Format::Onnx);
        }
        let hint = "name a file that ends in .onnx or .ckpt, or say which with --format";
        Err(format!("{}: no format is known by this name: {hint}", ui::path(path)).into())
    }
}
