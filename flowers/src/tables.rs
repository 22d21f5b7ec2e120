//! An evaluation as tables of text.

use floret::metrics::Evaluation;

use crate::ui::{self, escaped, percent};

/// The most classes whose confusion is shown as a matrix.
const MATRIX_CLASSES: usize = 30;
/// How many pairs of classes are listed where there are more.
const LISTED_PAIRS: usize = 20;

/// Accuracy, a line a class and the confusion matrix, or of many classes the pairs most often confused.
pub fn evaluation(evaluation: &Evaluation, classes: &[String]) -> String {
    let mut text = format!(
        "{} examples: accuracy {}{}, among the {} most probable {}, loss {:.4}\n\n",
        evaluation.examples,
        percent(Some(evaluation.accuracy())),
        doubt(evaluation),
        Evaluation::TOP_K.min(classes.len()),
        percent(Some(evaluation.top_k_accuracy())),
        evaluation.loss,
    );
    let unpredicted: u64 = evaluation.unpredicted.iter().sum();
    if unpredicted > 0 {
        text += &format!("of {unpredicted} of them the network gives no finite numbers: it has diverged\n\n");
    }
    text += &per_class(evaluation, classes);
    text.push('\n');
    text += &if classes.len() <= MATRIX_CLASSES && fits(classes) {
        confusion(evaluation, classes)
    } else {
        most_confused(evaluation, classes)
    };
    text
}

/// The standard error of the accuracy, in percentage points, where few photos decide.
pub fn doubt(evaluation: &Evaluation) -> String {
    let error = evaluation.standard_error();
    if error < LEAST_DOUBT { String::new() } else { format!(" (+- {:.1})", 100.0 * error) }
}

/// The standard error from which on it is told: half a percentage point.
const LEAST_DOUBT: f64 = 0.005;

fn per_class(evaluation: &Evaluation, classes: &[String]) -> String {
    let width = name_width(classes);
    let mut text = format!("{:width$}  examples  precision  recall       f1\n", "class");
    for (name, metrics) in classes.iter().zip(evaluation.per_class()) {
        text += &format!(
            "{}  {:8}  {:>9}  {:>6}  {:>7}\n",
            padded(name, width),
            metrics.examples,
            percent(metrics.precision),
            percent(metrics.recall),
            percent(metrics.f1()),
        );
    }
    text
}

/// Whether the lines of a matrix would not be wrapped.
fn fits(classes: &[String]) -> bool {
    !ui::is_watched() || name_width(classes) + classes.len() * (2 + CELL) < ui::columns()
}

/// Columns of a count.
const CELL: usize = 8;

/// Rows are true classes, columns predicted ones.
fn confusion(evaluation: &Evaluation, classes: &[String]) -> String {
    let width = name_width(classes);
    let mut text = format!("{:width$}  predicted as\n{:width$}", "true class", "");
    for name in classes {
        text += &format!("  {}", padded(name, CELL));
    }
    text.push('\n');
    for (row, name) in classes.iter().enumerate() {
        text += &padded(name, width);
        for column in 0..classes.len() {
            let count = evaluation.confusion.get(row, column);
            let shown = if count == 0 && column != row { "." } else { &count.to_string() };
            text += &format!("  {shown:>CELL$}");
        }
        text.push('\n');
    }
    text
}

/// The pairs of classes that are taken for each other most often.
fn most_confused(evaluation: &Evaluation, classes: &[String]) -> String {
    let wrong = evaluation.confusion.iter().filter(|((label, predicted), _)| label != predicted);
    let mut pairs: Vec<_> = wrong.collect();
    pairs.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let width = name_width(classes);
    let mut text = format!("examples  {}  predicted as\n", padded("true class", width));
    for ((label, predicted), count) in pairs.iter().take(LISTED_PAIRS) {
        let (label, predicted) = (padded(&classes[*label], width), escaped(&classes[*predicted]));
        text += &format!("{count:8}  {label}  {predicted}\n");
    }
    if pairs.len() > LISTED_PAIRS {
        text += &format!("and {} more pairs\n", pairs.len() - LISTED_PAIRS);
    }
    text
}

fn name_width(classes: &[String]) -> usize {
    classes.iter().map(|name| escaped(name).chars().count()).max().unwrap_or(0).clamp(10, 40)
}

/// A class's name, escaped. Padding counts characters, not bytes: class names may be in any script.
fn padded(name: &str, width: usize) -> String {
    let name: String = escaped(name).chars().take(width).collect();
    let fill = " ".repeat(width - name.chars().count());
    name + &fill
}
