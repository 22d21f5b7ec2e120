//! TensorFlow checkpoints (version 2, "tensor bundles"), read and written: those of TensorFlow 1's `Saver`, of
//! `tf.train.Checkpoint`, and of a SavedModel's variables.
//!
//! ```no_run
//! use floret::checkpoint::tensorflow::{Checkpoint, NameMap, load_network, save_network};
//! use floret::models;
//!
//! let checkpoint = Checkpoint::open("run/model.ckpt-100")?;
//! for (name, tensor) in checkpoint.tensors() {
//!     println!("{name}: {} {:?}", tensor.dtype, tensor.shape);
//! }
//! let mut network = models::seed(64, 5, 0.5).build()?;
//! // `Variable`, `Variable_1`, ...: the names of a script that gave its variables none.
//! let names = NameMap::creation_order(&network);
//! load_network(&mut network, &checkpoint, &names)?;
//! // ... train ...
//! save_network("run/model.ckpt-200", &network, &names)?;
//! # Ok::<(), floret::Error>(())
//! ```
//!
//! # Layouts
//!
//! floret's arrays lie as TensorFlow's do, so nothing is transposed: convolution kernels are HWIO (height, width, inputs,
//! outputs), dense kernels (inputs, outputs), where an image is flattened in the order NHWC; biases and the arrays of batch
//! norm (`gamma`, `beta`, `moving_mean`, `moving_variance`) are vectors of the channels.
//!
//! # Files
//!
//! | file | holds |
//! | --- | --- |
//! | `PREFIX.index` | a table (LevelDB's format) from names to where the values are |
//! | `PREFIX.data-00000-of-00001`, ... | the values, one tensor behind the other |
//! | `checkpoint` | the name of the folder's latest checkpoint, as text |
//!
//! | key in the table | value (protocol buffer) |
//! | --- | --- |
//! | empty, so the first | `BundleHeaderProto`: number of data files, order of bytes, version |
//! | a name | `BundleEntryProto`: type, shape, data file, offset, size, masked CRC32C of the bytes; or a list of slices |
//! | a zero byte, then name and place | `BundleEntryProto` of a slice of a partitioned variable |
//! | `_CHECKPOINTABLE_OBJECT_GRAPH` | entry of a string: the objects of `tf.train.Checkpoint`, `TrackableObjectGraph` |
//!
//! | type | in a data file |
//! | --- | --- |
//! | numbers, booleans | row-major, the lowest byte first |
//! | strings | the length of each as a varint; the masked CRC32C of the lengths; the strings |
//!
//! Sources: TensorFlow's `core/protobuf/tensor_bundle.proto`, `core/util/tensor_bundle/tensor_bundle.{h,cc}` and
//! `core/protobuf/trackable_object_graph.proto`; LevelDB's `doc/table_format.md`.
//!
//! # What is checked
//!
//! Opening reads the index (at most 16 MiB), checks the CRC of each of its blocks, that blocks fill the file, keys ascend,
//! each tensor's size is that of its type and shape, and that the tensors fill their data files without overlap (but for
//! gaps that align them, of up to 4 KiB; two names may have the same bytes). Reading a tensor checks its CRC. Memory is taken for what is in the files, never for what a length claims.

mod cursor;
mod data_type;
mod error;
mod graph;
mod guess;
mod index;
mod names;
mod network;
mod place;
mod read;
mod shards;
mod slices;
mod slim;
mod slots;

mod table;
mod tensor;
mod write;

pub use data_type::DataType;
pub use error::{NamesError, SlotsError, TensorFlowError};
pub use guess::{Guess, guess_names};
pub use index::TensorInfo;
pub use names::NameMap;
pub use network::{load_network, save_network};
pub use read::Checkpoint;
pub use slim::{SlimNetwork, slim_network};
pub use slots::{SlotOptimizer, load_network_and_slots, save_network_and_slots};
pub use tensor::{Element, Tensor};
pub use write::CheckpointWriter;

/// The key of the description of a checkpoint's objects.
const GRAPH_KEY: &str = "_CHECKPOINTABLE_OBJECT_GRAPH";
