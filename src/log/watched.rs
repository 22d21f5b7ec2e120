//! What is gathered while training and evaluation go on, until it is logged.

use std::time::{Duration, Instant};

use ndarray::{Array2, Array3, ArrayView2, Axis};

use super::picture::{captioned, enlarged, from_standardized, grid};
use crate::data::Batch;
use crate::loss::softmax;
use crate::metrics::{predicted, rank};
use crate::network::StepReport;

/// Most photos of a grid.
const PHOTOS: usize = 12;
const COLUMNS: usize = 3;
/// Pixels that a photo of a grid is at least wide, so that the words below it can be read where TensorBoard shrinks the grid.
const PHOTO_SIDE: usize = 168;

/// Sums over the steps since the last that was logged.
#[derive(Debug, Default)]
pub(super) struct Steps {
    loss: f64,
    correct: usize,
    examples: usize,
    /// Time from step to step within epochs, and the examples it took: evaluation and what follows it do not count.
    busy: Duration,
    timed: usize,
    last: Option<Instant>,
}

impl Steps {
    pub(super) fn add(&mut self, report: &StepReport) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.busy += now - last;
            self.timed += report.examples;
        }
        self.loss += report.mean_loss * report.examples as f64;
        self.correct += report.correct;
        self.examples += report.examples;
    }

    /// An epoch is at its end: the time until the next step is not spent on steps.
    pub(super) fn pause(&mut self) {
        self.last = None;
    }

    /// The scalars of these steps by their tags; empties the sums.
    pub(super) fn take(&mut self) -> Vec<(&'static str, f64)> {
        let Self { loss, correct, examples, busy, timed, last } = std::mem::take(self);
        self.last = last;
        let mut scalars = Vec::new();
        if examples > 0 {
            scalars.push(("loss", loss / examples as f64));
            scalars.push(("accuracy", correct as f64 / examples as f64));
        }
        if !busy.is_zero() {
            scalars.push(("images_per_second", timed as f64 / busy.as_secs_f64()));
        }
        scalars
    }
}

/// The photos of an evaluation whose class the network was surest of, wrongly.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    /// The surest first, at most [`PHOTOS`].
    photos: Vec<Mistake>,
}

#[derive(Debug)]
struct Mistake {
    probability: f32,
    image: Array3<f32>,
    label: usize,
    class: usize,
}

impl Mistakes {
    /// Looks at a batch and its logits. Those that are not finite tell no class.
    pub(super) fn add(&mut self, batch: &Batch, outputs: ArrayView2<'_, f32>) {
        let mut probabilities: Array2<f32> = outputs.to_owned();
        softmax(probabilities.view_mut());
        for (index, &label) in batch.labels.iter().enumerate() {
            let Some(class) = predicted(outputs.row(index)).filter(|class| *class != label) else { continue };
            let probability = probabilities[[index, class]];
            let place = self.photos.partition_point(|surer| surer.probability >= probability);
            if place < PHOTOS {
                self.photos.truncate(PHOTOS - 1);
                let image = batch.images.index_axis(Axis(0), index).to_owned();
                self.photos.insert(place, Mistake { probability, image, label, class });
            }
        }
    }

    /// A grid of the photos as the network saw them, with what they were taken for and what they are; `None` if there are none.
    pub(super) fn picture(self, classes: &[String]) -> Option<Array3<u8>> {
        let photo = |Mistake { probability, image, label, class }: &Mistake| {
            let taken_for = format!("{} {:.0}%", name(classes, *class), 100.0 * probability);
            photo(image.view(), &[taken_for, format!("is {}", name(classes, *label))])
        };
        grid(&self.photos.iter().map(photo).collect::<Vec<_>>(), COLUMNS)
    }
}

/// A grid of the first photos of a batch as the network sees them, with their classes; of [mixed](crate::data::Mix) ones, both
/// with their shares.
pub(super) fn batch_picture(batch: &Batch, classes: &[String]) -> Option<Array3<u8>> {
    let images = batch.images.axis_iter(Axis(0)).enumerate().take(PHOTOS);
    let photos: Vec<_> =
        images.map(|(example, image)| photo(image, &caption(batch, example, classes))).collect();
    grid(&photos, COLUMNS)
}

/// The class of an example; of one that is mixed, a line for each of its classes.
fn caption(batch: &Batch, example: usize, classes: &[String]) -> Vec<String> {
    let whole = || vec![name(classes, batch.labels[example])];
    let Some(targets) = &batch.mixed else { return whole() };
    let targets = targets.row(example);
    let mut shares: Vec<_> = targets.iter().copied().enumerate().filter(|(_, share)| *share > 0.0).collect();
    if shares.len() < 2 {
        return whole();
    }
    rank(&mut shares);
    shares.iter().map(|&(class, share)| format!("{} {:.0}%", name(classes, class), 100.0 * share)).collect()
}

fn photo(image: ndarray::ArrayView3<'_, f32>, lines: &[String]) -> Array3<u8> {
    let picture = from_standardized(image);
    let factor = PHOTO_SIDE.div_ceil(picture.dim().1.max(1));
    captioned(enlarged(picture.view(), factor).view(), lines)
}

/// The name of a class, or else its number.
fn name(classes: &[String], class: usize) -> String {
    classes.get(class).cloned().unwrap_or_else(|| format!("class {class}"))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, array};

    use super::*;

    fn report(examples: usize, mean_loss: f64, correct: usize) -> StepReport {
        let (learning_rate, gradient_norm) = (0.1, None);
        StepReport { loss: mean_loss, mean_loss, examples, correct, step: 1, learning_rate, gradient_norm }
    }

    #[test]
    fn sums_are_means_over_examples_and_time_is_that_within_epochs() {
        let mut steps = Steps::default();
        assert!(steps.take().is_empty());
        steps.add(&report(4, 2.0, 1));
        steps.add(&report(1, 7.0, 1));
        let taken = steps.take();
        assert_eq!(taken[..2], [("loss", 3.0), ("accuracy", 0.4)]);
        // One example since the clock began; whatever it took.
        assert_eq!(taken[2].0, "images_per_second");
        steps.pause();
        steps.add(&report(2, 1.0, 0));
        assert_eq!(steps.take(), [("loss", 1.0), ("accuracy", 0.0)]);
    }

    #[test]
    fn mixed_photos_are_told_by_both_classes() {
        let classes = ["rose", "tulip"].map(String::from);
        let mut batch = Batch {
            images: Array4::zeros((3, 2, 2, 3)),
            labels: vec![0, 1, 1],
            mixed: None,
            records: Vec::new(),
        };
        assert_eq!(caption(&batch, 0, &classes), ["rose"]);
        batch.mixed = Some(array![[0.1, 0.9], [0.0, 1.0], [0.4, 0.6]]);
        assert_eq!(caption(&batch, 0, &classes), ["tulip 90%", "rose 10%"]);
        assert_eq!(caption(&batch, 1, &classes), ["tulip"]);
        assert!(batch_picture(&batch, &classes).is_some());
    }

    #[test]
    fn the_surest_mistakes_are_kept() {
        let batch = |labels: Vec<usize>| {
            let images = Array4::zeros((labels.len(), 2, 2, 3));
            Batch::new(images, labels)
        };
        let mut mistakes = Mistakes::default();
        // Right, wrong, wrong and surer, undecidable.
        let outputs = array![[5.0, 0.0], [0.0, 1.0], [0.0, 4.0], [f32::NAN, 9.0]];
        mistakes.add(&batch(vec![0, 0, 0, 0]), outputs.view());
        let kept = |mistakes: &Mistakes| {
            mistakes.photos.iter().map(|m| (m.label, m.class, m.probability)).collect::<Vec<_>>()
        };
        let sure = |logit: f32| 1.0 / (1.0 + (-logit).exp());
        let found = kept(&mistakes);
        assert_eq!((found[0].0, found[0].1, found.len()), (0, 1, 2));
        assert!((found[0].2 - sure(4.0)).abs() < 1e-6 && (found[1].2 - sure(1.0)).abs() < 1e-6);
        // Many more: the surest stay.
        let many = Array2::from_shape_fn((2 * PHOTOS, 2), |(row, class)| (row * (1 - class)) as f32 / 8.0);
        mistakes.add(&batch(vec![1; 2 * PHOTOS]), many.view());
        let found = kept(&mistakes);
        assert_eq!(found.len(), PHOTOS);
        assert!(found.windows(2).all(|pair| pair[0].2 >= pair[1].2));
        assert!((found[1].2 - sure((2 * PHOTOS - 1) as f32 / 8.0)).abs() < 1e-6);
        let picture = mistakes.picture(&["a".into()]).unwrap();
        assert_eq!(picture.dim().1, COLUMNS * PHOTO_SIDE + (COLUMNS - 1) * 2);
        assert!(Mistakes::default().picture(&[]).is_none());
    }
}
