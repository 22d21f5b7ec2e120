//! What the first layer looks for.

use maud::{Markup, html};

use super::{missing, section};
use crate::report_html::Report;

const ID: &str = "filters";
const TITLE: &str = "First layer's filters";

pub fn render(report: &Report) -> Markup {
    let Some(filters) = &report.filters else {
        return missing(ID, TITLE, "The network has no convolution over the colors of a photo.");
    };
    let (height, width) = filters.size;
    let content = html! {
        p {
            "The kernels of " code { (filters.layer) } ", " (height) "x" (width) " pixels each, on scales of their own: gray is a \
             weight of 0. Edges and spots of color are a good sign; noise means that there was little training, or too high a \
             learning rate."
        }
        div.filters {
            @for picture in &filters.pictures {
                img src=(picture.source) width=(picture.width) height=(picture.height) alt="" loading="lazy";
            }
        }
    };
    section(ID, TITLE, content)
}
