//! What training does with its data, its flags and its folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use floret::checkpoint::load_training;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::support::*;

#[test]
fn a_data_set_without_evaluation_photos_trains_by_its_training_loss() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let converted = succeeds(folder, &["convert", "photos", "data", "--eval-fraction", "0"]);
    holds(&converted, &["no photo is kept for evaluation", "--eval-fraction"]);
    let (trained, notes) = prints(folder, &[TRAIN, &["--epochs", "2", "--out", "run"]].concat());
    holds(&trained, &["24 photos to train on, 0 to evaluate on", "was the best by its training loss"]);
    holds(&notes, &["no eval shards", "lowest training loss"]);
    assert!(!trained.contains("flowers eval"), "{trained}");
    assert!(folder.join("run/model.safetensors").exists());
    fails(
        folder,
        &[&["eval", "--data", "data"], &MODEL[..]].concat(),
        &["nothing to evaluate on", "eval-*", "--eval-fraction", "--split"],
    );
    let evaluated = succeeds(folder, &[&["eval", "--data", "data", "--split", "train"], &MODEL[..]].concat());
    holds(&evaluated, &["24 examples"]);
}

#[test]
fn training_replaces_no_model() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    fs::create_dir(folder.join("run")).unwrap();
    fs::write(folder.join("run/model.safetensors"), "of weeks").unwrap();
    fails(folder, &[TRAIN, &["--out", "run"]].concat(), &["run/model.safetensors exists already", "--out"]);
    assert_eq!(fs::read(folder.join("run/model.safetensors")).unwrap(), b"of weeks");
}

#[test]
fn more_epochs_change_the_curve_and_the_run_says_so() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let (_, notes) = prints(folder, &[TRAIN, &["--out", "run", "--resume", "--epochs", "2"]].concat());
    holds(&notes, &["2 epochs instead of 1", "not that of a run of 2 epochs"]);
    let (_, notes) = prints(folder, &[TRAIN, &["--out", "run", "--resume", "--epochs", "2"]].concat());
    assert!(!notes.contains("instead of"), "{notes}");
    let help = succeeds(folder, &["train", "--help"]);
    holds(&help, &["With the same number of epochs (--epochs)"]);
}

#[test]
fn recipes_and_batches_are_put_in_relation() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let script = [TRAIN, &["--recipe", "script", "--epochs", "1"]].concat();
    // The mean loss's 0.02 over the 8 photos of a batch, whose losses are added up.
    let momentum = [&script[..], &["--optimizer", "momentum", "--out", "momentum", "--augment"]].concat();
    holds(&succeeds(folder, &momentum), &["learning rate 0.0025", "1 epoch of 3 steps of 8 photos"]);
    holds(&succeeds(folder, &[&script[..], &["--out", "sgd"]].concat()), &["learning rate 0.0005"]);
    let help = succeeds(folder, &["train", "--help"]);
    holds(
        &help,
        &["default: strong", "sgd 0.0005 and momentum 0.02 / batch size", "--label-offset", "--skip-bad"],
    );

    let train = ["train", "--data", "data", "--image-size", "32", "--epochs", "3", "--out", "run"];
    holds(&succeeds(folder, &train), &["3 epochs of 3 steps of 8 photos", "learning rate 0.00625"]);
    let all = [&train[..7], &["--batch-size", "64", "--out", "all"]].concat();
    let (trained, notes) = prints(folder, &all);
    holds(&trained, &["3 epochs of 1 step of 20 photos"]);
    holds(&notes, &["20 photos do not fill a batch of 64", "--batch-size 8 would make it 3"]);
}

/// What the state tells of and what lies in the folder must belong together.
#[test]
fn the_best_network_is_looked_for_before_a_run_goes_on() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let resume = [TRAIN, &["--epochs", "2", "--out", "run", "--resume"]].concat();
    let model = folder.join("run/model.safetensors");
    succeeds(folder, &[TRAIN, &["--epochs", "1", "--seed", "9", "--out", "other"]].concat());
    fs::rename(&model, folder.join("away")).unwrap();
    fs::copy(folder.join("other/model.safetensors"), &model).unwrap();
    fails(folder, &resume, &["run/model.safetensors is not the best network of this run, that of epoch 1"]);
    fs::remove_file(&model).unwrap();
    let over = [TRAIN, &["--epochs", "1", "--out", "run", "--resume"]].concat();
    fails(folder, &over, &["WARNING: run/model.safetensors is missing, the network of epoch 1", "--epochs"]);
    succeeds(folder, &resume);
    succeeds(folder, &[&["eval", "--data", "data"], &MODEL[..]].concat());
}

#[test]
fn a_run_without_any_good_epoch_is_an_error() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    // One step, after which nothing is a number.
    let train = ["train", "--data", "data", "--image-size", "32", "--batch-size", "64", "--epochs", "1"];
    fails(
        folder,
        &[&train[..], &["--learning-rate", "1e30"]].concat(),
        &["no epoch ended with a loss that is a number", "--learning-rate"],
    );
}

#[test]
fn evaluation_photos_must_not_go_away() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    for entry in fs::read_dir(folder.join("data")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("eval-") {
            fs::remove_file(path).unwrap();
        }
    }
    let resume = [TRAIN, &["--epochs", "2", "--out", "run", "--resume"]].concat();
    fails(folder, &resume, &["the evaluation data are not those that training began with: there are none"]);
}

#[test]
fn the_steps_before_an_error_of_the_data_are_saved() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    // The label of an eval record, which nobody reads before the first epoch has ended.
    records(folder, |_, _| ());
    let train = folder.join("data/train-00000-of-00001.tfrecord");
    let eval = folder.join("data/eval-00000-of-00001.tfrecord");
    let good = fs::read(&train).unwrap();
    records(folder, |number, example| {
        if number == 5 {
            example.label = 7;
        }
    });
    fs::rename(&train, &eval).unwrap();
    fs::write(&train, &good).unwrap();
    let run = [TRAIN, &["--epochs", "1", "--out", "run"]].concat();
    fails(
        folder,
        &run,
        &["label 7 is out of range", "0 epochs and 3 steps of the next are saved", "--resume"],
    );
    fs::write(&eval, &good).unwrap();
    let resumed = succeeds(folder, &[&run[..], &["--resume"]].concat());
    holds(&resumed, &["going on after 0 epochs and 3 batches", "epoch   1/1"]);
}

#[test]
fn a_budget_of_time_is_kept_and_said() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let train = ["train", "--data", "data", "--minutes", "0.05", "--threads", "2"];
    let trained = succeeds(folder, &[&train[..], &["--out", "run"]].concat());
    holds(&trained, &[" s on this machine: about ", " on images of ", ", evaluated at ", "epoch   1/~"]);
    let saved = load_training(folder.join("run/training.safetensors")).unwrap();
    let last = saved.progress.history.last().unwrap();
    assert_eq!(saved.progress.expected_epochs(), Some(last.epoch + 1), "it came to its end");
    assert!(last.eval.is_some(), "{last:?}");
    let sizes = saved.settings["train_sizes"].as_array().unwrap();
    let evaluated = saved.settings["image_size"].as_u64();
    assert!(!sizes.is_empty() && sizes.iter().all(|size| size.as_u64() <= evaluated), "{sizes:?}");
    // What is done is done; another measure of training is another run.
    let resume = [&train[..], &["--out", "run", "--resume"]].concat();
    holds(&succeeds(folder, &resume), &["were done already"]);
    let longer = ["train", "--data", "data", "--minutes", "1", "--out", "run", "--resume"];
    let (resumed, notes) = prints(folder, &longer);
    holds(&(resumed + &notes), &["were done already", "the run is complete", "begin anew in another folder"]);
    let train = ["train", "--data", "data", "--out", "run", "--resume", "--epochs", "3"];
    fails(folder, &train, &["--epochs (it trains for --minutes 0.05)"]);
    let given = ["train", "--data", "data", "--out", "x", "--minutes", "1", "--epochs", "3"];
    holds(&text(&run(folder, &given).stderr), &["--minutes", "cannot be used with", "--epochs"]);
    for wrong in ["0", "-1", "nan", "100000", "soon"] {
        let wrong = ["train", "--data", "data", "--out", "x", &format!("--minutes={wrong}")];
        holds(&text(&run(folder, &wrong).stderr), &["a number of minutes from 0.02 to 10080 is wanted"]);
    }
}

#[test]
fn few_photos_and_unbalanced_classes_are_told_of() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    for number in 4..12 {
        fs::remove_file(photos.join(format!("blue/{number}.jpg"))).unwrap();
    }
    succeeds(folder, &["convert", "photos", "data", "--eval-fraction", "0.25"]);
    let train = |more: &[&str]| prints(folder, &[TRAIN, &["--epochs", "1"], more].concat());
    let (_, notes) = train(&["--out", "run"]);
    holds(
        &notes,
        &["few photos to train on, 12 in all and 3 of the smallest class", "stronger regularization"],
    );
    holds(&notes, &["an accuracy on 4 photos is right to about 50 percentage points only"]);
    holds(&notes, &["the classes are unbalanced, 3 photos of blue and 9 of red", "0.67 to 2.00"]);
    let weights = |run: &str| {
        let saved = load_training(folder.join(run).join("training.safetensors")).unwrap();
        saved.settings["class_weights"].clone()
    };
    assert_eq!(weights("run").to_string(), "[2.0,0.6666666865348816]");
    let (_, notes) = train(&["--out", "even", "--class-weights", "none"]);
    assert!(!notes.contains("unbalanced") && weights("even").is_null(), "{notes}");
    let (_, notes) = train(&["--out", "script", "--recipe", "script"]);
    assert!(notes.is_empty() && weights("script").is_null(), "{notes}");
}

#[test]
fn each_piece_of_the_recipe_can_be_chosen() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let settings = |run: &str| load_training(folder.join(run).join("training.safetensors")).unwrap();
    let train = |more: &[&'static str]| [TRAIN, &["--epochs", "1"], more].concat();
    succeeds(folder, &train(&["--out", "run"]));
    let usual = settings("run");
    assert!(usual.average.is_some() && usual.network.spec().test_time_flip);
    assert!(usual.settings["mix"]["cutmix"].as_f64() > Some(0.0), "{}", usual.settings);

    let plain =
        ["--cutmix", "0", "--average", "0", "--test-time-flip", "false", "--dropout", "0", "--out", "plain"];
    succeeds(folder, &train(&plain));
    let plain = settings("plain");
    assert!(plain.average.is_none() && !plain.network.spec().test_time_flip);
    assert!(plain.settings["mix"].is_null() && !plain.network.summary().contains("dropout"));

    let other = train(&["--out", "run", "--resume", "--cutmix", "0.1", "--class-weights", "none"]);
    fails(folder, &other, &["--cutmix 0.1 (it was 0.8)", "--class-weights (they are as they were)"]);
    fails(folder, &train(&["--out", "x", "--mixup", "0.6", "--cutmix", "0.6"]), &["over 1 together"]);
    succeeds(folder, &train(&["--out", "mixed", "--mixup", "0.9"]));
    let mix = settings("mixed").settings["mix"].clone();
    let share = |kind: &str| mix[kind].as_f64().unwrap();
    assert!((share("mixup") - 0.9).abs() < 1e-6 && (share("cutmix") - 0.1).abs() < 1e-6, "{mix}");
    let idle = ["--out", "x", "--weight-decay", "0.1", "--optimizer", "adam"];
    fails(folder, &train(&idle), &["weight decay does nothing to this optimizer"]);
    let refused = run(folder, &train(&["--out", "x", "--dropout", "1"]));
    holds(&text(&refused.stderr), &["--dropout", "a number from 0 to under 1 is wanted"]);
}

/// Flags of the records are saved: a run goes on without them, also one that has a budget and looks at the photos first.
#[test]
fn a_run_under_a_budget_goes_on_without_the_flags_of_its_records() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--shards", "1"]);
    let shard = folder.join("data/train-00000-of-00001.tfrecord");
    let mut bytes = fs::read(&shard).unwrap();
    // The length of the first record.
    bytes[2] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let begin = ["train", "--data", "data", "--minutes", "0.05", "--skip-bad", "--out", "run"];
    succeeds(folder, &begin);
    let resume = ["train", "--data", "data", "--resume", "--out", "run"];
    holds(&succeeds(folder, &resume), &["were done already"]);
}

#[test]
fn a_run_under_a_budget_is_resumed_with_its_own_classes_and_in_time() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    // Slow enough for two seconds to be far from its end on any machine.
    let train = ["train", "--data", "data", "--threads", "2", "--out", "run", "--image-size", "192"];
    let labels = fs::read(folder.join("data/labels.txt")).unwrap();
    let mut child = flowers();
    child.current_dir(folder).args(train).args(["--minutes", "10", "--json"]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    // Until it has taken more than two seconds.
    let mut seconds = 0.0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        seconds += line["train_seconds"].as_f64().unwrap_or(0.0);
        if seconds > 2.0 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let resume = |more: &[&'static str]| [&train[..], &["--resume"], more].concat();
    fails(
        folder,
        &resume(&["--minutes", "0.02"]),
        &["0.02 minutes are over: the run has taken ", "give it more --minutes"],
    );
    fs::write(folder.join("data/labels.txt"), [&labels[..], b"green\n"].concat()).unwrap();
    fails(folder, &resume(&[]), &["the run knows the classes blue, red", "--out"]);
    fs::write(folder.join("data/labels.txt"), labels).unwrap();
}

/// The script's recipe is its own network, whatever time it has.
#[test]
fn the_script_keeps_its_network_under_a_budget() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let train = ["train", "--data", "data", "--recipe", "script", "--minutes", "0.02", "--out", "run"];
    succeeds(folder, &train);
    let settings = load_training(folder.join("run/training.safetensors")).unwrap().settings;
    assert_eq!((&settings["network"], &settings["image_size"]), (&"reference".into(), &64.into()));
}

/// Its architecture is known by its weights, and decides how it is trained.
#[test]
fn a_model_is_trained_on_as_its_architecture_is() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained_with(folder, &["--network", "reference"]);
    let on = ["train", "--data", "data", "--batch-size", "8", "--epochs", "1"];
    let from = ["--start-from", "run/model.safetensors", "--out", "on"];
    holds(&succeeds(folder, &[&on[..], &from[..]].concat()), &["learning rate 0.02,"]);
    let settings = load_training(folder.join("on/training.safetensors")).unwrap().settings;
    assert_eq!((&settings["network"], &settings["image_size"]), (&"reference".into(), &32.into()));
    for flags in [["--network", "large"], ["--dropout", "0.3"]] {
        let refused = run(folder, &[&on[..], &from[..], &flags[..]].concat());
        holds(&text(&refused.stderr), &["cannot be used with", "--start-from"]);
    }
}

/// Each flag stands under the heading where it is looked for.
#[test]
fn the_help_of_training_has_headings() {
    let temporary = TempDir::new().unwrap();
    let help = succeeds(temporary.path(), &["train", "--help"]);
    let mut heading = "";
    let mut found = Vec::new();
    for line in help.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.contains(' ')) {
            heading = name;
        }
        if let Some(flag) = line.trim_start().strip_prefix("--") {
            found.push((heading, flag.split([' ', '[']).next().unwrap()));
        }
    }
    for wanted in [
        ("Data", "data"),
        ("Data", "skip-bad"),
        ("Time", "minutes"),
        ("Time", "epochs"),
        ("Network", "image-size"),
        ("Network", "start-from"),
        ("Optimization", "learning-rate"),
        ("Augmentation", "augment"),
        ("Regularization", "dropout"),
        ("Output", "out"),
        ("Output", "resume"),
        ("Output", "save-every"),
        ("Output", "log-dir"),
        ("Output", "json"),
        ("Options", "threads"),
    ] {
        assert!(found.contains(&wanted), "{wanted:?}: {found:?}");
    }
    let mut headings: Vec<_> = found.iter().map(|(heading, _)| *heading).collect();
    headings.dedup();
    let count = headings.len();
    headings.sort_unstable();
    headings.dedup();
    assert_eq!(count, headings.len(), "each heading once: {found:?}");
}

/// Photos with a dark left or right half, or a dark upper or lower one, with noise.
fn halves(folder: &Path, classes: [(&str, fn(usize, usize) -> bool); 2]) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (class, is_dark) in classes {
        let target = folder.join("photos").join(class);
        fs::create_dir_all(&target).unwrap();
        for number in 0..12 {
            let mut pixels = Vec::new();
            for (y, x) in (0..40).flat_map(|y| (0..40).map(move |x| (y, x))) {
                let level: u8 = if is_dark(y, x) { 50 } else { 180 };
                pixels.extend([level; 3].map(|level| level.saturating_add_signed(rng.random_range(-40..40))));
            }
            let encoder = jpeg_encoder::Encoder::new_file(target.join(format!("{number}.jpg")), 90).unwrap();
            encoder.encode(&pixels, 40, 40, jpeg_encoder::ColorType::Rgb).unwrap();
        }
    }
}

#[test]
fn classes_that_are_mirror_images_turn_mirroring_off() {
    let epoch = [TRAIN, &["--epochs", "1", "--out", "run"]].concat();
    let said = "the photos of `left` and `right` are each other's mirror images";
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    halves(folder, [("left", |_, x| x < 20), ("right", |_, x| x >= 20)]);
    succeeds(folder, &["convert", "photos", "data"]);
    let (_, notes) = prints(folder, &epoch);
    holds(&notes, &[said, "--mirror true"]);
    let state = load_training(folder.join("run/training.safetensors")).unwrap();
    assert_eq!(state.settings["mirror"], false);
    assert_eq!(state.settings["test_time_flip"], false);
    let (_, notes) =
        prints(folder, &[TRAIN, &["--epochs", "1", "--mirror", "true", "--out", "other"]].concat());
    assert!(!notes.contains(said), "{notes}");

    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    halves(folder, [("left", |y, _| y < 20), ("right", |y, _| y >= 20)]);
    succeeds(folder, &["convert", "photos", "data"]);
    let (_, notes) = prints(folder, &epoch);
    assert!(!notes.contains(said), "{notes}");
}

#[test]
fn classes_that_differ_in_brightness_keep_it() {
    let said = "photos of `left` and `right` differ in brightness or contrast";
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    halves(folder, [("left", |_, _| true), ("right", |_, _| false)]);
    succeeds(folder, &["convert", "photos", "data"]);
    let (_, notes) = prints(folder, &[TRAIN, &["--epochs", "12", "--out", "run"]].concat());
    holds(&notes, &[said, "--normalize photo"]);
    let state = load_training(folder.join("run/training.safetensors")).unwrap();
    assert!(
        state.settings["normalize"]["fixed"]["mean"][0]
            .as_f64()
            .is_some_and(|mean| (100.0..130.0).contains(&mean))
    );
    // The same photo darker gets another answer.
    let lines = succeeds(
        folder,
        &["predict", "--json", "--model", "run/model.safetensors", "photos/left/1.jpg", "photos/right/1.jpg"],
    );
    let left: Vec<f64> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["probabilities"]["left"]
                .as_f64()
                .unwrap()
        })
        .collect();
    assert!(left[0] > left[1] + 0.1, "{left:?}");
    let (_, notes) =
        prints(folder, &[TRAIN, &["--epochs", "1", "--normalize", "photo", "--out", "other"]].concat());
    assert!(!notes.contains(said), "{notes}");
    let (_, notes) =
        prints(folder, &[TRAIN, &["--epochs", "1", "--normalize", "data", "--out", "third"]].concat());
    assert!(!notes.contains(said), "{notes}");
    let third = load_training(folder.join("third/training.safetensors")).unwrap();
    assert_eq!(third.settings["normalize"], state.settings["normalize"]);
}

#[test]
fn photos_are_trained_on_where_they_are() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    fs::write(folder.join("photos/red/notes.txt"), "no photo").unwrap();
    let train = ["train", "photos", "--image-size", "32", "--batch-size", "4", "--threads", "2"];
    let (told, _) = prints(folder, &[&train[..], &["--epochs", "1"]].concat());
    holds(&told, &["classes, the folders in photos", "notes.txt: not a photo", "Use it:"]);
    assert!(folder.join("run/report.html").exists());
    let (told, _) = prints(folder, &[&train[..2], &["--epochs", "2", "--resume"]].concat());
    holds(&told, &["epoch   2/2"]);
    succeeds(folder, &["report", "--run", "run"]);
    let evaluated = succeeds(folder, &["eval", "--data", "photos", "--model", "run/model.safetensors"]);
    holds(&evaluated, &["accuracy"]);
    // A run goes on with the photos it had.
    fs::remove_file(folder.join("photos/red/1.jpg")).unwrap();
    fails(folder, &[&train[..2], &["--epochs", "3", "--resume"]].concat(), &["examples"]);
    fails(folder, &["train", "none", "--out", "none"], &["none: there is no such data folder"]);
}

#[test]
fn photos_of_a_list_are_trained_on_where_they_are() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let rows = fs::read_dir(folder.join("photos")).unwrap().flat_map(|class| {
        let class = class.unwrap();
        let name = class.file_name().into_string().unwrap();
        let files = fs::read_dir(class.path()).unwrap();
        files.map(move |file| {
            format!("photos/{name}/{},{name}\n", file.unwrap().file_name().to_str().unwrap())
        })
    });
    fs::write(folder.join("list.csv"), format!("path,label\n{}", rows.collect::<String>())).unwrap();
    let (told, _) =
        prints(folder, &["train", "list.csv", "--image-size", "32", "--batch-size", "4", "--epochs", "1"]);
    holds(&told, &["list.csv", "Use it:"]);
}

#[test]
fn photos_of_a_test_are_evaluated_once_at_the_end() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let photos = photos(folder);
    for part in ["train", "val", "test"] {
        for class in ["red", "blue"] {
            let to = folder.join("parts").join(part).join(class);
            fs::create_dir_all(&to).unwrap();
            let mut files: Vec<_> =
                fs::read_dir(photos.join(class)).unwrap().map(|file| file.unwrap().path()).collect();
            files.sort();
            let range = match part {
                "train" => 0..6,
                "val" => 6..8,
                _ => 8..10,
            };
            for file in &files[range] {
                fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    let train = ["--image-size", "32", "--batch-size", "4", "--epochs", "2", "--no-report"];
    let said = "on the 4 photos of the test part, which chose nothing: accuracy ";
    let (told, _) = prints(folder, &[&["train", "parts"], &train[..]].concat());
    holds(&told, &[said, "12 photos to train on, 4 to evaluate on"]);
    succeeds(folder, &["convert", "parts", "data"]);
    let (told, _) = prints(folder, &[&["train", "--data", "data", "--out", "other"], &train[..]].concat());
    holds(&told, &[said, "12 photos to train on, 4 to evaluate on"]);
    // A run that is done stays so, whatever is wrong with them.
    let shard = folder.join("data/test-00000-of-00002.tfrecord");
    let whole = fs::read(&shard).unwrap();
    fs::write(&shard, &whole[..whole.len() - 1]).unwrap();
    let (told, errors) =
        prints(folder, &[&["train", "--data", "data", "--out", "fourth"], &train[..]].concat());
    assert!(!told.contains(said) && told.contains("flowers predict"), "{told}");
    holds(&errors, &["WARNING: the test part was not evaluated: ", "test-00000-of-00002.tfrecord"]);
    fs::write(&shard, whole).unwrap();
    // Where there are no others, they are those that choose.
    fs::read_dir(folder.join("data")).unwrap().map(|file| file.unwrap().path()).for_each(|file| {
        if file.file_name().unwrap().to_str().unwrap().starts_with("eval-") {
            fs::remove_file(file).unwrap();
        }
    });
    let (told, _) = prints(folder, &[&["train", "--data", "data", "--out", "third"], &train[..]].concat());
    assert!(told.contains("4 to evaluate on") && !told.contains("chose nothing"), "{told}");
}

#[test]
fn photos_of_shards_are_held_out_for_evaluation() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data", "--eval-fraction", "0"]);
    let train = [TRAIN, &["--hold-out", "0.25", "--out", "run"]].concat();
    let (told, _) = prints(folder, &[&train[..], &["--epochs", "1"]].concat());
    holds(&told, &["18 photos to train on, 6 to evaluate on"]);
    assert!(folder.join("run/report.html").exists());
    // `flowers eval` holds nothing out.
    assert!(told.contains("Use it:") && !told.contains("Look closer:"), "{told}");
    let (told, _) = prints(folder, &["train", "--data", "data", "--epochs", "2", "--resume"]);
    holds(&told, &["18 photos to train on, 6 to evaluate on", "epoch   2/2"]);
    succeeds(folder, &["report", "--run", "run"]);
    succeeds(folder, &["convert", "photos", "data", "--overwrite"]);
    fails(
        folder,
        &[&train[..3], &["--hold-out", "0.25", "--out", "other"]].concat(),
        &["have photos to evaluate on"],
    );
}
