//! Closed outlines to fill: petals and leaves, discs, and strokes that taper.

use std::f32::consts::{PI, TAU};

use super::geometry::{Point, point, polar};

/// Any number of closed contours that are filled together. All wind the same way, so where they overlap the
/// outline is simply covered.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    contours: Vec<Vec<Point>>,
}

impl Outline {
    pub fn contours(&self) -> &[Vec<Point>] {
        &self.contours
    }

    /// A petal along the x axis from 0 to 1, its half-width 1 where it is widest: `x^base (1-x)^tip`, scaled.
    /// An exponent below 1 rounds that end, 1 makes it a wedge, above 1 draws it out to a fine point;
    /// the petal is widest at `base / (base + tip)`.
    pub fn petal(base: f32, tip: f32) -> Outline {
        let shape = |x: f32| x.powf(base) * (1.0 - x).powf(tip);
        let widest = shape(base / (base + tip));
        Outline::symmetric(|x| shape(x) / widest)
    }

    /// The area within `half_width(x)` of the x axis, for x from 0 to 1.
    pub fn symmetric(half_width: impl Fn(f32) -> f32) -> Outline {
        const STEPS: usize = 14;
        // Cosine spacing puts the points close together where the ends round.
        let along = |step: usize| 0.5 - 0.5 * (PI * step as f32 / STEPS as f32).cos();
        let edge: Vec<Point> = (0..=STEPS).map(along).map(|x| point(x, half_width(x))).collect();
        let mirrored = edge.iter().rev().map(|at| point(at.x, -at.y));
        let contour = edge.iter().copied().chain(mirrored).collect();
        Outline { contours: vec![contour] }
    }

    /// The unit disc.
    pub fn disc() -> Outline {
        let mut outline = Outline::default();
        outline.add_disc(point(0.0, 0.0), 1.0, 40);
        outline
    }

    pub fn add_disc(&mut self, center: Point, radius: f32, corners: usize) {
        let corner = |i: usize| polar(radius, -TAU * i as f32 / corners as f32);
        self.contours
            .push((0..corners).map(corner).map(|at| point(center.x + at.x, center.y + at.y)).collect());
    }

    /// A line through `path` (two points or more), `width_from` wide at its beginning and `width_to` at its end.
    pub fn add_stroke(&mut self, path: &[Point], width_from: f32, width_to: f32) {
        let last = path.len() - 1;
        let side = |i: usize, sign: f32| {
            let (before, after) = (path[i.saturating_sub(1)], path[(i + 1).min(last)]);
            let half = 0.5 * sign * (width_from + (width_to - width_from) * i as f32 / last as f32);
            let scale = half / before.distance(after).max(f32::MIN_POSITIVE);
            point(path[i].x - (after.y - before.y) * scale, path[i].y + (after.x - before.x) * scale)
        };
        let there = (0..=last).map(|i| side(i, 1.0));
        let back = (0..=last).rev().map(|i| side(i, -1.0));
        self.contours.push(there.chain(back).collect());
    }

    pub fn stroke(path: &[Point], width_from: f32, width_to: f32) -> Outline {
        let mut outline = Outline::default();
        outline.add_stroke(path, width_from, width_to);
        outline
    }
}

/// Points along the quadratic Bézier curve from `from` to `to`, bent towards `control`.
pub fn curve(from: Point, control: Point, to: Point) -> Vec<Point> {
    const STEPS: usize = 12;
    let at = |t: f32| from.towards(control, t).towards(control.towards(to, t), t);
    (0..=STEPS).map(|step| at(step as f32 / STEPS as f32)).collect()
}
