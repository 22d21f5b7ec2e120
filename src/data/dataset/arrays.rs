//! Pictures in memory.

use std::error::Error;

use ndarray::{Array4, Axis};

use super::{Dataset, Example, Picture};
use crate::record::Pixels;

/// Pictures of one size in memory, such as MNIST's or CIFAR-10's.
///
/// ```
/// use floret::data::Arrays;
/// use ndarray::Array4;
///
/// // 28 x 28 pixels, one gray level each.
/// let images = Array4::<u8>::zeros((10, 28, 28, 1));
/// let digits = Arrays::new(images, (0..10).collect(), (0..10).map(|digit: usize| digit.to_string()).collect())?;
/// # Ok::<(), floret::data::ArraysError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Arrays {
    /// (examples, height, width, 1 or 3)
    images: Array4<u8>,
    labels: Vec<usize>,
    classes: Vec<String>,
}

/// Arrays that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArraysError {
    /// Images that are no images.
    #[error("the images have the shape {0:?}: wanted is (examples, height, width, 1 or 3), each at least 1")]
    Shape(Vec<usize>),
    /// Not a label for each image.
    #[error("there are {images} images and {labels} labels")]
    Labels {
        /// How many images.
        images: usize,
        /// How many labels.
        labels: usize,
    },
    /// A label of no class.
    #[error("the label of image {index} is {label}, and there are {classes} classes, from 0")]
    Label {
        /// The image, from 0.
        index: usize,
        /// Its label.
        label: usize,
        /// How many classes.
        classes: usize,
    },
}

impl Arrays {
    /// Images of the shape (examples, height, width, channels), levels from 0 to 255 of red, green and blue or of one gray; a class from 0
    /// for each; the names of the classes.
    ///
    /// # Errors
    /// Each of [`ArraysError`].
    pub fn new(images: Array4<u8>, labels: Vec<usize>, classes: Vec<String>) -> Result<Self, ArraysError> {
        if images.is_empty() || !matches!(images.dim().3, 1 | 3) {
            return Err(ArraysError::Shape(images.shape().to_vec()));
        }
        if images.dim().0 != labels.len() {
            return Err(ArraysError::Labels { images: images.dim().0, labels: labels.len() });
        }
        match labels.iter().position(|&label| label >= classes.len()) {
            Some(index) => Err(ArraysError::Label { index, label: labels[index], classes: classes.len() }),
            None => Ok(Self { images, labels, classes }),
        }
    }
}

impl Dataset for Arrays {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn example(&self, index: usize) -> Result<Example, Box<dyn Error + Send + Sync>> {
        let image = self.images.index_axis(Axis(0), index);
        let (height, width, channels) = image.dim();
        let pixels = Pixels { height, width, channels, levels: image.iter().copied().collect() };
        Ok(Example::new(Picture::from(pixels), self.labels[index]))
    }

    fn label(&self, index: usize) -> Result<i64, Box<dyn Error + Send + Sync>> {
        Ok(i64::try_from(self.labels[index])?)
    }

    fn side(&self) -> Option<usize> {
        let (_, height, width, _) = self.images.dim();
        Some(height.max(width))
    }

    fn checksum(&self) -> u32 {
        let images = self.images.as_standard_layout();
        let labels = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>();
        crc32c::crc32c_append(crc32c::crc32c(images.as_slice().expect("in standard layout")), &labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_that_do_not_fit_are_refused() {
        let classes = || vec!["a".to_owned(), "b".to_owned()];
        let images = |shape| Array4::<u8>::zeros(shape);
        let new = |shape, labels: &[usize]| Arrays::new(images(shape), labels.to_vec(), classes()).err();
        assert_eq!(new((2, 3, 3, 1), &[0, 1]), None);
        assert_eq!(new((2, 3, 3, 2), &[0, 1]), Some(ArraysError::Shape(vec![2, 3, 3, 2])));
        assert_eq!(new((0, 3, 3, 3), &[]), Some(ArraysError::Shape(vec![0, 3, 3, 3])));
        assert_eq!(new((2, 3, 3, 3), &[0]), Some(ArraysError::Labels { images: 2, labels: 1 }));
        let label = ArraysError::Label { index: 1, label: 2, classes: 2 };
        assert_eq!(new((2, 3, 3, 3), &[0, 2]), Some(label));
    }

    #[test]
    fn a_gray_level_is_that_of_each_color() {
        let images = Array4::from_shape_fn((2, 2, 3, 1), |(image, y, x, _)| (100 * image + 10 * y + x) as u8);
        let arrays = Arrays::new(images, vec![1, 0], vec!["a".into(), "b".into()]).unwrap();
        let Example { picture: Picture::Levels(levels), label, .. } = arrays.example(1).unwrap() else {
            panic!("levels are not encoded")
        };
        assert_eq!((levels.dim(), levels[[1, 2, 0]], levels[[1, 2, 2]], label), ((2, 3, 3), 112, 112, 0));
    }
}
