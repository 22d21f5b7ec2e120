//! Classes of very different sizes: what their losses are multiplied by.

use clap::ValueEnum;

use super::census::Census;
use crate::ui::{self, note};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClassWeights {
    /// Where the largest class has three times the photos of the smallest
    Auto,
    Balanced,
    None,
}

/// The largest class has so many times the photos of the smallest, or more: unbalanced.
const UNBALANCED: u64 = 3;

/// The greatest weight: a few photos must not decide each step that they are part of.
const MOST: f32 = 10.0;

impl ClassWeights {
    /// The weight of each class, `photos / (classes x photos of the class)` and at most [`MOST`], where there are to be any:
    /// but for that limit all classes then count alike (King and Zeng 2001). Of classes without photos, 1.
    pub fn weights(self, census: &Census) -> Option<Vec<f32>> {
        let unbalanced = census.most() >= UNBALANCED * census.fewest() && census.most() > census.fewest();
        if self == ClassWeights::None || (self == ClassWeights::Auto && !unbalanced) {
            return None;
        }
        let classes = census.classes.iter().filter(|&&photos| photos > 0).count();
        let share = census.photos() as f32 / classes.max(1) as f32;
        let weight = |&photos: &u64| if photos > 0 { (share / photos as f32).min(MOST) } else { 1.0 };
        Some(census.classes.iter().map(weight).collect())
    }
}

/// Tells of classes without photos, and of weights that were not asked for.
pub fn tell(asked: ClassWeights, weights: Option<&[f32]>, census: &Census, classes: &[String]) {
    let empty: Vec<String> = classes
        .iter()
        .zip(&census.classes)
        .filter(|(_, photos)| **photos == 0)
        .map(|(class, _)| class.clone())
        .collect();
    if !empty.is_empty() {
        // Others may be of it, if they could be read, or had a label in range: training tells of them.
        let known = if census.has_others { "that can be used " } else { "" };
        note!(
            "note: there are no photos to train on {known}of {}: it will never be the answer",
            ui::names(&empty)
        );
    }
    let (Some(weights), ClassWeights::Auto) = (weights, asked) else { return };
    let of =
        |photos: u64| census.classes.iter().position(|&of| of == photos).map_or("", |class| &classes[class]);
    let [least, most] = [f32::min, f32::max].map(|pick| weights.iter().copied().reduce(pick).unwrap_or(1.0));
    let alike = if most < MOST { "alike" } else { "more alike" };
    note!(
        "note: the classes are unbalanced, {} photos of {} and {} of {}: the losses of each class are weighted so that all count \
         {alike} ({least:.2} to {most:.2}; --class-weights none leaves them as they are)",
        census.fewest(),
        ui::escaped(of(census.fewest())),
        census.most(),
        ui::escaped(of(census.most())),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_make_classes_count_alike() {
        let census = |classes: &[u64]| Census { classes: classes.to_vec(), ..Census::default() };
        let unbalanced = census(&[100, 20, 60]);
        let weights = ClassWeights::Auto.weights(&unbalanced).unwrap();
        assert_eq!(weights, [0.6, 3.0, 1.0]);
        let balanced = census(&[100, 40, 60]);
        assert_eq!(ClassWeights::Auto.weights(&balanced), None);
        assert!(ClassWeights::Balanced.weights(&balanced).is_some());
        assert_eq!(ClassWeights::None.weights(&unbalanced), None);
        // Two classes share the photos; the rare one is held to ten times, and the empty one is left out.
        assert_eq!(ClassWeights::Auto.weights(&census(&[999, 1, 0])), Some(vec![500.0 / 999.0, 10.0, 1.0]));
        assert_eq!(ClassWeights::Auto.weights(&census(&[0, 0])), None);
    }
}
