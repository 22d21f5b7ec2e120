//! A strict reader of HTML: what browsers would mend is an error here.

use std::collections::BTreeSet;

/// A page's elements and its text.
pub struct Page {
    pub elements: Vec<Element>,
    /// With entities resolved, without the style sheet.
    pub text: String,
}

pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

const VOID: &[&str] = &["br", "img", "meta"];
const NOT_IN_PARAGRAPHS: &[&str] =
    &["p", "div", "ul", "table", "section", "figure", "details", "h1", "h2", "h3", "pre"];
const ENTITIES: [(&str, &str); 4] = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];

impl Page {
    /// Panics where the page is not well formed: tags that do not match, attributes without quotes, a `<` or `&` that stands
    /// for itself, an id twice, a block in a paragraph.
    #[track_caller]
    pub fn read(html: &str) -> Self {
        let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
        let mut page = Self { elements: Vec::new(), text: String::new() };
        let mut open: Vec<String> = Vec::new();
        while let Some(start) = rest.find('<') {
            page.text += &resolved(&rest[..start]);
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name), "{}", &rest[..rest.len().min(80)]);
                continue;
            }
            let element = element(tag);
            if NOT_IN_PARAGRAPHS.contains(&&*element.name) {
                assert!(!open.iter().any(|name| name == "p"), "<{tag}> in a paragraph");
            }
            if element.name == "style" {
                rest = rest.split_once("</style>").expect("the style sheet ends").1;
            } else if !VOID.contains(&&*element.name) {
                open.push(element.name.clone());
            }
            page.elements.push(element);
        }
        assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
        let ids: Vec<_> = page.elements.iter().filter_map(|element| element.attribute("id")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
        page
    }

    pub fn count(&self, name: &str) -> usize {
        self.elements.iter().filter(|element| element.name == name).count()
    }

    /// Panics if anything on the page would be fetched, run or sent.
    #[track_caller]
    pub fn stands_alone(&self) {
        for Element { name, attributes } in &self.elements {
            assert!(
                !["script", "link", "iframe", "object", "form", "base", "a"].contains(&name.as_str()),
                "<{name}>"
            );
            for (attribute, value) in attributes {
                assert!(
                    !attribute.starts_with("on") && !value.contains("://"),
                    "<{name} {attribute}={value:?}>"
                );
                let is_reference = ["src", "href", "srcset", "action", "data"].contains(&attribute.as_str());
                assert!(!is_reference || value.starts_with("data:image/"), "<{name} {attribute}={value:?}>");
            }
        }
    }
}

/// `name`, and then ` attribute="value"` or ` attribute`.
fn element(tag: &str) -> Element {
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let (name, mut rest) = tag.split_at(tag.find(' ').unwrap_or(tag.len()));
    assert!(is_name(name), "<{tag}>");
    let mut attributes = Vec::new();
    while let Some(attribute) = rest.strip_prefix(' ') {
        let (name, value);
        match attribute.find(['=', ' ']) {
            Some(at) if attribute[at..].starts_with("=\"") => {
                name = &attribute[..at];
                (value, rest) = attribute[at + 2..].split_once('"').expect("a quote ends");
            }
            at => {
                (name, rest) = attribute.split_at(at.unwrap_or(attribute.len()));
                value = "";
            }
        }
        assert!(is_name(&name.replace(':', "-")), "<{tag}>");
        attributes.push((name.to_owned(), resolved(value)));
    }
    assert!(rest.is_empty(), "<{tag}>");
    Element { name: name.to_owned(), attributes }
}

fn resolved(text: &str) -> String {
    for (at, _) in text.match_indices('&') {
        assert!(ENTITIES.iter().any(|(entity, _)| text[at..].starts_with(entity)), "{text}");
    }
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
