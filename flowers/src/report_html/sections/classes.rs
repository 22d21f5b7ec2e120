//! How well each class is told from the others: the confusion matrix, precision and recall.

use floret::metrics::{ClassMetrics, Evaluation};
use maud::{Markup, html};

use super::{class, section, unbroken};
use crate::report_html::{Report, Seen};
use crate::ui::percent;

/// The most classes whose confusion is shown as a matrix.
const MATRIX_CLASSES: usize = 30;
/// How many pairs of classes are listed where there are more.
const LISTED_PAIRS: usize = 40;
/// The most classes whose table is open from the start.
const OPEN_CLASSES: usize = 60;

pub fn render(report: &Report, seen: &Seen) -> Markup {
    let (classes, evaluation) = (&report.classes[..], &seen.evaluation);
    let unpredicted: u64 = evaluation.unpredicted.iter().sum();
    let confusion = html! {
        p { (summary(seen)) }
        @if unpredicted > 0 {
            p.missing { "For " (unpredicted) " of them the network gives no finite numbers: it has diverged." }
        }
        @if classes.len() <= MATRIX_CLASSES { (matrix(evaluation, classes)) } @else { (pairs(evaluation, classes)) }
    };
    html! {
        div.columns {
            (section("confusion", "Confusion", confusion))
            (section("classes", "Classes", per_class(evaluation, classes)))
        }
    }
}

fn summary(seen: &Seen) -> String {
    let evaluation = &seen.evaluation;
    let photos = if seen.has_eval {
        "photos kept for evaluation"
    } else {
        "training photos, since none are kept for evaluation: the network has learned from these, so of others it will know less"
    };
    format!(
        "The best network on {} {photos}: accuracy {}, among the {} most probable {}, loss {:.4}. Rows are what a photo shows, \
         columns what it was taken for.",
        evaluation.examples,
        unbroken(evaluation.accuracy()),
        Evaluation::TOP_K.min(evaluation.unpredicted.len()),
        unbroken(evaluation.top_k_accuracy()),
        evaluation.loss
    )
}

fn matrix(evaluation: &Evaluation, classes: &[String]) -> Markup {
    let metrics = evaluation.per_class();
    html! {
        div.scroll {
            table.matrix {
                thead {
                    tr { td {} @for column in 0..classes.len() { th scope="col" { span { (class(classes, column)) } } } }
                }
                tbody {
                    @for (row, of) in metrics.iter().enumerate() {
                        tr {
                            th scope="row" { (class(classes, row)) }
                            @for column in 0..classes.len() {
                                (cell(evaluation.confusion.get(row, column), of.examples, row == column))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The deepest shade on which text is still read.
const DEEPEST: u64 = 65;

/// A count, shaded by its share of the row; one that is not 0 never looks like it.
fn cell(count: u64, of: u64, is_right: bool) -> Markup {
    let share = if count > 0 { (DEEPEST * count / of.max(1)).max(4) } else { 0 };
    html! {
        td.(if is_right { "right" } else { "wrong" }) style=(format!("--share:{share}%")) {
            @if count > 0 || is_right { (count) }
        }
    }
}

/// The pairs of classes that are taken for each other most often.
fn pairs(evaluation: &Evaluation, classes: &[String]) -> Markup {
    let mut pairs: Vec<_> =
        evaluation.confusion.iter().filter(|((label, predicted), _)| label != predicted).collect();
    pairs.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = pairs.len().saturating_sub(LISTED_PAIRS);
    html! {
        div.scroll {
            table {
                thead { tr { th { "class" } th { "taken for" } th.number { "photos" } } }
                tbody {
                    @for ((label, predicted), count) in pairs.iter().take(LISTED_PAIRS) {
                        tr { td { (class(classes, *label)) } td { (class(classes, *predicted)) } td.number { (count) } }
                    }
                }
            }
        }
        @if more > 0 { p { "And " (more) " more pairs of classes." } }
    }
}

fn per_class(evaluation: &Evaluation, classes: &[String]) -> Markup {
    html! {
        p { "Precision: of those taken for the class, the share that is. Recall: of those of the class, the share that was found. \
             F1: their harmonic mean." }
        details open[classes.len() <= OPEN_CLASSES] {
            summary { (classes.len()) @if classes.len() == 1 { " class" } @else { " classes" } }
            div.scroll {
                table {
                    thead {
                        tr {
                            th { "class" } th.number { "photos" } th.number { "precision" } th.number { "recall" }
                            th.number { "F1" }
                        }
                    }
                    tbody {
                        @for (index, metrics) in evaluation.per_class().into_iter().enumerate() {
                            tr { td { (class(classes, index)) } (numbers(&metrics)) }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(metrics: &ClassMetrics) -> Markup {
    let share = |value: Option<f64>| {
        let width = format!("--share:{:.0}%", 100.0 * value.unwrap_or(0.0));
        html! { td.number.bar style=(width) { (percent(value)) } }
    };
    html! {
        td.number { (metrics.examples) }
        (share(metrics.precision)) (share(metrics.recall)) (share(metrics.f1()))
    }
}
