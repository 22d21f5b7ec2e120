//! A TensorFlow checkpoint as a network.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use floret::checkpoint::load_model;
use floret::checkpoint::tensorflow::{Checkpoint, guess_names, load_network, slim_network};
use floret::models;
use floret::network::Network;

use super::Imported;
use crate::Result;
use crate::commands::export;
use crate::commands::names::Names;
use crate::ui::{self, note, say};

// No doc comment: clap would take it for the help of `import`.
#[derive(clap::Args)]
#[command(next_help_heading = "TensorFlow checkpoints")]
#[group(id = "tensorflow")]
pub struct Args {
    /// What the network's arrays are called in TensorFlow: a file with `ARRAY = TENSOR` a line (such as `conv1/kernel =
    /// Variable`), or `script` for the names that the well-known TensorFlow script gives them, `Variable`, `Variable_1`, ...
    /// [default: found by names, by the order of creation or by layers, if that fits every array]
    #[arg(long, value_name = "FILE|script")]
    names: Option<Names>,
    /// A model whose network, classes and preprocessing the checkpoint's weights belong to [default: MobileNet or ResNet of
    /// slim's where the variables are called so, or else the reference network]
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
}

/// Whether a path is a checkpoint's: a folder, one of its files, or a prefix with its index.
pub fn is_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut index = OsString::from(path);
    index.push(".index");
    path.is_dir()
        || name == "checkpoint"
        || name.ends_with(".index")
        || name.contains(".data-")
        || export::is_checkpoint_name(path)
        || Path::new(&index).is_file()
}

pub fn read(path: &Path, image_size: Option<usize>, args: &Args) -> Result<Imported> {
    let checkpoint = Checkpoint::open(path)?;
    if args.like.is_none()
        && args.names.is_none()
        && let Some(slim) = slim_network(&checkpoint, image_size)?
    {
        say!("a network of TensorFlow's slim, by its variables: {}", ui::escaped(&slim.scope));
        return Ok(Imported { network: slim.network, info: None, takes: Some(slim.normalize) });
    }
    let (mut network, info) = match &args.like {
        Some(model) => {
            let (network, info) = load_model(model)?;
            (network, Some(info))
        }
        None => (reference_network(&checkpoint, image_size)?, None),
    };
    let names = match &args.names {
        Some(names) => names.map(&network)?,
        None => {
            let (names, guess) = guess_names(&network, &checkpoint)?;
            say!("the network's arrays were found {guess}:");
            names.iter().for_each(|(array, tensor)| {
                let tensor = checkpoint.readable_name(tensor);
                say!("  {} = {}", ui::escaped(array), ui::escaped(tensor));
            });
            names
        }
    };
    load_network(&mut network, &checkpoint, &names)?;
    Ok(Imported { network, info, takes: None })
}

/// The dropout of the reference network.
const DROPOUT: f32 = 0.5;

/// Pixels of the image a side for each of the last map: five times half.
const HALVED: usize = 32;

/// Channels of the reference network's last map, outputs of its first dense layer, inputs of its last.
const LAST_CHANNELS: usize = 256;
const FIRST_UNITS: usize = 2048;
const LAST_INPUTS: usize = 64;

/// The reference network for the classes that the checkpoint's last layer tells, and for images of the size given, or of the
/// largest that fits the first dense layer.
fn reference_network(checkpoint: &Checkpoint, image_size: Option<usize>) -> Result<Network> {
    // Slots of optimizers have the same shapes again.
    let only = |fits: &dyn Fn(&[usize]) -> Option<usize>| {
        let found: BTreeSet<_> = checkpoint.tensors().filter_map(|(_, info)| fits(&info.shape)).collect();
        found.first().copied().filter(|_| found.len() == 1)
    };
    let classes = only(&|shape| match *shape {
        [LAST_INPUTS, classes] => Some(classes),
        _ => None,
    });
    let map = only(&|shape| match *shape {
        [inputs, FIRST_UNITS] if inputs > 0 && inputs % LAST_CHANNELS == 0 => Some(inputs / LAST_CHANNELS),
        _ => None,
    });
    let (Some(classes), Some(map)) = (classes, map.filter(|map| map.isqrt().pow(2) == *map)) else {
        return Err(format!(
            "{} has not the layers of the reference network: name a model of its network with --like",
            ui::path(checkpoint.prefix())
        )
        .into());
    };
    let side = image_size.unwrap_or_else(|| {
        let side = HALVED * map.isqrt();
        note!("note: taken to be for images of {side}x{side}, the largest that fit; say --image-size if they were smaller");
        side
    });
    Ok(models::seed(side, classes, DROPOUT).build()?)
}
