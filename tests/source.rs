//! The sources of a crate, read line by line: what they declare, bring into scope and name. They are in rustfmt's format.
#![allow(dead_code, reason = "each test uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A path of modules from the crate's root, the last of which may be an item.
pub type Names = Vec<String>;

/// What one source declares and names, outside of comments and tests.
#[derive(Default)]
pub struct Source {
    /// Its text, without comments and tests.
    pub code: String,
    /// The modules it declares, in order.
    pub modules: Vec<String>,
    /// What it brings into scope, by the name it has here: where a module's items come from that are not its own.
    pub imports: BTreeMap<String, Names>,
    /// The imports that it gives on to everyone.
    pub exports: Vec<String>,
    /// The paths it names, from the crate's root.
    pub paths: BTreeSet<Names>,
}

impl Source {
    /// Reads the source of `module`, of the crate whose root is the module `root`.
    fn read(text: &str, module: &[String], root: &[String]) -> Self {
        let mut source = Self::default();
        let code = code_of(text);
        for line in code.lines().map(str::trim) {
            let declared = line.strip_suffix(';').and_then(|line| line.rsplit_once("mod "));
            if let Some((before, name)) = declared
                && (before.is_empty() || before.starts_with("pub"))
            {
                source.modules.push(name.to_owned());
            }
        }
        let (mut rest, mut previous) = (code.as_str(), "");
        while let Some(at) = rest.find(is_ident) {
            let before = &rest[..at];
            rest = &rest[at..];
            let (word, behind) = rest.split_at(rest.find(|c| !is_ident(c)).unwrap_or(rest.len()));
            let end = if word == "use"
                && behind.trim_start().find("::") == behind.trim_start().find(|c| !is_ident(c))
            {
                // An import; the same word in a message has no path behind it.
                let end = rest.find(';').unwrap_or(rest.len());
                for (path, name) in use_tree(&rest[word.len()..end]) {
                    let path = source.absolute(&path, module, root);
                    if previous == "pub" && before == " " {
                        source.exports.push(name.clone());
                    }
                    source.imports.insert(name, path.clone());
                    source.paths.insert(path);
                }
                end
            } else if matches!(word, "crate" | "super") && !before.ends_with(['$', ':']) {
                let end = rest.find(|c| !is_ident(c) && c != ':').unwrap_or(rest.len());
                let path: Vec<&str> = rest[..end].trim_end_matches(':').split("::").collect();
                source.paths.insert(source.absolute(&path, module, root));
                end
            } else {
                word.len()
            };
            rest = &rest[end..];
            previous = word;
        }
        source.code = code;
        source
    }

    /// A path from the crate's root. One of another crate begins with a name that is no module's.
    fn absolute(&self, path: &[&str], module: &[String], root: &[String]) -> Names {
        let (mut names, mut rest) = match path[0] {
            "crate" => (root.to_vec(), &path[1..]),
            "super" | "self" => (module.to_vec(), path),
            child if self.modules.iter().any(|module| module == child) => (module.to_vec(), path),
            _ => (Vec::new(), path),
        };
        while let [first @ ("super" | "self"), more @ ..] = rest {
            if *first == "super" {
                names.pop();
            }
            rest = more;
        }
        names.extend(rest.iter().map(|name| name.to_string()));
        names
    }
}

pub fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A source without comments, and without what stands behind `#[cfg(test)]`.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    // How far the item that is left out is indented.
    let mut left_out = None;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim_end();
        let (bare, indentation) = (line.trim_start(), line.len() - line.trim_start().len());
        if let Some(margin) = left_out {
            let ends = indentation <= margin && bare.ends_with([';', '}', ',']) && !bare.starts_with("#[");
            left_out = left_out.filter(|_| !ends);
        } else if bare == "#[cfg(test)]" {
            left_out = Some(indentation);
        } else {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// The paths of `a::{b, c::{d as e}}`, each with the name that it gives.
fn use_tree(tree: &str) -> Vec<(Vec<&str>, String)> {
    let tree = tree.trim();
    let Some((prefix, group)) = tree.split_once('{') else {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, ""));
        let path: Vec<&str> = path.trim().split("::").collect();
        let name = if name.is_empty() { path[path.len() - 1] } else { name.trim() };
        let name = name.to_owned();
        return vec![(path, name)];
    };
    let prefix: Vec<&str> = prefix.trim().trim_end_matches("::").split("::").collect();
    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
    let (mut depth, mut parts, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    let mut paths = Vec::new();
    for part in parts.into_iter().filter(|part| !part.trim().is_empty()) {
        for (path, name) in use_tree(part) {
            let name = if path == ["self"] { prefix[prefix.len() - 1].to_owned() } else { name };
            let path = path.into_iter().filter(|segment| *segment != "self");
            paths.push((prefix.iter().copied().chain(path).collect(), name));
        }
    }
    paths
}

/// The sources of a crate, by their modules.
#[derive(Default)]
pub struct Sources(pub BTreeMap<Names, Source>);

impl Sources {
    /// Those of the crate in `folder` of the repository.
    pub fn read(folder: &str) -> Self {
        let mut sources = Self::default();
        sources.add(folder, &[]);
        sources
    }

    /// Adds those of a crate in `folder` that this one uses by `name`, as if it were a module of this one's root.
    pub fn with(mut self, folder: &str, name: &str) -> Self {
        self.add(folder, &[name.to_owned()]);
        self.0.entry(Names::new()).or_default().modules.push(name.to_owned());
        self
    }

    fn add(&mut self, folder: &str, root: &[String]) {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("src");
        let mut files = Vec::new();
        rust_files(&sources, &mut files);
        for file in files {
            let within = file.strip_prefix(&sources).unwrap().with_extension("");
            let mut module = root.to_vec();
            module.extend(within.iter().map(|name| name.to_str().unwrap().to_owned()));
            module.pop_if(|last| last == "mod" || last == "lib");
            let source = Source::read(&fs::read_to_string(&file).unwrap(), &module, root);
            self.0.insert(module, source);
        }
    }

    /// The module in whose source a path ends, through what other modules give on, and the path that is left within it;
    /// `None` outside of the crate.
    pub fn home(&self, path: &[String]) -> Option<(Names, Names)> {
        let mut module = Names::new();
        let mut left = path;
        while let [name, rest @ ..] = left {
            let source = &self.0[&module];
            if source.modules.contains(name) {
                module.push(name.clone());
                left = rest;
            } else if let Some(import) = source.imports.get(name).filter(|import| *import != path) {
                return self.home(&[&import[..], rest].concat());
            } else {
                break;
            }
        }
        (path.is_empty() || !module.is_empty()).then(|| (module, left.to_vec()))
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
