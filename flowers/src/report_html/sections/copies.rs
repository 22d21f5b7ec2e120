//! Photos that are there more than once.

use floret::data::convert::Copies;
use maud::{Markup, html};

use super::{class, missing, name, section};
use crate::files::COPIES;
use crate::report_html::photos::ON_PAGE;
use crate::report_html::picture::Picture;
use crate::report_html::{Report, Seen};
use crate::ui;

pub fn render(report: &Report, seen: &Seen) -> Markup {
    const ID: &str = "copies";
    const TITLE: &str = "Copies";
    if seen.copies.is_empty() {
        let why = format!(
            "No list of copies ({COPIES}) lies with the data: there are none, or it was not flowers that looked."
        );
        return missing(ID, TITLE, &why);
    }
    let all: usize = seen.copies.iter().map(|(copies, _)| copies.photos.len() - 1).sum();
    let those = |is: fn(&Copies) -> bool| seen.copies.iter().filter(|(copies, _)| is(copies)).count();
    let (disagree, leak) = (those(Copies::disagree), those(Copies::leak));
    let content = html! {
        p {
            @match all {
                1 => "1 photo shows the same as another",
                all => { (all) " photos show the same as others" }
            }
            ", byte for byte or at another size or quality. "
            @if disagree > 0 {
                strong { (ui::count(disagree, "photo")) " in several classes" } ": one at most is right. "
            }
            @if leak > 0 {
                strong { (ui::count(leak, "photo")) " to train on and to evaluate on as well" } ": the accuracy is too high. "
            }
            @if seen.copies.len() > ON_PAGE { "The first " (ON_PAGE) " are shown; all stand in " code { (COPIES) } "." }
        }
        ul.gallery {
            @for (copies, picture) in seen.copies.iter().take(ON_PAGE) {
                li { (card(&report.classes, copies, picture.as_ref())) }
            }
        }
    };
    section(ID, TITLE, content)
}

fn card(classes: &[String], copies: &Copies, picture: Option<&Picture>) -> Markup {
    html! {
        @if let Some(picture) = picture {
            img src=(picture.source) width=(picture.width) height=(picture.height) alt="" loading="lazy";
        }
        div.told {
            @if copies.disagree() { p.verdict { strong.wrong { "in several classes" } } }
            @if copies.leak() { p.verdict { strong.wrong { "trained on and evaluated on" } } }
            @for copy in &copies.photos {
                p.file {
                    (class(classes, copy.class)) ", " (copy.part) ": "
                    (name(&copy.path.file_name().unwrap_or_default().to_string_lossy()))
                }
            }
        }
    }
}
