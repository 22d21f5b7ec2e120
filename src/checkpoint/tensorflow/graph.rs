//! The objects whose variables a checkpoint of `tf.train.Checkpoint` holds.

use std::collections::{HashMap, HashSet};

use prost::Message;

use crate::proto::trackable_object_graph::{
    ObjectReference, SerializedTensor, TrackableObject, TrackableObjectGraph,
};

/// What a key of a variable's value ends in.
const SUFFIX: &str = "/.ATTRIBUTES/VARIABLE_VALUE";

/// What a variable's value is to its object.
const VALUE: &str = "VARIABLE_VALUE";

/// The longest description that is read: tens of thousands of variables. It takes some forty times its length in memory
/// while it is.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// The key of a variable's value without its ending.
pub(super) fn without_suffix(key: &str) -> &str {
    key.strip_suffix(SUFFIX).unwrap_or(key)
}

/// The variables' own names.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// By key, those that one variable alone has.
    names: HashMap<String, String>,
}

impl Graph {
    /// Reads the description; `exists` tells whether there is a tensor of a key.
    pub fn read(bytes: &[u8], exists: impl Fn(&str) -> bool) -> Result<Self, String> {
        let graph = TrackableObjectGraph::decode(bytes).map_err(|error| error.to_string())?;
        let (mut names, mut taken, mut twice) = (HashMap::new(), HashSet::new(), HashSet::new());
        for SerializedTensor { full_name, checkpoint_key, .. } in
            graph.nodes.into_iter().flat_map(|node| node.attributes)
        {
            if full_name.is_empty() || !exists(&checkpoint_key) || names.contains_key(&checkpoint_key) {
                continue;
            }
            if !taken.insert(full_name.clone()) {
                twice.insert(full_name.clone());
            }
            names.insert(checkpoint_key, full_name);
        }
        names.retain(|_, name| !twice.contains(name));
        Ok(Self { names })
    }

    /// The name of the variable whose value is under `key`.
    pub fn variable_name(&self, key: &str) -> Option<&str> {
        self.names.get(key).map(String::as_str)
    }
}

/// What `tf.train.Checkpoint` wants a variable's value to be called.
pub(super) fn with_suffix(path: &str) -> String {
    format!("{path}{SUFFIX}")
}

/// What Keras 3 calls a layer's `kernel`.
const KERAS_KERNEL: &str = "_kernel";

/// The description of nested objects that hold variables: `conv1/kernel` is the object `kernel` of the object `conv1`, and its
/// `_kernel` too, so that a layer of Keras finds it. Their values are under [`with_suffix`].
pub(super) fn describe<'a>(variables: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut nodes = vec![TrackableObject::default()];
    for path in variables {
        let mut node = 0;
        for name in path.split('/') {
            let child = nodes[node].children.iter().find(|child| child.local_name == name);
            node = match child {
                Some(child) => child.node_id as usize,
                None => {
                    let id = nodes.len();
                    let mut hold = |name: &str| {
                        let child = ObjectReference { node_id: id as i32, local_name: name.into() };
                        nodes[node].children.push(child);
                    };
                    hold(name);
                    if name == "kernel" {
                        hold(KERAS_KERNEL);
                    }
                    nodes.push(TrackableObject::default());
                    id
                }
            };
        }
        let (name, full_name, checkpoint_key) = (VALUE.into(), path.into(), with_suffix(path));
        nodes[node].attributes.push(SerializedTensor { name, full_name, checkpoint_key });
    }
    TrackableObjectGraph { nodes }.encode_to_vec()
}
