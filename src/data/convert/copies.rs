//! Photos that are there more than once.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use super::look::BITS;
use super::part::Part;
use super::photos::Photo;

/// Photos that show the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copies {
    /// Where they are, what they are called, and in which part they went: two at least, sorted by path.
    pub photos: Vec<Copy>,
    /// Whether all files are the same, byte for byte; else some are so at another size or quality.
    pub identical: bool,
}

/// One of several [`Copies`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copy {
    /// Where it is.
    pub path: PathBuf,
    /// Its class, from 0.
    pub class: usize,
    /// The part of the data set that it is in.
    pub part: Part,
}

impl Copy {
    /// A photo of this class, from 0.
    pub fn new(path: impl Into<PathBuf>, class: usize, part: Part) -> Self {
        Self { path: path.into(), class, part }
    }
}

impl Copies {
    /// Photos that show the same, two at least; whether byte for byte.
    pub fn new(photos: Vec<Copy>, identical: bool) -> Self {
        Self { photos, identical }
    }

    /// Whether they lie in several classes.
    pub fn disagree(&self) -> bool {
        self.photos.iter().any(|copy| copy.class != self.photos[0].class)
    }

    /// Whether one is trained on and another is not: only where the photos were split before.
    pub fn leak(&self) -> bool {
        let trained_on = |copy: &&Copy| copy.part == Part::Train;
        let count = self.photos.iter().filter(trained_on).count();
        count > 0 && count < self.photos.len()
    }
}

/// Photos with which one is compared, at most, once it is like one of them: of the frames of a camera that stands still not each is
/// compared with each.
const MOST_ALIKE: usize = 2000;

/// For each photo the number of its group: the place of the first photo that shows the same, mostly its own.
pub(super) fn groups(photos: &[Photo]) -> Vec<usize> {
    let mut groups = Groups { parents: (0..photos.len()).collect() };
    let mut files: HashMap<(u64, u64), usize> = HashMap::new();
    for (index, photo) in photos.iter().enumerate() {
        let first = *files.entry((photo.bytes, photo.look.file)).or_insert(index);
        groups.join(first, index);
    }
    // Of the same files one is compared, and what is like it is like all.
    let mut candidates: Vec<usize> =
        files.into_values().filter(|&index| photos[index].look.has_contrast()).collect();
    candidates.sort_unstable_by_key(|&index| (photos[index].look.brightness(), index));
    // Of two hashes that differ in few bits one part at least is equal: those of one part are compared.
    const PARTS: u32 = BITS + 1;
    for part in 0..PARTS {
        let mask = (0..u64::BITS).filter(|bit| bit % PARTS == part).fold(0, |mask, bit| mask | 1u64 << bit);
        // For each value of the part those before, from the darkest that is bright enough.
        let mut before: HashMap<u64, VecDeque<usize>> = HashMap::new();
        for &index in &candidates {
            let look = &photos[index].look;
            let before = before.entry(look.differences & mask).or_default();
            while before.front().is_some_and(|&other| !photos[other].look.may_be_as_bright(look)) {
                before.pop_front();
            }
            let mut is_like_one = false;
            for &other in &*before {
                if photos[other].look.is_like(look) {
                    groups.join(other, index);
                    is_like_one = true;
                }
            }
            if !is_like_one || before.len() < MOST_ALIKE {
                before.push_back(index);
            }
        }
    }
    (0..photos.len()).map(|index| groups.first(index)).collect()
}

/// The photos of the same groups, by part.
pub(super) fn found<'a>(parts: impl Iterator<Item = (Part, &'a [Photo])>) -> Vec<Copies> {
    let mut of_group: HashMap<usize, Vec<(Part, &Photo)>> = HashMap::new();
    for (part, photos) in parts {
        photos.iter().for_each(|photo| of_group.entry(photo.group).or_default().push((part, photo)));
    }
    let several = of_group.into_values().filter(|photos| photos.len() > 1);
    let mut copies: Vec<Copies> = several
        .map(|photos| {
            let file = |photo: &Photo| (photo.bytes, photo.look.file);
            let identical = photos.iter().all(|(_, photo)| file(photo) == file(photos[0].1));
            let copy = |(part, photo): &(Part, &Photo)| Copy {
                path: photo.file.path.clone(),
                class: photo.file.class,
                part: *part,
            };
            let mut photos: Vec<Copy> = photos.iter().map(copy).collect();
            photos.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            Copies { photos, identical }
        })
        .collect();
    copies.sort_unstable_by(|a, b| a.photos[0].path.cmp(&b.photos[0].path));
    copies
}

/// Disjoint sets; the least of a set is its first.
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn first(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.first(one), self.first(other));
        self.parents[one.max(other)] = one.min(other);
    }
}
