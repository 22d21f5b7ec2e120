//! Sunflower: two rings of pointed petals around a heart of more than half the flower's width.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Ring, draw_heart};
use crate::demo::canvas::Canvas;
use crate::demo::geometry::{Frame, any_angle};
use crate::demo::outline::Outline;
use crate::demo::palette::FlowerColors;

pub fn draw_head(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    let head = head.tilted(rng.random_range(0.82..1.0), rng);
    let pointed = Outline::petal(1.8, 1.1);
    let count = rng.random_range(13..=17);
    let start = any_angle(rng);
    let half_a_petal = std::f32::consts::PI / count as f32;
    let behind = Ring { petal: &pointed, count, length: 1.0, fullness: 1.0, start, disorder: 0.1 };
    let front = Ring { length: 0.88, start: start + half_a_petal, ..behind };
    behind.draw(canvas, head, rng, |at| colors.petal.darker(0.30 - 0.15 * at.x));
    front.draw(canvas, head, rng, |at| {
        let crease = 0.14 * (1.0 - at.y.abs());
        colors.petal.darker((0.45 - 0.5 * at.x).max(0.0) + crease)
    });
    let radius = rng.random_range(0.50..0.60);
    draw_heart(canvas, head, radius, 60, colors.heart);
}
