//! What training shows: TensorBoard's event files, and pictures of what a network sees, learned and took for something else.
//!
//! An event file is a TFRecord file (see [`record`](crate::record)) of one `Event` a record, the first of which tells the
//! version. TensorBoard looks for files named `events.out.tfevents...` below its `--logdir`; each folder that holds some is
//! one *run*, and runs are drawn over each other, tag by tag.
//!
//! | what | where |
//! | --- | --- |
//! | everything about a training, logged while it runs | [`TensorBoard`], a [`Callback`](crate::train::Callback) |
//! | one run: scalars, histograms, images, text, the graph, hyper-parameters | [`SummaryWriter`] |
//! | pictures as RGB arrays | [`picture`] |

mod error;
mod graph;
mod histogram;
mod hparams;
pub mod picture;
mod summary;
mod tensor_board;
mod watched;
mod writer;

pub use error::LogError;
pub use tensor_board::TensorBoard;
pub use writer::SummaryWriter;
