//! Puts a picture together, from back to front: background, flowers in the distance, flowers, grass before them.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::background;
use super::canvas::Canvas;
use super::color::BLACK;
use super::geometry::{Frame, Point, point};
use super::outline::{Outline, curve};
use super::palette::{FlowerColors, LEAVES, any_of, chance};
use super::species::Species;

pub fn draw(canvas: &mut Canvas, species: &Species, rng: &mut ChaCha8Rng) {
    background::draw(canvas, rng);
    let side = canvas.shorter_side();
    let colors = FlowerColors::draw(species.usual_petals, species.hearts, rng);
    if chance(0.15, rng) {
        for _ in 0..rng.random_range(1..5) {
            let radius = rng.random_range(0.08..0.16) * side;
            draw_flower(canvas, species, anywhere(canvas, rng), radius, colors.sibling(rng), rng);
        }
        canvas.blur(0.02 * side);
    }
    if chance(0.15, rng) {
        for _ in 0..rng.random_range(1..3) {
            let radius = rng.random_range(0.16..0.24) * side;
            draw_flower(canvas, species, anywhere(canvas, rng), radius, colors.sibling(rng), rng);
        }
    }
    let radius = rng.random_range(0.36..0.44) * side;
    draw_flower(canvas, species, near_the_middle(canvas, radius, rng), radius, colors, rng);
    draw_grass(canvas, rng);
}

/// One flower: its stem with leaves, and the head on it.
fn draw_flower(
    canvas: &mut Canvas,
    species: &Species,
    at: Point,
    radius: f32,
    colors: FlowerColors,
    rng: &mut ChaCha8Rng,
) {
    let head = Frame::CANVAS.moved(at).scaled(radius, radius);
    draw_stem(canvas, head, colors, rng);
    (species.draw_head)(canvas, head, colors, rng);
}

/// A bent stem from the head down out of the picture, with up to three leaves.
fn draw_stem(canvas: &mut Canvas, head: Frame, colors: FlowerColors, rng: &mut ChaCha8Rng) {
    let foot = point(rng.random_range(-1.0..1.0), 7.0);
    let path = curve(point(0.0, 0.0), point(rng.random_range(-0.6..0.6), 2.5), foot);
    let width = rng.random_range(0.08..0.14);
    let stem = colors.leaf.darker(0.1);
    let leaf = Outline::petal(rng.random_range(0.6..1.2), rng.random_range(0.8..1.4));
    for _ in 0..rng.random_range(0..=3) {
        let joint = path[rng.random_range(3..7)];
        let upwards = -std::f32::consts::FRAC_PI_2 + rng.random_range(-1.3..1.3);
        let frame =
            head.moved(joint).turned(upwards).scaled(rng.random_range(0.9..1.8), rng.random_range(0.12..0.3));
        canvas.fill_flat(frame.scaled(1.02, 1.1), &leaf, BLACK.with_opacity(0.2));
        canvas.fill(frame, &leaf, |at| {
            let rib = if at.y.abs() < 0.08 { 0.25 } else { 0.0 };
            colors.leaf.darker(0.25 * (1.0 - at.x)).lighter(rib).darker(if at.y > 0.0 { 0.12 } else { 0.0 })
        });
    }
    canvas.fill_flat(head, &Outline::stroke(&path, width, 1.6 * width), stem);
}

/// A few blades in front of everything, from the lower border.
fn draw_grass(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    if chance(0.45, rng) {
        let green = any_of(&LEAVES, rng);
        for _ in 0..rng.random_range(2..7) {
            let foot = point(rng.random_range(0.0..canvas.width()), canvas.height());
            let height = rng.random_range(0.15..0.75);
            background::draw_blade(canvas, foot, height, green.varied(0.15, rng), rng);
        }
    }
}

fn anywhere(canvas: &Canvas, rng: &mut ChaCha8Rng) -> Point {
    point(rng.random_range(0.0..canvas.width()), rng.random_range(0.0..canvas.height()))
}

/// Where a head of this radius stays (but for a tenth) within the largest square in the middle of the canvas.
fn near_the_middle(canvas: &Canvas, radius: f32, rng: &mut ChaCha8Rng) -> Point {
    let room = 0.5 * canvas.shorter_side() - 0.72 * radius;
    let mut off = || rng.random_range(-room..room);
    point(0.5 * canvas.width() + off(), 0.5 * canvas.height() + off())
}
