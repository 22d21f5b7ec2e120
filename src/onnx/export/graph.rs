//! A graph being written: names that are unique, nodes, constants.

use std::collections::HashSet;

use ndarray::ArrayViewD;

use crate::proto::onnx::dimension_proto::Value as DimensionValue;
use crate::proto::onnx::{
    AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, NodeProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The size of an axis of an input or output.
#[derive(Debug, Clone, Copy)]
pub enum Axis {
    /// As many as come.
    Batch,
    Size(usize),
}

/// The name of the axis of any size.
const BATCH: &str = "batch";

#[derive(Debug)]
pub struct Graph {
    graph: GraphProto,
    /// Names of values that are taken.
    names: HashSet<String>,
}

impl Graph {
    pub fn new() -> Self {
        let graph = GraphProto { name: super::PRODUCER.into(), ..GraphProto::default() };
        // Those of the outputs are given last.
        let names = [super::LOGITS, super::PROBABILITIES].map(str::to_owned);
        Self { graph, names: names.into() }
    }

    pub fn finish(self) -> GraphProto {
        self.graph
    }

    /// `name`, or with a number behind it if there is one.
    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        let mut number = 1;
        while !self.names.insert(unique.clone()) {
            number += 1;
            unique = format!("{name}_{number}");
        }
        unique
    }

    /// Adds an input; its name.
    pub fn input(&mut self, name: &str, kind: DataType, axes: &[Axis]) -> String {
        let name = self.unique(name);
        self.graph.input.push(value_info(&name, kind, axes));
        name
    }

    /// Declares the value `name` an output of floats.
    pub fn output(&mut self, name: &str, axes: &[Axis]) {
        self.graph.output.push(value_info(name, DataType::Float, axes));
    }

    /// Adds a node that gives a value of a name of its own; that name.
    pub fn append(&mut self, op: &str, name: &str, inputs: &[&str]) -> Appended<'_> {
        let output = self.unique(&format!("{name}/{}", op.to_lowercase()));
        self.node(op, name, inputs, &output);
        let node = self.graph.node.last_mut().expect("it was added");
        Appended { node }
    }

    /// Adds a node that gives the value `output`.
    pub fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str) -> Appended<'_> {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.into()],
            name: name.into(),
            op_type: op.into(),
            ..NodeProto::default()
        });
        Appended { node: self.graph.node.last_mut().expect("it was added") }
    }

    /// Adds a constant of floats; its name.
    pub fn floats(&mut self, name: &str, values: ArrayViewD<'_, f32>) -> String {
        let mut raw_data = Vec::with_capacity(size_of::<f32>() * values.len());
        values.iter().for_each(|value| raw_data.extend_from_slice(&value.to_le_bytes()));
        self.constant(name, DataType::Float, values.shape(), raw_data)
    }

    /// Adds a constant list of whole numbers; its name.
    pub fn ints(&mut self, name: &str, values: &[i64]) -> String {
        let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, DataType::Int64, &[values.len()], raw_data)
    }

    fn constant(&mut self, name: &str, kind: DataType, shape: &[usize], raw_data: Vec<u8>) -> String {
        let name = self.unique(name);
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: kind.into(),
            name: name.clone(),
            raw_data,
            ..TensorProto::default()
        });
        name
    }

    /// Gives the output of a node another name. Nothing may have taken it yet.
    pub fn rename(&mut self, from: &str, to: &str) {
        let outputs = self.graph.node.iter_mut().flat_map(|node| &mut node.output);
        outputs.filter(|output| *output == from).for_each(|output| *output = to.into());
    }
}

/// A node just added, for its attributes.
pub struct Appended<'g> {
    node: &'g mut NodeProto,
}

impl Appended<'_> {
    /// The name of its value.
    pub fn output(self) -> String {
        self.node.output[0].clone()
    }

    pub fn int(self, name: &str, i: i64) -> Self {
        self.attribute(AttributeProto { i, ..attribute(name, AttributeType::Int) })
    }

    pub fn float(self, name: &str, f: f32) -> Self {
        self.attribute(AttributeProto { f, ..attribute(name, AttributeType::Float) })
    }

    pub fn ints(self, name: &str, ints: impl IntoIterator<Item = usize>) -> Self {
        let ints = ints.into_iter().map(|i| i as i64).collect();
        self.attribute(AttributeProto { ints, ..attribute(name, AttributeType::Ints) })
    }

    fn attribute(self, attribute: AttributeProto) -> Self {
        self.node.attribute.push(attribute);
        self
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: kind.into(), ..AttributeProto::default() }
}

fn value_info(name: &str, kind: DataType, axes: &[Axis]) -> ValueInfoProto {
    let dimension = |axis: &Axis| match *axis {
        Axis::Batch => DimensionValue::DimParam(BATCH.into()),
        Axis::Size(size) => DimensionValue::DimValue(size as i64),
    };
    let dim = axes.iter().map(|axis| DimensionProto { value: Some(dimension(axis)) }).collect();
    let tensor = TensorTypeProto { elem_type: kind.into(), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}
