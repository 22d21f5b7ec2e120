//! From the canvas to a photo: light, focus, grain, and JPEG as different cameras write it.

use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::RgbPicture;
use super::canvas::Canvas;
use super::color::Color;
use super::geometry::point;
use super::palette::chance;

/// Takes the picture: a slight blur, brightness, contrast and a color cast, darker corners, grain.
pub fn develop(mut canvas: Canvas, rng: &mut ChaCha8Rng) -> RgbPicture {
    canvas.blur(canvas.shorter_side() * rng.random_range(0.0..0.006));
    let brightness: f32 = rng.random_range(0.8..1.15);
    let contrast: f32 = rng.random_range(0.85..1.15);
    let warmth: f32 = rng.random_range(-0.08..0.08);
    let vignette: f32 = rng.random_range(0.0..0.3);
    let grain: f32 = rng.random_range(0.0..0.04);
    let middle = point(0.5 * canvas.width(), 0.5 * canvas.height());
    let corner = middle.distance(point(0.0, 0.0));
    canvas.map(|at, pixel| {
        let light = brightness * (1.0 - vignette * (at.distance(middle) / corner).powi(2));
        let noise = grain * (rng.random::<f32>() + rng.random::<f32>() - 1.0);
        let cast = Color { red: pixel.red * (1.0 + warmth), blue: pixel.blue * (1.0 - warmth), ..pixel };
        cast.map(|value| (value * light - 0.5) * contrast + 0.5 + noise)
    });
    RgbPicture {
        width: canvas.width() as u16,
        height: canvas.height() as u16,
        pixels: canvas
            .pixels()
            .iter()
            .flat_map(|&pixel| [pixel.red, pixel.green, pixel.blue])
            .map(to_byte)
            .collect(),
    }
}

/// Encodes with a random quality, chroma subsampling, sequential or progressive; now and then in gray, or with restart markers.
pub fn encode(picture: &RgbPicture, rng: &mut ChaCha8Rng) -> Result<Vec<u8>, EncodingError> {
    const SUBSAMPLINGS: [SamplingFactor; 3] =
        [SamplingFactor::R_4_4_4, SamplingFactor::R_4_2_2, SamplingFactor::R_4_2_0];
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, rng.random_range(50..=95));
    encoder.set_sampling_factor(*SUBSAMPLINGS.choose(rng).expect("there are three"));
    encoder.set_progressive(chance(0.15, rng));
    if chance(0.05, rng) {
        encoder.set_restart_interval(rng.random_range(4..32));
    }
    if chance(0.01, rng) {
        encoder.encode(&gray(picture), picture.width, picture.height, ColorType::Luma)?;
    } else {
        encoder.encode(&picture.pixels, picture.width, picture.height, ColorType::Rgb)?;
    }
    Ok(jpeg)
}

/// One byte a pixel: the luma of ITU-R BT.601, as JPEG has it.
fn gray(picture: &RgbPicture) -> Vec<u8> {
    let luma = |rgb: &[u8]| 0.299 * f32::from(rgb[0]) + 0.587 * f32::from(rgb[1]) + 0.114 * f32::from(rgb[2]);
    picture.pixels.chunks_exact(3).map(|rgb| luma(rgb).round() as u8).collect()
}

/// 0 to 1 as 0 to 255; what is brighter or darker saturates.
fn to_byte(value: f32) -> u8 {
    (value * 255.0).round() as u8
}
