//! How much of each pixel an outline covers, exactly: the anti-aliasing of the canvas.
//!
//! Each cell holds the *change* of coverage from its left neighbor, so an edge touches only the cells it
//! crosses and a running sum along the row fills everything to its right.

use super::geometry::Point;

/// Coverage of a rectangle of pixels whose top left corner is (0, 0).
#[derive(Debug, Default)]
pub struct Coverage {
    width: usize,
    height: usize,
    /// Row after row, two cells longer than the row: an edge on the right border spills into them.
    cells: Vec<f32>,
}

impl Coverage {
    /// Clears to `width` x `height` uncovered pixels, reusing the memory.
    pub fn reset(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.cells.clear();
        self.cells.resize((width + 2) * height, 0.0);
    }

    /// Adds one edge of a closed contour.
    pub fn add_edge(&mut self, from: Point, to: Point) {
        let (winding, upper, lower) = if from.y < to.y { (1.0, from, to) } else { (-1.0, to, from) };
        let (top, bottom) = (upper.y.max(0.0), lower.y.min(self.height as f32));
        if top >= bottom {
            return;
        }
        let slope = (lower.x - upper.x) / (lower.y - upper.y);
        let x_at = |y: f32| upper.x + (y - upper.y) * slope;
        for row in top as usize..(bottom.ceil() as usize).min(self.height) {
            let enters = top.max(row as f32);
            let leaves = bottom.min((row + 1) as f32);
            self.add_to_row(row, x_at(enters), x_at(leaves), winding * (leaves - enters));
        }
    }

    /// Adds a piece of an edge that stays in one row, from `x0` to `x1`, covering `height` of the row.
    fn add_to_row(&mut self, row: usize, x0: f32, x1: f32, height: f32) {
        let border = self.width as f32;
        let (left, right) = (x0.min(x1).clamp(0.0, border), x0.max(x1).clamp(0.0, border));
        let cells = &mut self.cells[row * (self.width + 2)..][..self.width + 2];
        // Within one pixel, the part right of the edge is a trapezium: its area is that of its middle line.
        let mut add = |column: usize, middle: f32, height: f32| {
            let beyond = middle - column as f32;
            cells[column] += height * (1.0 - beyond);
            cells[column + 1] += height * beyond;
        };
        let (first, last) = (left as usize, right as usize);
        if first == last {
            return add(first, (left + right) / 2.0, height);
        }
        for column in first..=last {
            let from = left.max(column as f32);
            let to = right.min((column + 1) as f32);
            add(column, (from + to) / 2.0, height * (to - from) / (right - left));
        }
    }

    /// The coverage, 0 to 1, of the pixels of one row from left to right.
    pub fn row(&self, row: usize) -> impl Iterator<Item = f32> {
        let cells = &self.cells[row * (self.width + 2)..][..self.width];
        cells.iter().scan(0.0, |sum: &mut f32, change| {
            *sum += change;
            Some(sum.abs().min(1.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::geometry::point;

    fn covered(width: usize, height: usize, corners: &[Point]) -> Vec<f32> {
        let mut coverage = Coverage::default();
        coverage.reset(width, height);
        for (i, &corner) in corners.iter().enumerate() {
            coverage.add_edge(corner, corners[(i + 1) % corners.len()]);
        }
        (0..height).flat_map(|row| coverage.row(row).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn a_rectangle_covers_parts_of_pixels_by_area() {
        let corners = [point(0.5, 0.0), point(2.25, 0.0), point(2.25, 0.5), point(0.5, 0.5)];
        assert_eq!(covered(4, 1, &corners), [0.25, 0.5, 0.125, 0.0]);
    }

    #[test]
    fn a_polygon_covers_its_area_and_what_lies_outside_is_cut_off() {
        // Area of the triangle by the shoelace formula; f32 sums of about 100 cells: 1e-4.
        let corners = [point(1.3, 0.2), point(8.7, 3.1), point(2.9, 9.4)];
        let area = 0.5 * ((8.7 - 1.3) * (9.4 - 0.2) - (2.9 - 1.3) * (3.1 - 0.2));
        let sum: f32 = covered(10, 10, &corners).iter().sum();
        assert!((sum - area).abs() < 1e-4, "{sum} {area}");

        let beyond = [point(-5.0, -5.0), point(20.0, -5.0), point(20.0, 20.0), point(-5.0, 20.0)];
        assert_eq!(covered(3, 3, &beyond), [1.0; 9]);
    }
}
