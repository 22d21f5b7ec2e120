//! Photos worth a look: what was taken for something else, and what was nearly so.

use maud::{Markup, html};

use super::{class, missing, name, section};
use crate::report_html::photos::Shown;
use crate::report_html::{Report, Seen};
use crate::ui::percent;

pub fn render(report: &Report, seen: &Seen) -> Markup {
    html! { (mistakes(report, seen)) (uncertain(report, seen)) }
}

fn mistakes(report: &Report, seen: &Seen) -> Markup {
    const ID: &str = "mistakes";
    const TITLE: &str = "Most confident mistakes";
    if !seen.has_eval {
        let why = "No photos are kept for evaluation, and mistakes on those it was trained on would tell little: see \
                   `flowers convert --eval-fraction`.";
        return missing(ID, TITLE, why);
    }
    if seen.mistakes.is_empty() {
        return missing(ID, TITLE, "There is none: every photo was taken for what it is.");
    }
    let content = html! {
        p { "Photos of which the network was surest of something else. Is the label right? Could you tell?" }
        (gallery(&report.classes, &seen.mistakes))
    };
    section(ID, TITLE, content)
}

fn uncertain(report: &Report, seen: &Seen) -> Markup {
    const ID: &str = "uncertain";
    const TITLE: &str = "Most uncertain";
    if seen.uncertain.is_empty() {
        return missing(ID, TITLE, "There is no photo to look at.");
    }
    let content = html! {
        p { "Photos of which the two most probable classes lie the closest together." }
        (gallery(&report.classes, &seen.uncertain))
    };
    section(ID, TITLE, content)
}

fn gallery(classes: &[String], photos: &[Shown]) -> Markup {
    html! { ul.gallery { @for photo in photos { li { (card(classes, photo, origin(photo))) } } } }
}

/// Where a photo comes from.
fn origin(photo: &Shown) -> Markup {
    match &photo.filename {
        Some(filename) => name(filename),
        None => html! { "record " (photo.answer.record) },
    }
}

/// A photo, its label and the answer, and below them where it comes from.
pub fn card(classes: &[String], photo: &Shown, origin: Markup) -> Markup {
    let answer = &photo.answer;
    let is_right = answer.top[0].0 == answer.label;
    // Its own class may be less probable than those told.
    let own =
        (!answer.top.iter().any(|(told, _)| *told == answer.label)).then_some((answer.label, answer.own));
    html! {
        @match &photo.picture {
            Some(picture) => { img src=(picture.source) width=(picture.width) height=(picture.height) alt="" loading="lazy"; }
            None => { div.gone { "can't be read" } }
        }
        div.told {
            p.verdict {
                (class(classes, answer.label))
                @if !is_right { " taken for " strong.wrong { (class(classes, answer.top[0].0)) } }
            }
            ul.probabilities {
                @for (told, probability) in answer.top.iter().copied().chain(own) {
                    li.own[told == answer.label] style=(format!("--share:{:.0}%", 100.0 * probability)) {
                        span { (class(classes, told)) } span { (percent(Some(probability.into()))) }
                    }
                }
            }
            p.file { (origin) }
        }
    }
}
