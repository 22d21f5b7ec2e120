//! A model as an ONNX graph.

use std::path::Path;

use clap::ValueEnum;
use floret::checkpoint::ModelInfo;
use floret::data::Preprocess;
use floret::image::{ChannelOrder, Normalize};
use floret::network::Network;
use floret::onnx::{self, ExportOptions};

use crate::Result;
use crate::ui::{self, say};

// No doc comment: clap would take it for the help of `export`.
#[derive(clap::Args)]
#[command(next_help_heading = "ONNX")]
#[group(skip)]
pub struct Args {
    /// The graph takes pictures of the network's size as levels from 0 to 255 (uint8) and normalizes them itself
    #[arg(long)]
    with_preprocessing: bool,
    /// The order of a picture's values: nhwc (height, width, channels) or nchw
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = Layout::Nhwc)]
    layout: Layout,
    /// What the graph gives
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Output::Probabilities)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Layout {
    Nhwc,
    Nchw,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    Probabilities,
    Logits,
    Both,
}

impl Args {
    fn options(&self) -> ExportOptions {
        ExportOptions {
            preprocessing: self.with_preprocessing,
            layout: match self.layout {
                Layout::Nhwc => onnx::Layout::Nhwc,
                Layout::Nchw => onnx::Layout::Nchw,
            },
            output: match self.output {
                Output::Probabilities => onnx::Output::Probabilities,
                Output::Logits => onnx::Output::Logits,
                Output::Both => onnx::Output::Both,
            },
        }
    }
}

/// Writes the graph, and says what it takes.
pub fn write(out: &Path, network: &Network, info: &ModelInfo, args: &Args) -> Result<()> {
    onnx::export(out, network, Some(info), &args.options())?;
    let Preprocess { image_size: side, fit, crop_share, normalize, channel_order, .. } = info.preprocess;
    let fitted = match crop_share {
        1.0 => format!("{side}x{side} (--fit {fit})"),
        share => format!("{side}x{side} (--fit {fit}, of whose side the middle {share})"),
    };
    let channels = channel_order.channels();
    let shape = match args.layout {
        Layout::Nhwc => format!("(batch, {side}, {side}, {channels})"),
        Layout::Nchw => format!("(batch, {channels}, {side}, {side})"),
    };
    let levels = if channel_order == ChannelOrder::Gray { "gray" } else { "RGB" };
    say!("wrote {}", ui::path(out));
    if args.with_preprocessing {
        say!("its input `images` takes photos fitted to {fitted}, {levels} levels, uint8 {shape}");
    } else {
        say!("its input `images` takes photos fitted to {fitted} and normalized, float32 {shape}:");
        match normalize {
            Normalize::Fixed { mean: [mean, ..], deviation: [deviation, ..] }
                if channel_order == ChannelOrder::Gray =>
            {
                say!("of the levels {mean} is taken off, and they are divided by {deviation}");
            }
            Normalize::Fixed { mean, deviation } => {
                say!(
                    "of the levels of red, green and blue {mean:?} is taken off, and they are divided by {deviation:?}"
                );
            }
            _ => say!(
                "of each photo's values the mean is taken off, and they are divided by their deviation (no less than 1 / sqrt of their number)"
            ),
        }
        match channel_order {
            ChannelOrder::Bgr => say!("each pixel's values are in the order blue, green, red"),
            ChannelOrder::Gray => {
                say!("each pixel's value is its luma: 0.299 red + 0.587 green + 0.114 blue")
            }
            _ => {}
        }
    }
    if network.spec().test_time_flip {
        say!("the graph itself computes each photo and its mirror image, and gives the mean");
    }
    Ok(())
}
