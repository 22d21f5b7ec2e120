//! Training in one call.

use std::path::PathBuf;
use std::sync::Arc;

use super::training::{Budget, Trained, Training};
use super::{DataFolder, RecipeError};
use crate::data::Dataset;

/// Trains a network on a [data folder](DataFolder) by the recipe that learns photos best in the time there is.
///
/// ```no_run
/// use floret::recipe::Budget;
///
/// let trained = floret::fit("data", Budget::minutes(5.0))?;
/// if let Some(evaluation) = &trained.evaluation {
///     println!("{:.1} % right", 100.0 * evaluation.accuracy());
/// }
/// trained.save("model.safetensors")?;
/// # Ok::<(), floret::Error>(())
/// ```
///
/// # Errors
/// As [`Training::run`].
pub fn fit(data: impl Into<PathBuf>, budget: Budget) -> Result<Trained, RecipeError> {
    Training::new(data).budget(budget).run()
}

/// [`fit`] on data sets, such as [`Arrays`](crate::data::Arrays): the first to train on, the second to evaluate on, of the same classes.
///
/// ```no_run
/// use floret::data::Arrays;
/// use floret::recipe::Budget;
/// use ndarray::Array4;
///
/// // Stand-ins for 60,000 pictures of 28 x 28 gray pixels, and for the digit that each shows.
/// let (images, labels) = (Array4::<u8>::zeros((60_000, 28, 28, 1)), vec![0; 60_000]);
/// let digits = Arrays::new(images, labels, ('0'..='9').map(String::from).collect())?;
/// let trained = floret::fit_sets(digits, None, Budget::minutes(1.0))?;
/// trained.save("model.safetensors")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`Training::run`]; data sets of different classes.
pub fn fit_sets<T: Dataset + 'static>(
    train: T,
    eval: Option<T>,
    budget: Budget,
) -> Result<Trained, RecipeError> {
    let eval = eval.map(|eval| Arc::new(eval) as Arc<dyn Dataset>);
    Training::on(DataFolder::of_sets(Arc::new(train), eval)?).budget(budget).run()
}

/// [`fit`], beginning with a network trained before: a model file or an ONNX graph, as [`Training::start_from`] takes it.
///
/// ```no_run
/// use floret::recipe::Budget;
///
/// let trained = floret::fit_from("efficientnet_lite0.onnx", "data", Budget::minutes(1.0))?;
/// trained.save("model.safetensors")?;
/// # Ok::<(), floret::Error>(())
/// ```
///
/// # Errors
/// As [`Training::run`]; an ONNX graph of another program of which it is not known how photos become its input, which
/// [`Choices::normalize`](super::Choices::normalize) tells.
pub fn fit_from(
    network: impl Into<PathBuf>,
    data: impl Into<PathBuf>,
    budget: Budget,
) -> Result<Trained, RecipeError> {
    Training::new(data).start_from(network).budget(budget).run()
}
