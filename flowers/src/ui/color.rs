//! Color, where it is wanted: <https://no-color.org>, <https://bixense.com/clicolors>.

use std::env;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU8, Ordering};

use clap::ValueEnum;

/// When to use color.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, as NO_COLOR, CLICOLOR and CLICOLOR_FORCE say
    Auto,
    Always,
    Never,
}

static WHEN: AtomicU8 = AtomicU8::new(When::Auto as u8);

impl When {
    /// Uses color in this way from here on.
    pub fn apply(self) {
        WHEN.store(self as u8, Ordering::Relaxed);
    }

    /// Whether a stream gets color, in the environment `var`.
    fn colors(self, is_terminal: bool, var: impl Fn(&str) -> Option<String>) -> bool {
        let is_set = |name| var(name).is_some_and(|value| !value.is_empty());
        let is_on = |name| var(name).is_some_and(|value| value != "0");
        match self {
            When::Always => true,
            When::Never => false,
            When::Auto if is_set("NO_COLOR") => false,
            When::Auto if is_on("CLICOLOR_FORCE") => true,
            When::Auto => {
                is_terminal
                    && var("CLICOLOR").is_none_or(|value| value != "0")
                    && var("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

/// What a part of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    /// The names of columns.
    Header,
    /// What is the best so far.
    Best,
    Warning,
    Error,
}

impl Style {
    /// The parameters of its SGR sequence.
    fn sgr(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Header => Some("1"),
            Style::Best => Some("1;32"),
            Style::Warning => Some("33"),
            Style::Error => Some("1;31"),
        }
    }

    /// The text as `stream` is to show it.
    pub fn paint(self, text: &str, stream: &impl IsTerminal) -> String {
        let when = WHEN.load(Ordering::Relaxed);
        let when = [When::Always, When::Never].into_iter().find(|it| *it as u8 == when).unwrap_or(When::Auto);
        match self.sgr() {
            Some(sgr)
                if !text.is_empty() && when.colors(stream.is_terminal(), |name| env::var(name).ok()) =>
            {
                format!("\x1b[{sgr}m{text}\x1b[0m")
            }
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_unless_a_flag_does() {
        let auto = |set: &[(&str, &str)], is_terminal| {
            let var = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string());
            assert!(When::Always.colors(is_terminal, var) && !When::Never.colors(is_terminal, var));
            When::Auto.colors(is_terminal, var)
        };
        assert!(auto(&[], true) && !auto(&[], false));
        assert!(auto(&[("NO_COLOR", ""), ("CLICOLOR", "1")], true));
        for off in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
            assert!(!auto(&[off], true), "{off:?}");
        }
        assert!(auto(&[("CLICOLOR_FORCE", "1")], false) && !auto(&[("CLICOLOR_FORCE", "0")], false));
        assert!(!auto(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true));
    }
}
