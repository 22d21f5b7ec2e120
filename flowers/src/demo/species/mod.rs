//! The five species. Each draws one flower head into a frame whose origin is the middle of the head, whose unit is
//! its radius, and whose y axis points down the stem.

mod daisy;
mod dandelion;
mod rose;
mod sunflower;
mod tulip;

use std::f32::consts::TAU;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::canvas::Canvas;
use super::color::{BLACK, Color};
use super::geometry::{Frame, Point};
use super::outline::Outline;
use super::palette::*;

/// A kind of flower.
pub struct Species {
    /// The name of its class.
    pub name: &'static str,
    /// The petal colors it has most often; all others of the palette it has at times.
    pub usual_petals: &'static [Color],
    pub hearts: &'static [Color],
    /// Draws one head, shadow and all.
    pub draw_head: fn(&mut Canvas, Frame, FlowerColors, &mut ChaCha8Rng),
}

/// The classes of the demo data, in the order of their labels.
pub const SPECIES: [Species; 5] = [
    Species {
        name: "daisy",
        usual_petals: &[WHITE, CREAM, PINK, LILAC],
        hearts: &[YELLOW, AMBER],
        draw_head: daisy::draw_head,
    },
    Species {
        name: "dandelion",
        usual_petals: &[WHITE, CREAM],
        hearts: &[HEART_GREEN, HEART_BROWN],
        draw_head: dandelion::draw_head,
    },
    Species {
        name: "roses",
        usual_petals: &[RED, PINK, CREAM, ORANGE],
        hearts: &[HEART_OCHRE],
        draw_head: rose::draw_head,
    },
    Species {
        name: "sunflowers",
        usual_petals: &[YELLOW, AMBER, ORANGE],
        hearts: &[HEART_DARK_BROWN, HEART_BLACK_BROWN],
        draw_head: sunflower::draw_head,
    },
    Species {
        name: "tulips",
        usual_petals: &[YELLOW, RED, MAGENTA, VIOLET],
        hearts: &[HEART_OCHRE],
        draw_head: tulip::draw_head,
    },
];

/// A ring of petals around the middle of a flower.
struct Ring<'a> {
    petal: &'a Outline,
    count: usize,
    /// From the middle to the tips.
    length: f32,
    /// Width of a petal as a share of the room it has, `2 pi length / count`.
    fullness: f32,
    /// Angle of the first petal.
    start: f32,
    /// How much length and angle differ from petal to petal: 0 is a perfect ring.
    disorder: f32,
}

impl Ring<'_> {
    /// Draws every petal over a soft shadow on those before it. `paint` is given points of the petal (x from 0 at
    /// its base to 1 at its tip, y from -1 to 1 where it is widest).
    fn draw(&self, canvas: &mut Canvas, head: Frame, rng: &mut ChaCha8Rng, paint: impl Fn(Point) -> Color) {
        let room = TAU / self.count as f32;
        for i in 0..self.count {
            let mut off = || self.disorder * rng.random_range(-1.0..=1.0);
            let angle = self.start + room * (i as f32 + off());
            let length = self.length * (1.0 + 0.5 * off());
            let half_width = 0.5 * room * self.length * self.fullness;
            let petal = head.turned(angle).scaled(length, half_width);
            canvas.fill_flat(petal.scaled(1.02, 1.25), self.petal, BLACK.with_opacity(0.16));
            let light = rng.random_range(-0.07..=0.07_f32);
            canvas.fill(petal, self.petal, |at| {
                let color = paint(at);
                if light > 0.0 { color.lighter(light) } else { color.darker(-light) }
            });
        }
    }
}

/// The rounded heart of a composite flower, `radius` wide, covered in `florets` dots that wind outwards as in
/// nature, each one golden angle on from the last.
fn draw_heart(canvas: &mut Canvas, head: Frame, radius: f32, florets: usize, color: Color) {
    const GOLDEN_ANGLE: f32 = 2.399_963;
    let heart = head.scaled(radius, radius);
    canvas.fill_flat(heart.scaled(1.1, 1.1), &Outline::disc(), BLACK.with_opacity(0.25));
    canvas.fill(heart, &Outline::disc(), |at| {
        let rim = (at.x * at.x + at.y * at.y).min(1.0);
        color.darker(0.35 * rim * rim)
    });
    let mut dots = Outline::default();
    for i in 0..florets {
        let out = ((i as f32 + 0.5) / florets as f32).sqrt();
        let dot = super::geometry::polar(0.93 * out, GOLDEN_ANGLE * i as f32);
        dots.add_disc(dot, 0.62 / (florets as f32).sqrt(), 6);
    }
    canvas.fill(heart, &dots, |at| {
        let rim = (at.x * at.x + at.y * at.y).min(1.0);
        color.lighter(0.5 - 0.2 * rim).with_opacity(0.9)
    });
}
