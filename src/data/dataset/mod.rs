//! Sets of labeled pictures: what a [`Loader`](super::Loader) makes batches of.
//!
//! | where the pictures are | type |
//! | --- | --- |
//! | in memory | [`Arrays`] |
//! | in files, one each | [`Photos`] |
//! | in shards of records | [`Loader::open`](super::Loader::open), which reads them in order; [`Records`] |
//! | among others | [`Subset`] |
//! | elsewhere | a type of one's own that is a [`Dataset`] |

mod arrays;
mod photos;
mod picture;
mod records;
mod subset;

use std::error::Error;

pub use arrays::{Arrays, ArraysError};
pub use photos::Photos;
pub use picture::Picture;
pub use records::Records;
pub use subset::Subset;

use crate::record::ImageExample;

/// Labeled pictures by number.
///
/// A [`Loader`](super::Loader) asks for each picture once in an epoch, in a seeded order, by several threads at a time, and not again for
/// those it keeps in memory. What is asked for twice must be the same twice: batches are then the same for the same seed, however many
/// threads there are.
///
/// ```
/// use floret::data::{Dataset, Example, Loader, LoaderOptions, Picture, Preprocess};
/// use ndarray::Array3;
///
/// /// Squares of one gray: dark ones and bright ones.
/// struct Grays(Vec<String>);
///
/// impl Dataset for Grays {
///     fn len(&self) -> usize {
///         100
///     }
///
///     fn classes(&self) -> &[String] {
///         &self.0
///     }
///
///     fn example(&self, index: usize) -> Result<Example, Box<dyn std::error::Error + Send + Sync>> {
///         let level = 2 * index as u8;
///         let picture = Picture::Levels(Array3::from_elem((28, 28, 3), level));
///         Ok(Example::new(picture, usize::from(level >= 100)))
///     }
/// }
///
/// let grays = Grays(["dark", "bright"].map(String::from).to_vec());
/// let loader = Loader::of(grays, LoaderOptions::new(Preprocess::new(28), 2))?;
/// assert_eq!(loader.epoch(0).next().unwrap()?.images.dim(), (64, 28, 28, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Dataset: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the classes.
    fn classes(&self) -> &[String];

    /// The example of this number, from 0 to below [`len`](Self::len); its label counts from 0.
    ///
    /// # Errors
    /// Whatever makes it unusable: training ends with it, or counts it and goes on, as
    /// [`LoaderOptions::on_bad_record`](super::LoaderOptions::on_bad_record) says. Training always ends with a
    /// [`RecordError`](crate::record::RecordError) that is not [recoverable](crate::record::RecordError::is_recoverable) and with
    /// [`PhotoError::Io`](crate::image::PhotoError::Io): a file is gone or can't be read.
    fn example(&self, index: usize) -> Result<Example, Box<dyn Error + Send + Sync>>;

    /// The label of this example alone, to count classes and to hold examples out. Where labels are known without reading pictures,
    /// that is faster than the example.
    ///
    /// # Errors
    /// As [`example`](Self::example).
    fn label(&self, index: usize) -> Result<i64, Box<dyn Error + Send + Sync>> {
        Ok(self.example(index)?.label)
    }

    /// What the example is called, to find it again: a file's path, say.
    fn name(&self, index: usize) -> Option<String> {
        let _ = index;
        None
    }

    /// The side of pictures that are small and all of one size, as which they are trained on unless another one is chosen.
    fn side(&self) -> Option<usize> {
        None
    }

    /// A number that is another one for other data, as far as can be told without reading all: a run goes on with the data it began with.
    fn checksum(&self) -> u32 {
        0
    }
}

/// A picture and what is said of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Example {
    /// The picture.
    pub picture: Picture,
    /// The number of its class, from 0; in records from [`LoaderOptions::label_offset`](super::LoaderOptions::label_offset).
    pub label: i64,
    /// The name of its class, where that is told beside the number.
    pub class_text: Option<String>,
    /// The name of the file it came from.
    pub filename: Option<String>,
}

impl Example {
    /// A picture of a class, from 0.
    pub fn new(picture: Picture, class: usize) -> Self {
        Self { picture, label: i64::try_from(class).unwrap_or(i64::MAX), class_text: None, filename: None }
    }
}

impl From<ImageExample> for Example {
    fn from(record: ImageExample) -> Self {
        Self {
            picture: record.pixels.map_or(Picture::File(record.encoded), Picture::from),
            label: record.label,
            class_text: record.class_text,
            filename: record.filename,
        }
    }
}
