//! Some of the examples of another data set.

use std::error::Error;
use std::sync::Arc;

use super::{Dataset, Example};

/// Some of the examples of another data set, in an order of their own.
#[derive(Clone)]
pub struct Subset {
    set: Arc<dyn Dataset>,
    examples: Vec<usize>,
}

impl Subset {
    /// The examples of these numbers.
    ///
    /// # Panics
    /// If there is no such example.
    pub fn new(set: Arc<dyn Dataset>, examples: Vec<usize>) -> Self {
        assert!(examples.iter().all(|example| *example < set.len()), "examples of those there are");
        Self { set, examples }
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.examples.len()
    }

    fn classes(&self) -> &[String] {
        self.set.classes()
    }

    fn example(&self, index: usize) -> Result<Example, Box<dyn Error + Send + Sync>> {
        self.set.example(self.examples[index])
    }

    fn label(&self, index: usize) -> Result<i64, Box<dyn Error + Send + Sync>> {
        self.set.label(self.examples[index])
    }

    fn name(&self, index: usize) -> Option<String> {
        self.set.name(self.examples[index])
    }

    fn side(&self) -> Option<usize> {
        self.set.side()
    }

    fn checksum(&self) -> u32 {
        let numbers = self.examples.iter().flat_map(|example| (*example as u64).to_le_bytes());
        crc32c::crc32c_append(self.set.checksum(), &numbers.collect::<Vec<u8>>())
    }
}
