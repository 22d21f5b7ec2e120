//! Text fit for a line of a terminal: names and paths that come from elsewhere, counts, shares, durations.

use std::borrow::Cow;
use std::path::Path;

/// Text from a file or of its name, fit for a line: what would move the cursor, break the line or turn its direction is
/// shown as `\u{1b}`, and can't pass for words of this program.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_not_for_lines) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_not_for_lines(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Control characters, ends of lines and paragraphs, and what changes the direction of writing.
pub(super) fn is_not_for_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A path, [escaped].
pub fn path(path: &Path) -> String {
    escaped(&path.to_string_lossy()).into_owned()
}

/// How many names [`names`] lists.
const LISTED_NAMES: usize = 30;

/// Names of classes in a line, the first of many.
pub fn names(names: &[String]) -> String {
    let listed: Vec<_> = names.iter().take(LISTED_NAMES).map(|name| escaped(name)).collect();
    match names.len().saturating_sub(LISTED_NAMES) {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// A path as a POSIX shell takes it in a command that is suggested: quoted only where it must be.
pub fn shell(path: &Path) -> String {
    let mut text = path.to_string_lossy().into_owned();
    if text.starts_with('-') {
        // It would be taken for a flag.
        text.insert_str(0, "./");
    }
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `1 photo`, `2 photos`.
pub fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// `95.2` as `1 min 35 s`.
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        0..10 => format!("{seconds:.1} s"),
        s @ 10..120 => format!("{s} s"),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}

/// `0.953` as `95.3 %`; `-` where there is no value.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.1} %", 100.0 * share))
}

/// A learning rate, with three digits that count; very small ones with two.
pub fn rate(learning_rate: f32) -> String {
    if (1e-3..1e3).contains(&learning_rate) {
        let before_point = learning_rate.log10().floor() as i32;
        format!("{learning_rate:.*}", (2 - before_point).max(0) as usize)
    } else {
        format!("{learning_rate:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_many_names_are_listed() {
        let list = |count: usize| names(&(0..count).map(|name| name.to_string()).collect::<Vec<_>>());
        assert_eq!(list(3), "0, 1, 2");
        assert!(list(30).ends_with("28, 29"));
        assert!(list(32).ends_with("28, 29 and 2 more"));
    }

    #[test]
    fn paths_are_quoted_where_a_shell_would_take_them_apart() {
        for (path, command) in [
            ("run/model.safetensors", "run/model.safetensors"),
            ("/data/größe_2", "/data/größe_2"),
            ("da ta", "'da ta'"),
            ("it's", r"'it'\''s'"),
            ("~/$HOME/*", "'~/$HOME/*'"),
            ("-o", "./-o"),
            ("-a b", "'./-a b'"),
            ("", "''"),
        ] {
            assert_eq!(shell(Path::new(path)), command);
        }
    }

    #[test]
    fn rates_have_three_digits() {
        for (learning_rate, shown) in
            [(0.02, "0.0200"), (0.001, "0.00100"), (1.0, "1.00"), (4e-5, "4.0e-5"), (0.0, "0.0e0")]
        {
            assert_eq!(rate(learning_rate), shown);
        }
    }
}
