//! Points and the coordinate systems that shapes are described in.

use std::f32::consts::TAU;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

pub const fn point(x: f32, y: f32) -> Point {
    Point { x, y }
}

impl Point {
    pub fn distance(self, other: Point) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    pub fn towards(self, other: Point, amount: f32) -> Point {
        point(self.x + (other.x - self.x) * amount, self.y + (other.y - self.y) * amount)
    }
}

/// The point at `radius` from the origin, `angle` radians clockwise (y grows downwards) from the x axis.
pub fn polar(radius: f32, angle: f32) -> Point {
    point(radius * angle.cos(), radius * angle.sin())
}

pub fn any_angle(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(0.0..TAU)
}

/// A coordinate system placed on the canvas: a petal is described lying along its own x axis from 0 to 1,
/// and its frame says where that lies on the flower. Each method gives a new frame expressed in this one's units.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    origin: Point,
    x_axis: Point,
    y_axis: Point,
}

impl Frame {
    /// The canvas itself: pixels, from the top left corner, y downwards.
    pub const CANVAS: Frame =
        Frame { origin: point(0.0, 0.0), x_axis: point(1.0, 0.0), y_axis: point(0.0, 1.0) };

    pub fn moved(self, to: Point) -> Frame {
        Frame { origin: self.to_canvas(to), ..self }
    }

    pub fn turned(self, angle: f32) -> Frame {
        let (sin, cos) = angle.sin_cos();
        Frame { x_axis: self.direction(cos, sin), y_axis: self.direction(-sin, cos), ..self }
    }

    pub fn scaled(self, x: f32, y: f32) -> Frame {
        Frame { x_axis: self.direction(x, 0.0), y_axis: self.direction(0.0, y), ..self }
    }

    /// A round head seen from aside: its unit disc becomes an ellipse, `height` times as high,
    /// leaning in some direction, and what lies on it starts at some angle.
    pub fn tilted(self, height: f32, rng: &mut ChaCha8Rng) -> Frame {
        self.turned(any_angle(rng)).scaled(1.0, height).turned(any_angle(rng))
    }

    pub fn to_canvas(self, at: Point) -> Point {
        let direction = self.direction(at.x, at.y);
        point(self.origin.x + direction.x, self.origin.y + direction.y)
    }

    fn direction(self, x: f32, y: f32) -> Point {
        point(self.x_axis.x * x + self.y_axis.x * y, self.x_axis.y * x + self.y_axis.y * y)
    }

    /// The map from canvas points back to this frame's.
    pub fn canvas_to_frame(self) -> impl Fn(Point) -> Point {
        let Frame { origin, x_axis, y_axis } = self;
        let area = x_axis.x * y_axis.y - x_axis.y * y_axis.x;
        move |at| {
            let (x, y) = (at.x - origin.x, at.y - origin.y);
            point((x * y_axis.y - y * y_axis.x) / area, (y * x_axis.x - x * x_axis.y) / area)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_and_its_inverse_cancel() {
        let frame = Frame::CANVAS.moved(point(30.0, 20.0)).turned(0.7).scaled(5.0, 2.0).turned(-0.2);
        let at = point(0.3, -1.2);
        let back = frame.canvas_to_frame()(frame.to_canvas(at));
        assert!(at.distance(back) < 1e-5, "{back:?}");
    }

    #[test]
    fn frames_nest_from_the_outside_in() {
        let frame = Frame::CANVAS.moved(point(10.0, 0.0)).turned(TAU / 4.0).scaled(2.0, 1.0);
        let end = frame.to_canvas(point(1.0, 0.0));
        assert!(end.distance(point(10.0, 2.0)) < 1e-5, "{end:?}");
    }
}
