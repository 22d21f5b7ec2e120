//! A model as an ONNX graph.

use std::path::Path;

use clap::ValueEnum;
use floret::checkpoint::ModelInfo;
use floret::network::Network;
use floret::onnx::{self, ExportOptions};

use crate::Result;
use crate::ui::{self, say};

// No doc comment: clap would take it for the help of `export`.
#[derive(clap::Args)]
#[command(next_help_heading = "ONNX")]
#[group(skip)]
pub struct Args {
    /// The graph takes pictures of the network's size as levels from 0 to 255 (uint8) and standardizes them itself
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
    let side = info.preprocess.image_size;
    let shape = match args.layout {
        Layout::Nhwc => format!("(batch, {side}, {side}, 3)"),
        Layout::Nchw => format!("(batch, 3, {side}, {side})"),
    };
    say!("wrote {}", ui::path(out));
    if args.with_preprocessing {
        say!(
            "its input `images` takes photos fitted to {side}x{side} (--fit {}), RGB levels, uint8 {shape}",
            info.preprocess.fit
        );
    } else {
        say!(
            "its input `images` takes photos fitted to {side}x{side} (--fit {}) and standardized, float32 {shape}:",
            info.preprocess.fit
        );
        say!(
            "of each photo's values the mean is taken off, and they are divided by their deviation (no less than 1 / sqrt of their number)"
        );
    }
    if network.spec().test_time_flip {
        say!("the graph itself computes each photo and its mirror image, and gives the mean");
    }
    Ok(())
}
