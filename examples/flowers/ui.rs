//! What the program shows: lines, and the progress of long work, a bar with rate and time left on a terminal, plain lines
//! elsewhere.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// Prints a line to standard output; the arguments are those of `println!`.
macro_rules! say {
    () => { $crate::ui::print(format_args!("\n")) };
    ($($line:tt)*) => { $crate::ui::print(format_args!("{}\n", format_args!($($line)*))) };
}

/// Prints a line to standard error; the arguments are those of `eprintln!`.
macro_rules! note {
    ($($line:tt)*) => { $crate::ui::print_error(format_args!("{}\n", format_args!($($line)*))) };
}

pub(crate) use {note, say};

/// Whether the work goes on when nobody reads what it prints.
static OUTLIVES_READER: AtomicBool = AtomicBool::new(false);

/// From here on the files written matter, and not what is printed: a reader that goes away (`| head`) ends nothing.
pub fn outlive_reader() {
    OUTLIVES_READER.store(true, Ordering::Relaxed);
}

/// Prints to standard output. When its reader has gone away there is nothing left to do, so the program ends quietly,
/// unless its work [outlives the reader](outlive_reader).
pub fn print(text: fmt::Arguments<'_>) {
    let written = {
        let mut out = io::stdout().lock();
        out.write_fmt(text).and_then(|()| out.flush())
    };
    match written {
        Ok(()) => {}
        Err(_) if OUTLIVES_READER.load(Ordering::Relaxed) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            note!("error: cannot write to standard output: {error}");
            std::process::exit(1);
        }
    }
}

/// Prints to standard error. Where that fails there is no place left to say so.
pub fn print_error(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Plain lines come no more often than this.
pub const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of a known number of things. Several threads may tell it.
pub struct Progress {
    total: u64,
    /// Done before the display began.
    begun: u64,
    started: Instant,
    in_bytes: bool,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    what: String,
    done: u64,
    last_line: Instant,
}

impl Progress {
    /// Begins to show; `what` is what is being done, `unit` what is counted (`photos`).
    pub fn new(what: &str, total: u64, unit: &str) -> Self {
        Self::with_counts(what, total, &format!("{{pos}}/{{len}} {unit} {{per_sec}}"))
    }

    /// Counts bytes.
    pub fn of_bytes(what: &str, total: u64) -> Self {
        let counts = "{bytes}/{total_bytes} {bytes_per_sec}";
        let mut progress = Self::with_counts(what, total, counts);
        progress.in_bytes = true;
        progress
    }

    fn with_counts(what: &str, total: u64, counts: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let template = format!("{{msg:24}} {{bar:30}} {counts}, {{eta}} left");
            let style = ProgressStyle::with_template(&template).expect("the template is well formed");
            ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_message(what.to_owned())
        });
        let now = Instant::now();
        let state = Mutex::new(State { what: what.into(), done: 0, last_line: now });
        Self { total, begun: 0, started: now, in_bytes: false, bar, state }
    }

    /// So many were done before: they do not count as this run's, for rate and time left.
    pub fn starting_at(mut self, begun: u64) -> Self {
        self.begun = begun;
        self.state().done = begun;
        if let Some(bar) = &self.bar {
            bar.set_position(begun);
            bar.reset_eta();
        }
        self
    }

    /// So many are done in all.
    pub fn set(&self, done: u64) {
        self.update(|_| done);
    }

    /// So many more are done.
    pub fn add(&self, more: u64) {
        self.update(|done| done + more);
    }

    fn update(&self, change: impl FnOnce(u64) -> u64) {
        let mut state = self.state();
        state.done = change(state.done);
        match &self.bar {
            Some(bar) => bar.set_position(state.done),
            None if state.last_line.elapsed() >= PLAIN_INTERVAL && state.done < self.total => {
                state.last_line = Instant::now();
                let (what, done, total) = (&state.what, self.shown(state.done), self.shown(self.total));
                note!("{what}: {done} of {total}, {} left", self.left(state.done));
            }
            None => {}
        }
    }

    /// What is being done, with figures that change.
    pub fn describe(&self, what: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.clone());
        }
        self.state().what = what;
    }

    /// Prints a line to standard output, above the bar.
    pub fn say(&self, line: fmt::Arguments<'_>) {
        self.above(|| say!("{line}"));
    }

    /// Prints a line to standard error, above the bar.
    pub fn note(&self, line: fmt::Arguments<'_>) {
        self.above(|| note!("{line}"));
    }

    fn above(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn shown(&self, count: u64) -> String {
        if self.in_bytes { HumanBytes(count).to_string() } else { count.to_string() }
    }

    fn left(&self, done: u64) -> String {
        duration(seconds_left(self.begun, done, self.total, self.started.elapsed().as_secs_f64()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    /// Ends the display, after an error too.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Work of which only the end will be known: a sign of life and the time on a terminal, a line elsewhere if it is expected
/// to take long.
pub struct Busy(Option<ProgressBar>);

impl Busy {
    pub fn new(what: String, expected: Duration) -> Self {
        if !io::stderr().is_terminal() {
            if expected >= PLAIN_INTERVAL {
                note!("{what}");
            }
            return Self(None);
        }
        let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}").expect("well formed");
        let spinner = ProgressBar::new_spinner().with_style(style).with_message(what);
        spinner.enable_steady_tick(Duration::from_millis(200));
        Self(Some(spinner))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(spinner) = &self.0 {
            spinner.finish_and_clear();
        }
    }
}

/// Seconds that the rest will take at the rate since the display began.
fn seconds_left(begun: u64, done: u64, total: u64, elapsed: f64) -> f64 {
    let rate = done.saturating_sub(begun) as f64 / elapsed;
    total.saturating_sub(done) as f64 / rate.max(1e-9)
}

/// `1 photo`, `2 photos`.
pub fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// `95.2` as `1 min 35 s`.
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        0..10 => format!("{seconds:.1} s"),
        s @ 10..120 => format!("{s} s"),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_before_does_not_count_for_the_rate() {
        assert_eq!(seconds_left(0, 50, 100, 10.0), 10.0);
        // Ten done in ten seconds, not sixty.
        assert_eq!(seconds_left(50, 60, 100, 10.0), 40.0);
    }
}
