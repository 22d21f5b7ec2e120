//! `export` and `import`: models for other programs, and from them.

use std::fs;

use tempfile::TempDir;

use crate::support::*;

#[test]
fn a_model_goes_out_as_onnx_and_comes_back() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    trained(folder);
    let export = |flags: &[&'static str]| [&["export"], &MODEL[..], flags].concat();
    let said = succeeds(folder, &export(&["net.onnx"]));
    holds(&said, &["wrote net.onnx", "fitted to 32x32 (--fit resize)", "float32 (batch, 32, 32, 3)"]);
    let said = succeeds(folder, &export(&["levels.ONNX", "--with-preprocessing", "--layout", "nchw"]));
    holds(&said, &["wrote levels.ONNX", "uint8 (batch, 3, 32, 32)"]);
    // The recipe's network answers with the mean for a photo and its mirror image.
    holds(&said, &["computes each photo and its mirror image"]);
    holds(&succeeds(folder, &export(&["net.ckpt"])), &["these are the weights alone", "mirror image"]);

    let said = succeeds(folder, &["import", "net.onnx", "--out", "back.safetensors"]);
    holds(&said, &["wrote back.safetensors: 2 classes (blue, red)"]);
    let answers = |model: &str| succeeds(folder, &["predict", "--model", model, "photos/red", "photos/blue"]);
    assert_eq!(answers("back.safetensors"), answers("run/model.safetensors"));
    let evaluated = |model: &str| succeeds(folder, &["eval", "--data", "data", "--model", model]);
    assert_eq!(evaluated("back.safetensors"), evaluated("run/model.safetensors"));

    fs::write(folder.join("other.txt"), "azul\nrojo\n").unwrap();
    let flags = ["--labels", "other.txt", "--fit", "crop", "--out", "other.safetensors"];
    succeeds(folder, &[&["import", "net.onnx"], &flags[..]].concat());
    holds(&answers("other.safetensors"), &["azul", "rojo"]);
}

#[test]
fn a_network_of_pytorch_needs_class_names_alone() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    photos(folder);
    let fixture = fixture("onnx/views.script.onnx");
    fs::copy(fixture, folder.join("net.onnx")).unwrap();
    let import = ["import", "net.onnx"];
    fails(folder, &import, &["net.onnx names no classes", "--labels", "the network's 5 outputs"]);
    fs::write(folder.join("labels.txt"), "one\ntwo\n").unwrap();
    let import = [&import[..], &["--labels", "labels.txt"]].concat();
    fails(folder, &import, &["the network has 5 outputs, but there are 2 class names"]);
    assert!(!folder.join("model.safetensors").exists());
    fs::write(folder.join("labels.txt"), "one\ntwo\nthree\nfour\nfive\n").unwrap();
    holds(&succeeds(folder, &import), &["conv1", "wrote model.safetensors: 5 classes"]);
    holds(&succeeds(folder, &["predict", "--model", "model.safetensors", "photos/red/1.jpg"]), &["1.jpg: "]);
}

#[test]
fn files_of_no_known_format_are_named() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    fs::write(folder.join("net.onnx"), "some text").unwrap();
    fails(folder, &["import", "net.onnx"], &["net.onnx: it looks like a text file, not an ONNX model"]);
    fails(folder, &["import", "none.onnx"], &["cannot open none.onnx"]);
    fails(folder, &["import", "net.pt"], &["net.pt: no format is known by this name", ".onnx"]);
    let export = ["export", "--model", "run/model.safetensors", "net.pb"];
    fails(folder, &export, &["net.pb: no format is known by this name"]);
}
