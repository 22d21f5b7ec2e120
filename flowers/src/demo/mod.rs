//! The demo data: pictures of flowers of five classes, drawn from a seed.
//!
//! The classes differ in form only (number, shape and order of the petals, size of the heart, cup, ball); colors,
//! backgrounds, places, sizes, light and the camera are drawn from the same distribution for all of them. So a
//! linear classifier of the pixels does badly, and a convolutional network does well.

mod background;
mod camera;
mod canvas;
mod color;
mod coverage;
mod geometry;
mod outline;
mod palette;
mod scene;
mod species;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use canvas::Canvas;
use species::SPECIES;

/// Three bytes a pixel, row after row.
pub struct RgbPicture {
    pub width: u16,
    pub height: u16,
    pub pixels: Vec<u8>,
}

/// One picture of the demo data, as a camera would have stored it.
pub struct DemoPhoto {
    pub jpeg: Vec<u8>,
    pub width: u16,
    pub height: u16,
    /// Index into [`class_names`].
    pub class: usize,
    pub filename: String,
}

/// The names of the classes, in the order of their labels.
pub fn class_names() -> impl ExactSizeIterator<Item = &'static str> {
    SPECIES.iter().map(|species| species.name)
}

/// Draws one picture of a class (an index into [`class_names`]): 96 to 180 pixels on its shorter side, up to half as
/// many again on its longer one.
pub fn draw(class: usize, rng: &mut ChaCha8Rng) -> RgbPicture {
    let shorter: f32 = rng.random_range(96.0..180.0);
    let longer = shorter * rng.random_range(1.0..1.45);
    let (width, height) = if rng.random() { (longer, shorter) } else { (shorter, longer) };
    let mut canvas = Canvas::new(width as usize, height as usize);
    scene::draw(&mut canvas, &SPECIES[class], rng);
    camera::develop(canvas, rng)
}

/// Draws and encodes `count` pictures, the classes in turn, on rayon's threads. Each picture has a generator of its
/// own (a stream of the one with this seed), so the result is the same with any number of threads.
pub fn encoded(seed: u64, count: usize) -> Vec<DemoPhoto> {
    (0..count).into_par_iter().map(|index| photo(seed, index)).collect()
}

fn photo(seed: u64, index: usize) -> DemoPhoto {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index as u64);
    let class = index % SPECIES.len();
    let picture = draw(class, &mut rng);
    DemoPhoto {
        jpeg: camera::encode(&picture, &mut rng).expect("a picture of at least a pixel encodes into memory"),
        width: picture.width,
        height: picture.height,
        class,
        filename: format!("{}_{index:04}.jpg", SPECIES[class].name),
    }
}
