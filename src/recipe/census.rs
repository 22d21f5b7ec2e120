//! What photos there are, and how much those of each class count.

use super::{ClassWeights, DataFolder, RecipeError};
use crate::data::{Loader, LoaderOptions};

/// How many photos of each class there are to train on, and how many to evaluate on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Photos to train on, by class.
    pub classes: Vec<u64>,
    /// Photos to evaluate on.
    pub eval: usize,
    /// Photos of the test part, which choose nothing: the best network is evaluated on them once.
    pub test: usize,
    /// Whether there are records that are not counted: bad ones, labels out of range.
    pub has_others: bool,
}

/// Photos of each class, on the average, under which there are few.
pub const FEW_PHOTOS: u64 = 100;

/// Photos of each class to evaluate on, under which the accuracy is no more than a hint.
const FEW_TO_EVALUATE: usize = 20;

impl Census {
    /// So many photos of each class to train on, and none to evaluate on.
    pub fn new(classes: Vec<u64>) -> Self {
        Self { classes, ..Self::default() }
    }

    /// Counts the photos of a data folder, whose records are read by `options`, by [their labels](crate::data::Dataset::label). Bad records
    /// are left out: training reports them.
    ///
    /// # Errors
    /// Shards that can't be read; [`FolderFault::Contradicted`](super::FolderFault::Contradicted).
    pub fn of(data: &DataFolder, options: LoaderOptions) -> Result<Self, RecipeError> {
        let eval = data.eval(options.clone())?;
        // What is wrong with the test part is for its evaluation to say.
        let test = data.test(options.clone()).ok().flatten();
        let train = data.train(options)?;
        let names = data.names();
        let mut classes = vec![0; train.options().classes];
        let records: Vec<usize> = (0..train.len()).collect();
        for (&record, label) in records.iter().zip(train.each_label(&records)) {
            let Ok((label, text)) = label else { continue };
            if let Some(class) = train.class(record, label) {
                classes[class] += 1;
                data.check_name(&names, &train, record, class, text.as_deref())?;
            }
        }
        let has_others = classes.iter().sum::<u64>() < train.len() as u64;
        let photos = |part: Option<Loader>| part.map_or(0, |part| part.len());
        Ok(Self { classes, eval: photos(eval), test: photos(test), has_others })
    }

    /// Photos to train on.
    pub fn photos(&self) -> usize {
        self.classes.iter().sum::<u64>() as usize
    }

    /// Photos of the smallest class that has any.
    pub fn fewest(&self) -> u64 {
        self.classes.iter().copied().filter(|&photos| photos > 0).min().unwrap_or(0)
    }

    /// Photos of the largest.
    pub fn most(&self) -> u64 {
        self.classes.iter().copied().max().unwrap_or(0)
    }

    /// Whether there are so few ([`FEW_PHOTOS`]) that a network that begins with nothing learns the photos rather than what is
    /// on them.
    pub fn is_small(&self) -> bool {
        let classes = self.classes.iter().filter(|&&photos| photos > 0).count();
        (self.photos() as u64) < FEW_PHOTOS * classes as u64
    }

    /// Whether there are photos to evaluate on, but so few that the accuracy is no more than a hint.
    pub fn has_few_to_evaluate(&self) -> bool {
        self.eval > 0 && self.eval < FEW_TO_EVALUATE * self.classes.len()
    }
}

/// The largest class has so many times the photos of the smallest, or more: unbalanced.
const UNBALANCED: u64 = 3;

/// The greatest weight: a few photos must not decide each step that they are part of.
pub(super) const MOST_WEIGHT: f32 = 10.0;

impl ClassWeights {
    /// The weight of each class, `photos / (classes x photos of the class)` and at most 10, where there are to be any: but for
    /// that limit all classes then count alike (King and Zeng 2001). Classes without photos have the weight 1.
    pub fn weights(self, census: &Census) -> Option<Vec<f32>> {
        let unbalanced = census.most() >= UNBALANCED * census.fewest() && census.most() > census.fewest();
        if self == ClassWeights::None || (self == ClassWeights::Auto && !unbalanced) {
            return None;
        }
        let classes = census.classes.iter().filter(|&&photos| photos > 0).count();
        let share = census.photos() as f32 / classes.max(1) as f32;
        let weight = |&photos: &u64| if photos > 0 { (share / photos as f32).min(MOST_WEIGHT) } else { 1.0 };
        Some(census.classes.iter().map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(classes: &[u64]) -> Census {
        Census::new(classes.to_vec())
    }

    #[test]
    fn one_small_class_among_large_ones_makes_no_small_set() {
        assert!(census(&[12; 5]).is_small() && census(&[120, 70, 0]).is_small());
        assert!(!census(&[100; 5]).is_small() && !census(&[5000, 40, 0]).is_small());
        assert_eq!(census(&[5000, 40, 0]).fewest(), 40);
    }

    #[test]
    fn weights_make_classes_count_alike() {
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
