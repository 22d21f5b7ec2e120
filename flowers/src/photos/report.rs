//! What came of a conversion, in words.

use std::collections::HashMap;

use floret::data::convert::{ConvertReport, Copies};
use unicode_normalization::UnicodeNormalization;

use crate::ui::{self, note, say, warning};

/// Prints what was written, and what was not.
pub fn print(report: &ConvertReport) {
    let names = report.classes.names();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let mut parts = vec![("train", &report.train), ("eval", &report.eval)];
    if report.test.iter().any(|photos| *photos > 0) {
        parts.push(("test", &report.test));
    }
    let row = |name: &str, cells: &mut dyn Iterator<Item = String>| {
        let fill = " ".repeat(width - name.chars().count());
        say!("{name}{fill}{}", cells.map(|cell| format!("  {cell:>5}")).collect::<String>());
    };
    row("class", &mut parts.iter().map(|(part, _)| part.to_string()));
    for (class, name) in names.iter().enumerate() {
        row(name, &mut parts.iter().map(|(_, photos)| photos[class].to_string()));
    }
    row("total", &mut parts.iter().map(|(_, photos)| photos.iter().sum::<usize>().to_string()));
    let eval: usize = report.eval.iter().sum();
    if !report.shards.is_empty() {
        say!();
    }
    for shard in &report.shards {
        say!("wrote {}", shard.display());
    }
    if !report.bad.is_empty() {
        let files = ui::count(report.bad.len(), "file");
        let lines: String = report.bad.iter().map(|bad| format!("\n  {bad}")).collect();
        say!("\nleft out {files} that can't be used:{lines}");
    }
    if !report.passed_over.is_empty() {
        let folders = ui::count(report.passed_over.len(), "folder");
        let lines: String = report.passed_over.iter().map(|passed| format!("\n  {passed}")).collect();
        say!("\npassed over {folders}:{lines}");
    }
    if eval == 0 {
        // Photos that are trained on where they are have no shards; the command that trains holds them out.
        let flag = if report.shards.is_empty() { "--hold-out" } else { "--eval-fraction" };
        if parts.len() > 2 {
            say!(
                "\nno photo is kept for evaluation, so `flowers train` will choose the best network by the test part: for a"
            );
            say!("share of each class's photos instead, see {flag}");
            return;
        }
        say!(
            "\nno photo is kept for evaluation, so `flowers train` will go by the training loss, and `flowers eval` has"
        );
        say!(
            "nothing to evaluate on: for a share of each class's photos, see {flag}; it takes two of a class"
        );
        return;
    }
    let without = |(class, _): &(usize, &String)| report.eval[*class] == 0 && report.train[*class] > 1;
    let names: Vec<String> = names.iter().enumerate().filter(without).map(|(_, name)| name.clone()).collect();
    if !names.is_empty() {
        say!(
            "\nno photo is kept for evaluation of {}: all are copies of each other, or too many are",
            ui::names(&names)
        );
    }
}

/// Tells what the classes and photos themselves let doubt.
pub fn note_doubts(report: &ConvertReport) {
    note_lookalikes(report.classes.names());
    note_copies(report);
    note_uniform(report);
    match report.without_end.len() {
        0 => {}
        1 => note!("note: 1 JPEG file lacks its end marker and nothing else; it is used"),
        files => note!("note: {files} JPEG files lack their end markers and nothing else; they are used"),
    }
}

/// Names the classes that may be meant to be one: which differ in upper and lower case alone, or in how a letter with an accent
/// is composed, as on a disk of macOS.
fn note_lookalikes(classes: &[String]) {
    let mut seen: HashMap<String, &String> = HashMap::new();
    for class in classes {
        let key = class.to_lowercase().nfc().collect();
        if let Some(other) = seen.insert(key, class) {
            let (one, two) = (ui::escaped(other), ui::escaped(class));
            note!(
                "note: the classes `{one}` and `{two}` are two, though they look the same but for case or the composition of \
                 letters: if they are meant to be one, put their photos into one folder and convert again"
            );
        }
    }
}

/// Tells of photos that are there more than once: how many, which of them contradict each other, and which were split apart.
fn note_copies(report: &ConvertReport) {
    let more = |identical: bool| -> usize {
        let copies = report.copies.iter().filter(|copies| copies.identical == identical);
        copies.map(|copies| copies.photos.len() - 1).sum()
    };
    let same = "the same photo, byte for byte";
    let like = "nearly the same, as far as a small picture tells";
    let kinds = match (more(true), more(false)) {
        (0, 0) => return,
        (_, 0) => same.to_owned(),
        (0, _) => like.to_owned(),
        (copies, other) => format!("{copies} {same}; {other} {like}"),
    };
    let copies = match more(true) + more(false) {
        1 => "1 photo is a copy of another".to_owned(),
        copies => format!("{copies} photos are copies of others"),
    };
    let apart: Vec<&Copies> = report.copies.iter().filter(|copies| copies.leak()).collect();
    let sides = if apart.is_empty() { "; none is trained on here and evaluated on there" } else { "" };
    note!("note: {copies} ({kinds}){sides}");
    if !apart.is_empty() {
        let count = ui::count(apart.len(), "photo");
        warning!(
            "{count} to train on and to evaluate on as well, so the accuracy will be too high; remove one of each:{}",
            listed(&apart, report)
        );
    }
    let torn: Vec<&Copies> = report.copies.iter().filter(|copies| copies.disagree()).collect();
    if !torn.is_empty() {
        let count = ui::count(torn.len(), "photo");
        warning!(
            "{count} in several classes, of which one at most is right; remove the others:{}",
            listed(&torn, report)
        );
    }
}

/// How many photos are named in a note.
const LISTED: usize = 10;

/// The first of groups of copies, a line each, with their classes.
fn listed(copies: &[&Copies], report: &ConvertReport) -> String {
    let named = |copies: &&&Copies| -> String {
        let named = copies.photos.iter().map(|copy| {
            format!("{} ({})", ui::path(&copy.path), ui::escaped(&report.classes.names()[copy.class]))
        });
        format!("\n  {}", named.collect::<Vec<_>>().join(", "))
    };
    lines(copies.iter().take(LISTED).map(|copies| named(&copies)), copies.len())
}

/// Lines, and how many more there are.
fn lines(lines: impl Iterator<Item = String>, count: usize) -> String {
    let more = if count > LISTED { format!("\n  and {} more", count - LISTED) } else { String::new() };
    lines.collect::<String>() + &more
}

/// Names the photos that are of one color throughout.
fn note_uniform(report: &ConvertReport) {
    let photos = &report.uniform;
    if !photos.is_empty() {
        let first = photos.iter().take(LISTED).map(|path| format!("\n  {}", ui::path(path)));
        note!(
            "note: nothing can be learned from {} of a single color (16-bit samples under 256 come out black, and so does what only \
             its transparency shows):{}",
            ui::count(photos.len(), "photo"),
            lines(first, photos.len())
        );
    }
}
