//! What lies behind the flowers: five kinds, each in front of the lens's depth of field and so blurred.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::canvas::Canvas;
use super::color::{BLACK, Color, WHITE, rgb};
use super::geometry::{Frame, Point, point};
use super::outline::{Outline, curve};
use super::palette::{LEAVES, PETALS, any_of, chance};

type Background = fn(&mut Canvas, &mut ChaCha8Rng);

const BACKGROUNDS: [Background; 5] = [sky, meadow, lights, soil, dusk];

/// Covers the whole canvas with one of the backgrounds.
pub fn draw(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    let background = BACKGROUNDS.choose(rng).expect("there are backgrounds");
    background(canvas, rng);
    canvas.blur(canvas.shorter_side() * rng.random_range(0.012..0.04));
}

/// Blue or overcast, a few clouds, often a strip of land.
fn sky(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    let zenith = any_of(&[rgb(0x3d82d0), rgb(0x5ba3e0), rgb(0x8fa6b8), rgb(0x2f6fb5)], rng);
    gradient(canvas, zenith, zenith.lighter(0.6));
    for _ in 0..rng.random_range(2..8) {
        let cloud = anywhere(canvas, rng);
        for _ in 0..6 {
            let puff = spot(canvas, cloud, 0.15, rng)
                .scaled(rng.random_range(0.15..0.35), rng.random_range(0.06..0.16));
            canvas.glow(puff, WHITE.with_opacity(0.55));
        }
    }
    if chance(0.5, rng) {
        let horizon = rng.random_range(0.6..0.9) * canvas.height();
        let land = any_of(&LEAVES, rng);
        let ground =
            Outline::stroke(&[point(0.0, canvas.height()), point(canvas.width(), canvas.height())], 1.0, 1.0);
        let height = 2.0 * (canvas.height() - horizon);
        let frame = Frame::CANVAS.moved(point(0.0, canvas.height() * (1.0 - height))).scaled(1.0, height);
        canvas.fill(frame, &ground, |_| land);
    }
}

/// Grass, stroke over stroke.
fn meadow(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    let green = any_of(&LEAVES, rng);
    gradient(canvas, green.lighter(rng.random_range(0.0..0.35)), green.darker(0.45));
    for _ in 0..rng.random_range(50..110) {
        let foot = anywhere(canvas, rng);
        let blade = any_of(&LEAVES, rng).mix(green, 0.5).with_opacity(0.8);
        draw_blade(canvas, foot, rng.random_range(0.2..0.6), blade, rng);
    }
}

/// Round patches of light out of focus.
fn lights(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    let around = any_of(&[rgb(0x24402c), rgb(0x3d5c3a), rgb(0x51433a), rgb(0x2d3550), rgb(0x7d9a68)], rng);
    gradient(canvas, around.lighter(0.2), around.darker(0.3));
    for _ in 0..rng.random_range(15..40) {
        let light = if chance(0.5, rng) { any_of(&LEAVES, rng) } else { any_of(&PETALS, rng) };
        let radius = rng.random_range(0.03..0.14) * canvas.shorter_side();
        let opacity = rng.random_range(0.1..0.5);
        let frame = Frame::CANVAS.moved(anywhere(canvas, rng)).scaled(radius, radius);
        canvas.fill_flat(frame, &Outline::disc(), light.lighter(0.2).with_opacity(opacity));
    }
}

/// Earth with stones and clods.
fn soil(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    let earth = any_of(&[rgb(0x6b4a32), rgb(0x8a6a4a), rgb(0x4c3728), rgb(0x9a8468), rgb(0x75655a)], rng);
    gradient(canvas, earth.lighter(0.2), earth.darker(0.25));
    for _ in 0..rng.random_range(80..180) {
        let radius = rng.random_range(0.01..0.06) * canvas.shorter_side();
        let stone = Frame::CANVAS.moved(anywhere(canvas, rng)).scaled(radius, radius).tilted(0.65, rng);
        let color = earth.mix(any_of(&PETALS, rng), 0.2).varied(0.3, rng);
        canvas.fill_flat(stone.moved(point(0.2, 0.3)), &Outline::disc(), BLACK.with_opacity(0.3));
        canvas.fill_flat(stone, &Outline::disc(), color);
    }
}

/// A low sun behind haze.
fn dusk(canvas: &mut Canvas, rng: &mut ChaCha8Rng) {
    let above = any_of(&[rgb(0x5a4f8c), rgb(0x88608e), rgb(0x476a9a), rgb(0xc07a86)], rng);
    let below = any_of(&[rgb(0xf3b06a), rgb(0xf6d08c), rgb(0xe58a6c), rgb(0xf2c6b4)], rng);
    gradient(canvas, above, below);
    let radius = rng.random_range(0.3..0.9) * canvas.shorter_side();
    let sun = Frame::CANVAS.moved(anywhere(canvas, rng)).scaled(radius, radius);
    canvas.glow(sun, rgb(0xfff0c8).with_opacity(0.7));
}

/// A blade of grass from `foot` upwards, `height` canvas heights long, bent to one side.
pub fn draw_blade(canvas: &mut Canvas, foot: Point, height: f32, color: Color, rng: &mut ChaCha8Rng) {
    let height = height * canvas.height();
    let bend = rng.random_range(-0.45..0.45) * height;
    let middle = point(foot.x + 0.2 * bend, foot.y - 0.6 * height);
    let path = curve(foot, middle, point(foot.x + bend, foot.y - height));
    let width = rng.random_range(0.015..0.035) * canvas.shorter_side();
    canvas.fill_flat(Frame::CANVAS, &Outline::stroke(&path, width, 0.2), color);
}

fn gradient(canvas: &mut Canvas, top: Color, bottom: Color) {
    let height = canvas.height();
    canvas.map(|at, _| top.mix(bottom, at.y / height));
}

fn anywhere(canvas: &Canvas, rng: &mut ChaCha8Rng) -> Point {
    point(rng.random_range(0.0..canvas.width()), rng.random_range(0.0..canvas.height()))
}

/// A frame near `at`, its unit the canvas's shorter side.
fn spot(canvas: &Canvas, at: Point, spread: f32, rng: &mut ChaCha8Rng) -> Frame {
    let side = canvas.shorter_side();
    let off = point(rng.random_range(-spread..spread), rng.random_range(-0.4 * spread..0.4 * spread));
    Frame::CANVAS.moved(at).scaled(side, side).moved(off)
}
