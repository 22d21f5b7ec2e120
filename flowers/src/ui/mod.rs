//! What the program shows: results on standard output, the rest on standard error, each in the way asked for.
//!
//! | question | file |
//! | --- | --- |
//! | for whom is it: people, scripts, nobody? | `mode.rs` |
//! | what do scripts get? | `event.rs` |
//! | how far is long work? | `progress.rs` |
//! | when is there color? | `color.rs` |
//! | how is text from files made fit for a line? | `text.rs` |
//! | a curve in a line | `sparkline.rs` |

mod color;
mod event;
mod mode;
mod progress;
mod sparkline;
mod text;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

pub use color::{Style, When};
pub use event::{Event, json_help, json_line, settings_fields};
pub use mode::{Mode, Output, mode, quietly};
pub use progress::{Busy, Live, PLAIN_INTERVAL, Progress, Unit, Watched};
pub use sparkline::sparkline;
pub use text::{count, duration, escaped, names, path, percent, rate, shell};

/// Prints a line to standard output, for people; the arguments are those of `println!`.
macro_rules! say {
    () => { $crate::ui::print(format_args!("\n")) };
    ($($line:tt)*) => { $crate::ui::print(format_args!("{}\n", format_args!($($line)*))) };
}

/// Prints a line to standard error; the arguments are those of `eprintln!`.
macro_rules! note {
    ($($line:tt)*) => { $crate::ui::tell($crate::ui::Level::Note, format_args!($($line)*)) };
}

/// Prints a warning to standard error; the arguments are those of `eprintln!`.
macro_rules! warning {
    ($($line:tt)*) => { $crate::ui::tell($crate::ui::Level::Warning, format_args!($($line)*)) };
}

/// Prints an error to standard error; the arguments are those of `eprintln!`.
macro_rules! error {
    ($($line:tt)*) => { $crate::ui::tell($crate::ui::Level::Error, format_args!($($line)*)) };
}

pub(crate) use {error, note, say, warning};

/// Whether the work goes on when nobody reads what it prints.
static OUTLIVES_READER: AtomicBool = AtomicBool::new(false);

/// From here on the files written matter, and not what is printed: a reader that goes away (`| head`) ends nothing.
pub fn outlive_reader() {
    OUTLIVES_READER.store(true, Ordering::Relaxed);
}

/// How grave a message is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Note,
    Warning,
    Error,
    Interrupted,
}

impl Level {
    fn prefix(self) -> (Style, &'static str) {
        match self {
            Level::Note => (Style::Plain, ""),
            Level::Warning => (Style::Warning, "WARNING: "),
            Level::Error => (Style::Error, "error: "),
            Level::Interrupted => (Style::Warning, "interrupted: "),
        }
    }
}

/// Prints a message to standard error, in every mode but for notes, which `--quiet` leaves out; scripts get it as an object
/// too. Where that fails there is no place left to say so.
pub fn tell(level: Level, message: fmt::Arguments<'_>) {
    match mode() {
        Mode::Quiet if level == Level::Note => return,
        Mode::Json => event::message(level, &message.to_string()).print(),
        _ => {}
    }
    let (style, prefix) = level.prefix();
    let text = format!("{}{}\n", style.paint(prefix, &io::stderr()), guarded(message));
    progress::out_of_the_way(|| {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    });
}

/// Prints to standard output, for people: nothing where the output is for scripts or unwanted.
pub fn print(text: fmt::Arguments<'_>) {
    if mode() == Mode::Lines {
        write_out(&guarded(text));
    }
}

/// Prints a line to standard output, for people, whose parts have styles.
pub fn say_styled(parts: &[(Style, &str)]) {
    if mode() == Mode::Lines {
        let paint = |(style, part): &(Style, &str)| style.paint(&escaped(part), &io::stdout());
        write_out(&(parts.iter().map(paint).collect::<String>() + "\n"));
    }
}

/// Writes to standard output. When its reader has gone away there is nothing left to do, so the program ends quietly,
/// unless its work [outlives the reader](outlive_reader).
fn write_out(text: &str) {
    let written = progress::out_of_the_way(|| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    match written {
        Ok(()) => {}
        Err(_) if OUTLIVES_READER.load(Ordering::Relaxed) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot write to standard output: {error}");
            std::process::exit(1);
        }
    }
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

/// The width of lines where there is no terminal to ask.
const COLUMNS: usize = 80;

/// Columns of the terminal.
pub fn columns() -> usize {
    let terminals = [console::Term::stdout(), console::Term::stderr()];
    let size = terminals.iter().find_map(console::Term::size_checked);
    // Some terminals do not know theirs, and say 0.
    size.map(|(_, columns)| columns.into()).filter(|columns| *columns > 0).unwrap_or(COLUMNS)
}

/// Whether people see standard output come line by line.
pub fn is_watched() -> bool {
    mode() == Mode::Lines && io::stdout().is_terminal()
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
}
