//! A row of a table for each epoch on a terminal, a line elsewhere.

use floret::train::EpochRecord;

use super::watch::{Epochs, View};
use crate::run_file::EpochTime;
use crate::ui::{self, Style, percent, say, sparkline};

/// A table that fits the terminal.
pub struct Table {
    has_eval: bool,
    /// The columns of the header shown last.
    header: String,
    /// The training losses of the epochs shown.
    losses: Vec<f64>,
}

/// What is known of an epoch.
struct Row<'a> {
    record: &'a EpochRecord,
    time: &'a EpochTime,
    epochs: Epochs,
}

struct Column {
    name: &'static str,
    width: usize,
    /// The column of the greatest rank is the first to go where there is no room.
    rank: u8,
    cell: fn(&Row) -> String,
}

/// Between columns, and what the mark of the best epoch takes.
const GAP: usize = 2;
const BEST: &str = "best";

fn all_columns(has_eval: bool) -> Vec<Column> {
    let column = |name: &'static str, width: usize, rank, cell| Column {
        name,
        width: width.max(name.len()),
        rank,
        cell,
    };
    let train = [
        column("epoch", 7, 0, |row| format!("{}/{}", row.record.epoch + 1, row.epochs)),
        column("train loss", 7, 1, |row| format!("{:.4}", row.record.train_loss)),
        column("train acc", 8, 4, |row| percent(Some(row.record.train_accuracy))),
    ];
    let eval = [
        column("eval loss", 7, 3, |row| {
            row.record.eval.map_or("-".into(), |eval| format!("{:.4}", eval.loss))
        }),
        column("eval acc", 8, 2, |row| percent(row.record.eval.map(|eval| eval.accuracy))),
    ];
    let pace = [
        column("rate", 8, 7, |row| ui::rate(row.record.learning_rate)),
        column("images/s", 8, 6, |row| format!("{:.0}", row.time.images_per_second())),
        column("time", 8, 5, |row| {
            ui::duration(row.time.train_seconds + row.time.eval_seconds.unwrap_or(0.0))
        }),
    ];
    train.into_iter().chain(eval.into_iter().filter(|_| has_eval)).chain(pace).collect()
}

impl Table {
    pub fn new(has_eval: bool) -> Self {
        Self { has_eval, header: String::new(), losses: Vec::new() }
    }
}

fn header(columns: &[Column]) -> String {
    columns.iter().map(|column| format!("{:>1$}", column.name, column.width + GAP)).collect()
}

fn cells(columns: &[Column], row: &Row) -> String {
    columns.iter().map(|column| format!("{:>1$}", (column.cell)(row), column.width + GAP)).collect()
}

/// The columns that there is room for.
fn fitting(has_eval: bool, columns: usize) -> Vec<Column> {
    let mut kept = all_columns(has_eval);
    let width =
        |kept: &[Column]| kept.iter().map(|column| column.width + GAP).sum::<usize>() + GAP + BEST.len();
    while kept.len() > 1 && width(&kept) >= columns {
        let last = kept.iter().map(|column| column.rank).max();
        kept.retain(|column| Some(column.rank) != last);
    }
    kept
}

impl View for Table {
    fn epoch(&mut self, record: &EpochRecord, time: &EpochTime, epochs: Epochs) {
        // The terminal may have another width now.
        let columns = fitting(self.has_eval, ui::columns());
        let header = header(&columns);
        if header != self.header {
            ui::say_styled(&[(Style::Header, &header)]);
            self.header = header;
        }
        self.losses.push(record.train_loss);
        let row = cells(&columns, &Row { record, time, epochs });
        let best = if record.best { format!("{:GAP$}{BEST}", "") } else { String::new() };
        ui::say_styled(&[(Style::Plain, &row), (Style::Best, &best)]);
    }
}

impl Drop for Table {
    /// The curve of it all.
    fn drop(&mut self) {
        if let [first, .., last] = self.losses[..] {
            let numbers = format!("train loss {first:.3} to {last:.3}  ");
            let room = ui::columns().saturating_sub(numbers.len() + 1);
            say!("\n{numbers}{}", sparkline(&self.losses, room));
        }
    }
}

/// A line for each epoch that explains itself.
pub struct Lines;

impl View for Lines {
    fn epoch(&mut self, record: &EpochRecord, time: &EpochTime, epochs: Epochs) {
        let eval = record.eval.map_or_else(String::new, |eval| {
            format!("   eval loss {:.3} accuracy {:>6}", eval.loss, percent(Some(eval.accuracy)))
        });
        say!(
            "epoch {:3}/{}   loss {:.3} accuracy {:>6}{eval}   learning rate {}   {:.0} images/s   {}{}",
            record.epoch + 1,
            epochs,
            record.train_loss,
            percent(Some(record.train_accuracy)),
            ui::rate(record.learning_rate),
            time.images_per_second(),
            ui::duration(time.train_seconds + time.eval_seconds.unwrap_or(0.0)),
            if record.best { "   best so far" } else { "" }
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(has_eval: bool, columns: usize) -> Vec<String> {
        let columns = fitting(has_eval, columns);
        let eval = has_eval.then(|| json!({ "loss": "NaN", "accuracy": 1.0 }));
        let record = json!({
            "epoch": 2, "step": 9, "train_loss": 1.42134, "train_accuracy": 0.3821, "eval": eval,
            "learning_rate": 0.006_666, "best": true,
        });
        let record: EpochRecord = serde_json::from_value(record).unwrap();
        let time = EpochTime { epoch: 2, photos: 2000, train_seconds: 3.0, eval_seconds: None };
        vec![
            header(&columns),
            cells(
                &columns,
                &Row { record: &record, time: &time, epochs: Epochs { number: 20, guessed: false } },
            ),
        ]
    }

    #[test]
    fn columns_go_where_there_is_no_room() {
        assert_eq!(
            table(true, 100),
            [
                "    epoch  train loss  train acc  eval loss  eval acc      rate  images/s      time",
                "     3/20      1.4213     38.2 %        NaN   100.0 %   0.00667       667     3.0 s"
            ]
        );
        assert_eq!(table(true, 40), ["    epoch  train loss  eval acc", "     3/20      1.4213   100.0 %"]);
        assert_eq!(
            table(false, 40),
            ["    epoch  train loss  train acc", "     3/20      1.4213     38.2 %"]
        );
        for columns in 20..120 {
            for line in table(true, columns) {
                assert!(line.len() + GAP + BEST.len() < columns, "{columns}: {line}");
            }
        }
    }
}
