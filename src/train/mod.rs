//! The loop over epochs: steps, schedule, evaluation, best-so-far, early stop.
//!
//! A [`Trainer`] can stop after any step and go on later: [`Progress`] says where it is, and together with the
//! network, its average, the optimizer and the loader's seed it is all that training depends on; under a budget of time the
//! machine's speed decides too.
//!
//! | question | file |
//! | --- | --- |
//! | how long, and how? | `options.rs` |
//! | what happens when? | `trainer.rs` |
//! | what may come before the first step? | `opening.rs` |
//! | where is it? | `progress.rs`; under a budget of time, `pace.rs` |
//! | how long does it take? | `time.rs` |
//! | who looks on? | `callback.rs` |

mod callback;
mod error;
mod opening;
mod options;
mod pace;
mod progress;
mod time;
mod trainer;

pub use callback::{Callback, Ended, Flow, Moment, OpeningProgress};
pub use error::{TrainError, TrainOptionsError};
pub use opening::{Opened, Opening};
pub use options::{Stage, TimeBudget, TrainOptions};
pub use progress::{Best, EpochRecord, Progress, Score};
pub use time::Estimate;
pub use trainer::{Trainer, evaluate};
