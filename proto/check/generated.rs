//! The committed code in `src/proto` is what `proto/*.proto` generates.
//!
//! `FLORET_REGENERATE=1 cargo test -p floret-proto-check` writes it anew.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

const REGENERATE: &str = "FLORET_REGENERATE";

/// The folder of the whole project.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The files of `folder` with this extension, by name.
fn files_with_extension(folder: &Path, extension: &str) -> BTreeMap<String, PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension() == Some(OsStr::new(extension)))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_string(), path))
        .collect()
}

/// Generates code for every file of `protos` into `output`, one file a package.
fn generate(protos: &Path, output: &Path) {
    let sources = files_with_extension(protos, "proto");
    let descriptors = protox::compile(sources.values(), [protos]).unwrap();
    prost_build::Config::new()
        .btree_map(["."]) // ordered maps: the same message is always the same bytes
        .out_dir(output)
        .compile_fds(descriptors)
        .unwrap();
}

#[test]
fn generated_code_is_up_to_date() {
    let root = root();
    let committed = root.join("src/proto");
    let fresh = tempfile::tempdir().unwrap();
    generate(&root.join("proto"), fresh.path());
    let fresh = files_with_extension(fresh.path(), "rs");

    if std::env::var_os(REGENERATE).is_some() {
        for (name, path) in &fresh {
            fs::copy(path, committed.join(name)).unwrap();
        }
    }

    let remedy = format!("run `{REGENERATE}=1 cargo test -p floret-proto-check` and commit src/proto");
    let mut files = files_with_extension(&committed, "rs");
    // What nobody generates: the list of modules, and the wire format.
    for own in ["mod.rs", "wire.rs"] {
        files.remove(own);
    }
    assert!(
        files.keys().eq(fresh.keys()),
        "src/proto has {:?}, proto/ gives {:?}: {remedy}",
        files.keys(),
        fresh.keys()
    );
    for (name, path) in &fresh {
        let (have, want) = (fs::read(&files[name]).unwrap(), fs::read(path).unwrap());
        assert!(have == want, "src/proto/{name} is not what proto/ gives: {remedy}");
    }
}

#[test]
fn each_proto_file_has_a_package_of_its_own_name() {
    let protos = root().join("proto");
    for (name, path) in files_with_extension(&protos, "proto") {
        let package = format!("package {};", name.trim_end_matches(".proto"));
        let text = fs::read_to_string(path).unwrap();
        assert!(text.lines().any(|line| line.trim() == package), "proto/{name} does not say `{package}`");
    }
}
