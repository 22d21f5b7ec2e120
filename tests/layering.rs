//! The library's modules stand in `lib.rs` in the order of the data's flow, and a module uses only what stands above it. Within
//! a folder of the library, the kernels or the program, however deep, no file uses one that uses it.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::{Names, Sources};

/// Each module with one that it uses. What lies in the other, or about it, is its own business.
fn uses(sources: &Sources) -> BTreeSet<(Names, Names)> {
    let mut uses = BTreeSet::new();
    for (module, source) in &sources.0 {
        for other in source.paths.iter().filter_map(|path| Some(sources.home(path)?.0)) {
            if !module.starts_with(&other) && !other.starts_with(module) {
                uses.insert((module.clone(), other));
            }
        }
    }
    uses
}

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let sources = Sources::read("");
    let order = &sources.0[&Names::new()].modules;
    let place = |name: &str| order.iter().position(|module| module == name).unwrap();
    let (mut checked, mut faults) = (0, Vec::new());
    for (module, other) in uses(&sources) {
        // `error` wraps every module's errors.
        if module.is_empty() || module[0] == "error" {
            continue;
        }
        checked += 1;
        if place(&other[0]) > place(&module[0]) {
            faults.push(format!("{} uses {}, which stands below", module.join("::"), other.join("::")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 300, "only {checked} uses were found: does the test still read the sources?");
}

/// The crates, by their folders, with how many folders of files they have at least.
const CRATES: [(&str, usize); 3] = [("", 12), ("math", 3), ("flowers", 4)];

/// What may use what uses it, by crate and folder, and why.
const RECURSIVE: [(&str, &str, &str, &str); 1] = [
    // A residual block is a layer that holds layers.
    ("", "nn", "spec", "residual"),
];

#[test]
fn no_file_uses_one_that_uses_it() {
    let circles: Vec<String> = CRATES.iter().flat_map(|&(krate, folders)| circles(krate, folders)).collect();
    assert!(circles.is_empty(), "files that use each other {}", circles.join("\n"));
}

/// The files of a crate that use each other, by folder.
fn circles(krate: &str, least: usize) -> Vec<String> {
    // By folder: what uses what in it, with the files that show it.
    let mut folders: BTreeMap<Names, BTreeMap<(String, String), String>> = BTreeMap::new();
    for (module, other) in uses(&Sources::read(krate)) {
        let shared = module.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let (from, to) = (module[shared].clone(), other[shared].clone());
        if !RECURSIVE.contains(&(krate, &*module[..shared].join("::"), &from, &to)) {
            let shown = format!("{} uses {}", module.join("::"), other.join("::"));
            folders.entry(module[..shared].to_vec()).or_default().insert((from, to), shown);
        }
    }
    assert!(folders.len() >= least, "only {} folders were found in {krate}", folders.len());
    let mut circles = Vec::new();
    for (folder, mut uses) in folders {
        // What uses nothing that is left is in no circle.
        loop {
            let using: BTreeSet<String> = uses.keys().map(|(from, _)| from.clone()).collect();
            let before = uses.len();
            uses.retain(|(_, to), _| using.contains(to));
            let used: BTreeSet<String> = uses.keys().map(|(_, to)| to.clone()).collect();
            uses.retain(|(from, _), _| used.contains(from));
            if uses.len() == before {
                break;
            }
        }
        if !uses.is_empty() {
            let shown: Vec<String> = uses.into_values().collect();
            circles.push(format!("in {krate} {}:\n  {}", folder.join("::"), shown.join("\n  ")));
        }
    }
    circles
}
