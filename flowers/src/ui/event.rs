//! What scripts get: with `--json`, one object a line on standard output.
//!
//! The names here are the interface: a field may be added, but none is renamed or given another meaning. Epochs and
//! batches count from 1, losses are means over examples, accuracies and other shares lie in 0 to 1, times are seconds. A
//! number that is not finite, and what there is not, is `null`.

use std::collections::BTreeMap;

use floret::metrics::Evaluation;
use floret::recipe::{SETTINGS, Setting, Settings};
use serde::Serialize;
use serde_json::Value;

use super::text::is_not_for_lines;
use super::{Level, Mode, mode};

/// The same for the help of subcommands with `--json`.
pub fn json_help() -> String {
    let names: Vec<_> = settings_in_start().map(field).collect();
    let mut settings = String::new();
    for line in names.chunks(7) {
        settings += &format!("\n              {}", line.join(" "));
    }
    JSON_HELP.replace("{settings}", &settings)
}

/// The settings that the start of training tells, each as a field. It tells the optimizer and the epochs in its own way, and
/// weights of classes have no name.
fn settings_in_start() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| !["optimizer", "epochs", "class-weights"].contains(&setting.name))
}

/// The name of a setting's field.
fn field(setting: &Setting) -> String {
    setting.name.replace('-', "_")
}

/// Those fields, of a run with these settings.
pub fn settings_fields(settings: &Settings) -> BTreeMap<String, Value> {
    let value = |setting: &Setting| match setting.saved(settings) {
        // Names of features and choices are text, whatever they are made of.
        Some(text) if setting.value == "KEY" => Value::String(text),
        Some(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        None => Value::Null,
    };
    settings_in_start().map(|setting| (field(setting), value(setting))).collect()
}

const JSON_HELP: &str = "\
With --json each line is an object; its `kind` tells which fields there are:
  start       floret data out classes train_photos eval_photos parameters steps_per_epoch
              epochs (with --minutes, about so many) epochs_done optimizer threads, and the settings:{settings}
  features    done total images_per_second seconds_left: photos go through a network that gets a new head; at most one
              a second
  step        epoch epochs batch batches step loss accuracy (of the epoch so far) learning_rate images_per_second
              epoch_seconds_left seconds_left; at most one a second
  epoch       epoch epochs step train_loss train_accuracy eval_loss eval_accuracy learning_rate best images_per_second
              train_seconds eval_seconds
  evaluation  split examples loss accuracy top_k_accuracy top_k unpredicted, classes (name examples predicted precision
              recall f1 of each), confusion (class predicted count)
  end         reason (finished, no_improvement) epochs_done best_epoch model report seconds
  note, warning, error, interrupted: message
Epochs and batches count from 1, losses are means over photos, accuracies and other shares lie in 0 to 1. A number that
is not finite, and what there is not, is null.";

/// A line of `--json`; `kind` is the variant's name.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event<'a> {
    /// Training begins, or goes on.
    Start {
        floret: &'a str,
        data: String,
        out: String,
        classes: &'a [String],
        train_photos: usize,
        eval_photos: usize,
        parameters: usize,
        steps_per_epoch: usize,
        /// Under a budget, about.
        epochs: usize,
        /// Done before, in a run that goes on.
        epochs_done: u64,
        optimizer: String,
        threads: usize,
        #[serde(flatten)]
        settings: BTreeMap<String, Value>,
    },
    /// Photos go through a network trained before, which gets a new head: at most one a second.
    Features {
        done: usize,
        total: usize,
        images_per_second: f64,
        seconds_left: f64,
    },
    /// Training under way: at most one a second.
    Step {
        epoch: u64,
        epochs: usize,
        batch: usize,
        batches: usize,
        step: u64,
        /// Of the epoch so far.
        loss: Option<f64>,
        accuracy: Option<f64>,
        learning_rate: f32,
        images_per_second: f64,
        /// Until the end of the epoch, without its evaluation.
        epoch_seconds_left: f64,
        seconds_left: f64,
    },
    /// An epoch is done.
    Epoch {
        epoch: u64,
        epochs: usize,
        step: u64,
        train_loss: f64,
        train_accuracy: f64,
        eval_loss: Option<f64>,
        eval_accuracy: Option<f64>,
        learning_rate: f32,
        /// Whether it is the best so far, so that its network was saved.
        best: bool,
        images_per_second: f64,
        train_seconds: f64,
        eval_seconds: Option<f64>,
    },
    /// A network was evaluated: after training the best one.
    Evaluation {
        split: &'a str,
        examples: u64,
        loss: f64,
        accuracy: f64,
        /// The share of examples whose class was among the `top_k` most probable.
        top_k_accuracy: f64,
        top_k: usize,
        classes: Vec<ClassScore<'a>>,
        /// Counts over 0, those of right answers among them.
        confusion: Vec<Confused<'a>>,
        /// Examples for which the network gives no finite numbers.
        unpredicted: u64,
    },
    /// Training has ended.
    End {
        /// `finished` or `no_improvement`; a signal gives `interrupted` instead of this line, a failure `error`.
        reason: &'a str,
        epochs_done: u64,
        best_epoch: u64,
        model: &'a str,
        report: Option<&'a str>,
        seconds: f64,
    },
    Note {
        message: &'a str,
    },
    Warning {
        message: &'a str,
    },
    Error {
        message: &'a str,
    },
    /// A signal ended the work; what was done is saved.
    Interrupted {
        message: &'a str,
    },
}

/// How well one class is told from the others.
#[derive(Debug, Serialize)]
pub struct ClassScore<'a> {
    name: &'a str,
    examples: u64,
    predicted: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
}

/// How many examples of one class were taken for another, or for itself.
#[derive(Debug, Serialize)]
pub struct Confused<'a> {
    class: &'a str,
    predicted: &'a str,
    count: u64,
}

impl<'a> Event<'a> {
    /// Of an evaluation on the shards `split`.
    pub fn evaluation(split: &'a str, evaluation: &Evaluation, classes: &'a [String]) -> Self {
        let class = |(name, of): (&'a String, floret::metrics::ClassMetrics)| ClassScore {
            name,
            examples: of.examples,
            predicted: of.predicted,
            precision: of.precision,
            recall: of.recall,
            f1: of.f1(),
        };
        let confused = |((class, predicted), count): ((usize, usize), u64)| Confused {
            class: &classes[class],
            predicted: &classes[predicted],
            count,
        };
        Event::Evaluation {
            split,
            examples: evaluation.examples,
            loss: evaluation.loss,
            accuracy: evaluation.accuracy(),
            top_k_accuracy: evaluation.top_k_accuracy(),
            top_k: Evaluation::TOP_K.min(classes.len()),
            classes: classes.iter().zip(evaluation.per_class()).map(class).collect(),
            confusion: evaluation.confusion.iter().map(confused).collect(),
            unpredicted: evaluation.unpredicted.iter().sum(),
        }
    }

    /// Prints it, where the output is for scripts.
    pub fn print(&self) {
        if mode() == Mode::Json {
            super::write_out(&(self.line() + "\n"));
        }
    }

    fn line(&self) -> String {
        json_line(self)
    }
}

/// JSON without a character that would act on a terminal.
pub fn json_line(value: &impl Serialize) -> String {
    let line = serde_json::to_string(value).expect("text and numbers are JSON");
    // Such characters occur in strings alone, and all of them have four digits at most.
    let escape = |c: char| if is_not_for_lines(c) { format!("\\u{:04x}", u32::from(c)) } else { c.into() };
    line.chars().map(escape).collect()
}

/// A message as an object.
pub fn message(level: Level, message: &str) -> Event<'_> {
    match level {
        Level::Note => Event::Note { message: message.strip_prefix("note: ").unwrap_or(message) },
        Level::Warning => Event::Warning { message },
        Level::Error => Event::Error { message },
        Level::Interrupted => Event::Interrupted { message },
    }
}

#[cfg(test)]
mod tests {
    use floret::data::Batch;
    use floret::network::{Network, NetworkError};
    use floret::nn::{Dense, Flatten};
    use floret::recipe::{Census, Choices};
    use ndarray::Array4;

    use super::*;

    #[test]
    fn lines_are_json_and_safe_for_a_terminal() {
        let hostile = "a\n\u{1b}[2J\u{9b}\u{202e}\"\\b\u{2028}蒲";
        let line = Event::Note { message: hostile }.line();
        assert!(!line.contains(is_not_for_lines), "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read, serde_json::json!({"kind": "note", "message": hostile}));
        let event = Event::End {
            reason: "finished",
            epochs_done: 1,
            best_epoch: 1,
            model: "m",
            report: None,
            seconds: f64::INFINITY,
        };
        let read: serde_json::Value = serde_json::from_str(&event.line()).unwrap();
        assert_eq!((&read["kind"], read["seconds"].is_null()), (&"end".into(), true));
    }

    /// Every word of `text`, without what joins them.
    fn words(text: &str) -> Vec<&str> {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect()
    }

    #[test]
    fn settings_are_told_as_numbers_and_words() {
        let census = Census::new(vec![1000; 2]);
        let choices =
            Choices { image_key: Some("7".into()), learning_rate: Some(0.05), ..Choices::default() };
        let told = settings_fields(&Settings::new(&choices, &census).unwrap());
        let field = |name: &str| told[name].to_string();
        assert_eq!(
            ["image_size", "learning_rate", "image_key", "network", "minutes", "skip_bad"].map(field),
            ["96", "0.05", "\"7\"", "\"small\"", "5", "false"]
        );
        assert!(!told.contains_key("epochs") && !told.contains_key("optimizer"));
    }

    #[test]
    fn the_help_names_every_field() {
        let census = Census::new(vec![10, 10]);
        let settings = Settings::new(&Choices::default(), &census).unwrap();
        let (names, no) = (["a".to_owned(), "b".to_owned()], None);
        let evaluation = Network::builder((1, 1, 3)).add(Flatten).add(Dense::new(2)).build().unwrap();
        let images = Array4::zeros((1, 1, 1, 3));
        let batch = Batch::new(images, vec![1]);
        let evaluation = evaluation.evaluate([Ok::<_, NetworkError>(batch)]).unwrap();
        let events = [
            Event::evaluation("eval", &evaluation, &names),
            Event::Start {
                floret: "",
                data: String::new(),
                out: String::new(),
                classes: &names,
                train_photos: 0,
                eval_photos: 0,
                parameters: 0,
                steps_per_epoch: 0,
                epochs: 0,
                epochs_done: 0,
                optimizer: String::new(),
                threads: 0,
                settings: settings_fields(&settings),
            },
            Event::Features { done: 0, total: 0, images_per_second: 0.0, seconds_left: 0.0 },
            Event::Step {
                epoch: 0,
                epochs: 0,
                batch: 0,
                batches: 0,
                step: 0,
                loss: no,
                accuracy: no,
                learning_rate: 0.0,
                images_per_second: 0.0,
                epoch_seconds_left: 0.0,
                seconds_left: 0.0,
            },
            Event::Epoch {
                epoch: 0,
                epochs: 0,
                step: 0,
                train_loss: 0.0,
                train_accuracy: 0.0,
                eval_loss: no,
                eval_accuracy: no,
                learning_rate: 0.0,
                best: true,
                images_per_second: 0.0,
                train_seconds: 0.0,
                eval_seconds: no,
            },
            Event::End { reason: "", epochs_done: 0, best_epoch: 0, model: "", report: None, seconds: 0.0 },
            Event::Note { message: "" },
            Event::Warning { message: "" },
            Event::Error { message: "" },
            Event::Interrupted { message: "" },
        ];
        let help = json_help();
        assert!(help.lines().all(|line| line.len() <= 120), "{help}");
        let known = words(&help);
        for event in events {
            let line: serde_json::Value = serde_json::from_str(&event.line()).unwrap();
            assert!(known.contains(&line["kind"].as_str().unwrap()), "{line}");
            let lists = ["classes", "confusion"].map(|list| line[list][0].as_object());
            let fields = lists.into_iter().flatten().chain(line.as_object()).flat_map(|object| object.keys());
            fields.for_each(|field| assert!(known.contains(&field.as_str()), "{field} of {line}"));
        }
    }
}
