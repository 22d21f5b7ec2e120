//! What is public is meant: `tests/surface.txt` lists every public item with its path, so that a change of it shows in a diff.
//!
//! `FLORET_REGENERATE=1 cargo test --test surface` writes the list anew.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use source::{Names, Sources};

/// An item at the border of a source: a type, function, trait, constant.
struct Item {
    name: String,
    /// Its attributes that derive, and its signature.
    lines: Vec<String>,
}

/// A block of methods, or of a trait's for a type.
struct Impl {
    of: String,
    lines: Vec<String>,
}

/// What a source has that may be public.
#[derive(Default)]
struct Contents {
    items: Vec<Item>,
    impls: Vec<Impl>,
    /// What macros make public, by their names.
    macros: BTreeMap<String, Vec<String>>,
    /// The macros that are called, with the first word of what they take: the type that they are about.
    calls: Vec<(String, String)>,
}

impl Contents {
    fn read(code: &str) -> Self {
        let lines: Vec<&str> = code.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let mut contents = Self::default();
        let mut derives = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            // An item ends where the next line begins at the margin, its own closing brackets aside.
            let mut end = at + 1;
            while end < lines.len() && lines[end].starts_with([' ', '}', ')', ']', '{'])
                || continues(&lines, end)
            {
                end += 1;
            }
            let block = &lines[at..end];
            at = end;
            match block[0] {
                first if first.starts_with("#[derive(") => derives.push(joined(block)),
                first if first.starts_with("#[") => {}
                first if first.starts_with("macro_rules!") => {
                    let name = first.split_whitespace().nth(1).unwrap_or_default();
                    contents.macros.insert(name.to_owned(), public_in_macro(block));
                }
                first if first.contains("!(") || first.contains("! {") => {
                    let mut words = block.iter().flat_map(|line| line.split(|c| !source::is_ident(c)));
                    let mut word = || words.find(|word| !word.is_empty()).unwrap_or_default().to_owned();
                    contents.calls.push((word(), word()));
                }
                first if first.starts_with("impl") => contents.impls.extend(implementation(block)),
                _ => {
                    let derives = std::mem::take(&mut derives);
                    contents.items.extend(item(block, derives));
                }
            }
        }
        contents
    }
}

/// Whether a line at the margin belongs to the one before it: `where` of a long signature.
fn continues(lines: &[&str], at: usize) -> bool {
    lines.get(at) == Some(&"where")
}

/// Lines as one, without its body.
fn joined(lines: &[&str]) -> String {
    let line = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    line.replace("( ", "(").replace(", )", ")").replace(" )", ")")
}

/// A signature: up to the body, the value, or the end.
fn signature(lines: &[&str]) -> String {
    let end =
        lines.iter().position(|line| line.ends_with(['{', ';', '}'])).map_or(lines.len(), |end| end + 1);
    let line = joined(&lines[..end]);
    let line = line.trim_end_matches(['{', '}', ';', ' ']);
    match line.split_once(" = ") {
        Some((declared, _)) if declared.contains("const ") || declared.contains("static ") => {
            declared.to_owned()
        }
        _ => line.to_owned(),
    }
}

/// The members of a block: what begins at its first indentation, with the lines that belong to it. Attributes are left out.
fn members<'a>(block: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let is_first = |line: &str| line.starts_with("    ") && !line[4..].starts_with([' ', '}', ')', ']', '{']);
    let starts: Vec<usize> =
        (1..block.len()).filter(|&at| is_first(block[at]) && block[at].trim() != "where").collect();
    let ends = starts.iter().skip(1).copied().chain([block.len() - 1]);
    let members = starts.iter().zip(ends).map(|(&start, end)| &block[start..end.max(start + 1)]);
    members.filter(|member| !member[0].trim().starts_with("#[")).collect()
}

fn is_public(line: &str) -> bool {
    line.trim_start().starts_with("pub ")
}

fn item(block: &[&str], derives: Vec<String>) -> Option<Item> {
    let first = block[0].strip_prefix("pub ")?;
    let words: Vec<&str> = first.split(|c| !source::is_ident(c)).filter(|word| !word.is_empty()).collect();
    let kinds = ["struct", "enum", "fn", "trait", "const", "type", "static", "union"];
    let kind = words
        .iter()
        .position(|word| kinds.contains(word) && *word != "const" || *word == "const" && words[1] != "fn")?;
    let mut lines = derives;
    lines.push(signature(block));
    match words[kind] {
        "struct" => {
            let fields = members(block).into_iter().filter(|field| is_public(field[0]));
            lines.extend(fields.map(joined));
        }
        "enum" => lines.extend(members(block).into_iter().map(joined)),
        "trait" => lines.extend(members(block).into_iter().map(signature)),
        _ => {}
    }
    Some(Item { name: words[kind + 1].to_owned(), lines })
}

fn implementation(block: &[&str]) -> Option<Impl> {
    let header = signature(block);
    let of_trait = header.contains(" for ");
    // The type: behind `for`, or behind `impl` and its parameters.
    let mut of = header.split(" where").next()?;
    of = match of.split_once(" for ") {
        Some((_, of)) => of,
        None => {
            let rest = of.strip_prefix("impl")?;
            let mut depth = 0;
            let end = rest.char_indices().find(|(_, c)| {
                depth += i32::from(*c == '<') - i32::from(*c == '>');
                depth == 0
            });
            rest[end?.0..].trim_start_matches('>').trim()
        }
    };
    let of = of.trim_start_matches('&').split('<').next()?.rsplit("::").next()?.trim().to_owned();
    let mut lines = Vec::new();
    if of_trait {
        lines.push(header);
    } else {
        let public = members(block).into_iter().filter(|member| is_public(member[0]));
        lines.extend(public.map(signature));
    }
    Some(Impl { of, lines })
}

fn public_in_macro(block: &[&str]) -> Vec<String> {
    let starts = (1..block.len()).filter(|&at| is_public(block[at]));
    starts.map(|start| format!("{} (by a macro)", signature(&block[start..]))).collect()
}

/// The public items by their paths.
struct Surface {
    sources: Sources,
    contents: BTreeMap<Names, Contents>,
    /// Each with the module and the name that it is defined by.
    reached: BTreeMap<String, (Names, String)>,
    elsewhere: BTreeSet<String>,
}

impl Surface {
    fn read() -> Self {
        let sources = Sources::read();
        let contents =
            sources.0.iter().map(|(module, source)| (module.clone(), Contents::read(&source.code))).collect();
        let mut surface = Self { sources, contents, reached: BTreeMap::new(), elsewhere: BTreeSet::new() };
        surface.visit(&Names::new(), "floret");
        surface
    }

    fn visit(&mut self, module: &Names, path: &str) {
        let source = &self.sources.0[module];
        let (exports, modules) = (source.exports.clone(), source.modules.clone());
        for item in &self.contents[module].items {
            self.reached.insert(format!("{path}::{}", item.name), (module.clone(), item.name.clone()));
        }
        for export in exports {
            let import = self.sources.0[module].imports[&export].clone();
            let path = format!("{path}::{export}");
            match self.sources.home(&import) {
                Some((home, left)) => match left.as_slice() {
                    [] => self.visit(&home, &path),
                    [name, ..] => drop(self.reached.insert(path, (home, name.clone()))),
                },
                None => drop(self.elsewhere.insert(format!("{path} = {}", import.join("::")))),
            }
        }
        for name in modules {
            if self.sources.0[module].code.lines().any(|line| line == format!("pub mod {name};")) {
                let inner = [&module[..], std::slice::from_ref(&name)].concat();
                self.visit(&inner, &format!("{path}::{name}"));
            }
        }
    }

    /// Where a type is defined that a source names so.
    fn definition(&self, module: &Names, name: &str) -> (Names, String) {
        let import = self.sources.0[module].imports.get(name).and_then(|import| self.sources.home(import));
        match import {
            Some((home, left)) if !left.is_empty() => (home, left[0].clone()),
            _ => (module.clone(), name.to_owned()),
        }
    }

    fn list(&self) -> String {
        let mut impls: BTreeMap<(Names, String), Vec<&str>> = BTreeMap::new();
        for (module, contents) in &self.contents {
            for Impl { of, lines } in &contents.impls {
                let of = self.definition(module, of);
                impls.entry(of).or_default().extend(lines.iter().map(String::as_str));
            }
        }
        let mut list = String::new();
        for (path, defined) in &self.reached {
            // What has several paths is listed at the shortest.
            let paths = self.reached.iter().filter(|(_, of)| *of == defined).map(|(path, _)| path);
            let shortest = paths.min_by_key(|path| path.split("::").count()).unwrap();
            if shortest != path {
                writeln!(list, "{path} = {shortest}").unwrap();
                continue;
            }
            writeln!(list, "{path}").unwrap();
            let contents = &self.contents[&defined.0];
            let item = contents.items.iter().find(|item| item.name == defined.1);
            let by_macro = |(name, _): &(&String, &Vec<String>)| {
                item.is_none() || contents.calls.iter().any(|(call, of)| call == *name && *of == defined.1)
            };
            let made = contents.macros.iter().filter(by_macro).flat_map(|(_, lines)| lines);
            let own = item.map_or(&[][..], |item| &item.lines);
            let methods = impls.get(defined).map_or(&[][..], |lines| lines);
            for line in own.iter().chain(made).map(String::as_str).chain(methods.iter().copied()) {
                writeln!(list, "    {line}").unwrap();
            }
        }
        for path in &self.elsewhere {
            writeln!(list, "{path}").unwrap();
        }
        list
    }
}

#[test]
fn the_list_of_public_items_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/surface.txt");
    let now = Surface::read().list();
    assert!(now.lines().count() > 1000, "does the test still read the sources? It found\n{now}");
    if std::env::var_os("FLORET_REGENERATE").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let listed = fs::read_to_string(&file).unwrap_or_default();
    let (was, is) = (lines_of(&listed), lines_of(&now));
    let gone: Vec<_> = was.difference(&is).map(|line| format!("- {line}")).collect();
    let new: Vec<_> = is.difference(&was).map(|line| format!("+ {line}")).collect();
    assert!(
        listed == now,
        "what is public has changed; if that is meant, run `FLORET_REGENERATE=1 cargo test --test surface` and commit \
         tests/surface.txt:\n{}",
        [gone, new].concat().join("\n")
    );
}

/// Each line of a list behind the path that it belongs to.
fn lines_of(list: &str) -> BTreeSet<String> {
    let mut path = "";
    let whole = list.lines().map(|line| {
        if !line.starts_with(' ') {
            path = line;
            return line.to_owned();
        }
        format!("{path}: {}", line.trim())
    });
    whole.collect()
}
