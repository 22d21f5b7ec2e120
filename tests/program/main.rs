//! The program `flowers`, run as a process: what its subcommands print, their files and their exit codes.
mod data;
mod journey;
mod prediction;
mod support;
mod training;
