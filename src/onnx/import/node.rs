//! A node's inputs and attributes, as the operators want them.

use super::model::{Attribute, Node};
use crate::onnx::ImportError;

impl<'a> Node<'a> {
    /// The error that this node is not supported, or does not fit what it takes.
    pub fn unsupported(&self, reason: impl Into<String>) -> ImportError {
        let name =
            if self.name.is_empty() { self.outputs.first().copied().unwrap_or_default() } else { self.name };
        ImportError::Node { node: name.into(), op: self.op.into(), reason: reason.into() }
    }

    /// The error that an input is left out which the operator can't do without.
    pub fn missing(&self, index: usize) -> ImportError {
        let (inputs, role) = (self.inputs.len(), self.role(index));
        self.unsupported(format!(
            "it has {inputs} input{} and lacks {role}: the file is damaged, or its exporter is at fault",
            if inputs == 1 { "" } else { "s" }
        ))
    }

    /// What an input is, in words.
    pub fn role(&self, index: usize) -> String {
        let name = match (self.op, index) {
            ("Conv" | "Gemm" | "MatMul", 1) => "the weights",
            ("Conv" | "Gemm", 2) => "the bias",
            ("BatchNormalization" | "LayerNormalization", 1) => "the scale",
            ("BatchNormalization" | "LayerNormalization", 2) => "the shift",
            ("BatchNormalization", 3) => "the mean",
            ("BatchNormalization", 4) => "the variance",
            ("Reshape" | "Expand", 1) => "the new shape",
            ("Pad", 1) => "the padding",
            (_, 0) => "the first input",
            (_, 1) => "the second input",
            _ => return format!("input {}", index + 1),
        };
        name.into()
    }

    /// The name of an input, if it is there.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.inputs.get(index).copied().filter(|name| !name.is_empty())
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<Option<i64>, ImportError> {
        const KIND: u64 = 2;
        // Some writers leave zeros out.
        let int = |attribute: &Attribute<'_>| attribute.int.or((attribute.kind == KIND).then_some(0));
        let Some(attribute) = self.attribute(name) else { return Ok(None) };
        int(attribute).map(Some).ok_or_else(|| self.unsupported(format!("its `{name}` is no whole number")))
    }

    /// A number.
    pub fn float(&self, name: &str) -> Result<Option<f32>, ImportError> {
        const KIND: u64 = 1;
        let float = |attribute: &Attribute<'_>| attribute.float.or((attribute.kind == KIND).then_some(0.0));
        let Some(attribute) = self.attribute(name) else { return Ok(None) };
        float(attribute).map(Some).ok_or_else(|| self.unsupported(format!("its `{name}` is no number")))
    }

    /// Whole numbers; `None` where there are none.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..]).filter(|ints| !ints.is_empty())
    }

    /// So many sizes, each at least `least`.
    pub fn sizes<const N: usize>(&self, name: &str, least: usize) -> Result<Option<[usize; N]>, ImportError> {
        let Some(ints) = self.ints(name) else { return Ok(None) };
        let size = |int: &i64| usize::try_from(*int).ok().filter(|size| *size >= least);
        let sizes: Option<Vec<usize>> = ints.iter().map(size).collect();
        let sizes = sizes.and_then(|sizes| sizes.try_into().ok());
        sizes.map(Some).ok_or_else(|| self.unsupported(format!("its `{name}` is {ints:?}: it is no image's")))
    }

    /// Fails if an attribute is there and not `want`.
    pub fn expect_int(&self, name: &str, want: i64) -> Result<(), ImportError> {
        match self.int(name)? {
            Some(got) if got != want => {
                Err(self.unsupported(format!("its `{name}` is {got}; only {want} is supported")))
            }
            _ => Ok(()),
        }
    }

    /// Fails if an attribute is there and not `want`.
    pub fn expect_float(&self, name: &str, want: f32) -> Result<(), ImportError> {
        match self.float(name)? {
            Some(got) if got != want => {
                Err(self.unsupported(format!("its `{name}` is {got}; only {want} is supported")))
            }
            _ => Ok(()),
        }
    }
}
