//! For whom the program writes.

use std::sync::atomic::{AtomicU8, Ordering};

/// For whom the program writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// People: lines, tables, progress.
    Lines,
    /// Nobody, unless something is wrong.
    Quiet,
    /// Scripts: one object a line.
    Json,
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Lines as u8);

/// For whom the program writes.
pub fn mode() -> Mode {
    let now = MODE.load(Ordering::Relaxed);
    [Mode::Quiet, Mode::Json].into_iter().find(|mode| *mode as u8 == now).unwrap_or(Mode::Lines)
}

/// Does some work without a word, unless something is wrong.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let before = MODE.swap(Mode::Quiet as u8, Ordering::Relaxed);
    let done = work();
    MODE.store(before, Ordering::Relaxed);
    done
}

#[derive(clap::Args)]
pub struct Output {
    /// Print errors and warnings only
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// For scripts: print one JSON object a line to standard output, whose `kind` tells what it is (`--help` lists them).
    /// Notes, warnings and errors stand on standard error too, in words
    #[arg(long)]
    json: bool,
}

impl Output {
    /// Writes in this way from here on.
    pub fn apply(&self) {
        let mode = match self {
            Self { json: true, .. } => Mode::Json,
            Self { quiet: true, .. } => Mode::Quiet,
            _ => Mode::Lines,
        };
        MODE.store(mode as u8, Ordering::Relaxed);
    }
}
