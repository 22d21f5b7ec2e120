//! Decoded, fitted photos kept in memory, so that the JPEG decoder runs in the first epoch only.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::Array3;

/// A fitted photo and its class.
pub(super) type Photo = (Array3<u8>, usize);

/// A place for each record's photo, filled as long as the budget lasts.
#[derive(Debug)]
pub(super) struct Cache {
    // Boxed: an empty place takes 16 bytes, not a photo's whole header.
    photos: Vec<OnceLock<Box<Photo>>>,
    /// Most bytes of pixels.
    budget: u64,
    used: AtomicU64,
}

impl Cache {
    pub fn new(records: usize, budget: u64) -> Self {
        Self { photos: (0..records).map(|_| OnceLock::new()).collect(), budget, used: AtomicU64::new(0) }
    }

    /// The photo of this record with its class, if it is kept.
    pub fn get(&self, record: usize) -> Option<&Photo> {
        self.photos[record].get().map(Box::as_ref)
    }

    /// Keeps a photo and hands it back; or gives it back as an error, once the budget is used up.
    pub fn insert(&self, record: usize, photo: Photo) -> Result<&Photo, Photo> {
        let bytes = photo.0.len() as u64;
        let place = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.budget);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, place).is_err() {
            return Err(photo);
        }
        // Epochs may overlap and decode a photo twice: the first one stays.
        if self.photos[record].set(Box::new(photo)).is_err() {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(self.get(record).expect("this place was filled just now"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_holds_and_a_photo_counts_once() {
        let cache = Cache::new(3, 100);
        let photo = |class| (Array3::zeros((4, 4, 3)), class);
        assert_eq!(cache.insert(0, photo(1)).unwrap().1, 1);
        assert_eq!(cache.insert(0, photo(2)).unwrap().1, 1, "the first one stays");
        assert!(cache.insert(1, photo(1)).is_ok());
        assert!(cache.insert(2, photo(1)).is_err(), "96 of 100 bytes are used");
        assert!(cache.get(1).is_some() && cache.get(2).is_none());
    }
}
