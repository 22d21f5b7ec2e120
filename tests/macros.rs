//! What a macro of one arm makes of what it is called with, as text: enough to see what it makes public.

use std::collections::BTreeMap;

/// A macro of one arm.
pub struct Macro {
    pattern: Vec<Token>,
    body: String,
}

/// A piece of a pattern, or of what a macro is called with.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A name, a number or a text.
    Word(String),
    Mark(char),
    Group(char, Vec<Token>),
    /// `$name:kind`
    Variable(String, String),
    /// `$(...)`, with what stands between two of them.
    Repeat(Vec<Token>, Option<char>),
}

/// What the variables of a pattern stand for. Those of a repetition have a value in each of its turns.
#[derive(Default)]
struct Values {
    single: BTreeMap<String, String>,
    turns: Vec<(Vec<String>, Vec<Values>)>,
}

impl Macro {
    /// Reads `macro_rules! name { (pattern) => { body }; }`; `None` of a macro of several arms.
    pub fn read(text: &str) -> Option<Self> {
        let (arms, _) = group_and_rest(&text[text.find('{')?..]);
        let (pattern, rest) = group_and_rest(arms.trim_start());
        let (body, rest) = group_and_rest(rest.trim_start().strip_prefix("=>")?.trim_start());
        let is_last = rest.trim().trim_matches(';').is_empty();
        is_last.then(|| Self { pattern: tokens(pattern), body: body.to_owned() })
    }

    /// What a call gives, at the margin. `call` is `(...)`, `{...}` or `[...]`.
    pub fn expand(&self, call: &str) -> String {
        let arguments = tokens(group_and_rest(call).0);
        let (values, used) = matched(&self.pattern, &arguments).expect("the call fits the macro");
        assert_eq!(used, arguments.len(), "the call fits the macro");
        let text = transcribed(&self.body, &[&values]);
        let indentation = |line: &str| line.len() - line.trim_start().len();
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let margin = lines().map(indentation).min().unwrap_or(0);
        lines().map(|line| format!("{}\n", &line[margin..])).collect()
    }
}

/// The inside of the group that a text begins with, and what is behind it.
fn group_and_rest(text: &str) -> (&str, &str) {
    let mut depth = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => while chars.next().is_some_and(|(_, c)| c != '"') {},
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[1..at], &text[at + 1..]);
        }
    }
    panic!("no end of {text}");
}

fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The name that a text begins with, and what is behind it.
fn name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_ident(c)).unwrap_or(text.len()))
}

/// What stands between two turns of a repetition, and what is behind its `*` or `+`.
fn separator(text: &str) -> (Option<char>, &str) {
    let mut chars = text.chars();
    let first = chars.next();
    if matches!(first, Some('*' | '+' | '?')) {
        return (None, chars.as_str());
    }
    chars.next();
    (first, chars.as_str())
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let token;
        (token, rest) = match first {
            '$' if rest[1..].starts_with('(') => {
                let (inside, behind) = group_and_rest(&rest[1..]);
                let (between, behind) = separator(behind);
                (Token::Repeat(self::tokens(inside), between), behind)
            }
            '$' => {
                let (variable, behind) = name(&rest[1..]);
                let (kind, behind) = name(behind.strip_prefix(':').expect("a variable has a kind"));
                (Token::Variable(variable.into(), kind.into()), behind)
            }
            '(' | '{' | '[' => {
                let (inside, behind) = group_and_rest(rest);
                (Token::Group(first, self::tokens(inside)), behind)
            }
            '"' => {
                let end = rest[1..].find('"').expect("a text has an end") + 2;
                (Token::Word(rest[..end].into()), &rest[end..])
            }
            c if is_ident(c) => {
                let (word, behind) = name(rest);
                (Token::Word(word.into()), behind)
            }
            c => (Token::Mark(c), &rest[c.len_utf8()..]),
        };
        tokens.push(token);
        rest = rest.trim_start();
    }
    tokens
}

/// What a pattern's variables stand for, and how many tokens it takes.
fn matched(pattern: &[Token], input: &[Token]) -> Option<(Values, usize)> {
    let (mut values, mut at) = (Values::default(), 0);
    for token in pattern {
        match token {
            Token::Variable(name, kind) => {
                let end = match kind.as_str() {
                    "ident" | "literal" => at + 1,
                    // A type or an expression reaches to the next mark that may stand behind one.
                    _ => {
                        let ends = |token: &Token| matches!(token, Token::Mark(',' | '=' | ';'));
                        input[at..].iter().position(ends).map_or(input.len(), |end| at + end)
                    }
                };
                let value = input.get(at..end).filter(|value| !value.is_empty())?;
                values.single.insert(name.clone(), value.iter().map(text_of).collect());
                at = end;
            }
            Token::Repeat(inner, between) => {
                let mut turns = Vec::new();
                while let Some((turn, used)) = matched(inner, &input[at..]).filter(|(_, used)| *used > 0) {
                    turns.push(turn);
                    at += used;
                    let Some(between) = between else { continue };
                    if input.get(at) != Some(&Token::Mark(*between)) {
                        break;
                    }
                    at += 1;
                }
                values.turns.push((variables(inner), turns));
            }
            Token::Group(open, inner) => {
                let Some(Token::Group(got, input)) = input.get(at) else { return None };
                let (inside, used) = matched(inner, input).filter(|_| got == open)?;
                if used != input.len() {
                    return None;
                }
                values.single.extend(inside.single);
                values.turns.extend(inside.turns);
                at += 1;
            }
            other => {
                if input.get(at) != Some(other) {
                    return None;
                }
                at += 1;
            }
        }
    }
    Some((values, at))
}

fn variables(pattern: &[Token]) -> Vec<String> {
    let each = pattern.iter().flat_map(|token| match token {
        Token::Variable(name, _) => vec![name.clone()],
        Token::Group(_, inner) | Token::Repeat(inner, _) => variables(inner),
        _ => Vec::new(),
    });
    each.collect()
}

fn text_of(token: &Token) -> String {
    match token {
        Token::Word(word) => word.clone(),
        Token::Mark(mark) => mark.to_string(),
        Token::Group(open, inner) => {
            let close = [('(', ')'), ('{', '}'), ('[', ']')].iter().find(|(o, _)| o == open).unwrap().1;
            format!("{open}{}{close}", inner.iter().map(text_of).collect::<String>())
        }
        Token::Variable(..) | Token::Repeat(..) => panic!("a call has no variables"),
    }
}

/// A macro's body with its variables replaced by their values, those of the innermost repetition last.
fn transcribed(body: &str, values: &[&Values]) -> String {
    let mut text = String::new();
    let mut rest = body;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if rest.starts_with('(') {
            let (inside, behind) = group_and_rest(rest);
            let (between, behind) = separator(behind);
            let is_named = |(names, _): &&(Vec<String>, Vec<Values>)| {
                names.iter().any(|name| inside.contains(&format!("${name}")))
            };
            let mut repetitions = values.iter().rev().flat_map(|values| &values.turns);
            let (_, turns) = repetitions.find(is_named).expect("a repetition names a variable");
            // Each turn on a line of its own, where lines are what is read.
            let line = text.rsplit('\n').next().unwrap_or_default();
            let indentation = " ".repeat(line.len() - line.trim_start().len());
            for (turn, inner) in turns.iter().enumerate() {
                if turn > 0 {
                    text.extend(between);
                    text.push('\n');
                    text.push_str(&indentation);
                }
                text.push_str(&transcribed(inside, &[values, &[inner]].concat()));
            }
            rest = behind;
        } else {
            let (variable, behind) = name(rest);
            match values.iter().rev().find_map(|values| values.single.get(variable)) {
                Some(value) => (text, rest) = (text + value, behind),
                None => text.push('$'),
            }
        }
    }
    text + rest
}

#[test]
fn a_call_gives_what_the_compiler_makes_of_it() {
    let made = Macro::read(
        "macro_rules! made {
    (of $whole:ident { $($name:ident => $kind:ty,)+ } $(, $more:ident)*) => {
        pub enum $whole {
            $(#[doc = concat!(\"[\", stringify!($name))] $name($kind),)+
        }

        $(impl From<$kind> for $whole {
            fn from() {}
        })+
    };
}",
    );
    let text = made.unwrap().expand("{of All { One => Vec<u8>, Two => Other, }}");
    assert_eq!(
        text,
        "pub enum All {
    #[doc = concat!(\"[\", stringify!(One))] One(Vec<u8>),
    #[doc = concat!(\"[\", stringify!(Two))] Two(Other),
}
impl From<Vec<u8>> for All {
    fn from() {}
}
impl From<Other> for All {
    fn from() {}
}
"
    );
}
