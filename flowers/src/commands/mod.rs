//! One file a subcommand.

pub mod bench;
pub mod convert;
pub mod demo;
pub mod download;
pub mod eval;
pub mod export;
pub mod import;
pub mod inspect;
mod names;
pub mod predict;
pub mod report;
pub mod train;
