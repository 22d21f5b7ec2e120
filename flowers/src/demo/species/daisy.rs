//! Daisy: one ring of slender, round-tipped petals, with gaps between them, around a small yellow heart.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Ring, draw_heart};
use crate::demo::canvas::Canvas;
use crate::demo::geometry::{Frame, any_angle};
use crate::demo::outline::Outline;
use crate::demo::palette::FlowerColors;

pub fn draw_head(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    let head = head.tilted(rng.random_range(0.82..1.0), rng);
    let petals = Ring {
        petal: &Outline::petal(1.1, 0.35),
        count: rng.random_range(8..=11),
        length: 1.0,
        fullness: rng.random_range(0.52..0.64),
        start: any_angle(rng),
        disorder: 0.12,
    };
    petals.draw(canvas, head, rng, |at| {
        let crease = 0.10 * (1.0 - at.y.abs());
        colors.petal.darker(0.30 * (1.0 - at.x) + crease)
    });
    draw_heart(canvas, head, rng.random_range(0.21..0.29), 30, colors.heart);
}
