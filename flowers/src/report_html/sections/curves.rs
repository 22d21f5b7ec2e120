//! Loss, accuracy and learning rate over the epochs.

use floret::train::EpochRecord;
use maud::{Markup, html};

use super::{missing, section};
use crate::report_html::Report;
use crate::report_html::chart::{Axis, Chart, Series};

const ID: &str = "curves";
const TITLE: &str = "Curves";

pub fn render(report: &Report) -> Markup {
    if report.history.is_empty() {
        return missing(ID, TITLE, "No epoch has come to its end yet.");
    }
    let best = report.best.map(|epoch| epoch + 1);
    let line = |name, style, value: fn(&EpochRecord) -> Option<f64>| {
        let point = |epoch: &EpochRecord| Some((epoch.epoch + 1, value(epoch)?));
        let points: Vec<_> = report.history.iter().filter_map(point).collect();
        (!points.is_empty()).then_some(Series { name, style, points })
    };
    let chart = |title, axis, lines: Vec<Option<Series>>| {
        Chart { title, axis, best, series: lines.into_iter().flatten().collect() }.render()
    };
    let loss = vec![
        line("training", "train", |epoch| Some(epoch.train_loss)),
        line("evaluation", "eval", |epoch| epoch.eval.map(|eval| eval.loss)),
    ];
    let accuracy = vec![
        line("training", "train", |epoch| Some(epoch.train_accuracy)),
        line("evaluation", "eval", |epoch| epoch.eval.map(|eval| eval.accuracy)),
    ];
    let rate = vec![line("learning rate", "train", |epoch| Some(epoch.learning_rate.into()))];
    let content = html! {
        p {
            "Training numbers are means over an epoch, each photo before the step it was part of, changed at random, mixed with \
             others and with dropout where the settings say so: they may be worse than those of the evaluation, of the network (or \
             the average of its weights) at the epoch's end."
        }
        div.charts {
            (chart("Loss", Axis::Amount, loss))
            (chart("Accuracy", Axis::Share, accuracy))
            (chart("Learning rate", Axis::Amount, rate))
        }
    };
    section(ID, TITLE, content)
}
