//! Classes that are each other's mirror images, such as arrows to the left and to the right: a network that sees photos mirrored
//! can't tell them apart.

use std::collections::HashMap;

use rayon::prelude::*;

use super::samples::{LEAST, Sample};

/// Share of a class's photos whose nearest neighbor must be of the class itself, and of the mirrored ones', of the other class.
const SHARE: f64 = 0.7;
/// The pairs of classes of which the photos themselves tell that each is the other's mirror image.
///
/// A photo's nearest neighbor is of its own class, and that of its mirror image is of the other class, in most photos of both. Where
/// nearest neighbors of small pictures tell nothing, none is found; nor where there are more than about a hundred classes, so that
/// fewer than [`LEAST`] photos of each are looked at.
pub(super) fn mirrored_classes(samples: &[Sample]) -> Vec<[usize; 2]> {
    let photos: Vec<Small> = samples.par_iter().filter_map(Small::of).collect();
    let mut photos_of: HashMap<usize, u32> = HashMap::new();
    photos.iter().for_each(|photo| *photos_of.entry(photo.class).or_default() += 1);
    // Class of a photo, and of the neighbor of its mirror image, or of itself.
    let neighbors: Vec<_> = (0..photos.len())
        .into_par_iter()
        .filter_map(|index| {
            let Small { class, upright, mirrored } = &photos[index];
            Some((*class, nearest(&photos, index, upright)?, nearest(&photos, index, mirrored)?))
        })
        .collect();
    let (mut own, mut turned): (HashMap<usize, u32>, HashMap<[usize; 2], u32>) = Default::default();
    for (class, of_upright, of_mirrored) in neighbors {
        *own.entry(class).or_default() += u32::from(of_upright == class);
        *turned.entry([class, of_mirrored]).or_default() += 1;
    }
    let most = |count: Option<&u32>, class: usize| {
        let photos = photos_of[&class];
        photos >= LEAST && f64::from(count.copied().unwrap_or(0)) >= SHARE * f64::from(photos)
    };
    let is_pair = |[one, other]: [usize; 2]| {
        let into = |from: usize, to: usize| most(own.get(&from), from) && most(turned.get(&[from, to]), from);
        one < other && into(one, other) && into(other, one)
    };
    let mut pairs: Vec<_> = turned.keys().copied().filter(|pair| is_pair(*pair)).collect();
    pairs.sort_unstable();
    pairs
}

/// A photo's small picture and its mirror image, of mean 0 and length 1.
struct Small {
    class: usize,
    upright: Vec<f32>,
    mirrored: Vec<f32>,
}

impl Small {
    fn of(sample: &Sample) -> Option<Self> {
        let upright = normalized(sample.small.iter().copied().collect())?;
        Some(Small {
            class: sample.class,
            upright,
            mirrored: normalized(sample.mirrored().iter().copied().collect())?,
        })
    }
}

/// `None` of a picture of a single color.
fn normalized(mut values: Vec<f32>) -> Option<Vec<f32>> {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    values.iter_mut().for_each(|value| *value -= mean);
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter_mut().for_each(|value| *value /= length);
    (length > 0.0).then_some(values)
}

/// The class of the photo that is most like a picture of photo `index`, which is not asked itself.
fn nearest(photos: &[Small], index: usize, picture: &[f32]) -> Option<usize> {
    let others = photos.iter().enumerate().filter(|(other, _)| *other != index);
    let likeness = |photo: &Small| photo.upright.iter().zip(picture).map(|(a, b)| a * b).sum::<f32>();
    let nearest = others.map(|(_, photo)| (likeness(photo), photo.class)).max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map(|(_, class)| class)
}
