//! Which photos are for evaluation, and in which order records stand.

use std::collections::{BTreeMap, HashMap};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::part::Part;
use super::photos::Photo;
use crate::record::crc::masked_crc32c;

/// The photos of each part, in the order of their records.
#[derive(Debug)]
pub(super) struct Split {
    /// By the number of the part.
    parts: [Vec<Photo>; Part::ALL.len()],
}

impl Split {
    /// Takes the same share of each class for evaluation, and shuffles all parts. A photo whose part is given goes there.
    ///
    /// Each photo draws two numbers from the seed and its own name alone. Of each class those with the smallest first
    /// number are for evaluation; by the second the records of each part are sorted. So neither the folders' order
    /// nor the number of threads matters, and a photo that comes or goes moves one other at most from part to part:
    /// a set converted again after a few changes keeps its evaluation photos. Photos that show the same
    /// have one first number: they go to evaluation together, or none does where they are many more than are wanted, or all of a class.
    pub fn draw(photos: Vec<Photo>, classes: &[String], eval_fraction: f64, seed: u64) -> Self {
        let mut of_class = vec![0; classes.len()];
        let drawn = photos.iter().filter(|photo| photo.file.part.is_none());
        drawn.for_each(|photo| of_class[photo.file.class] += 1);
        let mut wanted: Vec<usize> = of_class.iter().map(|&n| eval_count(n, eval_fraction)).collect();

        let mut drawn: Vec<Drawn> =
            photos.into_iter().map(|photo| Drawn::new(photo, classes, seed)).collect();
        draw_copies_together(&mut drawn);
        sort(&mut drawn, |drawn| drawn.cut);
        let mut parts: [Vec<Drawn>; Part::ALL.len()] = Default::default();
        let mut drawn = drawn.into_iter().peekable();
        while let Some(first) = drawn.next() {
            let mut copies = vec![first];
            while let Some(copy) = drawn.next_if(|next| next.photo.group == copies[0].photo.group) {
                copies.push(copy);
            }
            let part =
                if goes_to_eval(&copies, &mut wanted, &mut of_class) { Part::Eval } else { Part::Train };
            for drawn in copies {
                parts[drawn.photo.file.part.unwrap_or(part) as usize].push(drawn);
            }
        }
        Split { parts: parts.map(in_order) }
    }

    pub fn part(&self, part: Part) -> &[Photo] {
        &self.parts[part as usize]
    }
}

/// Gives photos that show the same one first number: that of the first of them.
fn draw_copies_together(drawn: &mut [Drawn]) {
    let mut of_group = HashMap::new();
    for Drawn { photo, cut, .. } in &*drawn {
        of_group.entry(photo.group).or_insert(*cut);
    }
    drawn.iter_mut().for_each(|drawn| drawn.cut = of_group[&drawn.photo.group]);
}

/// Whether photos that show the same go to evaluation: where each of their classes wants as many, or nearly, and keeps some to train
/// on. Counts them then: `wanted` down, and so `left`, those that may yet be trained on.
fn goes_to_eval(copies: &[Drawn], wanted: &mut [usize], left: &mut [usize]) -> bool {
    let mut of_class: BTreeMap<usize, usize> = BTreeMap::new();
    for drawn in copies {
        match drawn.photo.file.part {
            // What is trained on is not evaluated on.
            Some(Part::Train) => return false,
            Some(_) => {}
            None => *of_class.entry(drawn.photo.file.class).or_default() += 1,
        }
    }
    let fits = |(&class, &count): (&usize, &usize)| {
        let most = (3 * wanted[class] / 2).max(FEW_COPIES);
        wanted[class] > 0 && count <= most && count < left[class]
    };
    let goes = of_class.iter().all(fits);
    if goes {
        for (class, count) in of_class {
            wanted[class] = wanted[class].saturating_sub(count);
            left[class] -= count;
        }
    }
    goes
}

/// Copies of a photo that may go to evaluation together however few are wanted.
const FEW_COPIES: usize = 3;

fn in_order(mut part: Vec<Drawn>) -> Vec<Photo> {
    sort(&mut part, |drawn| drawn.place);
    part.into_iter().map(|drawn| drawn.photo).collect()
}

/// By one of their numbers; photos of the same by their groups, then by their paths.
fn sort(drawn: &mut [Drawn], number: fn(&Drawn) -> u64) {
    let key = |drawn: &Drawn| (number(drawn), drawn.photo.group);
    drawn.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.photo.file.path.cmp(&b.photo.file.path)));
}

/// A photo with its two numbers.
struct Drawn {
    photo: Photo,
    cut: u64,
    place: u64,
}

impl Drawn {
    fn new(photo: Photo, classes: &[String], seed: u64) -> Self {
        let name = format!("{}/{}", classes[photo.file.class], photo.file.name);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Names of one CRC draw the same numbers, which does no harm: the path decides between equals.
        rng.set_stream(u64::from(masked_crc32c(name.as_bytes())));
        Drawn { photo, cut: rng.random(), place: rng.random() }
    }
}

/// How many of a class's photos are for evaluation: the nearest number to the fraction, but one at least of two photos
/// or more, and never all.
pub(crate) fn eval_count(photos: usize, fraction: f64) -> usize {
    if fraction == 0.0 || photos < 2 {
        return 0;
    }
    ((photos as f64 * fraction).round() as usize).clamp(1, photos - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_keeps_a_photo_on_both_sides() {
        for (photos, fraction, eval) in [
            (0, 0.2, 0),
            (1, 0.2, 0),
            (1, 0.9, 0),
            (2, 0.001, 1),
            (2, 0.999, 1),
            (10, 0.0, 0),
            (10, 0.2, 2),
            (12, 0.2, 2),
            (13, 0.2, 3),
            (10, 0.999, 9),
        ] {
            assert_eq!(eval_count(photos, fraction), eval, "{photos} {fraction}");
        }
    }
}
