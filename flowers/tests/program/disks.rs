//! Saves that fail while training: a disk that is full, a folder that is gone or can't be written to.

use std::fs;
use std::path::Path;

use floret::checkpoint::{load_model, load_training};

use crate::process::{Running, fast_folder, heeds_permissions, set_writable};
use crate::support::*;

/// Enough that what a test does after the first epoch comes in time.
const EPOCHS: &[&str] = &["--epochs", "12"];

/// A fault that comes while training, and goes.
struct Fault {
    name: &'static str,
    /// What a run does that the fault stays with.
    mode: &'static [&'static str],
    comes: fn(&Running, &Path),
    goes: fn(&Running, &Path),
    /// Parts of the warning.
    says: &'static [&'static str],
}

const FAULTS: [Fault; 3] = [
    Fault {
        // As a full disk: a part of the file is written, and then no more.
        name: "limit",
        mode: &[],
        comes: |running, _| running.limit_files(Some(1_000_000)),
        goes: |running, _| running.limit_files(None),
        says: &["safetensors: File too large", "ulimit -f"],
    },
    Fault {
        name: "vanished",
        mode: &["--on-save-error", "stop"],
        comes: |_, run| fs::rename(run, run.with_extension("away")).unwrap(),
        goes: |_, run| fs::rename(run.with_extension("away"), run).unwrap(),
        says: &["vanished/", "its folder is gone"],
    },
    Fault {
        name: "read-only",
        mode: &[],
        comes: |_, run| set_writable(run, false),
        goes: |_, run| set_writable(run, true),
        says: &["read-only/", "make its folder writable"],
    },
];

/// The best network and the training state.
fn files(run: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "training.safetensors"].map(|name| fs::read(run.join(name)).unwrap())
}

/// Each fault that this process can bring about, with the folder to do it in and what a run that nothing happens to leaves.
fn each_fault(test: impl Fn(&Fault, &Path, &[Vec<u8>; 2])) {
    let temporary = fast_folder();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    succeeds(folder, &[TRAIN, EPOCHS, &["--out", "undisturbed"]].concat());
    let wanted = files(&folder.join("undisturbed"));
    let heeded = heeds_permissions(folder);
    for fault in FAULTS {
        if fault.name == "read-only" && !heeded {
            println!("skipped: nothing is read-only for the administrator");
            continue;
        }
        test(&fault, folder, &wanted);
    }
}

fn train(out: &'static str, more: &[&'static str]) -> Vec<&'static str> {
    [TRAIN, EPOCHS, &["--out", out], more].concat()
}

#[test]
fn a_fault_that_passes_costs_nothing() {
    each_fault(|fault, folder, wanted| {
        let run = folder.join(fault.name);
        let mut running = Running::start(folder, &train(fault.name, &[]));
        running.wait_for("epoch   1/12");
        (fault.comes)(&running, &run);
        running.wait_for_error("WARNING");
        (fault.goes)(&running, &run);
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{}: {}", fault.name, ended.errors);
        holds(&ended.errors, fault.says);
        holds(&ended.errors, &["training goes on", "the next save tries again"]);
        assert!(files(&run) == *wanted, "{}", fault.name);
    });
}

#[test]
fn a_fault_that_stays_fails_the_run_and_leaves_the_earlier_files() {
    each_fault(|fault, folder, wanted| {
        let run = folder.join(fault.name);
        let mut running = Running::start(folder, &train(fault.name, fault.mode));
        running.wait_for("epoch   1/12");
        (fault.comes)(&running, &run);
        running.wait_for_error("error: ");
        (fault.goes)(&running, &run);
        let ended = running.end();
        assert_eq!(ended.code, Some(1), "{}: {}", fault.name, ended.errors);
        assert_eq!(ended.errors.contains("WARNING"), fault.mode.is_empty(), "{}", ended.errors);
        holds(&ended.errors, fault.says);
        let epoch = load_training(run.join("training.safetensors")).unwrap().progress.epoch;
        assert!((1..12).contains(&epoch), "{epoch}");
        load_model(run.join("model.safetensors")).unwrap();
        succeeds(folder, &train(fault.name, &["--resume"]));
        assert!(files(&run) == *wanted, "{}", fault.name);
    });
}

#[test]
fn a_run_that_can_save_nothing_does_not_begin() {
    let temporary = fast_folder();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    fs::write(folder.join("file"), "no folder").unwrap();
    fails(folder, &train("file", &[]), &["cannot create the folder file"]);
    fs::create_dir_all(folder.join("locked/.floret-lock")).unwrap();
    fails(folder, &train("locked", &[]), &["cannot lock locked/.floret-lock", "move it away"]);
    if heeds_permissions(folder) {
        let run = folder.join("read-only");
        fs::create_dir(&run).unwrap();
        set_writable(&run, false);
        fails(folder, &train("read-only", &[]), &["cannot open read-only/.floret-lock", "Permission denied"]);
    }
}
