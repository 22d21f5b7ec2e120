//! The progress of long work: redrawn in place with rate and time left on a terminal, plain lines elsewhere, nothing where
//! the output is for scripts or unwanted.

use std::fmt;
use std::io::{self, IsTerminal, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressState, ProgressStyle};

use super::text::duration;
use super::{Mode, columns, mode, note};

/// What is redrawn on the terminal at this moment.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints while what is redrawn on the terminal is out of the way.
pub(super) fn out_of_the_way<R>(print: impl FnOnce() -> R) -> R {
    let bar = shown().clone();
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Something redrawn on the terminal until it is dropped, one at a time.
struct Shown(ProgressBar);

impl Shown {
    /// `None` where nothing is to be redrawn.
    fn new(make: impl FnOnce() -> ProgressBar) -> Option<Self> {
        (mode() == Mode::Lines && io::stderr().is_terminal()).then(|| {
            let bar = make();
            *shown() = Some(bar.clone());
            Self(bar)
        })
    }
}

impl Drop for Shown {
    /// Ends the display, after an error too.
    fn drop(&mut self) {
        self.0.finish_and_clear();
        *shown() = None;
    }
}

/// A bar needs so many columns beside what it counts.
const BAR_COLUMNS: usize = 100;

/// Plain lines come no more often than this.
pub const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of a known number of things. Several threads may tell it.
pub struct Progress {
    total: u64,
    unit: Unit,
    rate: Rate,
    bar: Option<Shown>,
    state: Mutex<State>,
}

struct State {
    what: String,
    done: u64,
    last_line: Instant,
}

/// What is counted.
#[derive(Clone, Copy)]
pub enum Unit {
    Photos,
    Bytes,
}

impl Unit {
    fn amount(self, count: f64) -> String {
        match self {
            Unit::Bytes => HumanBytes(count as u64).to_string(),
            _ if count.fract() != 0.0 && count < 100.0 => format!("{count:.1}"),
            _ => format!("{count:.0}"),
        }
    }

    /// `3 of 20 photos`
    fn done(self, done: u64, total: u64) -> String {
        let (done, total) = (self.amount(done as f64), self.amount(total as f64));
        match self {
            Unit::Photos => format!("{done} of {total} photos"),
            Unit::Bytes => format!("{done} of {total}"),
        }
    }
}

impl Progress {
    /// Begins to show; `what` is what is being done.
    pub fn new(what: &str, total: u64, unit: Unit) -> Self {
        Self::from(what, 0, total, unit)
    }

    /// The same, with `begun` done before: they do not count for the rate and the time left.
    pub fn from(what: &str, begun: u64, total: u64, unit: Unit) -> Self {
        let rate = Rate { begun, started: Instant::now() };
        let bar = Shown::new(|| {
            let template = if columns() < BAR_COLUMNS {
                "{msg} {counts}"
            } else {
                "{msg:24} {bar:30} {counts}, {left} left"
            };
            let style = ProgressStyle::with_template(template)
                .expect("the template is well formed")
                .progress_chars("=> ")
                .with_key("counts", move |bar: &ProgressState, out: &mut dyn fmt::Write| {
                    let (done, per_second) = (bar.pos(), rate.per_second(bar.pos()));
                    let _ = write!(out, "{}, {} a second", unit.done(done, total), unit.amount(per_second));
                })
                .with_key("left", move |bar: &ProgressState, out: &mut dyn fmt::Write| {
                    let _ = out.write_str(&rate.left(bar.pos(), total));
                });
            ProgressBar::new(total).with_position(begun).with_style(style).with_message(what.to_owned())
        });
        let state = Mutex::new(State { what: what.into(), done: begun, last_line: rate.started });
        Self { total, unit, rate, bar, state }
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
            Some(Shown(bar)) => bar.set_position(state.done),
            None if mode() == Mode::Lines
                && state.last_line.elapsed() >= PLAIN_INTERVAL
                && state.done < self.total =>
            {
                state.last_line = Instant::now();
                let (what, done) = (&state.what, self.unit.done(state.done, self.total));
                note!("{what}: {done}, {} left", self.rate.left(state.done, self.total));
            }
            None => {}
        }
    }

    /// Prints many lines while the bar is out of the way.
    pub fn above(&self, print: impl FnOnce()) {
        let bar = shown().take();
        match &bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
        *shown() = bar;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How fast work goes, from its beginning here.
#[derive(Clone, Copy)]
struct Rate {
    /// Done before.
    begun: u64,
    started: Instant,
}

impl Rate {
    fn per_second(self, done: u64) -> f64 {
        done.saturating_sub(self.begun) as f64 / self.started.elapsed().as_secs_f64().max(1e-9)
    }

    fn left(self, done: u64, total: u64) -> String {
        let per_second = self.per_second(done);
        if per_second == 0.0 {
            return "?".into();
        }
        duration(total.saturating_sub(done) as f64 / per_second)
    }
}

/// Lines redrawn in place on a terminal; elsewhere now and then a plain one.
pub struct Live {
    bar: Option<Shown>,
    last_line: Instant,
}

impl Live {
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{msg}").expect("the template is well formed");
        let bar = Shown::new(|| ProgressBar::new_spinner().with_style(style));
        Self { bar, last_line: Instant::now() }
    }

    /// Shows `lines`, made for so many columns; where they can't be redrawn, and it is time for a line, `plain`.
    pub fn show(&mut self, lines: impl FnOnce(usize) -> String, plain: impl FnOnce() -> String) {
        match &self.bar {
            Some(Shown(bar)) => {
                // A full line would let the cursor wrap.
                bar.set_message(lines(columns().saturating_sub(1)));
            }
            None if mode() == Mode::Lines && self.last_line.elapsed() >= PLAIN_INTERVAL => {
                self.last_line = Instant::now();
                note!("{}", plain());
            }
            None => {}
        }
    }
}

/// Work of which only the end will be known: a sign of life and the time on a terminal, a line elsewhere if it is expected
/// to take long.
pub struct Busy {
    _spinner: Option<Shown>,
}

impl Busy {
    pub fn new(what: String, expected: Duration) -> Self {
        let spinner = Shown::new(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}").expect("well formed");
            let style = style.tick_chars("|/-\\ ");
            let spinner = ProgressBar::new_spinner().with_style(style).with_message(what.clone());
            spinner.enable_steady_tick(Duration::from_millis(200));
            spinner
        });
        if spinner.is_none() && expected >= PLAIN_INTERVAL && mode() == Mode::Lines {
            note!("{what}");
        }
        Self { _spinner: spinner }
    }
}

/// A file that tells how many of its bytes were read.
pub struct Watched<'a, R> {
    pub file: R,
    pub progress: &'a Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_before_does_not_count_for_the_rate() {
        let rate = Rate { begun: 50, started: Instant::now() - Duration::from_secs(100) };
        // Ten done in 100 seconds, not sixty.
        assert!((rate.per_second(60) - 0.1).abs() < 1e-3);
        assert_eq!(rate.left(60, 100), "6 min 40 s");
        assert_eq!(rate.left(50, 100), "?");
    }
}
