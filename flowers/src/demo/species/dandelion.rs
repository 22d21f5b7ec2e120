//! Dandelion, in one of its two states: the bloom, a dense brush of very many thin rays without a heart; or the
//! clock, a see-through ball of seeds, each a thread with a little star of hairs at its end.

use std::f32::consts::TAU;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::Ring;
use crate::demo::canvas::Canvas;
use crate::demo::color::WHITE;
use crate::demo::geometry::{Frame, any_angle, point, polar};
use crate::demo::outline::Outline;
use crate::demo::palette::{FlowerColors, chance};

pub fn draw_head(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    if chance(0.0, rng) {
        draw_bloom(canvas, head.tilted(rng.random_range(0.72..1.0), rng), colors, rng);
    } else {
        draw_clock(canvas, head, colors, rng);
    }
}

fn draw_bloom(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    let ray = Outline::petal(0.5, 0.12);
    for (length, count) in [(1.0, 44), (0.86, 40), (0.68, 34), (0.48, 26), (0.28, 16)] {
        let ring = Ring { petal: &ray, count, length, fullness: 0.75, start: any_angle(rng), disorder: 0.3 };
        ring.draw(canvas, head, rng, |at| colors.petal.darker(0.40 * (1.0 - at.x) + 0.12 * (1.0 - length)));
    }
}

fn draw_clock(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    let hairs = colors.petal.lighter(0.6);
    canvas.glow(head.scaled(1.25, 1.25), hairs.with_opacity(0.35));
    let mut threads = Outline::default();
    let mut stars = Outline::default();
    for _ in 0..rng.random_range(56..76) {
        // Seeds spread evenly over a ball, seen from aside: many near the rim, fewer in the middle.
        let sine: f32 = rng.random_range(-1.0..=1.0);
        let seed = polar(0.9 * (1.0 - sine * sine).sqrt(), any_angle(rng));
        threads.add_stroke(&[point(0.0, 0.0), seed], 0.012, 0.022);
        let (hair_count, turn) = (7, any_angle(rng));
        for hair in 0..hair_count {
            let tip = polar(0.17, turn + TAU * hair as f32 / hair_count as f32);
            stars.add_stroke(&[seed, point(seed.x + tip.x, seed.y + tip.y)], 0.05, 0.02);
        }
    }
    canvas.fill_flat(head, &threads, hairs.darker(0.15).with_opacity(0.5));
    canvas.fill_flat(head, &stars, hairs.mix(WHITE, 0.3).with_opacity(0.85));
    canvas.fill(head.scaled(0.17, 0.17), &Outline::disc(), |at| {
        colors.heart.darker(0.3 * (at.x * at.x + at.y * at.y))
    });
}
