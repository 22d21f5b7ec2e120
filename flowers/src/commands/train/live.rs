//! The step under way, redrawn in place on a terminal.

use std::fmt::Display;
use std::time::Duration;

use floret::recipe::FEATURES;
use floret::train::{EpochRecord, OpeningProgress};

use super::watch::{Epochs, Step, View};
use crate::run_file::EpochTime;
use crate::ui::{self, Busy, Live, sparkline};

/// Where the epoch is, its loss, and the time left.
#[derive(Default)]
pub struct LiveView {
    lines: Option<Live>,
    evaluating: Option<Busy>,
    losses: Losses,
}

impl View for LiveView {
    fn step(&mut self, step: &Step) {
        self.losses.add(step.loss);
        let losses = &self.losses.values;
        self.lines.get_or_insert_with(Live::new).show(
            |columns| format!("{}\n{}", position(step, columns), pace(step, losses, columns)),
            || format!("epoch {}/{}, {}: {}", step.epoch, step.epochs, loss(step), left(step).join(", ")),
        );
    }

    fn opening(&mut self, progress: OpeningProgress, images_per_second: f64) {
        let OpeningProgress { part, done, total, .. } = progress;
        let line = match part {
            FEATURES => {
                let left = (total - done) as f64 / images_per_second.max(1e-9);
                format!(
                    "features {}  {images_per_second:.0} images/s  {} left",
                    of(done, total),
                    ui::duration(left)
                )
            }
            _ => "fitting the head to them".into(),
        };
        let lines = self.lines.get_or_insert_with(Live::new);
        lines.show(
            |columns| match part {
                FEATURES => fitted(std::slice::from_ref(&line), columns, |columns| bar(done, total, columns)),
                _ => line.clone(),
            },
            || line.clone(),
        );
    }

    fn evaluation_begins(&mut self, step: &Step, seconds: f64) {
        self.lines = None;
        let what = format!("epoch {}/{}, evaluating", step.epoch, step.epochs);
        self.evaluating = Some(Busy::new(what, Duration::from_secs_f64(seconds)));
    }

    fn epoch(&mut self, _: &EpochRecord, _: &EpochTime, _: Epochs) {
        (self.lines, self.evaluating) = (None, None);
    }
}

/// The widest bar, and the widest curve.
const WIDEST: usize = 40;

/// `epoch  3/20  step  23/46  loss 0.832  accuracy  71.2 %  [=====>    ]`
fn position(step: &Step, columns: usize) -> String {
    let parts = [
        format!("epoch {}", of(step.epoch as usize, step.epochs)),
        format!("step {}", of(step.batch, step.batches)),
        loss(step),
        step.running.map_or_else(String::new, |running| {
            format!("accuracy {:>7}", ui::percent(Some(running.accuracy)))
        }),
    ];
    fitted(&parts, columns, |columns| bar(step.batch, step.batches, columns))
}

/// `612 images/s  4 s left of the epoch  2 min 10 s of the run  ▇▆▅▄▃▂▂▁`
fn pace(step: &Step, losses: &[f64], columns: usize) -> String {
    let [epoch, run] = left(step);
    let parts = [format!("{:.0} images/s", step.images_per_second), epoch, run];
    fitted(&parts, columns, |columns| sparkline(losses, columns))
}

fn loss(step: &Step) -> String {
    format!("loss {:.3}", step.running.map_or(step.loss, |running| running.loss))
}

/// `4 s left of the epoch`, `2 min 10 s of the run`
fn left(step: &Step) -> [String; 2] {
    let [epoch, run] = [step.epoch_seconds_left, step.seconds_left].map(ui::duration);
    [format!("{epoch} left of the epoch"), format!("{run} of the run")]
}

/// ` 3/20`
fn of(done: usize, total: impl Display) -> String {
    let total = total.to_string();
    format!("{done:>width$}/{total}", width = total.len())
}

/// As many of the parts as fit, and what `filler` makes of the columns left where it is worth it.
fn fitted(parts: &[String], columns: usize, filler: impl FnOnce(usize) -> String) -> String {
    let mut line = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if line.len() + part.len() + 2 > columns {
            return line;
        }
        line += part;
        line += "  ";
    }
    match columns - line.len() {
        0..10 => line,
        room => line + &filler(room.min(WIDEST)),
    }
}

/// `[=====>    ]`
fn bar(done: usize, total: usize, columns: usize) -> String {
    let room = columns.saturating_sub(2);
    let filled = (room * done.min(total)).checked_div(total).unwrap_or(0);
    let (head, filled) = if filled < room { (">", filled) } else { ("", room) };
    let empty = " ".repeat(room.saturating_sub(filled + head.len()));
    format!("[{}{head}{empty}]", "=".repeat(filled))
}

/// The losses of all steps so far, thinned by halves so that they stay few.
struct Losses {
    values: Vec<f64>,
    /// Steps whose mean is one value.
    steps: u32,
    sum: f64,
    summed: u32,
}

impl Default for Losses {
    fn default() -> Self {
        Self { values: Vec::new(), steps: 1, sum: 0.0, summed: 0 }
    }
}

impl Losses {
    const MOST: usize = 1024;

    fn add(&mut self, loss: f64) {
        (self.sum, self.summed) = (self.sum + loss, self.summed + 1);
        if self.summed < self.steps {
            return;
        }
        self.values.push(self.sum / f64::from(self.summed));
        (self.sum, self.summed) = (0.0, 0);
        if self.values.len() == Self::MOST {
            self.values =
                self.values.chunks(2).map(|pair| pair.iter().sum::<f64>() / pair.len() as f64).collect();
            self.steps = self.steps.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use floret::train::Score;

    use super::*;

    const STEP: Step = Step {
        epoch: 3,
        epochs: Epochs { number: 20, guessed: false },
        batch: 23,
        batches: 46,
        step: 115,
        loss: 0.9,
        running: Some(Score { loss: 0.832, accuracy: 0.712 }),
        learning_rate: 0.02,
        images_per_second: 612.3,
        epoch_seconds_left: 4.2,
        seconds_left: 130.0,
    };

    #[test]
    fn lines_fit_whatever_the_width() {
        let losses: Vec<f64> = (0..200).map(|step| 1.0 / f64::from(step + 1)).collect();
        for columns in 0..200 {
            for line in [position(&STEP, columns), pace(&STEP, &losses, columns)] {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
        assert_eq!(
            position(&STEP, 80),
            "epoch  3/20  step 23/46  loss 0.832  accuracy  71.2 %  [===========>           ]"
        );
        assert_eq!(position(&STEP, 30), "epoch  3/20  step 23/46  ");
        let guessed = Step { epochs: Epochs { number: 20, guessed: true }, ..STEP };
        assert_eq!(position(&guessed, 30), "epoch   3/~20  step 23/46  ");
        assert!(
            pace(&STEP, &losses, 70)
                .starts_with("612 images/s  4.2 s left of the epoch  2 min 10 s of the run")
        );
        assert_eq!(bar(46, 46, 10), "[========]");
        assert_eq!(bar(0, 0, 5), "[>  ]");
    }

    #[test]
    fn losses_stay_few() {
        let mut losses = Losses::default();
        for step in 0..100_000 {
            losses.add(f64::from(step));
        }
        let values = &losses.values;
        assert!((Losses::MOST / 2..Losses::MOST).contains(&values.len()), "{}", values.len());
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]) && values[0] < 128.0);
    }
}
