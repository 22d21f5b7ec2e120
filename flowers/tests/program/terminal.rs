//! What the program shows on a terminal.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;

use crate::support::*;

/// Runs what must succeed on a terminal of so many columns; all that is written to it.
#[track_caller]
fn shows(folder: &Path, columns: u16, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let end = rustix::fs::open(
        ptsname(&terminal, Vec::new()).unwrap(),
        OFlags::RDWR | OFlags::NOCTTY,
        Mode::empty(),
    );
    let end = end.unwrap();
    tcsetwinsize(&end, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let mut command = flowers();
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "LC_ALL", "LC_CTYPE", "LANG"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").envs(environment.iter().copied());
    command.current_dir(folder).args(arguments).stdout(end.try_clone().unwrap()).stderr(end);
    let mut child = command.spawn().unwrap();
    // It holds the other ends too.
    drop(command);
    let mut shown = Vec::new();
    // Linux ends the reading of a terminal that nobody writes to any more with an error.
    let _ = File::from(terminal).read_to_end(&mut shown);
    let shown = text(&shown);
    assert!(child.wait().unwrap().success(), "{shown}");
    shown
}

/// Without sequences that move the cursor or set colors.
fn plain(shown: &str) -> String {
    let mut parts = shown.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain += part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    plain
}

const BEST: &str = "\u{1b}[1;32m  best\u{1b}[0m";

#[test]
fn training_is_followed_live() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let train = |out| [TRAIN, &["--epochs", "3", "--out", out]].concat();

    let shown = shows(folder, 100, &[("LANG", "C.UTF-8")], &train("wide"));
    holds(&shown, &[BEST]);
    let words = plain(&shown);
    holds(
        &words,
        &[
            "epoch  train loss  train acc  eval loss  eval acc      rate  images/s      time",
            "  1/3  ",
            "  3/3  ",
        ],
    );
    holds(&words, &["epoch 1/3  step 3/3  loss ", "left of the epoch  ", "train loss ", "█"]);
    assert_eq!(words.matches("train acc").count(), 1, "{words}");

    let shown = shows(folder, 50, &[("NO_COLOR", "1")], &train("narrow"));
    assert!(!shown.contains(BEST) && !shown.contains("\u{1b}[1m"), "{shown:?}");
    let words = plain(&shown);
    holds(&words, &["    epoch  train loss  eval loss  eval acc", "  best"]);
    assert!(!words.contains("images/s      time") && words.is_ascii(), "{words}");
    let is_row = |line: &&str| ["1/3", "2/3", "3/3"].iter().any(|epoch| line.trim_start().starts_with(epoch));
    let rows: Vec<_> = words.split(['\r', '\n']).filter(is_row).collect();
    assert!(rows.len() == 3 && rows.iter().all(|row| row.len() < 50), "{rows:?}");

    let quiet = [&train("quiet")[..], &["--quiet"]].concat();
    assert_eq!(shows(folder, 100, &[], &quiet), "");
}

#[test]
fn records_are_classified_with_progress_in_bytes() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let predict = [&["predict"], &MODEL[..], &["data/train-00000-of-00001.tfrecord"]].concat();
    let words = plain(&shows(folder, 120, &[], &predict));
    holds(&words, &["classifying records", " KiB of "]);
    assert!(!words.contains("of 0 photos"), "{words}");
}
