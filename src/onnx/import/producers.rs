//! Which node gives which value, and which nodes the outputs need.

use std::collections::HashMap;

use super::model::Node;
use crate::onnx::ImportError;

/// The node that gives each name, by its index. A node of several outputs gives each.
pub type Producers<'a> = HashMap<&'a str, usize>;

/// The nodes by what they give.
///
/// # Errors
/// A node that gives nothing, or what is there already: so no value changes, and none can come from itself.
pub fn producers<'a>(
    nodes: &[Node<'a>],
    is_given: impl Fn(&str) -> bool,
) -> Result<Producers<'a>, ImportError> {
    let mut producers = Producers::new();
    for (index, node) in nodes.iter().enumerate() {
        if node.outputs.first().is_none_or(|name| name.is_empty()) {
            return Err(node.unsupported("it gives nothing"));
        }
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            if is_given(name) || producers.insert(name, index).is_some() {
                return Err(
                    node.unsupported(format!("its output `{}` is there already", name.escape_debug()))
                );
            }
        }
    }
    Ok(producers)
}

/// Whether each node is needed for the outputs.
pub fn needed(nodes: &[Node<'_>], producers: &Producers<'_>, outputs: &[&str]) -> Vec<bool> {
    let mut needed = vec![false; nodes.len()];
    let need = |name: &str, needed: &mut Vec<bool>| {
        if let Some(&index) = producers.get(name) {
            needed[index] = true;
        }
    };
    outputs.iter().for_each(|name| need(name, &mut needed));
    for index in (0..nodes.len()).rev() {
        if needed[index] {
            nodes[index].inputs.iter().for_each(|name| need(name, &mut needed));
        }
    }
    needed
}
