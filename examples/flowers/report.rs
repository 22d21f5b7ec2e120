//! An evaluation as tables.

use floret::metrics::Evaluation;

/// Accuracy, a line a class and the confusion matrix.
pub fn evaluation(evaluation: &Evaluation, classes: &[String]) -> String {
    let mut text = format!(
        "{} examples: accuracy {}, among the {} most probable {}, loss {:.4}\n\n",
        evaluation.examples,
        percent(Some(evaluation.accuracy())),
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
    text += &confusion(evaluation, classes);
    text
}

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

/// Rows are true classes, columns predicted ones.
fn confusion(evaluation: &Evaluation, classes: &[String]) -> String {
    let width = name_width(classes);
    let mut text = format!("{:width$}  predicted as\n{:width$}", "true class", "");
    for name in classes {
        text += &format!("  {}", padded(&name.chars().take(8).collect::<String>(), 8));
    }
    text.push('\n');
    for (name, row) in classes.iter().zip(evaluation.confusion.rows()) {
        text += &padded(name, width);
        for (column, count) in row.iter().enumerate() {
            let shown = if *count == 0 && classes[column] != *name { "." } else { &count.to_string() };
            text += &format!("  {shown:>8}");
        }
        text.push('\n');
    }
    text
}

fn name_width(classes: &[String]) -> usize {
    classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(10, 40)
}

/// Padding counts characters, not bytes: class names may be in any script.
fn padded(name: &str, width: usize) -> String {
    let name: String = name.chars().take(width).collect();
    let fill = " ".repeat(width - name.chars().count());
    name + &fill
}

/// `0.953` as `95.3 %`; `-` where there is no value.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", 100.0 * share))
}
