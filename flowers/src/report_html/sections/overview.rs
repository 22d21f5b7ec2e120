//! What came out, at a glance.

use maud::{Markup, html};

use super::{missing, name};
use crate::report_html::Report;
use crate::ui::{count, duration, percent};

pub fn render(report: &Report) -> Markup {
    html! {
        header {
            p.kicker { "floret · training report" }
            h1 { (name(&report.title)) }
            p { (story(report)) }
            div.tiles { @for (value, what) in tiles(report) { div.tile { strong { (value) } span { (what) } } } }
        }
        @if let Err(why) = &report.seen { (missing("no-data", "Without photos", why)) }
    }
}

/// One sentence.
fn story(report: &Report) -> String {
    let done = report.history.len();
    let of = if done < report.epochs { format!(" of {}", report.epochs) } else { String::new() };
    let classes = report.classes.len();
    format!(
        "A convolutional network that tells {classes} {} apart, {}{of} trained.",
        if classes == 1 { "class" } else { "classes" },
        count(done, "epoch"),
    )
}

fn tiles(report: &Report) -> Vec<(String, String)> {
    let mut tiles = Vec::new();
    let best = report.history.iter().find(|epoch| report.best == Some(epoch.epoch));
    if let Some(best) = best {
        let (score, what) = match best.eval {
            Some(eval) => (eval.accuracy, "accuracy on photos kept for evaluation"),
            None => (best.train_accuracy, "accuracy on the training photos"),
        };
        tiles.push((percent(Some(score)), what.into()));
        tiles.push((format!("epoch {}", best.epoch + 1), "the best, whose network is kept".into()));
    }
    if let Ok(seen) = &report.seen {
        tiles.push((seen.train_photos.to_string(), "photos to train on".into()));
    }
    let times: Vec<_> = report.times.iter().flatten().collect();
    let photos: u64 = times.iter().map(|time| time.photos).sum();
    let train_seconds: f64 = times.iter().map(|time| time.train_seconds).sum();
    let eval_seconds: f64 = times.iter().filter_map(|time| time.eval_seconds).sum();
    if train_seconds > 0.0 {
        let what = if times.len() == report.history.len() {
            "training and evaluation".into()
        } else {
            format!("training and evaluation, {} of it timed", count(times.len(), "epoch"))
        };
        tiles.push((duration(train_seconds + eval_seconds), what));
        tiles.push((format!("{:.0}", photos as f64 / train_seconds), "photos a second, in training".into()));
    }
    tiles
}
