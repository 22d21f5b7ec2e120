//! Rose: broad, overlapping petals ring within ring, each turned on from the last, down to a wound-up bud.

use std::f32::consts::TAU;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::demo::canvas::Canvas;
use crate::demo::color::{BLACK, Color};
use crate::demo::geometry::{Frame, Point, any_angle, polar};
use crate::demo::outline::Outline;
use crate::demo::palette::FlowerColors;

pub fn draw_head(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    let head = head.tilted(rng.random_range(0.85..1.0), rng);
    let broad = Outline::petal(0.55, 0.30);
    let mut turn = any_angle(rng);
    for (length, count) in [(1.0, 5), (0.76, 5), (0.52, 4), (0.34, 3)] {
        let depth = 0.30 * (1.0 - length);
        for i in 0..count {
            let room = TAU / count as f32;
            let angle = turn + room * (i as f32 + rng.random_range(-0.1..0.1));
            let long = length * rng.random_range(0.94..1.04);
            let petal = head.turned(angle).scaled(long, 0.62 * room * length);
            canvas.fill_flat(petal.scaled(1.04, 1.08), &broad, BLACK.with_opacity(0.28));
            canvas.fill(petal, &broad, |at| petal_color(colors.petal, at).darker(depth));
        }
        turn += 0.6;
    }
    draw_bud(canvas, head, turn, colors.petal);
}

/// Dark towards the base, a light rolled rim at the tip.
fn petal_color(petal: Color, at: Point) -> Color {
    let edge = at.x + 0.25 * at.y * at.y;
    if edge > 0.92 { petal.lighter(0.4) } else { petal.darker((1.25 * (1.0 - at.x)).min(0.75)) }
}

/// The innermost petals, seen as a spiral of dark folds.
fn draw_bud(canvas: &mut Canvas, head: Frame, turn: f32, petal: Color) {
    let bud = head.scaled(0.25, 0.25);
    canvas.fill_flat(bud, &Outline::disc(), petal.darker(0.12));
    let spiral: Vec<Point> =
        (0..=40).map(|i| i as f32 / 40.0).map(|t| polar(0.12 + 0.8 * t, turn + 2.2 * TAU * t)).collect();
    canvas.fill_flat(bud, &Outline::stroke(&spiral, 0.14, 0.2), petal.darker(0.6));
}
