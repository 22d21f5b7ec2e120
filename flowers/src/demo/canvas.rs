//! The picture being drawn: fills outlines and blurs.

use super::color::{BLACK, Color};
use super::coverage::Coverage;
use super::geometry::{Frame, Point, point};
use super::outline::Outline;

pub struct Canvas {
    width: usize,
    height: usize,
    /// Row after row; every pixel is opaque.
    pixels: Vec<Color>,
    coverage: Coverage,
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, height, pixels: vec![BLACK; width * height], coverage: Coverage::default() }
    }

    pub fn width(&self) -> f32 {
        self.width as f32
    }

    pub fn height(&self) -> f32 {
        self.height as f32
    }

    pub fn shorter_side(&self) -> f32 {
        self.width.min(self.height) as f32
    }

    pub fn pixels(&self) -> &[Color] {
        &self.pixels
    }

    /// Every pixel through `change`, which is given the pixel's center.
    pub fn map(&mut self, mut change: impl FnMut(Point, Color) -> Color) {
        for (y, row) in self.pixels.chunks_exact_mut(self.width).enumerate() {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = change(center(x, y), *pixel);
            }
        }
    }

    /// Fills `outline`, described in `frame`, with what `paint` gives for each point of the frame.
    pub fn fill(&mut self, frame: Frame, outline: &Outline, paint: impl Fn(Point) -> Color) {
        let contours: Vec<Vec<Point>> = outline
            .contours()
            .iter()
            .map(|contour| contour.iter().map(|&at| frame.to_canvas(at)).collect())
            .collect();
        let Some(area) = self.visible_area(&contours) else { return };
        self.coverage.reset(area.right - area.left, area.bottom - area.top);
        let shifted = |at: Point| point(at.x - area.left as f32, at.y - area.top as f32);
        for contour in &contours {
            let next = contour.iter().cycle().skip(1);
            for (&from, &to) in contour.iter().zip(next) {
                self.coverage.add_edge(shifted(from), shifted(to));
            }
        }
        let to_frame = frame.canvas_to_frame();
        for y in area.top..area.bottom {
            let row = &mut self.pixels[y * self.width + area.left..y * self.width + area.right];
            for ((x, pixel), covered) in (area.left..).zip(row).zip(self.coverage.row(y - area.top)) {
                if covered > 1.0 / 512.0 {
                    *pixel = paint(to_frame(center(x, y))).over(*pixel, covered);
                }
            }
        }
    }

    /// Fills with one color.
    pub fn fill_flat(&mut self, frame: Frame, outline: &Outline, color: Color) {
        self.fill(frame, outline, |_| color);
    }

    /// A soft spot on the frame's unit disc: `color` at the center, nothing left at the rim.
    pub fn glow(&mut self, frame: Frame, color: Color) {
        self.fill(frame, &Outline::disc(), |at| {
            let inside = (1.0 - (at.x * at.x + at.y * at.y)).max(0.0);
            color.with_opacity(color.opacity * inside * inside)
        });
    }

    /// The smallest rectangle of pixels that holds what can be seen of `contours`.
    fn visible_area(&self, contours: &[Vec<Point>]) -> Option<Area> {
        let points = || contours.iter().flatten();
        let least = |value: fn(&Point) -> f32| points().map(value).fold(f32::INFINITY, f32::min).floor();
        let most = |value: fn(&Point) -> f32| points().map(value).fold(f32::NEG_INFINITY, f32::max).ceil();
        let area = Area {
            left: least(|at| at.x).clamp(0.0, self.width()) as usize,
            right: most(|at| at.x).clamp(0.0, self.width()) as usize,
            top: least(|at| at.y).clamp(0.0, self.height()) as usize,
            bottom: most(|at| at.y).clamp(0.0, self.height()) as usize,
        };
        (area.left < area.right && area.top < area.bottom).then_some(area)
    }

    /// Blurs by about a Gaussian of standard deviation `sigma` pixels: two box filters after each other.
    pub fn blur(&mut self, sigma: f32) {
        // Variances add: each box's is half of the whole. A box of w pixels to either side has w (w + 1) / 3; the pixel
        // beyond each end, counted in part, brings it up to what is wanted.
        let variance = sigma * sigma / 2.0;
        let whole = ((1.0 + 12.0 * variance).sqrt() / 2.0 - 0.5).floor();
        let sum_of_squares = whole * (whole + 1.0) * (2.0 * whole + 1.0) / 3.0;
        let beyond = (whole + 1.0) * (whole + 1.0) - variance;
        let radius = whole + (variance * (1.0 + 2.0 * whole) - sum_of_squares) / (2.0 * beyond);
        for _ in 0..2 {
            let columns = blur_rows_and_transpose(&self.pixels, self.width, radius);
            self.pixels = blur_rows_and_transpose(&columns, self.height, radius);
        }
    }
}

struct Area {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
}

fn center(x: usize, y: usize) -> Point {
    point(x as f32 + 0.5, y as f32 + 0.5)
}

/// Each row of `pixels` averaged over `radius` pixels to either side (a fraction counts in part; the border
/// pixels repeat beyond the border), written out as a column.
fn blur_rows_and_transpose(pixels: &[Color], width: usize, radius: f32) -> Vec<Color> {
    let height = pixels.len() / width;
    let whole = radius as usize;
    let part = radius - whole as f32;
    let weight = 1.0 / (1.0 + 2.0 * radius);
    let mut transposed = vec![BLACK; pixels.len()];
    for (y, row) in pixels.chunks_exact(width).enumerate() {
        let at = |x: isize| row[x.clamp(0, width as isize - 1) as usize];
        let reach = whole as isize;
        let mut sum = (-reach..=reach).map(at).fold(BLACK, |sum, pixel| plus(sum, pixel, 1.0));
        for x in 0..width as isize {
            let with_ends = plus(plus(sum, at(x - reach - 1), part), at(x + reach + 1), part);
            transposed[x as usize * height + y] = with_ends.map(|value| value * weight);
            sum = plus(plus(sum, at(x + reach + 1), 1.0), at(x - reach), -1.0);
        }
    }
    transposed
}

fn plus(a: Color, b: Color, weight: f32) -> Color {
    Color {
        red: a.red + b.red * weight,
        green: a.green + b.green * weight,
        blue: a.blue + b.blue * weight,
        opacity: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::color::WHITE;

    #[test]
    fn blur_spreads_a_point_and_loses_no_light() {
        let mut canvas = Canvas::new(31, 21);
        let middle = point(15.5, 10.5);
        canvas.map(|at, _| if at == middle { WHITE } else { BLACK });
        canvas.blur(1.5);
        let mut variance = 0.0;
        let mut light = 0.0;
        canvas.map(|at, pixel| {
            light += pixel.red;
            variance += pixel.red * (at.x - middle.x).powi(2);
            pixel
        });
        // Sums of float32.
        assert!((light - 1.0).abs() < 1e-4, "{light}");
        assert!((variance - 2.25).abs() < 1e-3, "{variance}");
    }

    #[test]
    fn fill_lays_the_paint_over_by_its_opacity() {
        let mut canvas = Canvas::new(2, 1);
        let mut left_pixel = Outline::default();
        left_pixel.add_stroke(&[point(0.0, 0.5), point(1.0, 0.5)], 1.0, 1.0);
        canvas.fill_flat(Frame::CANVAS, &left_pixel, WHITE.with_opacity(0.25));
        assert_eq!(canvas.pixels().iter().map(|pixel| pixel.red).collect::<Vec<_>>(), [0.25, 0.0]);
    }
}
