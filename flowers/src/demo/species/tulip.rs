//! Tulip: a cup seen from the side, of a few tall, smooth, pointed petals closing over each other.

use std::f32::consts::FRAC_PI_2;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::demo::canvas::Canvas;
use crate::demo::color::{BLACK, Color};
use crate::demo::geometry::{Frame, Point, point};
use crate::demo::outline::Outline;
use crate::demo::palette::FlowerColors;

pub fn draw_head(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    // The petals grow upwards from the bottom of the cup, their x axis.
    let cup = head.turned(rng.random_range(-0.5..0.5)).moved(point(0.0, 0.95)).turned(-FRAC_PI_2);
    let petal = Outline::petal(0.42, 0.62);
    let opening = rng.random_range(0.12..0.34);
    let behind = [(0.5 * opening, 1.80, 0.34), (-0.5 * opening, 1.84, 0.34)];
    let aside = [(1.15 * opening, 1.78, 0.40), (-1.15 * opening, 1.74, 0.40)];
    let in_front = [(rng.random_range(-0.06..0.06), 1.62, 0.50)];
    for (petals, shade) in [(&behind[..], 0.42), (&aside[..], 0.16), (&in_front[..], 0.0)] {
        for &(lean, length, half_width) in petals {
            let frame = cup.turned(lean).scaled(length * rng.random_range(0.95..1.05), half_width);
            canvas.fill_flat(frame.scaled(1.02, 1.08), &petal, BLACK.with_opacity(0.25));
            canvas.fill(frame, &petal, |at| petal_color(colors, at).darker(shade));
        }
    }
}

/// Greenish at the base, lighter along the middle and towards the tip, with faint veins.
fn petal_color(colors: FlowerColors, at: Point) -> Color {
    let base = (0.35 - at.x).max(0.0);
    let vein = 0.10 * (at.y * 15.0).cos();
    colors.petal.mix(colors.leaf, 0.8 * base).darker(0.13 + vein + 0.28 * at.y.abs()).lighter(0.22 * at.x)
}
