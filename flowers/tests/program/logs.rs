//! `--log-dir`: what it prints, where it goes, and a disk that is full for a while.

use std::fs;
use std::path::Path;

use floret::record::RecordReader;

use crate::process::{Running, fast_folder};
use crate::support::*;

/// Events of all files below a folder; every record must be whole.
fn events(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += events(&path);
            continue;
        }
        let (mut reader, mut payload) = (RecordReader::open(&path).unwrap(), Vec::new());
        while reader.read_into(&mut payload).unwrap().is_some() {
            count += 1;
        }
    }
    count
}

fn data() -> tempfile::TempDir {
    let temporary = fast_folder();
    photos(temporary.path());
    succeeds(temporary.path(), &["convert", "photos", "data", "--shards", "1"]);
    temporary
}

#[test]
fn a_log_goes_where_it_is_told_and_the_same_network_comes_out() {
    let temporary = data();
    let folder = temporary.path();
    let train = |more: &[&str]| succeeds(folder, &[TRAIN, &["--epochs", "2"], more].concat());
    assert!(!train(&["--out", "plain"]).contains("tensorboard"));
    assert!(!folder.join("plain/log").exists());
    holds(&train(&["--log-dir", "--out", "within"]), &["tensorboard --logdir within/log\n"]);
    holds(&train(&["--out", "beside", "--log-dir", "my logs"]), &["tensorboard --logdir 'my logs'\n"]);
    for log in ["within/log", "my logs"] {
        for run in ["train", "eval"] {
            assert!(events(&folder.join(log).join(run)) > 0);
        }
    }
    let model = |out: &str| fs::read(folder.join(out).join("model.safetensors")).unwrap();
    assert!(model("plain") == model("within") && model("plain") == model("beside"));
}

#[test]
fn a_disk_that_is_full_for_a_while_costs_a_warning_and_no_record_is_torn() {
    let temporary = data();
    let folder = temporary.path();
    let arguments = [TRAIN, &["--epochs", "12", "--out", "run", "--log-dir"]].concat();
    let mut running = Running::start(folder, &arguments);
    running.wait_for("epoch   1/12");
    // Less than the log of an epoch: a part of a record is written, and then no more.
    running.limit_files(Some(30_000));
    running.wait_for_error("the log lacks what can't be written");
    running.limit_files(None);
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    holds(&ended.errors, &["WARNING: cannot write run/log/", "File too large", "training goes on"]);
    assert!(events(&folder.join("run/log")) > 3 * 12);
}
