//! Networks out of checkpoints and into them.

use std::path::PathBuf;

use ndarray::ArrayD;

use super::{Checkpoint, CheckpointWriter, GRAPH_KEY, NameMap, Tensor, TensorFlowError, graph};
use crate::network::Network;

/// The number of steps made, as TensorFlow 1 calls it.
const STEPS: &str = "global_step";

/// Reads every array of the network: weights and moving averages. The tensors may be of any type of numbers and are taken to
/// single precision. The network is as it was if there is an error.
///
/// # Errors
/// An array without a tensor, or a name of none; a tensor that is not there, is of another shape (the error has both) or of
/// no numbers; one that can't be read.
pub fn load_network(
    network: &mut Network,
    checkpoint: &Checkpoint,
    names: &NameMap,
) -> Result<(), TensorFlowError> {
    let arrays = read_arrays(network, checkpoint, names)?;
    set_arrays(network, arrays)
}

/// Names and values of the network's arrays. Every shape is checked before the first value is read.
pub(super) fn read_arrays(
    network: &Network,
    checkpoint: &Checkpoint,
    names: &NameMap,
) -> Result<Vec<(String, ArrayD<f32>)>, TensorFlowError> {
    let keys = keys(network, checkpoint, names)?;
    keys.into_iter().map(|(array, key)| Ok((array, checkpoint.read(&key)?.to_f32()?))).collect()
}

/// For each array the key of its tensor, whose shape is the array's.
pub(super) fn keys(
    network: &Network,
    checkpoint: &Checkpoint,
    names: &NameMap,
) -> Result<Vec<(String, String)>, TensorFlowError> {
    let mut keys = Vec::new();
    for ((array, tensor), (param, _)) in names.of(network)?.into_iter().zip(network.arrays()) {
        let key = checkpoint.find(tensor).unwrap_or(tensor);
        let info = checkpoint.info(key)?;
        if info.shape != param.shape {
            return Err(TensorFlowError::Shape {
                path: checkpoint.index_path().into(),
                array: array.into(),
                wanted: param.shape.clone(),
                tensor: tensor.into(),
                got: info.shape.clone(),
            });
        }
        keys.push((array.to_owned(), key.to_owned()));
    }
    Ok(keys)
}

pub(super) fn set_arrays(
    network: &mut Network,
    arrays: Vec<(String, ArrayD<f32>)>,
) -> Result<(), TensorFlowError> {
    for (name, values) in arrays {
        network.set_array(&name, values.view()).map_err(Box::new)?;
    }
    Ok(())
}

/// Writes every array of the network as `PREFIX.index` and `PREFIX.data-00000-of-00001`, and `checkpoint` in their folder,
/// which must exist. Beside the arrays there is `global_step`, the number of steps made.
///
/// `Saver.restore` and `tf.train.load_checkpoint` find the tensors under the names of the map. The same bytes are there for
/// `tf.train.Checkpoint` too, as `conv1/kernel/.ATTRIBUTES/VARIABLE_VALUE`, with the description of objects that it wants:
/// `tf.train.Checkpoint(conv1=layer).read(PREFIX)` fills a layer of Keras, or any object with a variable `kernel`.
///
/// # Errors
/// An array without a name, or a name of none; files that can't be written.
pub fn save_network(
    prefix: impl Into<PathBuf>,
    network: &Network,
    names: &NameMap,
) -> Result<(), TensorFlowError> {
    begin_network(prefix.into(), network, names)?.finish()
}

/// Begins a checkpoint with the network's arrays, in the order of their names as TensorFlow writes them.
pub(super) fn begin_network(
    prefix: PathBuf,
    network: &Network,
    names: &NameMap,
) -> Result<CheckpointWriter, TensorFlowError> {
    let tensors = names.of(network)?;
    let mut writer = CheckpointWriter::create(prefix)?;
    let objects = graph::describe(tensors.iter().map(|(_, tensor)| *tensor));
    writer.add_tensor(&Tensor::strings(GRAPH_KEY, &[], &[objects])?)?;
    let mut arrays: Vec<_> =
        tensors.iter().zip(network.arrays()).map(|((_, tensor), array)| (*tensor, array)).collect();
    arrays.sort_unstable_by_key(|(tensor, _)| *tensor);
    for (tensor, (param, values)) in arrays {
        let values = values.to_slice().expect("a network's arrays are contiguous");
        writer.add(tensor, &param.shape, values)?;
        writer.alias(&graph::with_suffix(tensor), tensor)?;
    }
    if names.iter().all(|(_, tensor)| tensor != STEPS) {
        writer.add(STEPS, &[], &[network.steps() as i64])?;
    }
    Ok(writer)
}
