//! A network that was trained on other classes learns these: every photo once through all but its last layer, then a last layer of
//! its own, fitted to what came out.
//!
//! ```text
//! photos, in one view or more --all but the last layer--> features (kept on disk) --softmax regression--> last layer
//! ```
//!
//! The features of a network that knows a thousand classes tell others apart too (Donahue et al. 2014, Kornblith et al. 2019), and the
//! last layer alone is a convex problem: its minimum is found in seconds.
//!
//! With few photos it helps to fit the layer to several views of each, of which one shows more of the photo and another less. One
//! view, the ordinary one, is still all that an answer takes.
//!
//! | question | file |
//! | --- | --- |
//! | which views are there of a photo? | `views.rs` |
//! | what does the network make of the photos? | `extract.rs`; `features.rs`, kept by `file.rs` |
//! | which last layer fits them best? | `regression.rs` |
//! | how strongly are its weights held? | `select.rs` |

mod extract;
mod features;
mod file;
mod regression;
mod select;
mod views;

pub(crate) use extract::{Extraction, photos};
pub(crate) use features::{Features, Views};
pub(crate) use file::{held_out, keep_held_out};
pub(crate) use select::{Fitted, fit};
pub(crate) use views::in_views;
