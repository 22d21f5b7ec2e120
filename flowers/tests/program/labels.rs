//! Labels that look wrong: found, listed and shown.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::html::Page;
use crate::support::*;

/// Shards of `train` and `eval` of which the records of these numbers have the other class's label.
fn mislabeled(folder: &Path, train: &'static [usize], eval: &'static [usize]) {
    photos(folder);
    let shard = |split: &str| folder.join(format!("data/{split}-00000-of-00001.tfrecord"));
    let write = |split: &'static str, wrong: &'static [usize]| {
        records(folder, move |number, example| {
            example.filename = Some(format!("{split}, \"{number}\".jpg"));
            if wrong.contains(&number) {
                example.label = 3 - example.label;
            }
        });
    };
    write("eval", eval);
    fs::rename(shard("train"), shard("eval")).unwrap();
    write("train", train);
}

/// What learns so few photos quickly.
const QUICK: &[&str] = &["--network", "reference", "--augment", "light", "--out", "run"];

fn rows(list: &Path) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_path(list).unwrap();
    let columns = ["split", "file", "record", "filename", "label", "answer", "probability", "loss"];
    assert_eq!(reader.headers().unwrap(), &columns[..]);
    reader.records().map(|row| row.unwrap()).collect()
}

#[test]
fn swapped_labels_are_listed_by_train_and_by_report() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    mislabeled(folder, &[5, 12], &[7]);
    let train = [TRAIN, QUICK, &["--epochs", "8"]].concat();
    let trained = succeeds(folder, &train);
    holds(
        &trained,
        &["The labels:   3 look wrong (2 of 24 in train, 1 of 24 in eval): see run/label-errors.csv"],
    );

    let list = folder.join("run/label-errors.csv");
    let rows = rows(&list);
    let mut found: Vec<_> = rows.iter().map(|row| [0, 1, 2, 3, 4, 5].map(|column| &row[column])).collect();
    found.sort_unstable();
    let there = folder.canonicalize().unwrap();
    let shard = |split| there.join(format!("data/{split}-00000-of-00001.tfrecord")).display().to_string();
    let [train, eval] = ["train", "eval"].map(shard);
    let wanted = [
        ["eval", &*eval, "7", "eval, \"7\".jpg", "blue", "red"],
        ["train", &*train, "12", "train, \"12\".jpg", "red", "blue"],
        ["train", &*train, "5", "train, \"5\".jpg", "blue", "red"],
    ];
    assert_eq!(found, wanted);
    let losses: Vec<f64> = rows.iter().map(|row| row[7].parse().unwrap()).collect();
    assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    // Of two classes the answer's probability tells the label's; both have four decimals.
    for (row, loss) in rows.iter().zip(&losses) {
        let probability: f64 = row[6].parse().unwrap();
        assert!(probability >= 0.7 && (1.0 - probability - (-loss).exp()).abs() < 1e-4, "{row:?}");
    }
    let page = Page::read(&fs::read_to_string(folder.join("run/report.html")).unwrap());
    page.stands_alone();
    holds(&page.text, &["Likely label errors", "2 of 24 in train, 1 of 24 in eval", "label-errors.csv"]);
    holds(&page.text, &["train, \"12\".jpg", "train: train-00000-of-00001.tfrecord, record 12"]);

    // The same network and photos, from the shards alone.
    fs::create_dir(folder.join("elsewhere")).unwrap();
    let told =
        succeeds(folder, &["report", "--run", "run", "--data", "data", "--out", "elsewhere/page.html"]);
    holds(&told, &["wrote elsewhere/page.html\nlabels: 3 look wrong", "see elsewhere/label-errors.csv"]);
    assert_eq!(fs::read(folder.join("elsewhere/label-errors.csv")).unwrap(), fs::read(list).unwrap());
}

#[test]
fn without_augmentation_and_without_evaluation_photos_too() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    mislabeled(folder, &[3], &[]);
    fs::remove_file(folder.join("data/eval-00000-of-00001.tfrecord")).unwrap();
    let train =
        [TRAIN, &["--network", "reference", "--augment", "none", "--out", "run", "--epochs", "8"]].concat();
    holds(
        &succeeds(folder, &train),
        &["The labels:   1 looks wrong (1 of 24 in train): see run/label-errors.csv"],
    );
    let list = folder.join("run/label-errors.csv");
    assert_eq!(rows(&list).iter().map(|row| &row[2]).collect::<Vec<_>>(), ["3"]);
    let before = fs::read(&list).unwrap();
    succeeds(folder, &["report", "--run", "run"]);
    assert_eq!(fs::read(&list).unwrap(), before);
}

#[test]
fn where_no_label_is_contradicted_the_list_is_empty() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    mislabeled(folder, &[], &[]);
    let train = [TRAIN, QUICK, &["--epochs", "8"]].concat();
    holds(&succeeds(folder, &train), &["The labels:   none looks wrong\n"]);
    assert_eq!(rows(&folder.join("run/label-errors.csv")).len(), 0);
    let page = Page::read(&fs::read_to_string(folder.join("run/report.html")).unwrap());
    holds(&page.text, &["no photo is taken for another class at 70\u{a0}% or more"]);
}
