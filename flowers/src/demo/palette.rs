//! The colors of the drawn flowers. Every species takes its petals and its heart from the same lists, so that
//! color hardly tells the species apart: a network has to look at the form.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::color::{Color, rgb};

pub const CREAM: Color = rgb(0xf7e8b0);
pub const YELLOW: Color = rgb(0xf9d130);
pub const AMBER: Color = rgb(0xf5a11f);
pub const ORANGE: Color = rgb(0xee7a3a);
pub const RED: Color = rgb(0xd8283a);
pub const PINK: Color = rgb(0xf29fc0);
pub const MAGENTA: Color = rgb(0xd0458f);
pub const VIOLET: Color = rgb(0x9a62c4);
pub const LILAC: Color = rgb(0xb3b4ee);
pub const WHITE: Color = rgb(0xf8f5ec);
pub const HEART_OCHRE: Color = rgb(0xd98a1c);
pub const HEART_BROWN: Color = rgb(0x8a5a2b);
pub const HEART_DARK_BROWN: Color = rgb(0x55351c);
pub const HEART_BLACK_BROWN: Color = rgb(0x3a261c);
pub const HEART_GREEN: Color = rgb(0x93a344);
pub const PETALS: [Color; 10] = [WHITE, CREAM, YELLOW, AMBER, ORANGE, RED, PINK, MAGENTA, VIOLET, LILAC];
pub const LEAVES: [Color; 5] = [rgb(0x3c7a2d), rgb(0x5f9c3a), rgb(0x2c5f38), rgb(0x86a94e), rgb(0x6f8f5e)];

/// The colors of one flower.
#[derive(Clone, Copy)]
pub struct FlowerColors {
    pub petal: Color,
    pub heart: Color,
    pub leaf: Color,
}

impl FlowerColors {
    /// The petals are as often of the `usual` colors as of all.
    pub fn draw(usual: &[Color], hearts: &[Color], rng: &mut ChaCha8Rng) -> FlowerColors {
        let petals = if chance(0.5, rng) { usual } else { &PETALS };
        FlowerColors { petal: any_of(petals, rng), heart: any_of(hearts, rng), leaf: any_of(&LEAVES, rng) }
    }

    /// As another flower of the same plant has them.
    pub fn sibling(self, rng: &mut ChaCha8Rng) -> FlowerColors {
        FlowerColors {
            petal: self.petal.varied(0.06, rng),
            heart: self.heart.varied(0.06, rng),
            leaf: self.leaf.varied(0.06, rng),
        }
    }
}

/// One of `colors`, a little varied.
pub fn any_of(colors: &[Color], rng: &mut ChaCha8Rng) -> Color {
    colors.choose(rng).expect("the lists of colors are not empty").varied(0.08, rng)
}

/// True with the given probability.
pub fn chance(probability: f64, rng: &mut ChaCha8Rng) -> bool {
    rng.random_bool(probability)
}
