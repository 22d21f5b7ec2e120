//! From a photo's bytes to the names of what is in it: a model file with all that prediction needs.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, Array3, ArrayView1, ArrayView3, Axis};
use rayon::prelude::*;
use serde::{Serialize, Serializer};

use crate::checkpoint::{CheckpointError, ModelInfo, ModelInfoError, load_model};
use crate::data::Preprocess;
use crate::explain::Occlusion;
use crate::image::{DecodeOptions, ImageError, PhotoError, read_photo};
use crate::metrics::{predicted, rank};
use crate::network::{Network, NetworkError};

/// Why a photo was not classified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifyError {
    /// The photo: its file, or what is in it.
    #[error(transparent)]
    Photo(#[from] PhotoError),
    /// What the network makes of it.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Class names or preprocessing that are not the network's.
    #[error("this is no classifier: {reason}")]
    Info {
        /// What does not fit.
        reason: ModelInfoError,
    },
}

impl From<ImageError> for ClassifyError {
    fn from(error: ImageError) -> Self {
        ClassifyError::Photo(error.into())
    }
}

/// A trained network, its class names, and the way from a photo to its input.
///
/// ```no_run
/// use floret::Classifier;
///
/// let classifier = Classifier::load("run/model.safetensors")?;
/// let prediction = classifier.classify(&std::fs::read("holiday.jpg").unwrap())?;
/// for (class, probability) in prediction.top(3) {
///     println!("{class}: {:.1} %", 100.0 * probability);
/// }
/// # Ok::<(), floret::Error>(())
/// ```
///
/// One classifier serves any number of threads at once, by reference or in an [`Arc`]; none waits for another.
///
/// A photo's answer is the same to the bit whichever thread asks, and whichever photos it is alone with. Among other photos at
/// once ([`classify_all`](Self::classify_all)) its probabilities may differ in their last bits, as the network then computes
/// [in another way](Network::forward).
#[derive(Debug)]
pub struct Classifier {
    network: Network,
    classes: Arc<[String]>,
    preprocess: Preprocess,
    decoding: DecodeOptions,
}

/// Photos whose inputs are in memory at a time.
const BATCH: usize = 64;

impl Classifier {
    /// Reads a model file, as training writes it.
    ///
    /// # Errors
    /// As [`load_model`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let (network, info) = load_model(path)?;
        Ok(Self::of(network, info))
    }

    /// A network that is in memory, such as one just trained.
    ///
    /// # Errors
    /// Class names that do not fit the network's outputs, or preprocessing its input.
    pub fn new(network: Network, info: ModelInfo) -> Result<Self, ClassifyError> {
        info.check(&network).map_err(|reason| ClassifyError::Info { reason })?;
        Ok(Self::of(network, info))
    }

    fn of(network: Network, ModelInfo { classes, preprocess }: ModelInfo) -> Self {
        Self { network, classes: classes.into(), preprocess, decoding: DecodeOptions::default() }
    }

    /// Sets how photos are decoded: what is too large, and what becomes of one that is cut off. Orientation and scale are
    /// the model's affair.
    pub fn decode_options(mut self, options: DecodeOptions) -> Self {
        self.decoding = options;
        self
    }

    /// How photos are decoded.
    pub fn decoding(&self) -> &DecodeOptions {
        &self.decoding
    }

    /// Class names, by output.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// From a photo to the network's input.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Classifies a photo, the bytes of an image file (JPEG, PNG, WebP, ...).
    ///
    /// # Errors
    /// Bytes that are no image, damaged, or over the [limits](Self::decode_options); outputs that are not finite.
    pub fn classify(&self, encoded: &[u8]) -> Result<Prediction, ClassifyError> {
        self.classify_input(self.input(encoded)?.view())
    }

    /// Classifies an image that is decoded already: RGB levels, (height, width, 3), of any size, rows from the top.
    ///
    /// # Errors
    /// An image of another shape, or without pixels; outputs that are not finite.
    pub fn classify_image(&self, rgb: ArrayView3<u8>) -> Result<Prediction, ClassifyError> {
        let image = rgb.as_standard_layout().into_owned();
        self.classify_input(self.preprocess.image_input(&image)?.view())
    }

    /// Classifies many photos, on all threads: an answer or error for each, in order.
    pub fn classify_all<B: AsRef<[u8]> + Sync>(
        &self,
        photos: &[B],
    ) -> Vec<Result<Prediction, ClassifyError>> {
        self.classify_each(photos, |photo| self.input(photo.as_ref()))
    }

    /// The same of files, each of which is read when its turn comes, [no further](read_photo) than it can be a photo.
    pub fn classify_files<P: AsRef<Path> + Sync>(
        &self,
        files: &[P],
    ) -> Vec<Result<Prediction, ClassifyError>> {
        self.classify_each(files, |file| self.input(&read_photo(file)?))
    }

    /// What the answer for a photo rests on.
    ///
    /// # Errors
    /// As [`classify`](Self::classify).
    pub fn explain(&self, encoded: &[u8]) -> Result<Explanation, ClassifyError> {
        let input = self.input(encoded)?;
        let prediction = self.classify_input(input.view())?;
        let occlusion = Occlusion::for_images_of(self.preprocess.image_size);
        let map = occlusion.map(&self.network, input.view(), prediction.best_output())?;
        Ok(Explanation { prediction, map })
    }

    fn input(&self, encoded: &[u8]) -> Result<Array3<f32>, ClassifyError> {
        Ok(self.preprocess.input(encoded, &self.decoding)?)
    }

    fn classify_input(&self, input: ArrayView3<f32>) -> Result<Prediction, ClassifyError> {
        Ok(self.prediction(self.probabilities_of(input)?))
    }

    fn prediction(&self, probabilities: Vec<f32>) -> Prediction {
        Prediction { classes: self.classes.clone(), probabilities }
    }

    /// A batch at a time: first the inputs, then what the network says of those that there are.
    fn classify_each<T: Sync>(
        &self,
        photos: &[T],
        input: impl Fn(&T) -> Result<Array3<f32>, ClassifyError> + Sync,
    ) -> Vec<Result<Prediction, ClassifyError>> {
        let mut answers = Vec::with_capacity(photos.len());
        for photos in photos.chunks(BATCH) {
            let inputs: Vec<_> = photos.par_iter().map(&input).collect();
            let good: Vec<_> = inputs.iter().flatten().map(|input| input.view()).collect();
            let mut probabilities = self.probabilities(&good).into_iter();
            answers.extend(inputs.into_iter().map(|input| {
                input?;
                Ok(self.prediction(probabilities.next().expect("an answer for each input")?))
            }));
        }
        answers
    }

    /// The answer for each input.
    fn probabilities(&self, inputs: &[ArrayView3<f32>]) -> Vec<Result<Vec<f32>, NetworkError>> {
        if inputs.is_empty() {
            return Vec::new();
        }
        let together = ndarray::stack(Axis(0), inputs).expect("inputs of one network have one shape");
        match self.network.predict(&together) {
            Ok(probabilities) => probabilities.rows().into_iter().map(|row| Ok(row.to_vec())).collect(),
            // One of them; each for itself shows which.
            Err(_) => inputs.iter().map(|input| self.probabilities_of(*input)).collect(),
        }
    }

    fn probabilities_of(&self, input: ArrayView3<f32>) -> Result<Vec<f32>, NetworkError> {
        Ok(self.network.predict(input.insert_axis(Axis(0)))?.row(0).to_vec())
    }
}

/// What a network says of a photo: a probability for each class. (Of a network that was not trained with softmax cross-entropy,
/// its outputs as they are.)
///
/// Serialized, a map from class names to probabilities, in the order of the outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    classes: Arc<[String]>,
    probabilities: Vec<f32>,
}

impl Prediction {
    /// The probability of each class, by output.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// Each class with its probability, by output.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, f32)> {
        self.classes.iter().map(String::as_str).zip(self.probabilities.iter().copied())
    }

    /// The `count` most probable classes (all, if there are fewer), the most probable first; of equal ones, the first output.
    pub fn top(&self, count: usize) -> Vec<(&str, f32)> {
        let mut ranked: Vec<_> = self.probabilities.iter().copied().enumerate().collect();
        rank(&mut ranked);
        ranked.into_iter().take(count).map(|(class, p)| (self.classes[class].as_str(), p)).collect()
    }

    /// The most probable class and its probability.
    pub fn best(&self) -> (&str, f32) {
        let best = self.best_output();
        (&self.classes[best], self.probabilities[best])
    }

    /// The output of the most probable class.
    pub fn best_output(&self) -> usize {
        predicted(ArrayView1::from(&self.probabilities))
            .expect("a network has outputs, and predictions are finite")
    }
}

impl Serialize for Prediction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A prediction with its reasons.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The answer.
    pub prediction: Prediction,
    /// How much each pixel of the network's input counts for the most probable class: see [`Occlusion::map`].
    pub map: Array2<f32>,
}
