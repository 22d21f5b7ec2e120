//! Letters of 5 by 7 pixels, with one row more for what hangs below the line.

use std::borrow::Cow;

use ndarray::{Array2, s};

/// Six bands of 16 letters, from the space on in ASCII's order; at the end, where ASCII has no letter, the box.
const SHEET: &str = include_str!("font.txt");
const PER_BAND: usize = 16;
const FIRST: usize = ' ' as usize;
const BOX: usize = 0x7F;

const WIDTH: usize = 5;
/// Pixels from a letter to the next.
pub(super) const ADVANCE: usize = WIDTH + 1;
/// Pixel rows of a letter.
pub(super) const HEIGHT: usize = 8;
/// Pixels from a line to the next.
pub(super) const LINE: usize = HEIGHT + 2;

/// Whether a letter has ink in (row, column).
fn has_ink(letter: char, row: usize, column: usize) -> bool {
    let code = if (' '..='~').contains(&letter) { letter as usize } else { BOX } - FIRST;
    let line = code / PER_BAND * HEIGHT + row;
    let place = code % PER_BAND * ADVANCE + column;
    SHEET.lines().nth(line).and_then(|line| line.as_bytes().get(place)) == Some(&b'#')
}

/// A line of text, each of its pixels a square of side `scale`.
pub(super) fn text(text: &str, scale: usize) -> Array2<bool> {
    let mut small = Array2::from_elem((HEIGHT, length(text)), false);
    for (index, letter) in text.chars().enumerate() {
        let mut place = small.slice_mut(s![.., index * ADVANCE..index * ADVANCE + WIDTH]);
        place.indexed_iter_mut().for_each(|((row, column), ink)| *ink = has_ink(letter, row, column));
    }
    let (height, width) = small.dim();
    Array2::from_shape_fn((height * scale, width * scale), |(y, x)| small[[y / scale, x / scale]])
}

/// The same, to be read from the bottom to the top.
pub(super) fn upwards(text: Array2<bool>) -> Array2<bool> {
    let mut turned = text.reversed_axes();
    turned.invert_axis(ndarray::Axis(0));
    turned
}

/// Pixels that a line takes at scale 1.
pub(super) fn length(text: &str) -> usize {
    (text.chars().count() * ADVANCE).saturating_sub(1)
}

/// At most so many letters, the last two of a text that was cut being dots.
pub(super) fn shortened(text: &str, letters: usize) -> Cow<'_, str> {
    if text.chars().count() <= letters {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().take(letters.saturating_sub(2));
    Cow::Owned(kept.chain("..".chars().take(letters)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_is_whole() {
        let lines: Vec<_> = SHEET.lines().collect();
        assert_eq!(lines.len(), 6 * HEIGHT);
        for line in lines {
            assert_eq!(line.len(), PER_BAND * ADVANCE - 1);
            for (place, byte) in line.bytes().enumerate() {
                let gap = place % ADVANCE == WIDTH;
                assert!(if gap { byte == b' ' } else { b".#".contains(&byte) }, "{line}");
            }
        }
    }

    #[test]
    fn no_two_letters_look_alike() {
        let shapes: Vec<_> = (' '..='\u{7F}').map(|letter| text(&letter.to_string(), 1)).collect();
        for (index, shape) in shapes.iter().enumerate() {
            assert!(!shapes[..index].contains(shape), "{:?}", char::from(index as u8 + b' '));
        }
    }

    #[test]
    fn an_l_is_an_l() {
        let letter = text("L", 2);
        assert_eq!(letter.dim(), (16, 10));
        assert!(letter.column(0).iter().take(14).all(|ink| *ink));
        assert!(letter.row(13).iter().all(|ink| *ink) && !letter[[11, 2]] && !letter[[14, 0]]);
        // Its foot is to the right; turned, it is on top.
        assert!(upwards(letter).column(13).iter().all(|ink| *ink));
        assert_eq!(text("é", 1), text("花", 1));
        assert_eq!(text("", 1).dim(), (HEIGHT, 0));
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shortened("dandelion", 9), "dandelion");
        assert_eq!(shortened("dandelion", 6), "dand..");
        assert_eq!((&*shortened("ab", 1), &*shortened("ab", 0)), (".", ""));
    }
}
