//! Values as TensorBoard's plugins read them: a tensor each, with the plugin's name.

use ndarray::Array3;
use prost::Message;

use super::LogError;
use super::histogram::{BUCKETS, buckets};
use crate::image::encode_png;
use crate::proto::events::summary::{Value, value};
use crate::proto::events::summary_metadata::PluginData;
use crate::proto::events::{DataClass, SummaryMetadata};
use crate::proto::hparams::HParamsPluginData;
use crate::proto::tensor::tensor_shape_proto::Dim;
use crate::proto::tensor::{DataType, TensorProto, TensorShapeProto};

/// A number: plugin `scalars`, a float without axes.
pub(super) fn scalar(tag: &str, number: f64) -> Value {
    let tensor = TensorProto { float_val: vec![number as f32], ..tensor(DataType::DtFloat, &[]) };
    value(tag, "scalars", DataClass::Scalar, tensor)
}

/// How values are distributed: plugin `histograms`, doubles of shape (buckets, 3).
pub(super) fn histogram(tag: &str, values: impl Iterator<Item = f32> + Clone) -> Value {
    let shape = [BUCKETS as i64, 3];
    let tensor = TensorProto { double_val: buckets(values), ..tensor(DataType::DtDouble, &shape) };
    value(tag, "histograms", DataClass::Tensor, tensor)
}

/// RGB images: plugin `images`, byte strings: width and height of the first in decimal, then a PNG file each.
pub(super) fn images(tag: &str, images: &[Array3<u8>]) -> Result<Value, LogError> {
    let (height, width) = images.first().map_or((0, 0), |image| (image.dim().0, image.dim().1));
    let mut strings = vec![width.to_string().into_bytes(), height.to_string().into_bytes()];
    for image in images {
        strings.push(encode_png(image.view())?);
    }
    Ok(value(tag, "images", DataClass::BlobSequence, self::strings(&[strings.len() as i64], strings)))
}

/// Text in Markdown: plugin `text`, a byte string without axes.
pub(super) fn text(tag: &str, markdown: &str) -> Value {
    value(tag, "text", DataClass::Tensor, strings(&[], vec![markdown.into()]))
}

/// What the plugin `hparams` reads: all of it is in the metadata, and the value is there because one must be.
pub(super) fn hparams(tag: &str, data: &HParamsPluginData) -> Value {
    let tensor = TensorProto { float_val: vec![0.0], ..tensor(DataType::DtFloat, &[]) };
    let mut value = value(tag, "hparams", DataClass::Tensor, tensor);
    if let Some(plugin_data) = value.metadata.as_mut().and_then(|metadata| metadata.plugin_data.as_mut()) {
        plugin_data.content = data.encode_to_vec();
    }
    value
}

/// A shape of these sizes; -1 is any.
pub(super) fn shape(sizes: impl IntoIterator<Item = i64>) -> TensorShapeProto {
    let dim = sizes.into_iter().map(|size| Dim { size }).collect();
    TensorShapeProto { dim, unknown_rank: false }
}

fn strings(shape: &[i64], string_val: Vec<Vec<u8>>) -> TensorProto {
    TensorProto { string_val, ..tensor(DataType::DtString, shape) }
}

/// A tensor still without its values.
fn tensor(dtype: DataType, sizes: &[i64]) -> TensorProto {
    TensorProto {
        dtype: dtype.into(),
        tensor_shape: Some(shape(sizes.iter().copied())),
        ..TensorProto::default()
    }
}

fn value(tag: &str, plugin: &str, data_class: DataClass, tensor: TensorProto) -> Value {
    // Every plugin's own message of version 0 is empty.
    let plugin_data = Some(PluginData { plugin_name: plugin.into(), content: Vec::new() });
    let metadata =
        SummaryMetadata { plugin_data, data_class: data_class.into(), ..SummaryMetadata::default() };
    Value { tag: tag.into(), metadata: Some(metadata), value: Some(value::Value::Tensor(tensor)) }
}
