//! The program `flowers`, run as a process: what its subcommands print, their files and their exit codes.
mod archives;
mod checkpoints;
// Signals and limits are sent as Linux has them.
#[cfg(target_os = "linux")]
mod crashes;
mod data;
#[cfg(target_os = "linux")]
mod disks;
mod download;
mod exchange;
mod foreign;
// The tests of an example are not run by themselves: told to, cargo would build nothing else of it.
#[path = "../../../examples/serve/form.rs"]
mod form;
mod html;
mod journey;
mod labels;
mod library;
#[cfg(target_os = "linux")]
mod logs;
#[cfg(target_os = "linux")]
mod odd_files;
#[path = "../../../tests/common/photos.rs"]
#[allow(dead_code, reason = "the library's tests use all of it")]
mod photos;
mod prediction;
#[cfg(target_os = "linux")]
mod process;
mod reporting;
#[cfg(unix)]
mod serve;
mod server;
mod support;
#[cfg(target_os = "linux")]
mod terminal;
mod training;
