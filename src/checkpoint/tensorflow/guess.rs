//! Which tensors belong to which of a network's arrays, where nobody says so.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use super::names::{creation_order, variable};
use super::{Checkpoint, NameMap, TensorFlowError, TensorInfo};
use crate::network::Network;
use crate::nn::Param;

/// How names were found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guess {
    /// Tensors are called as the arrays are, behind this prefix, which may be empty.
    Names(String),
    /// Tensors are called `Variable`, `Variable_1`, ...: the order in which they were made is that of the arrays.
    CreationOrder,
    /// Layers of the same arrays, in the order of their names.
    Layers,
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Guess::Names(prefix) if prefix.is_empty() => f.write_str("by their names"),
            Guess::Names(prefix) => write!(f, "by their names behind `{}`", prefix.escape_debug()),
            Guess::CreationOrder => f.write_str("by the order in which the variables were made"),
            Guess::Layers => f.write_str("by their layers, in the order of their names"),
        }
    }
}

/// Finds a tensor for each array of the network; every shape must fit. Three ways are tried, and the first that fits all
/// arrays is taken:
///
/// 1. by name: readable names ([`Checkpoint::readable_name`]) or paths are those of the arrays, all behind one prefix;
/// 2. by the order of creation: `Variable`, `Variable_1`, ... ([`NameMap::creation_order`]), if there are exactly as many;
/// 3. by layer: tensors whose names differ in the last part only are a layer, such as `dense_1/kernel` and `dense_1/bias`.
///    Layers that have the same arrays are taken in the order of their names, numbers by value (a Keras model's `conv2d`,
///    `conv2d_1`, ..., `conv2d_10`), if there are exactly as many.
///
/// Optimizers' slots (`Variable_3/Momentum` beside `Variable_3`) are left aside.
///
/// # Errors
/// None of the ways fits; the error tells what each lacks.
pub fn guess_names(network: &Network, checkpoint: &Checkpoint) -> Result<(NameMap, Guess), TensorFlowError> {
    let candidates = candidates(checkpoint);
    let mut reasons = Vec::new();
    for way in [by_name, by_creation, by_layer] {
        match way(network, &candidates) {
            Ok((pairs, guess)) => return Ok((NameMap::new(pairs)?, guess)),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(TensorFlowError::Ambiguous { path: checkpoint.index_path().into(), reasons })
}

type Found = Result<(Vec<(String, String)>, Guess), String>;

/// A tensor that may be one of the network's.
struct Candidate<'a> {
    key: &'a str,
    /// Its readable name, and its path from the object that was saved.
    names: [&'a str; 2],
    info: &'a TensorInfo,
}

/// Tensors of numbers that are no slots, each under the first of its names: in the order of their keys.
fn candidates(checkpoint: &Checkpoint) -> Vec<Candidate<'_>> {
    let is_slot = |key: &str, info: &TensorInfo| {
        let of = key.rsplit_once('/').and_then(|(variable, _)| checkpoint.tensor(variable));
        key.contains("/.OPTIMIZER_SLOT/") || of.is_some_and(|(_, of)| of.shape == info.shape)
    };
    let mut seen = HashSet::new();
    let mut is_first = |info: &TensorInfo| {
        let place = info.places().next().filter(|place| place.bytes > 0);
        place.is_none_or(|place| seen.insert((place.shard, place.offset)))
    };
    checkpoint
        .tensors()
        .filter(|(key, info)| info.dtype.is_float() && !is_slot(key, info) && is_first(info))
        .map(|(key, info)| {
            let names = [checkpoint.readable_name(key), super::graph::without_suffix(key)];
            Candidate { key, names, info }
        })
        .collect()
}

fn by_name(network: &Network, candidates: &[Candidate<'_>]) -> Found {
    let params: Vec<_> = network.arrays().map(|(param, _)| param).collect();
    // All prefixes come from the first array's name.
    let first = params.first().map_or("", |param| param.name.as_str());
    let names = candidates.iter().flat_map(|candidate| candidate.names);
    let mut prefixes: Vec<_> = names
        .filter_map(|name| name.strip_suffix(first))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('/'))
        .collect();
    prefixes.sort_by_key(|prefix| prefix.len());
    prefixes.dedup();
    let mut by_name: HashMap<&str, Vec<&Candidate<'_>>> = HashMap::new();
    for candidate in candidates {
        let [first, second] = candidate.names;
        by_name.entry(first).or_default().push(candidate);
        if first != second {
            by_name.entry(second).or_default().push(candidate);
        }
    }
    let find = |prefix: &str| -> Option<Vec<_>> {
        let pair = |param: &&Param| {
            let name = format!("{prefix}{}", param.name);
            match by_name.get(name.as_str()).map(Vec::as_slice) {
                Some([found]) if found.info.shape == param.shape => {
                    Some((param.name.clone(), found.key.to_owned()))
                }
                _ => None,
            }
        };
        params.iter().map(pair).collect()
    };
    let found = prefixes.iter().find_map(|prefix| Some((find(prefix)?, Guess::Names((*prefix).into()))));
    found.ok_or_else(|| "their names and shapes are not those of the arrays".into())
}

fn by_creation(network: &Network, candidates: &[Candidate<'_>]) -> Found {
    let numbered = |i: usize| {
        let name = variable(i);
        let place = candidates.binary_search_by(|candidate| candidate.key.cmp(&name)).ok()?;
        Some(&candidates[place])
    };
    let found = (0..candidates.len()).map_while(numbered).count();
    let arrays = network.arrays().count();
    if found != arrays {
        return Err(format!("there are {found} called `Variable`, `Variable_1`, ... for {arrays} arrays"));
    }
    let pair = |(i, param): (usize, &Param)| match numbered(i) {
        Some(tensor) if tensor.info.shape == param.shape => Ok((param.name.clone(), tensor.key.to_owned())),
        tensor => Err(format!(
            "`{}` has the shape {:?}, and `{}` {:?}",
            variable(i),
            tensor.map_or(&[][..], |tensor| &tensor.info.shape),
            param.name.escape_debug(),
            param.shape
        )),
    };
    let pairs: Result<_, _> = creation_order(network).into_iter().enumerate().map(pair).collect();
    Ok((pairs?, Guess::CreationOrder))
}

/// The arrays of a layer: the last part of each one's name, its shape and what it is called.
type Layer<'a> = Vec<(&'a str, &'a [usize], &'a str)>;

fn by_layer(network: &Network, candidates: &[Candidate<'_>]) -> Found {
    let mut wanted: Vec<(&str, Layer<'_>)> = Vec::new();
    for param in creation_order(network) {
        let (layer, leaf) = split(&param.name);
        if wanted.last().is_none_or(|(last, _)| *last != layer) {
            wanted.push((layer, Vec::new()));
        }
        let (_, arrays) = wanted.last_mut().expect("one was pushed");
        arrays.push((leaf, &param.shape, &param.name));
    }
    let mut there: Vec<(Vec<Part<'_>>, &Candidate<'_>)> =
        candidates.iter().map(|candidate| (natural(split(candidate.names[0]).0), candidate)).collect();
    there.sort_by(|(a, _), (b, _)| a.cmp(b));
    // By the arrays that a layer has, and how many axes each.
    let mut kinds: HashMap<Vec<(String, usize)>, VecDeque<Layer<'_>>> = HashMap::new();
    for layer in there.chunk_by(|(a, _), (b, _)| a == b) {
        let arrays = layer.iter().map(|(_, Candidate { key, names, info })| {
            let (_, leaf) = split(names[0]);
            (leaf, &info.shape[..], *key)
        });
        let layer: Layer<'_> = arrays.collect();
        kinds.entry(kind(&layer)).or_default().push_back(layer);
    }
    let mut pairs = Vec::new();
    for (layer, arrays) in &wanted {
        let tensors = kinds.get_mut(&kind(arrays)).and_then(VecDeque::pop_front);
        let name = layer.escape_debug();
        let tensors = tensors.ok_or_else(|| format!("there is no layer with the arrays of `{name}`"))?;
        for (leaf, shape, array) in arrays {
            let tensor = tensors.iter().find(|(other, got, _)| plain(other) == *leaf && got == shape);
            let (.., key) = tensor.ok_or_else(|| {
                let got: Vec<_> =
                    tensors.iter().map(|(leaf, shape, _)| format!("{leaf} {shape:?}")).collect();
                let array = array.escape_debug();
                format!(
                    "`{array}` has the shape {shape:?}, and the layer in its place has {}",
                    got.join(", ")
                )
            })?;
            pairs.push(((*array).to_owned(), (*key).to_owned()));
        }
    }
    let wanted_kinds: Vec<_> = wanted.iter().map(|(_, arrays)| kind(arrays)).collect();
    let more = kinds.iter().filter(|(kind, _)| wanted_kinds.contains(kind)).map(|(_, rest)| rest.len());
    match more.sum::<usize>() {
        0 => Ok((pairs, Guess::Layers)),
        more => Err(format!("there are {more} more such layers than the network has")),
    }
}

/// A layer and the array in it.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// `_kernel` is what Keras 3 calls the variable `kernel`.
fn plain(leaf: &str) -> &str {
    leaf.trim_start_matches('_')
}

fn kind(layer: &Layer<'_>) -> Vec<(String, usize)> {
    let mut kind: Vec<_> = layer.iter().map(|(leaf, shape, _)| (plain(leaf).into(), shape.len())).collect();
    kind.sort_unstable();
    kind
}

/// A part of a name: text, then a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part<'a> {
    text: &'a str,
    /// The number's length without leading zeros and its digits: in the order of its value.
    number: (usize, &'a str),
}

/// A name so that `conv2d_10` comes behind `conv2d_9`, and `conv2d` before both.
fn natural(mut name: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while !name.is_empty() {
        let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
        let (text, rest) = name.split_at(digits);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, rest) = rest.split_at(end);
        let number = number.trim_start_matches('0');
        parts.push(Part { text, number: (number.len(), number) });
        name = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = ["conv2d_10", "conv2d_9", "conv2d", "b/2/x", "b/11/a", "b/2/a", "dense", "conv2d_1"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(
            names,
            ["b/2/a", "b/2/x", "b/11/a", "conv2d", "conv2d_1", "conv2d_9", "conv2d_10", "dense"]
        );
    }
}
