//! Every epoch in numbers.

use floret::train::EpochRecord;
use maud::{Markup, html};

use super::section;
use crate::report_html::Report;
use crate::run_file::EpochTime;
use crate::ui::{count, duration, percent, rate};

/// The most epochs whose table is open from the start.
const OPEN_EPOCHS: usize = 12;

pub fn render(report: &Report) -> Markup {
    if report.history.is_empty() {
        // The curves say so.
        return html! {};
    }
    let rows = report.history.iter().zip(&report.times);
    let content = html! {
        @if report.times.iter().any(Option::is_none) {
            p.missing { "How long some epochs took was not noted." }
        }
        details open[report.history.len() <= OPEN_EPOCHS] {
            summary { (count(report.history.len(), "epoch")) }
            div.scroll {
                table {
                    thead {
                        tr {
                            th.number { "epoch" }
                            th.number { "train loss" } th.number { "accuracy" } th.number { "eval loss" } th.number { "accuracy" }
                            th.number { "learning rate" } th.number { "photos/s" } th.number { "training" } th.number { "evaluation" }
                        }
                    }
                    tbody {
                        @for (epoch, time) in rows {
                            tr.best[report.best == Some(epoch.epoch)] { (scores(epoch)) (pace(*time)) }
                        }
                    }
                }
            }
        }
    };
    section("epochs", "Epochs", content)
}

fn scores(epoch: &EpochRecord) -> Markup {
    let loss = |loss: f64| if loss.is_finite() { format!("{loss:.4}") } else { "-".into() };
    html! {
        td.number { (epoch.epoch + 1) }
        td.number { (loss(epoch.train_loss)) }
        td.number { (percent(Some(epoch.train_accuracy))) }
        td.number { (epoch.eval.map_or("-".into(), |eval| loss(eval.loss))) }
        td.number { (percent(epoch.eval.map(|eval| eval.accuracy))) }
        td.number { (rate(epoch.learning_rate)) }
    }
}

fn pace(time: Option<EpochTime>) -> Markup {
    let seconds = |seconds: Option<f64>| seconds.map_or("-".into(), duration);
    html! {
        td.number { (time.map_or("-".into(), |time| format!("{:.0}", time.images_per_second()))) }
        td.number { (seconds(time.map(|time| time.train_seconds))) }
        td.number { (seconds(time.and_then(|time| time.eval_seconds))) }
    }
}
