//! Which nodes are read: those that the outputs need, but for those that are one layer together with a later one.

use std::collections::HashMap;

use super::forms::{Form, Graph};

/// How the nodes are read.
pub struct Order<'a> {
    /// Whether each is read.
    pub wanted: Vec<bool>,
    /// For each what it is together with some before it, which are then not read for it.
    pub forms: Vec<Option<Form<'a>>>,
    /// How many nodes that are read take each name; a graph's outputs count too.
    pub uses: HashMap<&'a str, usize>,
}

impl<'a> Order<'a> {
    /// Of the nodes that compute with the images; `graph` knows the constants.
    pub fn of(graph: &Graph<'_, 'a>, outputs: &[&'a str], is_constant: impl Fn(&str) -> bool) -> Self {
        let nodes = graph.nodes;
        let (mut wanted, mut forms, mut uses) =
            (vec![false; nodes.len()], vec![None; nodes.len()], HashMap::new());
        let mut take = |name: &'a str, wanted: &mut Vec<bool>| {
            *uses.entry(name).or_default() += 1;
            if let Some(&index) = graph.producers.get(name) {
                wanted[index] = true;
            }
        };
        outputs.iter().for_each(|name| take(name, &mut wanted));
        for (index, node) in nodes.iter().enumerate().rev() {
            if !wanted[index] || is_constant(node.outputs[0]) {
                wanted[index] = false;
            } else if let Some(form) = graph.form(index) {
                take(form.input, &mut wanted);
                forms[index] = Some(form);
            } else {
                node.inputs.iter().filter(|name| !name.is_empty()).for_each(|name| take(name, &mut wanted));
            }
        }
        Self { wanted, forms, uses }
    }
}
