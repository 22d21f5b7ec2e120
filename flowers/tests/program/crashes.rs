//! What ends the program before its time, and what is left then: signals, kills, two runs in one folder.
//!
//! The harnesses `hundreds_of_kills_of_...` are long, work on the disk of the temporary folder, and are left out of
//! `cargo test`. They print their seed; `FLORET_SEED` gives another, `FLORET_KILLS` another number of kills:
//!
//! ```text
//! cargo build --release --examples
//! cargo test --release --test program -- --ignored --nocapture hundreds_of_kills
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use floret::checkpoint::{ModelInfo, load_model, load_training, save_model};
use floret::data::Preprocess;
use floret::files::HeldFolder;
use floret::models;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Running, fast_folder};
use crate::support::*;

/// Enough that a test that waits for the first epoch comes in time for what it does then.
const EPOCHS: &[&str] = &["--epochs", "12"];

/// What a run of [`EPOCHS`] that nobody disturbed leaves.
fn undisturbed(folder: &Path) -> [Vec<u8>; 2] {
    succeeds(folder, &[TRAIN, EPOCHS, &["--out", "undisturbed"]].concat());
    files(&folder.join("undisturbed"))
}

fn data(folder: &Path) {
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
}

/// The best network and the training state.
fn files(run: &Path) -> [Vec<u8>; 2] {
    ["model.safetensors", "training.safetensors"].map(|name| fs::read(run.join(name)).unwrap())
}

#[test]
fn signals_end_training_in_order() {
    let temporary = fast_folder();
    let folder = temporary.path();
    data(folder);
    let wanted = undisturbed(folder);
    for (signal, exit_code, out) in [(Signal::INT, 130, "int"), (Signal::TERM, 143, "term")] {
        let train = [TRAIN, EPOCHS, &["--out", out]].concat();
        let mut running = Running::start(folder, &train);
        running.wait_for("epoch   1/12");
        running.send(signal);
        let ended = running.end();
        assert_eq!(ended.code, Some(exit_code), "{}", ended.errors);
        let go_on = format!("flowers train --data data --out {out} --resume");
        holds(&ended.errors, &["interrupted: ", &format!("{out}/training.safetensors"), &go_on]);
        let state = load_training(folder.join(out).join("training.safetensors")).unwrap();
        assert!((1..12).contains(&state.progress.epoch), "{}", state.progress.epoch);
        // The settings are the saved ones.
        succeeds(folder, &["train", "--data", "data", "--out", out, "--resume"]);
        assert!(files(&folder.join(out)) == wanted, "exit code {exit_code}");
    }
}

/// Signals are caught while the photos are checked, and again while there is training.
#[test]
fn a_signal_ends_training_on_photos_where_they_are_in_order() {
    let temporary = fast_folder();
    let folder = temporary.path();
    photos(folder);
    let train = [&["train", "--data", "photos", "--image-size", "32", "--out", "run"], EPOCHS].concat();
    let mut running = Running::start(folder, &train);
    running.wait_for("epoch   1/12");
    running.send(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let go_on = ["train", "--data", "photos", "--out", "run", "--resume"];
    holds(&ended.errors, &["interrupted: ", &format!("flowers {}", go_on.join(" "))]);
    succeeds(folder, &go_on);
}

#[test]
fn a_second_signal_ends_at_once() {
    let temporary = fast_folder();
    let folder = temporary.path();
    data(folder);
    for out in ["first", "second", "third"] {
        let mut running = Running::start(folder, &[TRAIN, EPOCHS, &["--out", out]].concat());
        running.wait_for("epoch   1/12");
        // Both come before another step: the system delivers them when the process goes on.
        for signal in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
            running.send(signal);
        }
        let ended = running.end();
        assert!(matches!(ended.code, Some(130 | 143)), "{:?}: {}", ended.code, ended.errors);
        load_training(folder.join(out).join("training.safetensors")).unwrap();
        if !ended.errors.contains("interrupted") {
            return;
        }
        // Two threads took them at the very same time, each as the first: now and then.
    }
    panic!("the second signal was never told from the first");
}

/// The signal may come too late; then the conversion is whole, and another is begun.
#[test]
fn signals_end_a_conversion_without_a_trace() {
    let temporary = fast_folder();
    let folder = temporary.path();
    photos(folder);
    for (number, class) in (0..600).zip(["red", "blue"].iter().cycle()) {
        let class = folder.join("photos").join(class);
        fs::hard_link(class.join("1.jpg"), class.join(format!("copy {number}.jpg"))).unwrap();
    }
    let convert = ["convert", "photos", "data", "--threads", "1"];
    let data = folder.join("data");
    for (signal, exit_code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let interrupted = (0..50).any(|_| {
            let running = Running::start(folder, &convert);
            running.wait_for_file(&data);
            running.send(signal);
            let ended = running.end();
            let left = contents(&data);
            fs::remove_dir_all(&data).unwrap();
            if ended.code == Some(0) {
                assert!(left.contains_key("labels.txt") && !left.keys().any(|name| name.starts_with('.')));
                return false;
            }
            assert_eq!(ended.code, Some(exit_code), "{}", ended.errors);
            assert_eq!(ended.errors.matches('\n').count(), 1, "{}", ended.errors);
            holds(&ended.errors, &["interrupted: nothing was written to data"]);
            assert!(left.is_empty(), "{:?}", left.keys());
            true
        });
        assert!(interrupted, "{exit_code}: too late 50 times");
    }
}

#[test]
fn the_demo_goes_on_where_it_was_and_overwrites_no_other_run() {
    let temporary = fast_folder();
    let folder = temporary.path();
    let demo = ["--folder", "demo", "--threads", "2"];
    let mut running = Running::start(folder, &demo);
    running.wait_for("epoch   1/12");
    running.send(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
    let go_on = "flowers train --data demo/data-seed-1 --out demo/run-seed-1 --resume";
    holds(&ended.errors, &["interrupted: ", go_on]);
    let state = folder.join("demo/run-seed-1/training.safetensors");
    let epoch = load_training(&state).unwrap().progress.epoch;

    let mut running = Running::start(folder, &demo);
    running.wait_for(&format!("going on after {epoch} epoch"));
    running.send(Signal::KILL);
    running.end();
    let go_on = ["train", "--data", "demo/data-seed-1", "--out", "demo/run-seed-1", "--resume"];
    succeeds(folder, &[&go_on[..], &["--epochs", &(epoch + 1).to_string()]].concat());
    let before = fs::read(&state).unwrap();
    fails(folder, &demo, &["demo/run-seed-1 holds a run that is no longer the demo's", "--folder"]);
    assert!(fs::read(&state).unwrap() == before);
}

/// As a script's `flowers train ... &` is not ended by the Ctrl-C that ends the script's own work.
#[test]
fn an_ignored_signal_stays_ignored() {
    let temporary = fast_folder();
    let folder = temporary.path();
    data(folder);
    let train = [TRAIN, EPOCHS, &["--out", "run"]].concat();
    let mut running = Running::start_ignoring_interrupts(folder, &train);
    running.wait_for("epoch   1/12");
    running.send(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
}

/// The tests of signals hold wherever they are run.
#[test]
fn a_test_in_the_background_interrupts_what_it_starts() {
    let temporary = fast_folder();
    let folder = temporary.path();
    data(folder);
    let train = [TRAIN, EPOCHS, &["--out", "run"]].concat();
    let mut running = Running::start_from_background(folder, &train);
    running.wait_for("epoch   1/12");
    running.send(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.errors);
}

/// Two runs would write into one folder, if the path of a run that goes on led to another's.
#[test]
fn a_run_whose_folder_was_replaced_saves_nothing_there() {
    let temporary = fast_folder();
    let folder = temporary.path();
    data(folder);
    let wanted = undisturbed(folder);
    let mut running = Running::start(folder, &[TRAIN, EPOCHS, &["--out", "run"]].concat());
    running.wait_for("epoch   1/12");
    running.send(Signal::STOP);
    fs::rename(folder.join("run"), folder.join("away")).unwrap();
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--seed", "9", "--out", "run"]].concat());
    let other = files(&folder.join("run"));
    running.send(Signal::CONT);
    let ended = running.end();
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    holds(&ended.errors, &["WARNING: run is not the folder it was", "put the run's own folder back"]);
    assert!(files(&folder.join("run")) == other);
    succeeds(folder, &[TRAIN, EPOCHS, &["--out", "away", "--resume"]].concat());
    assert!(files(&folder.join("away")) == wanted);
}

#[test]
fn a_folder_takes_one_run_at_a_time() {
    let temporary = fast_folder();
    let folder = temporary.path();
    data(folder);
    let train = [TRAIN, EPOCHS, &["--out", "run"]].concat();
    let mut running = Running::start(folder, &train);
    running.wait_for("epoch   1/12");
    // It holds on for as long as the others take.
    running.send(Signal::STOP);
    let holder = format!("run is in use by process {}, begun ", running.id());
    fails(folder, &train, &[&holder, "another folder"]);
    fails(folder, &[&train[..], &["--resume"]].concat(), &[&holder]);
    running.send(Signal::KILL);
    running.end();
    HeldFolder::claim(folder.join("run")).unwrap();
}

#[test]
fn a_dozen_kills_of_training_cost_nothing() {
    kill_training(fast_folder(), 12, 1);
}

#[test]
fn two_dozen_kills_of_training_from_a_network_cost_nothing() {
    kill_training_from_a_network(fast_folder(), 24, 1);
}

#[test]
#[ignore = "takes minutes"]
fn hundreds_of_kills_of_training_from_a_network_cost_nothing() {
    let (kills, seed) = asked_for();
    kill_training_from_a_network(TempDir::new().unwrap(), kills, seed);
}

#[test]
fn a_dozen_kills_of_convert_cost_nothing() {
    kill_convert(fast_folder(), 12, 1);
}

#[test]
fn a_dozen_kills_of_overwriting_mix_nothing() {
    kill_overwriting(fast_folder(), 12, 1);
}

#[test]
#[ignore = "takes minutes"]
fn hundreds_of_kills_of_overwriting_mix_nothing() {
    let (kills, seed) = asked_for();
    kill_overwriting(TempDir::new().unwrap(), kills, seed);
}

#[test]
#[ignore = "takes minutes"]
fn hundreds_of_kills_of_training_cost_nothing() {
    let (kills, seed) = asked_for();
    kill_training(TempDir::new().unwrap(), kills, seed);
}

#[test]
#[ignore = "takes minutes"]
fn hundreds_of_kills_of_convert_cost_nothing() {
    let (kills, seed) = asked_for();
    kill_convert(TempDir::new().unwrap(), kills, seed);
}

/// How many kills, and the seed.
fn asked_for() -> (usize, u64) {
    let number = |name| std::env::var(name).ok().map(|value| value.parse().expect("a number"));
    (number("FLORET_KILLS").unwrap_or(300) as usize, number("FLORET_SEED").unwrap_or(1))
}

/// Starts the program again and again, and kills it at random moments until that was done `kills` times; each time `check` is
/// told whether the program came to its end before.
///
/// The moments lie between 0 and `longest`, which is moved so that about every third process comes to its end: the end has
/// its own files to write.
fn kill(
    folder: &Path,
    kills: usize,
    seed: u64,
    mut longest: Duration,
    arguments: impl Fn() -> Vec<&'static str>,
    mut check: impl FnMut(bool),
) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut killed, mut ended) = (0, 0);
    while killed < kills {
        let arguments = arguments();
        let running = Running::start(folder, &arguments);
        std::thread::sleep(longest.mul_f64(rng.random()));
        running.send(Signal::KILL);
        let process = running.end();
        match process.code {
            None => (killed, longest) = (killed + 1, longest.mul_f64(1.05)),
            Some(0) => (ended, longest) = (ended + 1, longest.mul_f64(0.9)),
            Some(code) => panic!("kill {killed}: {arguments:?} ended with {code}: {}", process.errors),
        }
        check(process.code == Some(0));
    }
    println!("seed {seed}: {killed} kills, {ended} processes came to their end before");
}

/// The same of runs that begin with a network of other classes: some kills come while its features are computed, some while the last
/// layer is fitted to them, and some while the network trains.
fn kill_training_from_a_network(temporary: TempDir, kills: usize, seed: u64) {
    let folder = temporary.path();
    photos(folder);
    // So many that not the last layer alone trains.
    for number in 0..500 {
        let class = folder.join("photos").join(["red", "blue"][number % 2]);
        fs::hard_link(
            class.join(format!("{}.jpg", number / 2 % 12)),
            class.join(format!("copy {number}.jpg")),
        )
        .unwrap();
    }
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let network = models::residual(32, 3, &[8, 16], 0.2).seed(seed).build().unwrap();
    let info =
        ModelInfo { classes: ["a", "b", "c"].map(String::from).to_vec(), preprocess: Preprocess::new(32) };
    save_model(folder.join("start.safetensors"), &network, &info).unwrap();
    let train = ["train", "--data", "data", "--start-from", "start.safetensors", "--threads", "1"];
    let mut in_stages = [0; 3];
    kill_runs(folder, &[&train[..], &["--epochs", "3", "--save-every", "1"]].concat(), kills, seed, |run| {
        let stage = match load_training(run.join("training.safetensors")) {
            Ok(saved) if saved.progress.epoch > 0 => 2,
            Ok(_) => 1,
            Err(_) => 0,
        };
        in_stages[stage] += 1;
    });
    println!(
        "killed before a state was saved, before the last layer was fitted, in the training after: {in_stages:?}"
    );
    assert!(in_stages[0] + in_stages[1] > 0 && in_stages[2] > 0, "not in every stage: {in_stages:?}");
}

/// Kills runs that save after every step, and goes on with them, until so many kills are done.
fn kill_training(temporary: TempDir, kills: usize, seed: u64) {
    let folder = temporary.path();
    data(folder);
    let train = [&TRAIN[..TRAIN.len() - 1], &["1", "--epochs", "4", "--save-every", "1"]].concat();
    kill_runs(folder, &train, kills, seed, |_| ());
}

/// After each kill what is on the disk must load; what comes to its end must be what it would have been. What was begun and did not end
/// is `seen`.
fn kill_runs(folder: &Path, train: &[&'static str], kills: usize, seed: u64, mut seen: impl FnMut(&Path)) {
    let begun = Instant::now();
    succeeds(folder, &[train, &["--out", "undisturbed"]].concat());
    let longest = begun.elapsed();
    let wanted = files(&folder.join("undisturbed"));

    let run = folder.join("run");
    let [model, state] = ["model.safetensors", "training.safetensors"].map(|name| run.join(name));
    let (mut loaded_models, mut loaded_states, mut runs) = (0, 0, 0);
    // With the settings saved.
    let resumed =
        ["train", "--data", "data", "--threads", "1", "--save-every", "1", "--out", "run", "--resume"];
    let arguments = || if state.exists() { resumed.to_vec() } else { [train, &["--out", "run"]].concat() };
    kill(folder, kills, seed, longest, arguments, |ended| {
        if !ended && run.exists() {
            seen(&run);
        }
        if state.exists() {
            let progress = load_training(&state).unwrap().progress;
            loaded_states += 1;
            assert!(progress.best.is_none() || model.exists(), "the best network is missing");
        }
        if model.exists() {
            assert!(state.exists(), "a run that began can't be resumed");
            load_model(&model).unwrap();
            loaded_models += 1;
        }
        if ended {
            assert!(files(&run) == wanted, "seed {seed}: another result after {runs} runs");
            fs::remove_dir_all(&run).unwrap();
            runs += 1;
        }
    });
    if state.exists() {
        succeeds(folder, &resumed);
        assert!(files(&run) == wanted, "seed {seed}: another result of the last run");
        runs += 1;
    }
    println!(
        "{loaded_states} states and {loaded_models} models loaded; {runs} runs ended with the same bits"
    );
}

/// Kills conversions and starts them again. No shard under its name may be other than the whole one.
fn kill_convert(temporary: TempDir, kills: usize, seed: u64) {
    let folder = temporary.path();
    photos(folder);
    let begun = Instant::now();
    succeeds(folder, &["convert", "photos", "whole", "--shards", "5", "--threads", "1"]);
    let longest = begun.elapsed();
    let whole = contents(&folder.join("whole"));
    assert_eq!(whole.len(), 11);

    let data = folder.join("data");
    let (mut conversions, mut in_between) = (0, 0);
    let arguments = || vec!["convert", "photos", "data", "--shards", "5", "--threads", "1"];
    kill(folder, kills, seed, longest, arguments, |_| {
        let found = contents(&data);
        let named: Vec<_> = found.iter().filter(|(name, _)| !name.starts_with('.')).collect();
        for (name, bytes) in &named {
            assert!(whole.get(*name) == Some(bytes), "seed {seed}: {name} is not whole");
        }
        in_between += usize::from(!named.is_empty() && named.len() < whole.len());
        if found.contains_key("labels.txt") {
            assert_eq!(named.len(), whole.len(), "seed {seed}: labels.txt came before its shards");
            fs::remove_dir_all(&data).unwrap();
            conversions += 1;
        }
    });
    if data.exists() {
        succeeds(folder, &arguments());
        assert!(contents(&data) == whole, "seed {seed}: another data set, or something left behind");
    }
    println!("{conversions} conversions ended whole; {in_between} kills came while shards took their names");
}

/// Kills conversions that replace another data set, which has shards of the same names and others besides. What is not
/// marked as unfinished must be one of the two, whole.
fn kill_overwriting(temporary: TempDir, kills: usize, seed: u64) {
    const SETS: [(&str, &str); 3] = [("5", "1"), ("5", "2"), ("3", "3")];
    let folder = temporary.path();
    photos(folder);
    let begun = Instant::now();
    let convert = |(shards, seed)| {
        vec!["convert", "photos", "data", "--overwrite", "--threads", "1", "--shards", shards, "--seed", seed]
    };
    let data = folder.join("data");
    let whole = SETS.map(|set| {
        succeeds(folder, &convert(set));
        contents(&data)
    });
    let longest = begun.elapsed() / 3;

    let turn = std::cell::Cell::new(0);
    let arguments = || {
        turn.set(turn.get() + 1);
        convert(SETS[turn.get() % SETS.len()])
    };
    let (mut whole_ones, mut in_between) = (0, 0);
    kill(folder, kills, seed, longest, arguments, |ended| {
        let mut found = contents(&data);
        if found.contains_key(".conversion-unfinished") {
            assert!(!ended);
            in_between += 1;
            return;
        }
        found.retain(|name, _| !name.starts_with('.'));
        let set = whole.iter().position(|whole| *whole == found);
        assert!(set.is_some(), "seed {seed}: a mixture: {:?}", found.keys());
        assert!(!ended || set == Some(turn.get() % SETS.len()), "seed {seed}: another set");
        whole_ones += 1;
    });
    println!("{whole_ones} times one set was whole; {in_between} kills came while files took their names");
}

/// The files of a folder by their names; none of a folder that is missing.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let file =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    entries.map(|entry| file(entry.unwrap())).collect()
}
