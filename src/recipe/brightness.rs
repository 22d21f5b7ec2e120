//! Classes that differ in what standardizing each photo by itself takes away: how bright photos are, and of how much contrast.

use super::samples::{LEAST, Sample};
use crate::image::Normalize;

/// How many deviations apart two classes' means are of which one number tells: that number alone is right about five of six photos then.
const APART: f64 = 2.0;

/// The two of so many classes that their brightness or contrast tells apart best, if it tells any.
pub(super) fn told_by_brightness(samples: &[Sample], classes: usize) -> Option<[usize; 2]> {
    let numbers: [fn(&Sample) -> f64; 2] = [brightness, contrast];
    let apart = numbers.iter().flat_map(|number| {
        let spreads = spreads(samples, classes, number);
        let pairs = (0..classes).flat_map(|one| (one + 1..classes).map(move |other| [one, other]));
        let apart =
            pairs.filter_map(move |pair| Some((pair, distance(spreads[pair[0]]?, spreads[pair[1]]?))));
        apart.collect::<Vec<_>>()
    });
    let most = apart.max_by(|a, b| a.1.total_cmp(&b.1));
    most.filter(|(_, distance)| *distance >= APART).map(|(pair, _)| pair)
}

/// Each channel by its mean and deviation over all photos.
pub(super) fn normalization(samples: &[Sample]) -> Option<Normalize> {
    let count = samples.len() as f64;
    let of_all = |number: fn(&Sample) -> [f64; 3], channel: usize| {
        samples.iter().map(|sample| number(sample)[channel]).sum::<f64>() / count
    };
    let channels = [0, 1, 2].map(|channel| {
        let (mean, square) =
            (of_all(|sample| sample.means, channel), of_all(|sample| sample.squares, channel));
        // Of photos of a single level nothing would be left but errors of rounding.
        (mean, (square - mean * mean).max(0.0).sqrt().max(1.0))
    });
    // Whole tenths say as much, and are shorter to give again.
    let tenths = |value: f64| (10.0 * value).round() as f32 / 10.0;
    let fixed = Normalize::Fixed {
        mean: channels.map(|(mean, _)| tenths(mean)),
        deviation: channels.map(|(_, deviation)| tenths(deviation)),
    };
    (count > 0.0).then_some(fixed)
}

fn brightness(sample: &Sample) -> f64 {
    sample.means.iter().sum::<f64>() / 3.0
}

fn contrast(sample: &Sample) -> f64 {
    let square = sample.squares.iter().sum::<f64>() / 3.0;
    (square - brightness(sample).powi(2)).max(0.0).sqrt()
}

/// The mean and variance of a number in each class that has photos enough.
fn spreads(samples: &[Sample], classes: usize, number: &fn(&Sample) -> f64) -> Vec<Option<(f64, f64)>> {
    let mut numbers = vec![Vec::new(); classes];
    samples.iter().for_each(|sample| numbers[sample.class].push(number(sample)));
    let spread = |numbers: Vec<f64>| {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / count;
        (numbers.len() >= LEAST as usize).then_some((mean, variance))
    };
    numbers.into_iter().map(spread).collect()
}

/// How far apart, in deviations; a deviation is at least one level.
fn distance(one: (f64, f64), other: (f64, f64)) -> f64 {
    (one.0 - other.0).abs() / f64::midpoint(one.1, other.1).max(1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    /// Photos of a class whose levels have this mean and deviation, and such that vary about it.
    fn photos(class: usize, mean: f64, deviation: f64) -> impl Iterator<Item = Sample> {
        (0..10).map(move |photo| {
            let means = [mean + f64::from(photo) * 3.0; 3];
            let squares = means.map(|mean| mean * mean + deviation * deviation);
            Sample { class, small: Array3::zeros((1, 1, 3)), means, squares, is_gray: false }
        })
    }

    #[test]
    fn classes_are_told_by_brightness_or_by_contrast() {
        let told = |photos: Vec<Sample>| told_by_brightness(&photos, 3);
        // Their deviation is 8.6.
        let alike = || photos(0, 100.0, 40.0).chain(photos(1, 110.0, 40.0)).chain(photos(2, 90.0, 40.5));
        assert_eq!(told(alike().collect()), Some([1, 2]));
        assert_eq!(told(alike().filter(|photo| photo.class != 2).collect()), None);
        let flat = photos(0, 100.0, 40.0).chain(photos(1, 100.0, 10.0));
        assert_eq!(told(flat.collect()), Some([0, 1]));
        let few = photos(0, 100.0, 40.0).chain(photos(1, 200.0, 10.0).take(7));
        assert_eq!(told(few.collect()), None);
    }

    #[test]
    fn photos_are_normalized_by_all_of_them() {
        let photos: Vec<_> = photos(0, 100.0, 30.0).chain(photos(1, 200.0, 30.0)).collect();
        // The means' own variance: 50^2 between the two, 8.25 * 3^2 in each.
        let deviation = (2500.0f32 + 74.25 + 900.0).sqrt();
        let wanted = Normalize::Fixed { mean: [163.5; 3], deviation: [(deviation * 10.0).round() / 10.0; 3] };
        assert_eq!(normalization(&photos), Some(wanted));
        assert_eq!(normalization(&[]), None);
    }
}
