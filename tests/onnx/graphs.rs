//! Graphs made by hand, of messages as floret writes them.

use crate::common::proto::onnx::dimension_proto::Value;
use crate::common::proto::onnx::{
    AttributeProto, AttributeType, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use floret::onnx::{ImportError, ImportOptions, Imported, decode};
use prost::Message;

/// A model of opset 17 with these nodes and constants, that takes `x` of these sizes (a batch of any size) and gives `y`.
pub fn model(sizes: [i64; 3], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> ModelProto {
    let dims = [Value::DimParam("n".into())].into_iter().chain(sizes.map(Value::DimValue));
    let dim = dims.map(|value| DimensionProto { value: Some(value) }).collect();
    let tensor_type = Some(TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim }) });
    let x = ValueInfoProto { name: "x".into(), r#type: Some(TypeProto { tensor_type }) };
    let y = ValueInfoProto { name: "y".into(), r#type: None };
    let graph = GraphProto {
        node: nodes,
        initializer: constants,
        input: vec![x],
        output: vec![y],
        ..Default::default()
    };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..Default::default()
    }
}

pub fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&input| input.into()).collect(),
        output: vec![output.into()],
        name: format!("the {op}"),
        op_type: op.into(),
        ..Default::default()
    }
}

pub fn with_ints(mut node: NodeProto, name: &str, ints: &[i64]) -> NodeProto {
    let kind = AttributeType::Ints.into();
    node.attribute.push(AttributeProto {
        name: name.into(),
        ints: ints.into(),
        r#type: kind,
        ..Default::default()
    });
    node
}

pub fn with_int(mut node: NodeProto, name: &str, i: i64) -> NodeProto {
    let kind = AttributeType::Int.into();
    node.attribute.push(AttributeProto { name: name.into(), i, r#type: kind, ..Default::default() });
    node
}

/// Floats 0, 1, 2, ... of this shape.
pub fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count = dims.iter().product::<i64>();
    TensorProto {
        dims: dims.into(),
        data_type: 1,
        name: name.into(),
        raw_data: (0..count).flat_map(|value| (value as f32).to_le_bytes()).collect(),
        ..Default::default()
    }
}

/// A single number.
pub fn number(name: &str, value: f32) -> TensorProto {
    TensorProto { raw_data: value.to_le_bytes().into(), ..floats(name, &[]) }
}

pub fn ints(name: &str, values: &[i64]) -> TensorProto {
    let dims = vec![values.len() as i64];
    TensorProto { dims, data_type: 7, int64_data: values.into(), name: name.into(), ..Default::default() }
}

pub fn imported(model: &ModelProto) -> Result<Imported, ImportError> {
    decode(&model.encode_to_vec(), &ImportOptions::default())
}

/// The message of the error that a model is.
pub fn refused(model: &ModelProto) -> String {
    imported(model).unwrap_err().to_string()
}
