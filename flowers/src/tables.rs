//! An evaluation as tables of text.

use std::collections::BTreeSet;

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

/// The two classes that the network tells apart no better than by guessing, if there are such: of many the two with the most photos.
pub fn at_chance(evaluation: &Evaluation) -> Option<[usize; 2]> {
    let count = |label: usize, class: usize| evaluation.confusion.get(label, class);
    let examples: Vec<u64> = evaluation.per_class().iter().map(|class| class.examples).collect();
    // Of classes that are never taken for each other there may be very many pairs.
    let confused = evaluation.confusion.iter().filter(|((label, class), _)| label != class);
    let pairs: BTreeSet<[usize; 2]> =
        confused.map(|((label, class), _)| [label.min(class), label.max(class)]).collect();
    let at_chance = pairs.into_iter().filter(|&[one, other]| {
        let right = count(one, one) + count(other, other);
        let among = (right + count(one, other) + count(other, one)) as f64;
        let all = (examples[one] + examples[other]) as f64;
        // Two deviations of a coin's.
        let near_half = (right as f64 / among - 0.5).abs() <= 1.0 / among.sqrt();
        examples[one].min(examples[other]) >= LEAST_OF_PAIR && among >= 0.7 * all && near_half
    });
    at_chance.max_by_key(|&[one, other]| examples[one] + examples[other])
}

/// Photos of each of two classes that tell whether they are told apart.
const LEAST_OF_PAIR: u64 = 20;

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

#[cfg(test)]
mod tests {
    use floret::data::Batch;
    use floret::network::{Network, NetworkError};
    use floret::nn::{Dense, Flatten, Init};
    use ndarray::{Array2, Array4};

    use super::*;

    /// Of so many photos of each class, whose one pixel is their class where `told` says so, by a network that answers by it.
    fn evaluation_of(photos: usize, told: impl Fn(usize) -> bool) -> Evaluation {
        let mut network = Network::builder((1, 1, 3))
            .add(Flatten)
            .add(Dense::new(3).kernel_init(Init::Constant(0.0)))
            .build()
            .unwrap();
        let name = network.arrays().find(|(array, _)| array.name.ends_with("kernel")).unwrap().0.name.clone();
        network.set_array(&name, Array2::eye(3).into_dyn().view()).unwrap();
        let labels: Vec<usize> = (0..3 * photos).map(|photo| photo % 3).collect();
        let pixel = |(photo, _, _, channel): (usize, usize, usize, usize)| {
            let shown = if told(photo) { labels[photo] } else { [1, 0, 2][labels[photo]] };
            f32::from(u8::from(shown == channel))
        };
        let images = Array4::from_shape_fn((labels.len(), 1, 1, 3), pixel);
        let batch = Batch::new(images, labels);
        network.evaluate(std::iter::once(Ok::<_, NetworkError>(batch))).unwrap()
    }

    #[test]
    fn classes_at_chance_are_found() {
        assert_eq!(at_chance(&evaluation_of(40, |_| true)), None);
        assert_eq!(at_chance(&evaluation_of(40, |photo| photo / 3 % 2 == 0)), Some([0, 1]));
        assert_eq!(at_chance(&evaluation_of(40, |photo| photo / 3 % 4 != 0)), None);
        assert_eq!(at_chance(&evaluation_of(10, |photo| photo / 3 % 2 == 0)), None, "too few tell nothing");
    }

    #[test]
    fn few_photos_leave_a_doubt() {
        assert_eq!(doubt(&evaluation_of(4, |_| true)), " (+- 7.4)");
        assert_eq!(doubt(&evaluation_of(10_000, |_| true)), "");
    }
}
