//! What a network's arrays are called in TensorFlow.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use super::{NamesError, TensorFlowError};
use crate::files::{FileError, open_regular};
use crate::network::Network;
use crate::nn::Param;

/// The longest map that is read: tens of thousands of lines.
const MAX_BYTES: u64 = 4 << 20;

/// For each array of a network the name of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameMap {
    /// Array and tensor.
    pairs: Vec<(String, String)>,
}

impl NameMap {
    /// From pairs of a network's array and a tensor.
    ///
    /// # Errors
    /// An array or a tensor that is named twice, or an empty name.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, NamesError> {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let (mut arrays, mut tensors) = (HashSet::new(), HashSet::new());
        for (array, tensor) in &pairs {
            if array.is_empty() || tensor.is_empty() {
                return Err(NamesError::Empty);
            }
            for (name, seen) in [(array, &mut arrays), (tensor, &mut tensors)] {
                if !seen.insert(name.as_str()) {
                    return Err(NamesError::Twice(name.clone()));
                }
            }
        }
        Ok(Self { pairs })
    }

    /// Each tensor is called as the network's array is: `conv1/kernel`.
    pub fn same(network: &Network) -> Self {
        Self { pairs: network.arrays().map(|(param, _)| (param.name.clone(), param.name.clone())).collect() }
    }

    /// The names that TensorFlow 1 gives to variables without one, in the order in which a script makes them layer by layer,
    /// each kernel before its bias: `Variable`, `Variable_1`, `Variable_2`, ...
    ///
    /// Those are the names of the script that [`models::seed`](crate::models::seed) comes from.
    pub fn creation_order(network: &Network) -> Self {
        let pairs = creation_order(network)
            .into_iter()
            .enumerate()
            .map(|(i, param)| (param.name.clone(), variable(i)));
        Self { pairs: pairs.collect() }
    }

    /// Reads a map: `ARRAY = TENSOR` a line, such as `conv2d_1/kernel = Variable_3`. Space around names, empty lines and lines
    /// that begin with `#` do not count.
    ///
    /// # Errors
    /// A file that can't be read or is not UTF-8; a line of another form; a name that comes twice.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TensorFlowError> {
        let path = path.as_ref();
        let fault = |reason: String| TensorFlowError::NamesFile { path: path.into(), reason };
        let (file, _) = open_regular(path)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| FileError::new(path, "read", e))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(fault(format!("it is longer than a map of names can be ({MAX_BYTES} bytes)")));
        }
        let text =
            String::from_utf8(bytes).map_err(|error| fault(format!("it is not UTF-8 text ({error})")))?;
        let mut pairs = Vec::new();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((array, tensor)) = line.split_once('=') else {
                let line = line.escape_debug();
                return Err(fault(format!("line {}: `ARRAY = TENSOR` is wanted, not `{line}`", number + 1)));
            };
            pairs.push((array.trim().to_owned(), tensor.trim().to_owned()));
        }
        Self::new(pairs).map_err(|error| fault(error.to_string()))
    }

    /// The tensor of an array.
    pub fn tensor(&self, array: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == array).map(|(_, tensor)| tensor.as_str())
    }

    /// Array and tensor, in the map's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(array, tensor)| (array.as_str(), tensor.as_str()))
    }

    /// For each array of the network, in its order, the tensor's name.
    ///
    /// # Errors
    /// An array that has none, and names of no array.
    pub(super) fn of<'a>(&'a self, network: &'a Network) -> Result<Vec<(&'a str, &'a str)>, NamesError> {
        let mut tensors: HashMap<&str, &str> = self.iter().collect();
        let arrays: Vec<&str> = network.arrays().map(|(param, _)| param.name.as_str()).collect();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for array in &arrays {
            match tensors.remove(array) {
                Some(tensor) => found.push((*array, tensor)),
                None => missing.push((*array).to_owned()),
            }
        }
        let mut unknown: Vec<_> = tensors.into_keys().map(String::from).collect();
        unknown.sort_unstable();
        if !unknown.is_empty() {
            let arrays = arrays.into_iter().map(String::from).collect();
            return Err(NamesError::Unknown { unknown, arrays });
        }
        if !missing.is_empty() {
            return Err(NamesError::Missing(missing));
        }
        Ok(found)
    }
}

/// A network's arrays layer by layer, the moving averages of each behind its weights.
pub(super) fn creation_order(network: &Network) -> Vec<&Param> {
    let (mut places, mut layers) = (HashMap::new(), Vec::new());
    for (param, _) in network.arrays() {
        let place = *places.entry(layer(&param.name)).or_insert(layers.len());
        if place == layers.len() {
            layers.push(Vec::new());
        }
        layers[place].push(param);
    }
    layers.concat()
}

/// The layer of an array: its name without the last part.
fn layer(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(layer, _)| layer)
}

/// The name of the variable that is made as the `i`-th.
pub(super) fn variable(i: usize) -> String {
    if i == 0 { "Variable".into() } else { format!("Variable_{i}") }
}
