//! A curve in a line of text.

use std::env;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// For terminals of another character set.
const ASCII: [char; 5] = ['_', '.', '-', '=', '#'];

/// A curve of the values, in at most `columns` characters: each the mean of its part of them, from the least to the
/// greatest. Where a value is not finite there is a `?`.
pub fn sparkline(values: &[f64], columns: usize) -> String {
    if is_utf8(|name| env::var(name).ok()) {
        drawn(values, columns, &BLOCKS)
    } else {
        drawn(values, columns, &ASCII)
    }
}

/// Whether the locale's character set is UTF-8, as POSIX finds the locale.
fn is_utf8(var: impl Fn(&str) -> Option<String>) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| var(name).filter(|v| !v.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

fn drawn(values: &[f64], columns: usize, levels: &[char]) -> String {
    let columns = columns.min(values.len());
    let part =
        |column: usize| &values[column * values.len() / columns..(column + 1) * values.len() / columns];
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let means: Vec<f64> = (0..columns).map(|column| mean(part(column))).collect();
    let finite = || means.iter().copied().filter(|mean| mean.is_finite());
    let (least, greatest) =
        (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let level = |mean: f64| match mean {
        mean if !mean.is_finite() => '?',
        _ if greatest <= least => levels[0],
        mean => levels[((mean - least) / (greatest - least) * (levels.len() - 1) as f64).round() as usize],
    };
    means.into_iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_levels() {
        let eight: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(drawn(&eight, 80, &BLOCKS), "▁▂▃▄▅▆▇█");
        assert_eq!(drawn(&eight, 4, &BLOCKS), "▁▃▆█");
        assert_eq!(drawn(&[4.0, 3.0, 2.0, 1.0, 0.0], 9, &ASCII), "#=-._");
        assert_eq!(drawn(&[2.0, f64::NAN, 1.0, f64::INFINITY], 9, &BLOCKS), "█?▁?");
        assert_eq!(drawn(&[5.0, 5.0], 9, &BLOCKS), "▁▁");
        assert_eq!((drawn(&[], 9, &BLOCKS), drawn(&eight, 0, &BLOCKS)), (String::new(), String::new()));
        assert_eq!(drawn(&[f64::NAN], 9, &BLOCKS), "?");
        // A range that overflows must not be a number out of the levels.
        assert_eq!(drawn(&[f64::MAX, f64::MIN], 9, &ASCII).chars().count(), 2);
    }

    #[test]
    fn the_first_variable_that_is_set_names_the_character_set() {
        let utf8 = |set: &[(&str, &str)]| {
            is_utf8(|name| set.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string()))
        };
        assert!(utf8(&[("LANG", "de_DE.UTF-8")]) && utf8(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(utf8(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]));
        assert!(!utf8(&[]) && !utf8(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]));
    }
}
