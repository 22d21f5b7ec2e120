//! Who shows training.

use super::live::LiveView;
use super::objects::Objects;
use super::table::{Lines, Table};
use super::watch::View;
use crate::ui::{self, Mode};

/// As the output is wanted.
pub fn shown(has_eval: bool) -> Vec<Box<dyn View>> {
    match ui::mode() {
        Mode::Quiet => Vec::new(),
        Mode::Json => vec![Box::new(Objects { last_step: None })],
        Mode::Lines if ui::is_watched() => {
            vec![Box::<LiveView>::default(), Box::new(Table::new(has_eval))]
        }
        Mode::Lines => vec![Box::<LiveView>::default(), Box::new(Lines)],
    }
}
