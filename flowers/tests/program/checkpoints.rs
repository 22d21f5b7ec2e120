//! `export` and `import` of TensorFlow checkpoints, and training that begins with a model.

use std::fs;
use std::path::Path;

use floret::checkpoint::load_model;
use floret::checkpoint::tensorflow::Checkpoint;
use tempfile::TempDir;

use crate::support::*;

/// The bits of every array of a model.
fn bits(folder: &Path, model: &str) -> Vec<(String, Vec<u32>)> {
    let (network, _) = load_model(folder.join(model)).unwrap();
    let bits = network
        .arrays()
        .map(|(param, values)| (param.name.clone(), values.iter().map(|value| value.to_bits()).collect()));
    bits.collect()
}

#[test]
fn a_model_goes_to_tensorflow_and_comes_back() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    // The flips of its answers are not in its weights.
    trained_with(folder, &["--recipe", "script"]);
    let export = |more: &[&'static str]| [&["export"], &MODEL[..], more].concat();
    let import = |more: &[&'static str]| [&["import", "--labels", "data/labels.txt"], more].concat();
    let wanted = bits(folder, "run/model.safetensors");

    let said = succeeds(folder, &export(&["out.ckpt"]));
    holds(
        &said,
        &["wrote out.ckpt.index and out.ckpt.data-00000-of-00001", "conv1/kernel [5, 5, 3, 32]", "tf.train"],
    );
    let (said, notes) = prints(folder, &import(&["out.ckpt", "--out", "back.safetensors"]));
    holds(&said, &["found by their names:", "  fc1/kernel = fc1/kernel", "2 classes (blue, red)"]);
    holds(&notes, &["taken to be for images of 32x32", "--image-size"]);
    assert_eq!(bits(folder, "back.safetensors"), wanted);

    // Under the script's names, given or found; by its folder, and by the name of its index.
    fs::create_dir(folder.join("script")).unwrap();
    succeeds(folder, &export(&["--names", "script", "--format", "tensorflow", "script/of 7"]));
    let names: Vec<_> = Checkpoint::open(folder.join("script"))
        .unwrap()
        .tensors()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("Variable") && !name.contains('/'))
        .collect();
    assert_eq!(names.len(), wanted.len());
    for more in [
        &["script"][..],
        &["script/of 7.index", "--names", "script"],
        &["script/of 7", "--like", "run/model.safetensors"],
    ] {
        let (said, _) =
            prints(folder, &import(&[more, &["--image-size", "32", "--out", "again.safetensors"]].concat()));
        assert_eq!(
            said.contains("by the order in which the variables were made"),
            !more.contains(&"--names")
        );
        assert_eq!(bits(folder, "again.safetensors"), wanted);
    }
    // A map of names, there and back.
    let map: String = wanted.iter().map(|(name, _)| format!("{name} = net/{name}/v\n")).collect();
    fs::write(folder.join("names.txt"), map).unwrap();
    succeeds(folder, &export(&["--names", "names.txt", "mapped.ckpt-3"]));
    succeeds(folder, &import(&["--names", "names.txt", "mapped.ckpt-3", "--out", "mapped.safetensors"]));
    assert_eq!(bits(folder, "mapped.safetensors"), wanted);

    fails(folder, &export(&["out.bin"]), &["out.bin: no format is known by this name", "--format"]);
    fails(folder, &export(&["none/out.ckpt"]), &["none/out.ckpt", "No such file"]);
    fs::write(folder.join("names.txt"), "conv1/kernel = a\nconv9/kernel = b\n").unwrap();
    fails(
        folder,
        &export(&["--names", "names.txt", "x.ckpt"]),
        &["the map names `conv9/kernel`, but the network has"],
    );
    assert!(!folder.join("x.ckpt.index").exists());
    fails(folder, &["import", "out.ckpt"], &["out.ckpt names no classes", "--labels"]);
    fails(folder, &import(&["none.ckpt"]), &["there is no TensorFlow checkpoint none.ckpt"]);
    fails(folder, &import(&["photos"]), &["neither a file `checkpoint`"]);
    fails(folder, &import(&["run/model.safetensors"]), &["no format is known by this name"]);
    fails(
        folder,
        &import(&["out.ckpt", "--image-size", "64", "--names", "names.txt"]),
        &["the map names `conv9/kernel`"],
    );
    fails(
        folder,
        &import(&["out.ckpt", "--image-size", "64"]),
        &["it is not plain which tensors of out.ckpt.index", "`fc1/kernel` has the shape [1024, 2048]"],
    );
}

#[test]
fn training_begins_with_a_model() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let start = |more: &[&'static str]| {
        [
            &[
                "train",
                "--data",
                "data",
                "--start-from",
                "run/model.safetensors",
                "--batch-size",
                "8",
                "--epochs",
                "1",
            ],
            more,
        ]
        .concat()
    };
    // Hardly anything is learned in an epoch of tiny steps: the weights are those it began with, and not drawn anew.
    succeeds(folder, &start(&["--learning-rate", "1e-9", "--out", "again"]));
    let (before, after) = (bits(folder, "run/model.safetensors"), bits(folder, "again/model.safetensors"));
    let weights = before.iter().zip(&after).filter(|((name, _), _)| !name.contains("moving_"));
    for ((name, before), (_, after)) in weights {
        let moved = before.iter().zip(after).map(|(a, b)| (f32::from_bits(*a) - f32::from_bits(*b)).abs());
        assert!(moved.fold(0.0, f32::max) < 1e-4, "{name}");
    }
    let info = |model: &str| load_model(folder.join(model)).unwrap().1;
    assert_eq!(info("again/model.safetensors"), info("run/model.safetensors"));
    // Another size, where the network can take it.
    succeeds(folder, &start(&["--image-size", "64", "--out", "larger"]));
    assert_eq!(info("larger/model.safetensors").preprocess.image_size, 64);
    let refused = run(folder, &start(&["--resume", "--out", "again"]));
    holds(&text(&refused.stderr), &["--start-from", "cannot be used with", "--resume"]);
    fs::write(folder.join("data/labels.txt"), "background\nblue\ngreen\n").unwrap();
    // Of other classes the last layer alone is new, and is fitted in the one epoch.
    let (printed, _) = prints(folder, &start(&["--out", "other", "--no-report"]));
    holds(
        &printed,
        &[
            "begins with a network that knows 2 other classes: a new last layer takes the place of `logits`",
            "--normalize photo",
            "first 24 photos go through",
        ],
    );
    assert_eq!(info("other/model.safetensors").classes, ["blue", "green"]);
    let (before, after) = (bits(folder, "run/model.safetensors"), bits(folder, "other/model.safetensors"));
    let changed: Vec<_> =
        before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a.0.clone()).collect();
    assert!(changed.len() == 2 && changed.iter().all(|name| name.starts_with("logits/")), "{changed:?}");
    // The report and the answers come from it as from any other.
    fs::remove_dir_all(folder.join("other")).unwrap();
    let (printed, _) = prints(folder, &start(&["--out", "other", "--head-only"]));
    holds(&printed, &["The report:"]);
    fails(folder, &["train", "--data", "data", "--head-only", "--out", "none"], &["--start-from"]);
}

/// The variables tell the network; training begins with it as with any other.
#[test]
fn a_network_of_slim_is_imported_and_trained_further() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    succeeds(folder, &["convert", "photos", "data"]);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/tf_slim");
    let checkpoint = fixtures.join("mobilenet_v2.ckpt");
    fs::write(folder.join("names.txt"), "a\nb\nc\nd\n").unwrap();
    let import = ["import", checkpoint.to_str().unwrap(), "--labels", "names.txt", "--image-size", "48"];
    let printed = succeeds(folder, &[&import[..], &["--out", "slim.safetensors"]].concat());
    holds(&printed, &["by its variables: MobilenetV2", "4 classes", "--normalize 127.5/127.5"]);
    let train =
        ["train", "--data", "data", "--start-from", "slim.safetensors", "--head-only", "--out", "new"];
    holds(&succeeds(folder, &train), &["takes the place of `logits`"]);
}

/// A graph that tells nothing of photos: its normalization is asked for, and then saved with the model.
#[test]
fn training_begins_with_an_onnx_graph() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let (network, _) = load_model(folder.join("run/model.safetensors")).unwrap();
    let (seven, _) = network.with_head(7).unwrap();
    floret::onnx::export(folder.join("seven.onnx"), &seven, None, &Default::default()).unwrap();
    let train = ["train", "--data", "data", "--start-from", "seven.onnx", "--head-only", "--out", "new"];
    fails(folder, &train, &["seven.onnx", "how photos become the network's input", "--normalize"]);
    let (printed, _) = prints(folder, &[&train[..], &["--normalize", "imagenet", "--json"]].concat());
    let kinds: Vec<String> = printed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].as_str().unwrap().into())
        .collect();
    assert!(
        ["start", "features", "epoch", "evaluation", "end"]
            .iter()
            .all(|kind| kinds.contains(&kind.to_string())),
        "{kinds:?}"
    );
    let (_, info) = load_model(folder.join("new/model.safetensors")).unwrap();
    assert_eq!(info.preprocess.to_owned().normalize, floret::image::Normalize::IMAGENET);
    let (printed, _) = prints(folder, &["predict", "--model", "new/model.safetensors", "photos/red/0.jpg"]);
    holds(&printed, &["red"]);
    // A text is no network.
    fs::write(folder.join("text.onnx"), "no network").unwrap();
    fails(folder, &["train", "--data", "data", "--start-from", "text.onnx", "--out", "text"], &["text.onnx"]);
}
