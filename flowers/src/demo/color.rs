//! Colors as the canvas blends them: red, green, blue and opacity, each 0 to 1, in display (sRGB) values.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Color {
    pub red: f32,
    pub green: f32,
    pub blue: f32,
    pub opacity: f32,
}

/// An opaque color from its usual six hexadecimal digits, `0xRRGGBB`.
pub const fn rgb(hex: u32) -> Color {
    let [_, red, green, blue] = hex.to_be_bytes();
    Color { red: red as f32 / 255.0, green: green as f32 / 255.0, blue: blue as f32 / 255.0, opacity: 1.0 }
}

pub const BLACK: Color = rgb(0x000000);
pub const WHITE: Color = rgb(0xffffff);

impl Color {
    /// Each color channel through `change`; the opacity stays.
    pub fn map(self, change: impl Fn(f32) -> f32) -> Color {
        Color { red: change(self.red), green: change(self.green), blue: change(self.blue), ..self }
    }

    /// `self` at `amount` 0, `other` at 1, opacity included.
    pub fn mix(self, other: Color, amount: f32) -> Color {
        let between = |a: f32, b: f32| a + (b - a) * amount;
        Color {
            red: between(self.red, other.red),
            green: between(self.green, other.green),
            blue: between(self.blue, other.blue),
            opacity: between(self.opacity, other.opacity),
        }
    }

    pub fn darker(self, amount: f32) -> Color {
        self.mix(BLACK.with_opacity(self.opacity), amount)
    }

    pub fn lighter(self, amount: f32) -> Color {
        self.mix(WHITE.with_opacity(self.opacity), amount)
    }

    pub fn with_opacity(self, opacity: f32) -> Color {
        Color { opacity, ..self }
    }

    /// A near color: lighter or darker by up to `amount`, and each channel a little off on its own.
    pub fn varied(self, amount: f32, rng: &mut ChaCha8Rng) -> Color {
        let light = 1.0 + rng.random_range(-amount..=amount);
        let mut near =
            |value: f32| (value * light + rng.random_range(-amount..=amount) * 0.3).clamp(0.0, 1.0);
        Color { red: near(self.red), green: near(self.green), blue: near(self.blue), opacity: self.opacity }
    }

    /// Laid over the opaque `below`, with `coverage` (0 to 1) of the pixel covered.
    pub fn over(self, below: Color, coverage: f32) -> Color {
        below.mix(self.with_opacity(1.0), self.opacity * coverage)
    }
}
