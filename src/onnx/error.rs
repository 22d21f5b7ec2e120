//! What can go wrong with an ONNX file.

use std::path::PathBuf;

use crate::files::FileError;
use crate::network::NetworkError;
use crate::nn::ShapeError;
use crate::record::WireError;

/// An error of writing or reading an ONNX file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// A file that can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A network that can't be written.
    #[error("the network can't be exported: {0}")]
    Export(ExportError),
    /// A file that no network can be made of.
    #[error("{}: {error}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<ImportError>,
    },
}

/// Why a network can't be written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A network of vectors.
    #[error("its input is a vector, and images are wanted")]
    VectorInput,
    /// Layers that do not fit their input.
    #[error(transparent)]
    Layer(#[from] ShapeError),
    /// A layer of one's own, which ONNX has no operator for.
    #[error("the layer `{path}` is of the kind `{kind}`, which is not floret's: ONNX has no operator for it")]
    CustomLayer {
        /// The layer's name.
        path: String,
        /// Its kind.
        kind: String,
    },
    /// A network that is too large for the format.
    #[error("it takes {bytes} bytes, and ONNX files end at {limit}")]
    TooLong {
        /// The bytes of its file.
        bytes: usize,
        /// The format's limit.
        limit: usize,
    },
    /// What the file tells of the network besides its graph.
    #[error("`{key}` can't be written as JSON: {reason}")]
    Metadata {
        /// The entry.
        key: String,
        /// What JSON can't hold.
        reason: String,
    },
}

impl From<ExportError> for OnnxError {
    fn from(error: ExportError) -> Self {
        OnnxError::Export(error)
    }
}

/// Why no network can be made of an ONNX model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Bytes that are something else.
    #[error("it looks like {0}, not an ONNX model")]
    OtherKind(&'static str),
    /// Bytes that are no message, or not this one.
    #[error("it is no whole ONNX model ({0}): export it again")]
    Wire(WireError),
    /// A model without what every model has, or over a limit.
    ///
    /// Hundreds of defects make models foreign or damaged. No caller handles them apart, so the reason is text here and in
    /// [`Node`](Self::Node) and [`Tensor`](Self::Tensor).
    #[error("it is no ONNX model that can be read: {0}")]
    Model(String),
    /// A graph that leaves the size of images open.
    #[error("its input `{}` takes images of any size, and a network of floret takes one size: say which", input.escape_debug())]
    AnySize {
        /// The input's name.
        input: String,
    },
    /// A graph of operators that are not read. All of them are found at once, before anything else fails.
    #[error("the graph holds operators that floret does not read: {}; it reads: {}", counted(unread), read.join(", "))]
    Operators {
        /// Each with the number of its nodes, the most frequent first; with its set before it (`com.microsoft.QGemm`) where that
        /// is not ONNX's own.
        unread: Vec<(String, usize)>,
        /// The operators that are read.
        read: &'static [&'static str],
    },
    /// A node that no layer of floret does the work of.
    #[error("the node `{}` ({}): {reason}", node.escape_debug(), op.escape_debug())]
    Node {
        /// The node's name, or that of its output.
        node: String,
        /// Its operator.
        op: String,
        /// What is not supported or does not fit.
        reason: String,
    },
    /// An array whose values can't be taken.
    #[error("the array `{}`: {reason}", name.escape_debug())]
    Tensor {
        /// Its name in the graph.
        name: String,
        /// Why.
        reason: String,
    },
    /// A file beside the model's that holds its weights and can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Layers that do not make a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// The most operators that a message names.
const MAX_NAMED: usize = 16;

/// `Einsum (12), TopK (1)`
fn counted(operators: &[(String, usize)]) -> String {
    let named = operators.iter().take(MAX_NAMED);
    let mut list: Vec<String> =
        named.map(|(name, count)| format!("{} ({count})", name.escape_debug())).collect();
    if operators.len() > MAX_NAMED {
        list.push(format!("{} others", operators.len() - MAX_NAMED));
    }
    list.join(", ")
}

impl From<WireError> for ImportError {
    fn from(error: WireError) -> Self {
        ImportError::Wire(error)
    }
}
