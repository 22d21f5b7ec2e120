//! Decoded, fitted photos kept in memory, so that the JPEG decoder runs in the first epoch only.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::Array3;

/// A fitted photo and its class.
pub(super) type Photo = (Array3<u8>, usize);

/// A place for each record's photo, filled as long as the budget lasts.
#[derive(Debug)]
pub(super) struct Cache {
    photos: Vec<OnceLock<Photo>>,
    budget: u64,
    used: AtomicU64,
}

impl Cache {
    pub fn new(records: usize, budget: u64) -> Self {
        Self { photos: (0..records).map(|_| OnceLock::new()).collect(), budget, used: AtomicU64::new(0) }
    }

    /// The photo of this record with its class, if it is kept.
    pub fn get(&self, record: usize) -> Option<&Photo> {
        self.photos[record].get()
    }

    /// Keeps a photo and hands it back; or gives it back as an error, once the budget is used up.
    pub fn insert(&self, record: usize, photo: Photo) -> Result<&Photo, Photo> {
        let bytes = photo.0.len() as u64;
        let place = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.budget);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, place).is_err() {
            return Err(photo);
        }
        // Epochs may overlap and decode a photo twice; the first one stays, and the budget counts both.
        Ok(self.photos[record].get_or_init(|| photo))
    }

    /// Bytes of photos kept.
    #[cfg(test)]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds() {
        let cache = Cache::new(3, 100);
        let photo = || (Array3::zeros((4, 4, 3)), 1);
        assert!(cache.insert(0, photo()).is_ok() && cache.insert(1, photo()).is_ok());
        assert_eq!(cache.used(), 96);
        assert!(cache.insert(2, photo()).is_err());
        assert!(cache.get(0).is_some() && cache.get(2).is_none());
    }
}
