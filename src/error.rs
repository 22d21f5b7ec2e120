//! One error for programs that use several modules.

use crate::checkpoint::CheckpointError;
#[cfg(feature = "tensorflow")]
use crate::checkpoint::tensorflow::TensorFlowError;
use crate::classifier::ClassifyError;
use crate::data::convert::ConvertError;
use crate::data::{ArraysError, BatchError};
use crate::files::{FileError, HoldError};
use crate::image::ImageError;
#[cfg(feature = "tensorboard")]
use crate::log::LogError;
use crate::loss::LossError;
use crate::network::NetworkError;
use crate::nn::ShapeError;
#[cfg(feature = "onnx")]
use crate::onnx::OnnxError;
use crate::recipe::RecipeError;
use crate::record::{RecordError, ShardError};
use crate::train::TrainError;

/// Any error of floret.
///
/// All errors of the crate keep to these rules:
/// - A message is whole: it says what is wrong and where, and contains the message of its cause.
/// - So [`source`](std::error::Error::source) does not return that cause, and what prints a chain of errors says nothing twice. The
///   cause is a field of the error. A variant that only passes an error on is transparent: its message and its source are
///   that error's.
/// - Cases that a caller may want to handle apart are variants with their numbers. The many defects of foreign or damaged
///   files are text, with the place where they were found.
/// - A message speaks of the library. Where an option of it helps, the variant's documentation names it; a program adds
///   its own flags.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error(transparent)]
pub enum Error {
    /// A file or folder.
    File(#[from] FileError),
    /// A folder that another holds.
    Hold(#[from] HoldError),
    /// The list of shards.
    Shards(#[from] ShardError),
    /// A record.
    Record(#[from] RecordError),
    /// A photo.
    Image(#[from] ImageError),
    /// A data set.
    Batch(#[from] BatchError),
    /// Arrays that do not fit together.
    Arrays(#[from] ArraysError),
    /// A folder of photos to convert.
    Convert(#[from] ConvertError),
    /// Layers that do not fit.
    Shape(#[from] ShapeError),
    /// Targets that do not fit.
    Loss(#[from] LossError),
    /// A network and its data.
    Network(#[from] NetworkError),
    /// Training.
    Train(#[from] TrainError),
    /// A log.
    #[cfg(feature = "tensorboard")]
    Log(#[from] LogError),
    /// A model or training file.
    Checkpoint(#[from] CheckpointError),
    /// A photo to classify.
    Classify(#[from] ClassifyError),
    /// An ONNX file.
    #[cfg(feature = "onnx")]
    Onnx(#[from] OnnxError),
    /// A TensorFlow checkpoint.
    #[cfg(feature = "tensorflow")]
    TensorFlow(#[from] TensorFlowError),
    /// Training by a recipe.
    Recipe(#[from] RecipeError),
}

/// A result of floret.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(all(test, feature = "onnx", feature = "tensorboard", feature = "tensorflow"))]
mod tests {
    use std::error::Error as StdError;
    use std::io;

    use super::*;
    use crate::checkpoint::ModelInfoError;
    use crate::checkpoint::tensorflow::{NamesError, SlotsError};
    use crate::data::convert::{BadPhoto, ConvertOptionsError, PhotoFault};
    use crate::data::{ClassNamesError, LoaderOptionsError};
    use crate::image::{Format, PhotoError};
    use crate::nn::BackwardError;
    use crate::onnx::{ExportError, ImportError};
    use crate::record::{
        Compression, ExampleError, Lost, RecordDefect, RecordLocation, RecordPosition, WireDefect, WireError,
    };
    use crate::train::TrainOptionsError;

    /// An `io::Error` with an error of floret inside, as writers give them.
    fn io_error() -> io::Error {
        let cause = io::Error::other("the disk is on fire");
        io::Error::other(FileError::new("inner", "write", cause))
    }

    fn file() -> FileError {
        FileError { path: "outer".into(), action: "read", cause: io_error() }
    }

    fn at() -> Box<RecordLocation> {
        let position = RecordPosition::default();
        Box::new(RecordLocation { file: "train".into(), compression: Compression::Gzip, position })
    }

    fn damaged(defect: RecordDefect) -> RecordError {
        RecordError::Damaged { at: at(), lost: Lost::Rest, defect: Box::new(defect) }
    }

    fn wire() -> WireError {
        WireError { at: 7, defect: WireDefect::NotText }
    }

    fn photo() -> PhotoError {
        PhotoError::Io(io_error())
    }

    fn bad() -> Vec<BadPhoto> {
        vec![BadPhoto { path: "cat.jpg".into(), fault: PhotoFault::Photo(photo()) }]
    }

    fn shape() -> ShapeError {
        ShapeError::new("it does not fit").of("conv1")
    }

    fn network() -> Box<NetworkError> {
        Box::new(NetworkError::Shape(shape()))
    }

    fn image() -> ImageError {
        ImageError::Truncated { format: Format::Jpeg, offset: 9 }
    }

    /// Each way in which one error of floret holds another, or one of the system's.
    fn of_each_kind() -> Vec<Error> {
        let path = || "file".into();
        let info = || ModelInfoError::Classes { outputs: 2, classes: 3 };
        let import = |error| OnnxError::Import { path: path(), error: Box::new(error) };
        let example = ExampleError::Decode(wire());
        let not_text = String::from_utf8(vec![0xFF]).map_err(|error| error.utf8_error()).unwrap_err();
        let names = || ClassNamesError::NotText(not_text);
        let callback = || TrainError::Callback(CheckpointError::File(file()).into());
        vec![
            file().into(),
            HoldError::File(file()).into(),
            ShardError::File(file()).into(),
            RecordError::File(file()).into(),
            damaged(RecordDefect::Io(io_error())).into(),
            damaged(RecordDefect::Decompression { format: Compression::Gzip, cause: io_error() }).into(),
            example.at(*at()).into(),
            image().into(),
            BatchError::Shards(ShardError::File(file())).into(),
            BatchError::Record(damaged(RecordDefect::Io(io_error()))).into(),
            BatchError::File(file()).into(),
            BatchError::Image { at: Box::new(crate::data::Place::Record(*at())), error: image() }.into(),
            BatchError::Options(LoaderOptionsError::BatchSize).into(),
            BatchError::ClassNames { path: path(), reason: names() }.into(),
            ConvertError::File(file()).into(),
            ConvertError::Held(HoldError::File(file())).into(),
            ConvertError::Labels(BatchError::File(file())).into(),
            ConvertError::Options(ConvertOptionsError::Shards).into(),
            ConvertError::ListedClasses(names()).into(),
            ConvertError::BadPhotos(bad()).into(),
            ConvertError::EmptyClasses { photos: path(), classes: vec!["cats".into()], bad: bad() }.into(),
            ConvertError::EmptyListedClasses { list: path(), classes: vec!["cats".into()], bad: bad() }
                .into(),
            shape().into(),
            LossError::NeedsValues.into(),
            NetworkError::Shape(shape()).into(),
            NetworkError::Input(shape()).into(),
            NetworkError::Loss(LossError::NeedsValues).into(),
            NetworkError::Backward(BackwardError::WithoutForward).into(),
            TrainError::Network(*network()).into(),
            TrainError::Batch(BatchError::File(file())).into(),
            callback().into(),
            TrainError::Options(TrainOptionsError::EvaluateEvery).into(),
            LogError::File(file()).into(),
            LogError::Image(image()).into(),
            CheckpointError::File(file()).into(),
            CheckpointError::Held(HoldError::File(file())).into(),
            CheckpointError::Network { path: path(), error: network() }.into(),
            CheckpointError::Info { path: path(), reason: info() }.into(),
            ClassifyError::Photo(photo()).into(),
            ClassifyError::Network(*network()).into(),
            ClassifyError::Info { reason: info() }.into(),
            OnnxError::File(file()).into(),
            OnnxError::Export(ExportError::Layer(shape())).into(),
            import(ImportError::Wire(wire())).into(),
            import(ImportError::File(file())).into(),
            import(ImportError::Network(*network())).into(),
            TensorFlowError::File(file()).into(),
            TensorFlowError::Names(NamesError::Empty).into(),
            TensorFlowError::Slots(SlotsError::NoMomentum).into(),
            TensorFlowError::Network(network()).into(),
        ]
    }

    fn say_nothing_twice(error: &dyn StdError) {
        let (mut error, mut message) = (error, error.to_string());
        while let Some(source) = error.source() {
            let cause = source.to_string();
            assert!(!message.contains(&cause), "`{message}` already says `{cause}`");
            (error, message) = (source, cause);
        }
    }

    #[test]
    fn a_chain_of_errors_says_nothing_twice() {
        of_each_kind().iter().for_each(|error| say_nothing_twice(error));
        // Errors that are only ever part of another's message.
        let parts: [&dyn StdError; 6] = [
            &RecordDefect::Io(io_error()),
            &RecordDefect::Decompression { format: Compression::Zlib, cause: io_error() },
            &ExampleError::Decode(wire()),
            &ImportError::Wire(wire()),
            &photo(),
            &bad()[0],
        ];
        parts.into_iter().for_each(say_nothing_twice);
    }

    #[test]
    fn a_message_holds_its_cause() {
        let with_io = of_each_kind().into_iter().map(|error| error.to_string());
        let with_io = with_io.filter(|message| message.contains("outer") || message.contains("cat.jpg"));
        let messages: Vec<_> = with_io.collect();
        assert!(messages.len() > 15, "{messages:#?}");
        for message in messages {
            assert!(message.contains("inner") && message.ends_with("the disk is on fire"), "{message}");
        }
    }

    #[test]
    fn what_a_callback_returns_keeps_its_own_source() {
        #[derive(Debug, thiserror::Error)]
        #[error("the callback failed")]
        struct Failed(#[source] io::Error);

        let error = TrainError::Callback(Failed(io::Error::other("no network")).into());
        assert_eq!(error.source().unwrap().to_string(), "no network");
    }
}
