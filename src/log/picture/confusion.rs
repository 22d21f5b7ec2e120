//! The confusion matrix as a picture.

use ndarray::Array3;

use super::canvas::{Color, INK, PAPER, blank, fill, mix, write};
use super::font::{self, ADVANCE, HEIGHT};
use crate::metrics::Confusion;

/// The most classes whose confusion matrix is drawn: of more, no cell would be left to see.
pub const MAX_DRAWN_CLASSES: usize = 512;

const RIGHT: Color = [31, 98, 171];
const WRONG: Color = [201, 79, 9];
const NONE: Color = [246; 3];

/// Pixels along a side that all cells together take, if each of them then has a sensible size.
const SIDE: usize = 640;
const MARGIN: usize = 6;
/// Letters of a class's name.
const NAME: usize = 14;

/// Who was taken for whom: a row for each true class, a column for each that it was taken for, and in the cells how many
/// examples that were.
///
/// The deeper a cell's color, the greater its share of the row; those on the diagonal, which are right, are blue, the others
/// orange. Counts and names are left out where they have no room. `None` for no class, and for more than
/// [`MAX_DRAWN_CLASSES`].
///
/// Counts of classes without a name in `classes` are not drawn.
pub fn confusion_matrix(confusion: &Confusion, classes: &[String]) -> Option<Array3<u8>> {
    if classes.is_empty() || classes.len() > MAX_DRAWN_CLASSES {
        return None;
    }
    let layout = Layout::new(classes);
    let side = classes.len() * layout.cell;
    let mut picture = blank(layout.top + side + MARGIN, layout.left + side + MARGIN);
    layout.write_names(&mut picture, classes);
    layout.fill_cells(&mut picture, confusion, classes.len());
    Some(picture)
}

/// Sizes in pixels.
struct Layout {
    /// Of a cell, with the line to the next.
    cell: usize,
    /// The first cell's corner.
    top: usize,
    left: usize,
    /// Of letters; 0 where cells are too small for any.
    scale: usize,
}

impl Layout {
    fn new(classes: &[String]) -> Self {
        let cell = (SIDE / classes.len()).clamp(3, 80);
        let scale = (cell / (HEIGHT + 2)).min(2);
        let longest = classes.iter().map(|name| font::length(&font::shortened(name, NAME))).max();
        let names = longest.unwrap_or(0) * scale;
        let title = HEIGHT * scale.max(1);
        let before = MARGIN + title + MARGIN + names + MARGIN;
        Self { cell, top: before, left: before, scale }
    }

    fn write_names(&self, picture: &mut Array3<u8>, classes: &[String]) {
        let &Self { cell, top, left, scale } = self;
        let side = classes.len() * cell;
        let centered = |from: usize, room: usize, length: usize| from + room.saturating_sub(length) / 2;
        // A title is never longer than the names and cells that it stands beside.
        let fitting = |title: &'static str| font::shortened(title, (side / scale.max(1) + 1) / ADVANCE);
        let across = font::text(&fitting("taken for"), scale.max(1));
        write(picture, (MARGIN, centered(left, side, across.dim().1)), &across, INK);
        let down = font::upwards(font::text(&fitting("true class"), scale.max(1)));
        write(picture, (centered(top, side, down.dim().0), MARGIN), &down, INK);
        if scale == 0 {
            return;
        }
        for (class, name) in classes.iter().enumerate() {
            let name = font::text(&font::shortened(name, NAME), scale);
            let (height, width) = name.dim();
            let middle = class * cell + (cell - height) / 2;
            write(picture, (top + middle, left - MARGIN - width), &name, INK);
            write(picture, (top - MARGIN - width, left + middle), &font::upwards(name), INK);
        }
    }

    fn fill_cells(&self, picture: &mut Array3<u8>, confusion: &Confusion, classes: usize) {
        let &Self { cell, top, left, scale } = self;
        let side = classes * cell;
        fill(picture, top..top + side, left..left + side, NONE);
        let mut totals = vec![0; classes];
        let drawn = || confusion.iter().filter(|((label, class), _)| *label < classes && *class < classes);
        drawn().for_each(|((label, _), count)| totals[label] += count);
        for ((label, class), count) in drawn() {
            let (y, x) = (top + label * cell, left + class * cell);
            let share = count as f64 / totals[label] as f64;
            let color = mix(NONE, if label == class { RIGHT } else { WRONG }, share.sqrt());
            // The line to the next cell stays free.
            fill(picture, y..y + cell - 1, x..x + cell - 1, color);
            let number = font::text(&count.to_string(), scale);
            let (height, width) = number.dim();
            if width + 2 < cell && scale > 0 {
                let ink = if share.sqrt() > 0.5 { PAPER } else { INK };
                write(picture, (y + (cell - height) / 2, x + (cell - width) / 2), &number, ink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};

    use super::*;
    use crate::metrics::Evaluation;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class number {class}")).collect()
    }

    /// One example for each pair of (true class, class taken for).
    fn confusion(classes: usize, pairs: &[(usize, usize)]) -> Confusion {
        let mut evaluation = Evaluation::new(classes);
        let mut scores = Array2::zeros((pairs.len(), classes));
        pairs.iter().enumerate().for_each(|(row, (_, class))| scores[[row, *class]] = 1.0);
        evaluation.add(0.0, scores.view(), &pairs.iter().map(|(label, _)| *label).collect::<Vec<_>>());
        evaluation.confusion
    }

    /// The color at the upper left of each cell.
    fn cells(picture: &Array3<u8>, classes: usize) -> Vec<Vec<Color>> {
        let Layout { cell, top, left, .. } = Layout::new(&names(classes));
        let color = |row: usize, column: usize| {
            let pixel = picture.slice(s![top + row * cell, left + column * cell, ..]);
            [pixel[0], pixel[1], pixel[2]]
        };
        (0..classes).map(|row| (0..classes).map(|column| color(row, column)).collect()).collect()
    }

    #[test]
    fn cells_are_colored_by_their_share_of_the_row() {
        let confusion = confusion(3, &[(0, 0), (0, 0), (0, 1), (0, 1), (2, 0)]);
        let picture = confusion_matrix(&confusion, &names(3)).unwrap();
        let half = 0.5f64.sqrt();
        assert_eq!(
            cells(&picture, 3),
            [[mix(NONE, RIGHT, half), mix(NONE, WRONG, half), NONE], [NONE; 3], [WRONG, NONE, NONE]]
        );
    }

    #[test]
    fn any_number_of_classes_is_drawn_or_left_out() {
        for classes in [1, 2, 5, 31, 64, 65, 100, 213, 214, MAX_DRAWN_CLASSES] {
            let last = classes - 1;
            let confusion = confusion(classes, &[(0, last), (last, last), (last, 0)]);
            let picture = confusion_matrix(&confusion, &names(classes)).unwrap();
            assert!(picture.dim().0 == picture.dim().1 && picture.dim().0 < 2000, "{:?}", picture.dim());
            assert_eq!(cells(&picture, classes)[last][last] == NONE, classes == 0);
        }
        assert_eq!(confusion_matrix(&Confusion::default(), &[]), None);
        assert_eq!(confusion_matrix(&Confusion::default(), &names(MAX_DRAWN_CLASSES + 1)), None);
    }

    #[test]
    fn classes_without_a_name_are_not_drawn() {
        let picture = confusion_matrix(&confusion(5, &[(4, 0), (0, 4), (1, 1)]), &names(2)).unwrap();
        assert_eq!(cells(&picture, 2), [[NONE, NONE], [NONE, RIGHT]]);
    }
}
