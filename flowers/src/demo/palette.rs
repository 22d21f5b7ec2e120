//! The colours of the drawn flowers. Every species takes its petals and its heart from the same lists, so that
//! colour hardly tells the species apart: a network has to look at the form.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::colour::{Colour, rgb};
use super::species::Species;

pub const CREAM: Colour = rgb(0xf7e8b0);
pub const YELLOW: Colour = rgb(0xf9d130);
pub const AMBER: Colour = rgb(0xf5a11f);
pub const ORANGE: Colour = rgb(0xee7a3a);
pub const RED: Colour = rgb(0xd8283a);
pub const PINK: Colour = rgb(0xf29fc0);
pub const MAGENTA: Colour = rgb(0xd0458f);
pub const VIOLET: Colour = rgb(0x9a62c4);
pub const LILAC: Colour = rgb(0xb3b4ee);
pub const WHITE: Colour = rgb(0xf8f5ec);
pub const HEART_OCHRE: Colour = rgb(0xd98a1c);
pub const HEART_BROWN: Colour = rgb(0x8a5a2b);
pub const HEART_DARK_BROWN: Colour = rgb(0x55351c);
pub const HEART_BLACK_BROWN: Colour = rgb(0x3a261c);
pub const HEART_GREEN: Colour = rgb(0x93a344);
pub const PETALS: [Colour; 10] = [WHITE, CREAM, YELLOW, AMBER, ORANGE, RED, PINK, MAGENTA, VIOLET, LILAC];
pub const LEAVES: [Colour; 5] = [rgb(0x3c7a2d), rgb(0x5f9c3a), rgb(0x2c5f38), rgb(0x86a94e), rgb(0x6f8f5e)];

/// The colours of one flower.
#[derive(Clone, Copy)]
pub struct FlowerColours {
    pub petal: Colour,
    pub heart: Colour,
    pub leaf: Colour,
}

impl FlowerColours {
    pub fn of(species: &Species, rng: &mut ChaCha8Rng) -> FlowerColours {
        let petals = if chance(0.5, rng) { species.usual_petals } else { &PETALS };
        FlowerColours {
            petal: any_of(petals, rng),
            heart: any_of(species.hearts, rng),
            leaf: any_of(&LEAVES, rng),
        }
    }

    /// As another flower of the same plant has them.
    pub fn sibling(self, rng: &mut ChaCha8Rng) -> FlowerColours {
        FlowerColours {
            petal: self.petal.varied(0.06, rng),
            heart: self.heart.varied(0.06, rng),
            leaf: self.leaf.varied(0.06, rng),
        }
    }
}

/// One of `colours`, a little varied.
pub fn any_of(colours: &[Colour], rng: &mut ChaCha8Rng) -> Colour {
    colours.choose(rng).expect("the lists of colours are not empty").varied(0.08, rng)
}

/// True with the given probability.
pub fn chance(probability: f64, rng: &mut ChaCha8Rng) -> bool {
    rng.random_bool(probability)
}
