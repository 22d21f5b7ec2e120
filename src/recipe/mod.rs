//! How to train what: from photos and a budget to a trained network.
//!
//! ```no_run
//! use floret::recipe::Budget;
//!
//! let trained = floret::fit("data", Budget::minutes(5.0))?;
//! trained.save("model.safetensors")?;
//! # Ok::<(), floret::Error>(())
//! ```
//!
//! [`Training`] counts the photos ([`Census`]), chooses the [`Settings`] that suit them, fits image size and epochs to the time
//! there is ([`Plan`]), and trains. What the user chose ([`Choices`]) stays; [`SETTINGS`] is the one table of what can be chosen.
//! What is worth knowing comes as a [`Note`]. The experiments behind the constants are in docs/recipes.md.
//!
//! | question | file |
//! | --- | --- |
//! | what are the data? | `folder.rs` (`shard_sets.rs`, `splits.rs`), `census.rs`, `samples.rs` (`mirror.rs`, `brightness.rs`) |
//! | what can be chosen? | `choices.rs`, `setting.rs`, `table.rs` |
//! | what decides the result? | `settings.rs`, by `rules.rs` and `regularization.rs` |
//! | what fits into the time and the memory? | `plan.rs`, `deadline.rs`, `memory.rs` |
//! | what does training begin with? | `start.rs` (a network trained before, `known.rs`), `head.rs` (its new last layer), `resume.rs` (a run); `origin.rs` |
//! | who does it all? | `training.rs`; in one call `one_call.rs` |
//! | what is worth knowing, what went wrong? | `note.rs`, `error.rs` |
//! | which labels may be wrong? | `answers.rs` |

mod answers;
mod brightness;
mod census;
mod choices;
mod deadline;
mod error;
mod folder;
mod head;
mod known;
mod memory;
mod mirror;
mod note;
mod one_call;
mod origin;
mod plan;
mod regularization;
mod resume;
mod rules;
mod samples;
mod setting;
mod settings;
mod shard_sets;
mod splits;
mod start;
mod table;
mod training;
mod tuning;

pub use answers::{Answer, Answers, CONFIDENT, MOST_CONTRADICTIONS};
pub use census::{Census, FEW_PHOTOS};
pub use choices::{
    Architecture, Augmentation, Choices, ClassWeights, Named, Normalization, ParseNameError, Recipe, Rule,
};
pub use deadline::Deadline;
pub use error::{Clash, Conflict, FolderFault, ModelFault, RecipeError};
pub use folder::{DataFolder, FIRST_LABEL, LABELS, TFDS_LABELS};
pub use head::FEATURES;
pub use known::foreign_preprocess;
pub use memory::{available_memory, require_memory};
pub use note::Note;
pub use one_call::{fit, fit_from, fit_sets};
pub use plan::Plan;
pub use regularization::Regularization;
pub use rules::{IMAGE_SIZE, MINUTES, batch_size, learning_rate, train_sizes};
pub use setting::{Group, Setting};
pub use settings::{Keys, Settings};
pub use shard_sets::{Shards, is_record_name};
pub use splits::{EVAL, TEST, TRAIN};
pub use start::most_like;
pub use table::SETTINGS;
pub use training::{Budget, Prepared, Trained, Training};
