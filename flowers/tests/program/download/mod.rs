//! `download` against servers of this machine: sound, broken and hostile ones.

mod transfer;
mod unpacking;

use std::fs;
use std::path::Path;
use std::process::Output;

use sha2::{Digest, Sha256};

use crate::archives::{CLASSES, PHOTOS, jpeg};
use crate::support::*;

fn download(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = flowers();
    // A proxy of the machine's must not come between.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args([&["download", "--out", "out"], arguments].concat()).output().unwrap()
}

/// Downloads what must succeed; what it printed, notes last.
#[track_caller]
fn downloads(folder: &Path, arguments: &[&str]) -> String {
    let output = download(folder, arguments);
    let (printed, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {printed}{notes}");
    printed + &notes
}

/// Downloads what must fail; its error, in which every one of `parts` is.
#[track_caller]
fn refuses(folder: &Path, arguments: &[&str], parts: &[&str]) -> String {
    let output = download(folder, arguments);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert!(errors.contains("error: ") && !errors.contains("panicked"), "{errors}");
    holds(&errors, parts);
    errors
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What an undisturbed download leaves.
#[track_caller]
fn is_whole(out: &Path, seed: u32) {
    assert_eq!(names_in(out), [".download.json", "data", "photos"]);
    assert_eq!(names_in(&out.join("photos")), [&["LICENSE.txt"], &CLASSES[..]].concat());
    for (class, name) in (0..).zip(CLASSES) {
        let photos = out.join("photos").join(name);
        assert_eq!(names_in(&photos).len(), PHOTOS);
        assert_eq!(fs::read(photos.join("3.jpg")).unwrap(), jpeg(1000 * seed + 10 * class + 3));
    }
    let labels = fs::read_to_string(out.join("data/labels.txt")).unwrap();
    assert_eq!(labels, format!("background\n{}\n", CLASSES.join("\n")));
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
