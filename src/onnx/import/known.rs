//! The operators that are read.

use std::collections::HashMap;

use super::model::Node;
use crate::onnx::ImportError;

/// The operators that are read, of ONNX's own set. Some are read in constants, or in a form with others that is one layer.
const READ: [&str; 55] = [
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Div",
    "Dropout",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LayerNormalization",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "Pad",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Fails with all operators among `nodes` that are not read.
pub fn check<'n, 'a: 'n>(nodes: impl Iterator<Item = &'n Node<'a>>) -> Result<(), ImportError> {
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    for node in nodes {
        let own = matches!(node.domain, "" | "ai.onnx");
        if !own || !READ.contains(&node.op) {
            *counts.entry((if own { "" } else { node.domain }, node.op)).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let name = |(domain, op): (&str, &str)| match domain {
        "" => op.to_owned(),
        domain => format!("{domain}.{op}"),
    };
    let mut unread: Vec<(String, usize)> =
        counts.into_iter().map(|(operator, count)| (name(operator), count)).collect();
    unread.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Err(ImportError::Operators { unread, read: &READ })
}
