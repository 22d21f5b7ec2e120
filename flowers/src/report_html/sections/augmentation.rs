//! Training photos as the network may see them.

use maud::{Markup, html};

use super::{class, missing, section};
use crate::report_html::picture::Picture;
use crate::report_html::{Report, Seen};

const ID: &str = "augmentation";
const TITLE: &str = "Augmentation";

pub fn render(report: &Report, seen: &Seen) -> Markup {
    if seen.augmented.is_empty() {
        return missing(ID, TITLE, "No training photo is changed by itself (--augment none).");
    }
    let content = html! {
        p { "Training photos at the network's size, and versions of them as epochs change them at random." }
        @for photo in &seen.augmented {
            div.strip {
                figure { (image(&photo.fitted)) figcaption { @if let Some(of) = photo.class { (class(&report.classes, of)) } } }
                div.versions { @for version in &photo.versions { (image(version)) } }
            }
        }
    };
    section(ID, TITLE, content)
}

fn image(picture: &Picture) -> Markup {
    html! { img.small src=(picture.source) width=(picture.width) height=(picture.height) alt="" loading="lazy"; }
}
