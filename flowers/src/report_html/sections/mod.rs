//! The parts of the page, in their order on it. To add one: a file here with a function that gives its `section`, and a line
//! in [`page`](super::page).

pub mod augmentation;
pub mod classes;
pub mod copies;
pub mod curves;
pub mod details;
pub mod epochs;
pub mod filters;
pub mod gallery;
pub mod labels;
pub mod overview;

use maud::{Markup, html};

use crate::ui;

/// Text that comes from files: what would break lines or turn their direction is shown, and its direction is its own.
pub fn name(text: &str) -> Markup {
    html! { bdi { (ui::escaped(text)) } }
}

/// The name of a class, which a record may have beyond those that there are.
pub fn class(classes: &[String], class: usize) -> Markup {
    match classes.get(class) {
        Some(of) => name(of),
        None => html! { "class " (class) },
    }
}

/// A share within a sentence.
pub fn unbroken(share: f64) -> String {
    ui::percent(Some(share)).replace(' ', "\u{a0}")
}

/// A section with its heading.
pub fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! { section id=(id) { h2 { (title) } (content) } }
}

/// A section that has nothing to show, and why.
pub fn missing(id: &str, title: &str, why: &str) -> Markup {
    section(id, title, html! { p.missing { (ui::escaped(why)) } })
}

/// A table of names and values.
pub fn pairs(rows: &[(&str, Markup)]) -> Markup {
    html! {
        div.scroll {
            table.pairs { tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } } }
        }
    }
}
