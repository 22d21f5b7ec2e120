//! The modules stand in `lib.rs` in the order of the data's flow, and a module uses only what stands above it.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of `lib.rs`.
fn modules(root: &Path) -> Vec<String> {
    let lib = fs::read_to_string(root.join("lib.rs")).unwrap();
    let declared = |line: &str| {
        let rest = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "))?;
        Some(rest.strip_suffix(';')?.to_owned())
    };
    lib.lines().filter_map(declared).collect()
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The top-level modules a source names as `crate::NAME` outside of comments (doc links may point anywhere).
fn used(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut names = Vec::new();
    for line in code {
        for (place, _) in line.match_indices("crate::") {
            let rest = &line[place + "crate::".len()..];
            names.push(rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules = modules(&root);
    let place = |name: &str| modules.iter().position(|m| m == name);
    let mut files = Vec::new();
    sources(&root, &mut files);
    let (mut checked, mut faults) = (0, Vec::new());
    for file in files {
        let within = file.strip_prefix(&root).unwrap();
        let module =
            within.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        // `error` wraps every module's errors.
        if module == "lib" || module == "error" {
            continue;
        }
        let own = place(module).unwrap_or_else(|| panic!("{module} is not declared in lib.rs"));
        for name in used(&fs::read_to_string(&file).unwrap()) {
            match place(&name) {
                Some(other) if other <= own => checked += 1,
                Some(_) => {
                    faults.push(format!("{} uses `{name}`, which stands below `{module}`", within.display()))
                }
                None => faults
                    .push(format!("{} names crate::{name}, which lib.rs does not declare", within.display())),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(checked > 30, "only {checked} uses were found: does the test still read the sources?");
}
