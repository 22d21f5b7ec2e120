//! A model as a TensorFlow checkpoint.

use std::path::Path;

use floret::checkpoint::tensorflow::{NameMap, save_network};
use floret::network::Network;

use crate::Result;
use crate::commands::names::Names;
use crate::ui::{self, say};

// No doc comment: clap would take it for the help of `export`.
#[derive(clap::Args)]
#[command(next_help_heading = "TensorFlow checkpoints")]
#[group(id = "tensorflow")]
pub struct Args {
    /// What the network's arrays are called in TensorFlow: a file with `ARRAY = TENSOR` a line (such as `conv1/kernel =
    /// Variable`), or `script` for the names that the well-known TensorFlow script gives them, `Variable`, `Variable_1`, ...
    /// [default: their names in floret]
    #[arg(long, value_name = "FILE|script")]
    names: Option<Names>,
}

/// Whether a path is named as checkpoints are: `model.ckpt`, `model.ckpt-100`.
pub fn is_checkpoint_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some((_, number)) = name.rsplit_once(".ckpt") else { return false };
    number.is_empty()
        || number.strip_prefix('-').is_some_and(|steps| steps.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Writes the checkpoint, and says under which names its tensors are.
pub fn write(out: &Path, network: &Network, args: &Args) -> Result<()> {
    let names = args.names.as_ref().map_or_else(|| Ok(NameMap::same(network)), |names| names.map(network))?;
    save_network(out, network, &names)?;
    let (out, shell) = (ui::path(out), ui::shell(out));
    say!("wrote {out}.index and {out}.data-00000-of-00001:");
    for (param, _) in network.arrays() {
        let tensor = names.tensor(&param.name).unwrap_or_default();
        say!("  {} {:?}", ui::escaped(tensor), param.shape);
    }
    if network.spec().test_time_flip {
        say!(
            "these are the weights alone: floret answers with the mean logits of a photo and its mirror image, and so must who \
             restores them"
        );
    }
    say!(
        "Look at it:   python -c 'import sys, tensorflow as tf; print(tf.train.list_variables(sys.argv[1]))' {shell}"
    );
    Ok(())
}
