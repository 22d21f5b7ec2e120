//! Photos whose labels may be wrong.

use floret::data::Place;
use floret::recipe::CONFIDENT;
use maud::{Markup, html};

use super::{gallery, missing, name, section, unbroken};
use crate::report_html::label_errors::{LabelError, ON_PAGE};
use crate::report_html::{Report, Seen};

pub fn render(report: &Report, seen: &Seen) -> Markup {
    const ID: &str = "label-errors";
    const TITLE: &str = "Likely label errors";
    let errors = &seen.label_errors;
    let confident = format!("{:.0}\u{a0}%", 100.0 * CONFIDENT);
    if let Some(accuracy) = errors.tally.unlearned {
        let why = format!(
            "Labels are not doubted: the network answers {} of the photos as labeled, and so knows too little of the classes.",
            unbroken(accuracy)
        );
        return missing(ID, TITLE, &why);
    }
    if errors.listed.is_empty() {
        let why = format!("There is none: no photo is taken for another class at {confident} or more.");
        return missing(ID, TITLE, &why);
    }
    let listed =
        if errors.is_complete() { "All".into() } else { format!("The first {}", errors.listed.len()) };
    let list = errors.tally.list.file_name().unwrap_or_default().to_string_lossy();
    let content = html! {
        p {
            @if seen.is_held_out {
                "Photos that are taken for another class at " (confident) " or more: " (errors.tally.told())
                ". Each training photo was judged by a last layer that was fitted to the others alone (cross-validation); "
                (unbroken(seen.train_accuracy)) " are answered as labeled."
            } @else {
                "Photos that the best network takes for another class at " (confident) " or more: " (errors.tally.told())
                ". It has learned from the training photos with these very labels and answers " (unbroken(seen.train_accuracy))
                " of them as labeled: the higher that share, the more a label that it still contradicts deserves a look."
            }
            @if seen.has_eval {
                " From the photos for evaluation it has not learned: there the mistake may as well be its own."
            }
        }
        p {
            "The least probable labels come first. " (listed) " stand in " code { (name(&list)) } " beside this page, each \
             with its shard and its record, counted from 0. Mend a label where the photo came from, and convert again."
        }
        ul.gallery { @for error in errors.listed.iter().take(ON_PAGE) { li { (card(report, error)) } } }
    };
    section(ID, TITLE, content)
}

fn card(report: &Report, error: &LabelError) -> Markup {
    let LabelError { split, at, photo } = error;
    let file = at.file().file_name().unwrap_or_default().to_string_lossy();
    let origin = html! {
        @if let Some(filename) = &photo.filename { (name(filename)) br; }
        (split) ": " (name(&file))
        @if let Place::Record(_) = at { ", record " (at.number()) }
    };
    gallery::card(&report.classes, photo, origin)
}
