//! Some of the training photos, to see what tells their classes apart.

use ndarray::{Array3, ArrayView1, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::data::{BatchError, Example, Loader, Preprocess};
use crate::image::{ChannelOrder, Fit, luma};

/// Photos of each class that are looked at on average, and photos in all. Of flowers 400 take 0.4 s, 1000 take 1 s on two cores.
const OF_A_CLASS: usize = 12;
const IN_ALL: (usize, usize) = (400, 1000);
/// Photos of a class that tell something of it.
pub(super) const LEAST: u32 = 8;
/// Side of the small pictures that photos become.
pub(super) const SIDE: usize = 16;
/// Side of those whose levels are counted: small enough for JPEGs of a few hundred pixels to be decoded at a quarter of their size.
const COUNTED: usize = 32;
/// Photos in memory at a time.
const CHUNK: usize = 64;

/// What is known of a photo.
pub(super) struct Sample {
    pub class: usize,
    /// Its levels at [`SIDE`] x [`SIDE`], RGB.
    pub small: Array3<f32>,
    /// The mean of each channel's levels, and of their squares.
    pub means: [f64; 3],
    pub squares: [f64; 3],
    /// Whether it has no color.
    pub is_gray: bool,
}

/// The samples. What can't be read is left out: training reports it.
pub(super) fn samples(train: &Loader) -> Vec<Sample> {
    let wanted = (OF_A_CLASS * train.options().classes).clamp(IN_ALL.0, IN_ALL.1);
    let step = train.len().div_ceil(wanted).max(1);
    // One of each so many, wherever it stands among them: records may alternate by class.
    let mut rng = ChaCha8Rng::seed_from_u64(train.len() as u64);
    let one_of = |first: usize| (first + rng.random_range(0..step)).min(train.len() - 1);
    let records: Vec<usize> = (0..train.len()).step_by(step).map(one_of).collect();
    let fitting = Preprocess::new(COUNTED).fit(Fit::Resize);
    let sample = |(&record, example): (&usize, Result<Example, BatchError>)| {
        let example = example.ok()?;
        let class = train.class(record, example.label)?;
        let mut image = fitting.fit_picture(&example.picture, COUNTED, &train.options().decode).ok()?;
        if train.options().preprocess.channel_order == ChannelOrder::Gray {
            make_gray(&mut image);
        }
        Some(Sample::of(class, &image))
    };
    // Read in one go: whoever reads compressed shards anew decompresses them from their start.
    let mut examples = records.iter().zip(train.each_example(&records));
    let mut samples = Vec::new();
    loop {
        let chunk: Vec<_> = examples.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return samples;
        }
        samples.par_extend(chunk.into_par_iter().filter_map(sample));
    }
}

fn make_gray(image: &mut Array3<u8>) {
    for mut pixel in image.rows_mut() {
        let level = luma([pixel[0], pixel[1], pixel[2]]).round() as u8;
        pixel.fill(level);
    }
}

impl Sample {
    fn of(class: usize, image: &Array3<u8>) -> Self {
        let mut small = Array3::zeros((SIDE, SIDE, 3));
        let (mut means, mut squares) = ([0.0; 3], [0.0; 3]);
        let (block, pixels) = (COUNTED / SIDE, (COUNTED * COUNTED) as f64);
        for ((y, x, channel), &level) in image.indexed_iter() {
            small[[y / block, x / block, channel]] += f32::from(level) / (block * block) as f32;
            means[channel] += f64::from(level) / pixels;
            squares[channel] += f64::from(level).powi(2) / pixels;
        }
        let spread = |pixel: ArrayView1<f32>| {
            pixel.iter().copied().fold(f32::MIN, f32::max) - pixel.iter().copied().fold(f32::MAX, f32::min)
        };
        let is_gray = small.rows().into_iter().all(|pixel| spread(pixel) < 1.0);
        Sample { class, small, means, squares, is_gray }
    }

    /// The small picture's mirror image.
    pub fn mirrored(&self) -> Array3<f32> {
        let mut mirrored = self.small.clone();
        mirrored.invert_axis(Axis(1));
        mirrored
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;

    #[test]
    fn a_photo_is_counted_and_made_small() {
        let image = Array3::from_shape_fn((COUNTED, COUNTED, 3), |(y, x, channel)| {
            [100, (x % 2 * 10) as u8, (y / 4) as u8][channel]
        });
        let Sample { small, means, squares, is_gray, .. } = Sample::of(0, &image);
        assert!(!is_gray);
        assert_eq!((means, squares[..2].to_vec()), ([100.0, 5.0, 3.5], vec![10_000.0, 50.0]));
        assert_eq!((small[[0, 0, 0]], small[[3, 7, 1]], small[[3, 7, 2]]), (100.0, 5.0, 1.0));
    }

    #[test]
    fn what_has_no_color_is_gray() {
        let mut image = Array3::from_shape_fn((COUNTED, COUNTED, 3), |(y, x, _)| (7 * y + x) as u8);
        assert!(Sample::of(0, &image).is_gray);
        image.slice_mut(s![4..8, 4..8, 0]).fill(255);
        assert!(!Sample::of(0, &image).is_gray);
        make_gray(&mut image);
        assert_eq!((image[[0, 9, 1]], image[[5, 5, 2]]), (9, 104));
        assert!(Sample::of(0, &image).is_gray);
    }
}
