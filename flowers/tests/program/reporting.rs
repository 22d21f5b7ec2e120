//! What a run shows: its report, objects for scripts, silence, color.

use std::fs;
use std::path::Path;

use floret::checkpoint::load_training;
use serde_json::Value;
use tempfile::TempDir;

use crate::html::Page;
use crate::support::*;

/// The report at `path`, read strictly.
#[track_caller]
fn report(path: &Path) -> Page {
    let page = Page::read(&fs::read_to_string(path).unwrap());
    page.stands_alone();
    page
}

const SECTIONS: &[&str] = &[
    "curves",
    "confusion",
    "classes",
    "label-errors",
    "copies",
    "mistakes",
    "uncertain",
    "augmentation",
    "filters",
    "epochs",
    "data",
    "network",
    "settings",
    "machine",
];

#[track_caller]
fn has_sections(page: &Page, wanted: &[&str]) {
    let ids: Vec<_> = page.elements.iter().filter_map(|element| element.attribute("id")).collect();
    assert_eq!(ids, wanted);
}

#[test]
fn training_ends_with_a_report_that_can_be_made_anew() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let trained = succeeds(folder, &[TRAIN, &["--epochs", "3", "--out", "run"]].concat());
    holds(&trained, &["run/report.html"]);
    let page = report(&folder.join("run/report.html"));
    has_sections(&page, SECTIONS);
    assert_eq!(page.count("svg"), 3);
    holds(
        &page.text,
        &["to train on", "blue", "red", "best: epoch", "conv1/kernel", ".jpg", "momentum", "multiply-adds"],
    );
    // Of the uncertain ones, the versions of three photos, and the first layer's 32 filters.
    assert!(page.count("img") >= 4 + 3 * 8 + 32, "{}", page.count("img"));

    // Another process goes on, and the report tells of both.
    succeeds(folder, &[TRAIN, &["--epochs", "5", "--out", "run", "--resume", "--no-report"]].concat());
    let before = fs::read(folder.join("run/report.html")).unwrap();
    let told = succeeds(folder, &["report", "--run", "run", "--out", "elsewhere.html"]);
    holds(&told, &["wrote elsewhere.html"]);
    assert!(fs::read(folder.join("run/report.html")).unwrap() == before, "--no-report wrote one");
    let page = report(&folder.join("elsewhere.html"));
    holds(&page.text, &["5 epochs trained", "Machines"]);
    assert!(!page.text.contains("not noted"), "{}", page.text);
    let times: Value = serde_json::from_slice(&fs::read(folder.join("run/run.json")).unwrap()).unwrap();
    let epochs: Vec<_> = times["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| session["epochs"].as_array().unwrap().len())
        .collect();
    assert_eq!(epochs, [3, 2]);
}

#[test]
fn what_is_missing_is_said() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let make = ["report", "--run", "run"];
    fails(folder, &["report", "--run", "nowhere"], &["nowhere/training.safetensors is missing", "--run"]);

    fs::rename(folder.join("data"), folder.join("moved")).unwrap();
    let (_, notes) = prints(folder, &make);
    holds(&notes, &["there is no such data folder", "--data"]);
    let page = report(&folder.join("run/report.html"));
    has_sections(&page, &["no-data", "curves", "filters", "epochs", "network", "settings", "machine"]);
    holds(&page.text, &["The data are no longer as they were", "--data"]);
    succeeds(folder, &[&make[..], &["--data", "moved"]].concat());
    has_sections(&report(&folder.join("run/report.html")), SECTIONS);

    succeeds(folder, &["convert", "photos", "data", "--shards", "1", "--seed", "9"]);
    fails(folder, &[&make[..], &["--data", "data"]].concat(), &["not those that training began with"]);

    fs::write(folder.join("run/run.json"), "{").unwrap();
    let (_, notes) = prints(folder, &make);
    holds(&notes, &["WARNING: run/run.json is damaged", "note: Where the data lie was not noted"]);
    fs::remove_file(folder.join("run/run.json")).unwrap();
    succeeds(folder, &[&make[..], &["--data", "moved"]].concat());
    let page = report(&folder.join("run/report.html"));
    holds(
        &page.text,
        &["How long some epochs took was not noted", "On which machine the run was trained was not noted"],
    );
}

#[test]
fn a_run_without_an_epoch_has_a_report() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let diverges = [TRAIN, &["--learning-rate", "1e30", "--epochs", "2", "--out", "run"]].concat();
    fails(folder, &diverges, &["--learning-rate"]);
    assert!(!folder.join("run/report.html").exists());
    succeeds(folder, &["report", "--run", "run"]);
    let page = report(&folder.join("run/report.html"));
    has_sections(&page, &["no-data", "curves", "filters", "network", "settings", "machine"]);
    holds(&page.text, &["0 epochs of 2 trained", "There is no best network", "instruction set"]);
}

#[test]
fn a_report_that_cannot_be_written_costs_a_warning() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    fs::create_dir_all(folder.join("run/report.html")).unwrap();
    let train = [TRAIN, &["--epochs", "1", "--out", "run", "--json"]].concat();
    let (lines, notes) = prints(folder, &train);
    holds(&notes, &["WARNING: no report was written", "run/report.html"]);
    let events = events(&lines);
    assert_eq!(of_kind(&events, "warning").len(), 1);
    assert!(of_kind(&events, "end")[0]["report"].is_null());
}

#[test]
fn without_evaluation_photos_there_are_no_mistakes() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--eval-fraction", "0"]);
    let train = [TRAIN, &["--network", "reference", "--augment", "light", "--epochs", "4", "--out", "run"]];
    succeeds(folder, &train.concat());
    let page = report(&folder.join("run/report.html"));
    has_sections(&page, SECTIONS);
    holds(&page.text, &["24 training photos, since none are kept for evaluation", "--eval-fraction"]);
    assert!(!page.text.contains("taken for blue") && !page.text.contains("taken for red"), "{}", page.text);
    fs::remove_file(folder.join("run/report.html")).unwrap();
    succeeds(folder, &["report", "--run", "run"]);
    holds(&report(&folder.join("run/report.html")).text, &["24 training photos"]);
}

/// Records whose text would be elements and scripts, if it were taken as it is.
#[test]
fn names_are_text_and_nothing_else() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let filename = "\"></p><script>alert('f')</script>&lt;\u{202e}gpj.\u{1b}[2J";
    records(folder, |_, example| example.filename = Some(filename.into()));
    let classes = ["<img src=x onerror=alert('c')>", "</style></bdi>&amp;\"'"];
    fs::write(folder.join("data/labels.txt"), classes.join("\n")).unwrap();
    let [train, eval] =
        ["train", "eval"].map(|split| folder.join(format!("data/{split}-00000-of-00001.tfrecord")));
    fs::copy(train, eval).unwrap();
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "<b>run"]].concat());
    let page = report(&folder.join("<b>run/report.html"));
    holds(&page.text, &classes);
    holds(&page.text, &["<b>run"]);
    holds(&page.text, &["\"></p><script>alert('f')</script>&lt;\\u{202e}gpj.\\u{1b}[2J"]);
    assert!(!page.text.contains(['\u{202e}', '\u{1b}']));
}

#[test]
fn many_classes_are_listed_and_missing_ones_have_no_numbers() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let names: Vec<String> = (0..300).map(|class| format!("class number {class}")).collect();
    let shard = |split: &str| folder.join(format!("data/{split}-00000-of-00001.tfrecord"));
    // Of the classes of the training photos, the evaluation photos lack those from 20 on.
    records(folder, |number, example| example.label = (number as i64 % 20) * 14 + 1);
    fs::rename(shard("train"), shard("eval")).unwrap();
    records(folder, |number, example| example.label = number as i64 * 13 + 1);
    fs::write(folder.join("data/labels.txt"), names.join("\n")).unwrap();
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"]].concat());
    let path = folder.join("run/report.html");
    let page = report(&path);
    has_sections(&page, SECTIONS);
    holds(&page.text, &["class number 0", "class number 299", "taken for"]);
    // A matrix would have 90,000 cells.
    let (cells, bytes) = (page.count("td"), fs::metadata(&path).unwrap().len());
    assert!((300 * 4..300 * 12).contains(&cells) && bytes < 1 << 20, "{cells} cells, {bytes} bytes");

    // Two classes, of which the evaluation photos show one.
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let shard = |split: &str| folder.join(format!("data/{split}-00000-of-00001.tfrecord"));
    records(folder, |_, example| example.label = 1);
    fs::rename(shard("train"), shard("eval")).unwrap();
    records(folder, |_, _| ());
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--out", "run"]].concat());
    let page = report(&folder.join("run/report.html"));
    assert!(!page.text.contains("NaN"), "{}", page.text);
    holds(&page.text, &["24 photos kept for evaluation"]);
}

/// Standard output as objects.
#[track_caller]
fn events(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["kind"] == kind).collect()
}

#[test]
fn objects_for_scripts_agree_with_the_history() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let train = [TRAIN, &["--epochs", "3", "--out", "run", "--json"]].concat();
    let trained = events(&succeeds(folder, &train));
    let kinds: Vec<_> = trained.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    // There are few photos, which is said first.
    let begin = kinds.iter().position(|kind| *kind != "note").unwrap();
    assert_eq!(kinds[begin..begin + 2], ["start", "step"]);
    assert_eq!(kinds[kinds.len() - 2..], ["evaluation", "end"]);

    let start = &trained[begin];
    assert_eq!(
        (&start["classes"][1], &start["train_photos"], &start["epochs"]),
        (&"red".into(), &20.into(), &3.into())
    );
    let history = load_training(folder.join("run/training.safetensors")).unwrap().progress.history;
    let epochs = of_kind(&trained, "epoch");
    assert_eq!((epochs.len(), history.len()), (3, 3));
    for (event, record) in epochs.iter().zip(&history) {
        let eval = record.eval.unwrap();
        assert_eq!(event["epoch"], record.epoch + 1);
        assert_eq!(event["step"], record.step);
        assert_eq!(event["train_loss"], record.train_loss);
        assert_eq!(event["train_accuracy"], record.train_accuracy);
        assert_eq!(
            (&event["eval_loss"], &event["eval_accuracy"]),
            (&eval.loss.into(), &eval.accuracy.into())
        );
        assert_eq!(event["best"], record.best);
        assert!(event["images_per_second"].as_f64().unwrap() > 0.0);
    }
    let (evaluation, end) = (&trained[trained.len() - 2], &trained[trained.len() - 1]);
    let best = history.iter().rfind(|record| record.best).unwrap();
    assert_eq!(end["best_epoch"], best.epoch + 1);
    assert_eq!((&end["reason"], &end["report"]), (&"finished".into(), &"run/report.html".into()));
    assert_eq!(evaluation["accuracy"], best.eval.unwrap().accuracy);
    let counted: u64 =
        evaluation["confusion"].as_array().unwrap().iter().map(|pair| pair["count"].as_u64().unwrap()).sum();
    assert_eq!((counted, &evaluation["examples"]), (4, &4.into()));

    let eval = [&["eval", "--data", "data", "--json"], &MODEL[..]].concat();
    assert_eq!(events(&succeeds(folder, &eval)), std::slice::from_ref(evaluation));
    let output = run(folder, &["eval", "--data", "nowhere", "--model", "run/model.safetensors", "--json"]);
    let failed = events(&text(&output.stdout));
    assert_eq!((failed.len(), &failed[0]["kind"]), (1, &"error".into()));
    holds(&text(&output.stderr), &["error: nowhere", failed[0]["message"].as_str().unwrap()]);
    assert_eq!(
        run(folder, &["eval", "--data", "x", "--model", "x", "--json", "--quiet"]).status.code(),
        Some(2)
    );
}

#[test]
fn quiet_prints_nothing_but_what_is_wrong() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let nothing = (String::new(), String::new());
    assert_eq!(prints(folder, &[TRAIN, &["--epochs", "2", "--out", "run", "--quiet"]].concat()), nothing);
    let more = ["--epochs", "3", "--out", "run", "--resume", "-q"];
    assert_eq!(prints(folder, &[TRAIN, &more].concat()), nothing);
    assert_eq!(prints(folder, &[&["eval", "--data", "data", "--quiet"], &MODEL[..]].concat()), nothing);
    assert!(folder.join("run/report.html").exists());
    fails(folder, &[&["eval", "--data", "nowhere", "--quiet"], &MODEL[..]].concat(), &["nowhere"]);
    fs::remove_file(folder.join("run/model.safetensors")).unwrap();
    let more = ["--epochs", "4", "--out", "run", "--resume", "--quiet"];
    let (lines, notes) = prints(folder, &[TRAIN, &more].concat());
    assert_eq!(lines, "");
    assert!(
        notes.starts_with("WARNING: run/model.safetensors is missing") && notes.lines().count() == 1,
        "{notes}"
    );
}

#[test]
fn color_is_there_where_it_is_wanted() {
    let folder = TempDir::new().unwrap();
    let colored = |set: &[(&str, &str)], flags: &[&str]| {
        let mut command = flowers();
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").envs(set.iter().copied());
        let arguments = [&["eval", "--data", "nowhere", "--model", "none"], flags].concat();
        let output = command.current_dir(folder.path()).args(arguments).output().unwrap();
        let errors = text(&output.stderr);
        assert!(errors.contains("error: ") && errors.contains("none"), "{errors}");
        errors.contains('\u{1b}')
    };
    assert!(!colored(&[], &[]), "standard error is no terminal");
    assert!(colored(&[], &["--color", "always"]));
    assert!(colored(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!colored(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]));
    assert!(!colored(&[("CLICOLOR_FORCE", "1")], &["--color", "never"]));
    assert!(colored(&[("NO_COLOR", "1")], &["--color", "always"]));
}
