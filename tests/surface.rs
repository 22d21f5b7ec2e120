//! What is public is meant: `tests/surface.txt` lists every public item with its path, so that a change of it shows in a diff.
//!
//! `FLORET_REGENERATE=1 cargo test --test surface` writes the list anew.

mod macros;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use macros::Macro;
use source::{Names, Sources};

/// An item at the margin of a source: a type, function, trait, constant.
struct Item {
    name: String,
    /// Those of its attributes that are told, and its signature.
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
    /// The attributes of its public modules.
    modules: BTreeMap<String, Vec<String>>,
    macros: BTreeMap<String, Macro>,
}

impl Contents {
    fn read(&mut self, code: &str) {
        let lines: Vec<&str> = code.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let mut attributes = Vec::new();
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
            if block[0].starts_with("#[") {
                attributes.extend(Some(joined(block)).filter(|attribute| is_told(attribute)));
                continue;
            }
            self.add(block, std::mem::take(&mut attributes));
        }
    }

    fn add(&mut self, block: &[&str], attributes: Vec<String>) {
        let (first, behind) = block[0].split_once('!').unwrap_or((block[0], ""));
        if first == "macro_rules" {
            let name = behind.split_whitespace().next().unwrap_or_default();
            let read = Macro::read(&block.join("\n"));
            self.macros.extend(read.map(|read| (name.to_owned(), read)));
        } else if first.chars().all(source::is_ident)
            && let Some(called) = self.macros.get(first)
        {
            let call = block.join("\n");
            let made = called.expand(call[first.len() + 1..].trim_start());
            self.read(&made);
        } else if first.starts_with("impl") {
            self.impls.extend(implementation(block, &attributes));
        } else if let Some(name) = block[0].strip_prefix("pub mod ") {
            self.modules.insert(name.trim_end_matches(';').to_owned(), attributes);
        } else {
            self.items.extend(item(block, attributes));
        }
    }
}

/// Whether an attribute is part of what others see.
fn is_told(attribute: &str) -> bool {
    ["#[derive(", "#[non_exhaustive]", "#[cfg("].iter().any(|told| attribute.starts_with(told))
}

/// An attribute at the beginning of a line, and what is behind it.
fn leading_attribute(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with("#[") {
        return None;
    }
    let (mut depth, mut quoted) = (0, false);
    let end = line.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        if !quoted {
            depth += i32::from(*c == '[') - i32::from(*c == ']');
        }
        depth == 0 && *c == ']'
    })?;
    Some((&line[..=end.0], line[end.0 + 1..].trim_start()))
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

/// A member of a block: what begins at its first indentation, with the lines that belong to it.
struct Member<'a> {
    /// Those of its attributes that are told, each with a space behind it.
    attributes: String,
    lines: Vec<&'a str>,
}

impl Member<'_> {
    fn is_public(&self) -> bool {
        self.lines[0].starts_with("pub ")
    }

    fn line(&self, text: impl Fn(&[&str]) -> String) -> String {
        format!("{}{}", self.attributes, text(&self.lines))
    }
}

fn members<'a>(block: &[&'a str]) -> Vec<Member<'a>> {
    let is_first = |line: &str| line.starts_with("    ") && !line[4..].starts_with([' ', '}', ')', ']', '{']);
    let starts: Vec<usize> =
        (1..block.len()).filter(|&at| is_first(block[at]) && block[at].trim() != "where").collect();
    let ends = starts.iter().skip(1).copied().chain([block.len() - 1]);
    let mut members = Vec::new();
    let mut attributes = String::new();
    for (&start, end) in starts.iter().zip(ends) {
        let mut lines = block[start..end.max(start + 1)].to_vec();
        lines[0] = lines[0].trim();
        let whole = joined(&lines);
        let mut rest = whole.as_str();
        while let Some((attribute, behind)) = leading_attribute(rest) {
            if is_told(attribute) {
                attributes += &format!("{attribute} ");
            }
            if let Some((_, behind)) = leading_attribute(lines[0]) {
                lines[0] = behind;
            }
            rest = behind;
        }
        if !rest.is_empty() {
            members.push(Member { attributes: std::mem::take(&mut attributes), lines });
        }
    }
    members
}

fn item(block: &[&str], attributes: Vec<String>) -> Option<Item> {
    let first = block[0].strip_prefix("pub ")?;
    let words: Vec<&str> = first.split(|c| !source::is_ident(c)).filter(|word| !word.is_empty()).collect();
    let kinds = ["struct", "enum", "fn", "trait", "const", "type", "static", "union"];
    let kind = words
        .iter()
        .position(|word| kinds.contains(word) && *word != "const" || *word == "const" && words[1] != "fn")?;
    let mut lines = attributes;
    lines.push(signature(block));
    let members = || members(block).into_iter();
    match words[kind] {
        "struct" => lines.extend(members().filter(Member::is_public).map(|field| field.line(joined))),
        "enum" => lines.extend(members().map(|variant| variant.line(joined))),
        "trait" => lines.extend(members().map(|member| member.line(of_trait))),
        _ => {}
    }
    Some(Item { name: words[kind + 1].to_owned(), lines })
}

/// A trait's item, with a mark where it has a body or a value of its own.
fn of_trait(lines: &[&str]) -> String {
    let has_body = lines.last().is_some_and(|line| line.ends_with('}'));
    signature(lines) + if has_body { " { .. }" } else { "" }
}

fn implementation(block: &[&str], attributes: &[String]) -> Option<Impl> {
    let header = signature(block);
    let is_of_trait = header.contains(" for ");
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
    if is_of_trait {
        lines.push(header);
    } else {
        let public = members(block).into_iter().filter(Member::is_public);
        lines.extend(public.map(|method| method.line(signature)));
    }
    let attributes: String = attributes.iter().map(|attribute| format!("{attribute} ")).collect();
    let lines = lines.into_iter().map(|line| format!("{attributes}{line}")).collect();
    Some(Impl { of, lines })
}

/// The public items by their paths.
#[derive(Default)]
struct Surface {
    sources: Sources,
    contents: BTreeMap<Names, Contents>,
    /// The public modules that not every build has, with what they need.
    modules: BTreeMap<String, Vec<String>>,
    /// Each with the module and the name that it is defined by.
    reached: BTreeMap<String, (Names, String)>,
    elsewhere: BTreeSet<String>,
}

impl Surface {
    fn read() -> Self {
        // What is given on of the kernels' crate is part of it.
        let sources = Sources::read("").with("math", "floret_math");
        let contents = |code: &str| {
            let mut contents = Contents::default();
            contents.read(code);
            contents
        };
        let contents = sources.0.iter().map(|(module, source)| (module.clone(), contents(&source.code)));
        let contents = contents.collect();
        let mut surface = Self { sources, contents, ..Self::default() };
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
            if let Some(attributes) = self.contents[module].modules.get(&name) {
                let path = format!("{path}::{name}");
                if !attributes.is_empty() {
                    self.modules.insert(path.clone(), attributes.clone());
                }
                let inner = [&module[..], std::slice::from_ref(&name)].concat();
                self.visit(&inner, &path);
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
            let own = item.map_or(&[][..], |item| &item.lines);
            let methods = impls.get(defined).map_or(&[][..], |lines| lines);
            for line in own.iter().map(String::as_str).chain(methods.iter().copied()) {
                writeln!(list, "    {line}").unwrap();
            }
        }
        for (path, attributes) in &self.modules {
            writeln!(list, "{path}\n    {}\n    pub mod", attributes.join("\n    ")).unwrap();
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
