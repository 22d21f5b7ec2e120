//! The eight EXIF orientations.
use ndarray::Axis;

use super::Decoded;
use crate::image::resize::Source;

/// Turns an image stored with EXIF orientation `orientation` (1 to 8; anything else is 1) upright.
pub(super) fn upright(decoded: Decoded, orientation: u8) -> Decoded {
    // 5 to 8 are stored on their side: after swapping the axes, 5 is 1, 8 is 4, 7 is 3, 6 is 2.
    let (swapped, flip_rows, flip_columns) = match orientation {
        2 => (false, false, true),
        3 => (false, true, true),
        4 => (false, true, false),
        5 => (true, false, false),
        6 => (true, false, true),
        7 => (true, true, true),
        8 => (true, true, false),
        _ => return decoded,
    };
    let Decoded { mut image, mut rows, mut columns } = decoded;
    if swapped {
        image.swap_axes(0, 1);
        std::mem::swap(&mut rows, &mut columns);
    }
    if flip_rows {
        image.invert_axis(Axis(0));
        rows = reversed(rows);
    }
    if flip_columns {
        image.invert_axis(Axis(1));
        columns = reversed(columns);
    }
    Decoded { image: image.as_standard_layout().into_owned(), rows, columns }
}

fn reversed(source: Source) -> Source {
    Source { begin: source.pixels as f64 - source.length - source.begin, ..source }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    /// The letters of a 2x3 picture, upright, and how each orientation stores them (EXIF 2.32, section
    /// 4.6.5.1.6: which side the 0th row and the 0th column of the file show).
    #[test]
    fn every_orientation_turns_upright() {
        let upright_rows = ["abc", "def"];
        let stored: [(u8, &[&str]); 9] = [
            (0, &["abc", "def"]),
            (1, &["abc", "def"]),
            (2, &["cba", "fed"]),
            (3, &["fed", "cba"]),
            (4, &["def", "abc"]),
            (5, &["ad", "be", "cf"]),
            (6, &["cf", "be", "ad"]),
            (7, &["fc", "eb", "da"]),
            (8, &["da", "eb", "fc"]),
        ];
        let picture = |rows: &[&str]| {
            let width = rows[0].len();
            Array3::from_shape_fn((rows.len(), width, 3), |(y, x, c)| {
                rows[y].as_bytes()[x] + 100 * c as u8 / 2
            })
        };
        for (orientation, rows) in stored {
            let image = picture(rows);
            // as if it were a little shorter and narrower than its pixels, at the ends of both axes
            let source = |pixels: usize| Source { pixels, begin: 0.0, length: pixels as f64 - 0.25 };
            let (height, width, _) = image.dim();
            let stored = Decoded { image, rows: source(height), columns: source(width) };
            let turned = upright(stored, orientation);
            assert_eq!(turned.image, picture(&upright_rows), "orientation {orientation}");
            assert!(turned.image.is_standard_layout());
            // where the stored ends of rows and columns are in the upright picture
            let (bottom, right) = match orientation {
                2 => (true, false),
                3 => (false, false),
                4 => (false, true),
                5 => (true, true),
                6 => (true, false),
                7 => (false, false),
                8 => (false, true),
                _ => (true, true),
            };
            let expected = |pixels: usize, at_end: bool| Source {
                begin: if at_end { 0.0 } else { 0.25 },
                ..source(pixels)
            };
            assert_eq!(turned.rows, expected(2, bottom), "orientation {orientation}");
            assert_eq!(turned.columns, expected(3, right), "orientation {orientation}");
        }
    }
}
