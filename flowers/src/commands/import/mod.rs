//! `import`: a network of another program becomes a model.
//!
//! The format is told by the file to read: [`Format::of`]. Each has a file of its own here.

pub mod onnx;
mod tensorflow;

use std::path::{Path, PathBuf};

use floret::checkpoint::{ModelInfo, save_model};
use floret::data::{ClassNames, Preprocess};
use floret::image::{ChannelOrder, Normalize};
use floret::network::Network;
use floret::nn::Shape;
use floret::recipe::{Choices, Normalization, foreign_preprocess};

use crate::args::{Flags, OfInput};
use crate::files::is_onnx_name;
use crate::ui::{note, say};
use crate::{Result, args, ui};

/// Make a model of another program's network, told by the file's name.
///
/// IN.onnx: an ONNX graph of the layers that floret has, such as PyTorch and Keras export.
///
/// PREFIX.ckpt, PREFIX.index, a folder with a file `checkpoint`, a SavedModel: a TensorFlow checkpoint, of the reference network
/// or of the one of another model (--like).
///
/// `eval`, `predict`, `train --start-from` and `export` take the model as they take a trained one. How photos become its input is in
/// the file if floret wrote it, and known of some published networks. Of others say it with --normalize, as the network's
/// documentation does (imagenet for most of PyTorch's): with photos normalized otherwise a network answers worse.
#[derive(clap::Args)]
pub struct Args {
    /// The file to read; its name tells the format
    #[arg(value_name = "IN")]
    file: PathBuf,
    /// The model to write
    #[arg(long, value_name = "FILE", default_value = "model.safetensors")]
    out: PathBuf,
    /// The names of the classes, one a line in the order of the outputs [default: those in IN, as floret writes them]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The side of the network's square pictures, where IN does not tell it
    #[arg(long, value_parser = args::positive, value_name = "PIXELS")]
    image_size: Option<usize>,
    #[command(flatten)]
    input: Flags<OfInput>,
    #[command(flatten)]
    tensorflow: tensorflow::Args,
}

/// What a file of another program holds.
pub struct Imported {
    pub network: Network,
    /// What it says of classes and preprocessing, if floret wrote it.
    pub info: Option<ModelInfo>,
    /// How levels become its input, if its graph tells.
    pub takes: Option<Normalize>,
}

pub fn run(args: &Args) -> Result<()> {
    if args.input.choices.normalize == Some(Normalization::Data) {
        return Err(
            "--normalize data is of photos that a network is trained on: give the numbers of those".into()
        );
    }
    let Imported { network, info, takes } = match Format::of(&args.file)? {
        Format::Onnx => onnx::read(&args.file, args.image_size)?,
        Format::Tensorflow => tensorflow::read(&args.file, args.image_size, &args.tensorflow)?,
    };
    let known = foreign_preprocess(&network, takes, args.input.choices.given_normalize());
    let is_unknown = info.is_none() && known.is_none();
    let info = described(args, &network, info, known)?;
    save_model(&args.out, &network, &info)?;
    say!("{}", network.summary());
    say!("wrote {}: {} classes ({})", ui::path(&args.out), info.classes.len(), ui::names(&info.classes));
    let Preprocess { fit, crop_share, normalize, channel_order, .. } = info.preprocess;
    say!(
        "photos become its input by --fit {fit} --crop-share {crop_share} --normalize {normalize} --channel-order {channel_order}"
    );
    if is_unknown {
        note!(
            "note: the file does not tell how photos were normalized when the network was trained; each is standardized by its own \
             mean and deviation, and if that is not right the network answers worse: --normalize says it (imagenet for most of \
             PyTorch's networks)"
        );
    }
    Ok(())
}

/// Classes and preprocessing, of the flags or, where those say nothing, of the file.
fn described(
    args: &Args,
    network: &Network,
    info: Option<ModelInfo>,
    known: Option<Preprocess>,
) -> Result<ModelInfo> {
    let in_file = info.as_ref().map(|info| info.classes.clone());
    let classes = match &args.labels {
        Some(labels) => class_names(labels, network.outputs())?,
        None => in_file.ok_or_else(|| {
            format!(
                "{} names no classes: give the file of their names with --labels, one a line, in the order of the network's {}",
                ui::path(&args.file),
                ui::count(network.outputs(), "output")
            )
        })?,
    };
    let Choices { fit, crop_share, channel_order, .. } = args.input.choices;
    let preprocess = match (info, known) {
        (Some(info), _) => info.preprocess,
        (None, Some(known)) => known,
        (None, None) => plain(args, network.input())?,
    };
    let preprocess = preprocess
        .fit(fit.unwrap_or(preprocess.fit))
        .crop_share(crop_share.unwrap_or(preprocess.crop_share))
        .normalize(args.input.choices.given_normalize().unwrap_or(preprocess.normalize))
        .channel_order(channel_order.unwrap_or(preprocess.channel_order));
    Ok(ModelInfo { classes, preprocess })
}

/// Names of so many classes; `background` is one of them where the network has an output for it.
fn class_names(labels: &Path, outputs: usize) -> Result<Vec<String>> {
    match ClassNames::read_counting_from(labels, 0) {
        Ok(names) if names.len() == outputs => Ok(names.into()),
        _ => Ok(ClassNames::read(labels)?.into()),
    }
}

/// What photos become for the network, whose images must be squares of one channel or three.
fn plain(args: &Args, input: Shape) -> Result<Preprocess> {
    if let Shape::Image { height, width, channels } = input
        && height == width
        && let Some(order) = ChannelOrder::of_channels(channels)
    {
        return Ok(Preprocess::new(width).channel_order(order));
    }
    let file = ui::path(&args.file);
    Err(format!("{file} takes images of {input}: photos are made squares of one channel or three").into())
}

/// A format that is read.
enum Format {
    Onnx,
    Tensorflow,
}

impl Format {
    /// The format that a file's name tells.
    fn of(path: &Path) -> Result<Self> {
        if is_onnx_name(path) && !path.is_dir() {
            return Ok(Format::Onnx);
        }
        if tensorflow::is_one(path) {
            return Ok(Format::Tensorflow);
        }
        let hint = "name an ONNX file (.onnx), or a TensorFlow checkpoint by its prefix, its file .index or its folder";
        Err(format!("{}: no format is known by this name: {hint}", ui::path(path)).into())
    }
}
