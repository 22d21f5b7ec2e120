//! What the program shows: lines, and the progress of long work, a bar with rate and time left on a terminal, plain lines
//! elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressState, ProgressStyle};

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

/// Text from a file or of its name, fit for a line: what would move the cursor, break the line or turn its direction is
/// shown as `\u{1b}`, and can't pass for words of this program.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_not_for_lines) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_not_for_lines(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Control characters, ends of lines and paragraphs, and what changes the direction of writing.
pub fn is_not_for_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A path, [escaped].
pub fn path(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}

/// Lines of which only the ends are left as they are: the last guard of the terminal, for errors that hold text from files.
fn guarded(text: fmt::Arguments<'_>) -> String {
    text.to_string().split_inclusive('\n').map(guarded_line).collect()
}

fn guarded_line(line: &str) -> Cow<'_, str> {
    match line.strip_suffix('\n') {
        Some(line) => escaped(line) + "\n",
        None => escaped(line),
    }
}

/// How many names [`names`] lists.
const LISTED_NAMES: usize = 30;

/// Names of classes in a line, the first of many.
pub fn names(names: &[String]) -> String {
    let listed: Vec<_> = names.iter().take(LISTED_NAMES).map(|name| escaped(name)).collect();
    match names.len().saturating_sub(LISTED_NAMES) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// A path as a POSIX shell takes it in a command that is suggested: quoted only where it must be.
pub fn shell(path: &Path) -> String {
    let mut text = path.to_string_lossy().into_owned();
    if text.starts_with('-') {
        // It would be taken for a flag.
        text.insert_str(0, "./");
    }
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Prints to standard output. When its reader has gone away there is nothing left to do, so the program ends quietly,
/// unless its work [outlives the reader](outlive_reader).
pub fn print(text: fmt::Arguments<'_>) {
    let written = {
        let mut out = io::stdout().lock();
        out.write_all(guarded(text).as_bytes()).and_then(|()| out.flush())
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
    let _ = io::stderr().lock().write_all(guarded(text).as_bytes());
}

/// Plain lines come no more often than this.
pub const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of a known number of things. Several threads may tell it.
pub struct Progress {
    total: u64,
    unit: Unit,
    rate: Rate,
    bar: Option<ProgressBar>,
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
    Steps,
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

    /// `3 of 20 steps`
    fn done(self, done: u64, total: u64) -> String {
        let (done, total) = (self.amount(done as f64), self.amount(total as f64));
        match self {
            Unit::Photos => format!("{done} of {total} photos"),
            Unit::Steps => format!("{done} of {total} steps"),
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
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg:24} {bar:30} {counts}, {left} left")
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
            Some(bar) => bar.set_position(state.done),
            None if state.last_line.elapsed() >= PLAIN_INTERVAL && state.done < self.total => {
                state.last_line = Instant::now();
                let (what, done) = (&state.what, self.unit.done(state.done, self.total));
                note!("{what}: {done}, {} left", self.rate.left(state.done, self.total));
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

    /// Prints lines while the bar is out of the way.
    pub fn above(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
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
    fn text_that_would_forge_lines_is_escaped() {
        assert!(matches!(escaped("Gänse blümchen 蒲公英 \\n"), Cow::Borrowed(_)));
        for (text, shown) in [
            ("a\nrecord 7", r"a\nrecord 7"),
            ("\x1b[2J\r\u{9b}", r"\u{1b}[2J\r\u{9b}"),
            ("a\u{2028}b\u{202e}c\u{2069}", r"a\u{2028}b\u{202e}c\u{2069}"),
        ] {
            assert_eq!(escaped(text), shown);
            assert_eq!(guarded(format_args!("{text}\n")).lines().count(), text.lines().count());
        }
        assert_eq!(guarded(format_args!("a\x1b\n\nb\n")), "a\\u{1b}\n\nb\n");
    }

    #[test]
    fn only_the_first_of_many_names_are_listed() {
        let list = |count: usize| names(&(0..count).map(|name| name.to_string()).collect::<Vec<_>>());
        assert_eq!(list(3), "0, 1, 2");
        assert!(list(30).ends_with("28, 29"));
        assert!(list(32).ends_with("28, 29 and 2 more"));
    }

    #[test]
    fn paths_are_quoted_where_a_shell_would_take_them_apart() {
        for (path, command) in [
            ("run/model.safetensors", "run/model.safetensors"),
            ("/data/größe_2", "/data/größe_2"),
            ("da ta", "'da ta'"),
            ("it's", r"'it'\''s'"),
            ("~/$HOME/*", "'~/$HOME/*'"),
            ("-o", "./-o"),
            ("-a b", "'./-a b'"),
            ("", "''"),
        ] {
            assert_eq!(shell(Path::new(path)), command);
        }
    }

    #[test]
    fn what_was_done_before_does_not_count_for_the_rate() {
        let rate = Rate { begun: 50, started: Instant::now() - Duration::from_secs(100) };
        // Ten done in 100 seconds, not sixty.
        assert!((rate.per_second(60) - 0.1).abs() < 1e-3);
        assert_eq!(rate.left(60, 100), "6 min 40 s");
        assert_eq!(rate.left(50, 100), "?");
    }
}
