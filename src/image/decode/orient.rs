//! The eight EXIF orientations.
use ndarray::{Array3, Axis};

/// Turns an image stored with EXIF orientation `orientation` (1 to 8; anything else is 1) upright.
pub(super) fn upright(mut image: Array3<u8>, orientation: u8) -> Array3<u8> {
    let (vertical, horizontal) = (Axis(0), Axis(1));
    // 5 to 8 are stored on their side: after swapping the axes, 5 is 1, 8 is 4, 7 is 3, 6 is 2.
    let (swapped, flip_rows, flip_columns) = match orientation {
        2 => (false, false, true),
        3 => (false, true, true),
        4 => (false, true, false),
        5 => (true, false, false),
        6 => (true, false, true),
        7 => (true, true, true),
        8 => (true, true, false),
        _ => return image,
    };
    if swapped {
        image.swap_axes(0, 1);
    }
    if flip_rows {
        image.invert_axis(vertical);
    }
    if flip_columns {
        image.invert_axis(horizontal);
    }
    image.as_standard_layout().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The letters of a 2x3 picture, upright, and how each orientation stores them (EXIF 2.32, section 4.6.5.1.6: which
    /// side the 0th row and the 0th column of the file show).
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
            let turned = upright(picture(rows), orientation);
            assert_eq!(turned, picture(&upright_rows), "orientation {orientation}");
            assert!(turned.is_standard_layout());
        }
    }
}
