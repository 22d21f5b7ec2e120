//! The messages of an ONNX file, read where they lie: names and values stay in the file's bytes.
//!
//! The field numbers are those of `onnx/onnx.proto`.

use crate::onnx::ImportError;
use crate::proto::wire::{Field, Span, Value};

/// The most nodes of a graph. Those of the largest image classifiers have some thousands.
const MAX_NODES: usize = 1 << 14;

/// The most constants of a graph.
const MAX_TENSORS: usize = 1 << 16;

/// The most inputs, outputs or attributes of a node, inputs or outputs of a graph, entries of metadata.
const MAX_ITEMS: usize = 64;

/// The most axes of an array, or numbers in an attribute.
const MAX_INTS: usize = 16;

/// A whole file.
#[derive(Debug, Default)]
pub struct Model<'a> {
    pub producer: &'a str,
    /// The version of ONNX's own operators.
    pub opset: u64,
    pub metadata: Vec<(&'a str, &'a str)>,
    pub graph: Graph<'a>,
}

#[derive(Debug, Default)]
pub struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    pub tensors: Vec<Tensor<'a>>,
    pub inputs: Vec<Input<'a>>,
    pub outputs: Vec<&'a str>,
}

/// A value that the graph takes.
#[derive(Debug, Default)]
pub struct Input<'a> {
    pub name: &'a str,
    /// The type of its values.
    pub kind: u64,
    /// `None` for a size that is not fixed.
    pub dims: Vec<Option<u64>>,
}

#[derive(Debug, Default)]
pub struct Node<'a> {
    pub name: &'a str,
    pub op: &'a str,
    /// The set of operators; empty for ONNX's own.
    pub domain: &'a str,
    /// Empty names stand for inputs that are left out.
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

/// An attribute; which field holds its value depends on its name.
#[derive(Debug, Default)]
pub struct Attribute<'a> {
    pub name: &'a str,
    pub float: Option<f32>,
    pub int: Option<i64>,
    pub string: Option<&'a [u8]>,
    pub tensor: Option<Tensor<'a>>,
    pub ints: Vec<i64>,
    pub floats: Vec<f32>,
    /// The field it says its value is in.
    pub kind: u64,
}

/// A constant array.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    pub name: &'a str,
    pub dims: Vec<u64>,
    /// The type of its values.
    pub kind: u64,
    pub data: Data<'a>,
}

/// Where a constant's values are.
#[derive(Debug, Clone)]
pub enum Data<'a> {
    /// Little-endian values.
    Bytes(&'a [u8]),
    /// Whole numbers of any length.
    Varints(Span<'a>),
    External(External<'a>),
    /// In fields of a type that is not read, or in several.
    Other,
}

/// Values in another file.
#[derive(Debug, Clone, Copy, Default)]
pub struct External<'a> {
    /// A path from the folder of the model.
    pub location: &'a str,
    pub offset: &'a str,
    pub length: Option<&'a str>,
}

/// The type of 32-bit floating-point values.
pub const FLOAT: u64 = 1;

/// The type of 64-bit floating-point values.
pub const DOUBLE: u64 = 11;

/// The types of whole numbers that sizes have: 32 and 64 bits.
pub const INTS: [u64; 2] = [6, 7];

/// The type of truth values.
pub const BOOL: u64 = 9;

impl<'a> Model<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let (mut model, mut graph) = (Model::default(), None);
        for field in Span::whole(bytes).fields() {
            let field = field?;
            match field.number {
                2 => model.producer = field.bytes()?.text()?,
                7 if graph.is_some() => return Err(ImportError::Model("it has two graphs".into())),
                7 => graph = Some(Graph::parse(field.bytes()?)?),
                8 => model.read_opset(field.bytes()?)?,
                14 => push(&mut model.metadata, "metadata entries", MAX_ITEMS, entry(field.bytes()?)?)?,
                _ => {}
            }
        }
        model.graph = graph.ok_or_else(|| ImportError::Model("it has no graph".into()))?;
        Ok(model)
    }

    /// Takes the version of a set of operators, if it is ONNX's own.
    fn read_opset(&mut self, message: Span<'a>) -> Result<(), ImportError> {
        let (mut domain, mut version) = ("", 0);
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => domain = field.bytes()?.text()?,
                2 => version = field.varint()?,
                _ => {}
            }
        }
        if matches!(domain, "" | "ai.onnx") {
            self.opset = version;
        }
        Ok(())
    }
}

/// Appends to a list that must not become longer than `most`.
fn push<T>(list: &mut Vec<T>, what: &str, most: usize, item: T) -> Result<(), ImportError> {
    check_room(list.len(), what, most)?;
    list.push(item);
    Ok(())
}

fn check_room(len: usize, what: &str, most: usize) -> Result<(), ImportError> {
    if len < most { Ok(()) } else { Err(ImportError::Model(format!("it has over {most} {what}"))) }
}

/// A key and its value.
fn entry(message: Span<'_>) -> Result<(&str, &str), ImportError> {
    let (mut key, mut value) = ("", "");
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => key = field.bytes()?.text()?,
            2 => value = field.bytes()?.text()?,
            _ => {}
        }
    }
    Ok((key, value))
}

impl<'a> Graph<'a> {
    fn parse(message: Span<'a>) -> Result<Self, ImportError> {
        let mut graph = Graph::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => push(&mut graph.nodes, "nodes", MAX_NODES, Node::parse(field.bytes()?)?)?,
                5 => push(&mut graph.tensors, "arrays", MAX_TENSORS, Tensor::parse(field.bytes()?)?)?,
                // Files of old list every constant as an input.
                11 => push(&mut graph.inputs, "inputs", MAX_TENSORS, Input::parse(field.bytes()?)?)?,
                12 => push(&mut graph.outputs, "outputs", MAX_ITEMS, Input::parse(field.bytes()?)?.name)?,
                15 => return Err(ImportError::Model("it has sparse arrays, which are not read".into())),
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Input<'a> {
    fn parse(message: Span<'a>) -> Result<Self, ImportError> {
        let mut input = Input::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => input.name = field.bytes()?.text()?,
                2 => input.read_type(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(input)
    }

    fn read_type(&mut self, message: Span<'a>) -> Result<(), ImportError> {
        for tensor in message.fields() {
            let tensor = tensor?;
            // Types of anything but arrays are left out, as if there were none.
            if tensor.number != 1 {
                continue;
            }
            for field in tensor.bytes()?.fields() {
                let field = field?;
                match field.number {
                    1 => self.kind = field.varint()?,
                    2 => self.read_shape(field.bytes()?)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn read_shape(&mut self, message: Span<'a>) -> Result<(), ImportError> {
        self.dims.clear();
        for dimension in message.fields() {
            let dimension = dimension?;
            if dimension.number != 1 {
                continue;
            }
            let mut size = None;
            for field in dimension.bytes()?.fields() {
                let field = field?;
                size = if field.number == 1 { Some(field.varint()?) } else { size };
            }
            push(&mut self.dims, "axes of an input", MAX_INTS, size)?;
        }
        Ok(())
    }
}

impl<'a> Node<'a> {
    fn parse(message: Span<'a>) -> Result<Self, ImportError> {
        let mut node = Node::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => push(&mut node.inputs, "inputs of a node", MAX_ITEMS, field.bytes()?.text()?)?,
                2 => push(&mut node.outputs, "outputs of a node", MAX_ITEMS, field.bytes()?.text()?)?,
                3 => node.name = field.bytes()?.text()?,
                4 => node.op = field.bytes()?.text()?,
                5 => {
                    let attribute = Attribute::parse(field.bytes()?)?;
                    push(&mut node.attributes, "attributes of a node", MAX_ITEMS, attribute)?;
                }
                7 => node.domain = field.bytes()?.text()?,
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn parse(message: Span<'a>) -> Result<Self, ImportError> {
        let mut attribute = Attribute::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => attribute.name = field.bytes()?.text()?,
                2 => attribute.float = Some(field.float()?),
                3 => attribute.int = Some(field.varint()?.cast_signed()),
                4 => attribute.string = Some(field.bytes()?.bytes),
                5 => attribute.tensor = Some(Tensor::parse(field.bytes()?)?),
                7 => each_float(field, |float| {
                    push(&mut attribute.floats, "numbers in an attribute", MAX_INTS, float)
                })?,
                8 => each_int(field, |int| {
                    push(&mut attribute.ints, "numbers in an attribute", MAX_INTS, int.cast_signed())
                })?,
                20 => attribute.kind = field.varint()?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

/// Calls `take` with each number of a repeated field, which may come one by one or as a packed list.
fn each_int(
    field: Field<'_>,
    mut take: impl FnMut(u64) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    match field.value {
        Value::Varint(int) => take(int),
        _ => field.bytes()?.varints().try_for_each(|int| take(int?)),
    }
}

/// Calls `take` with each number of a repeated field of floats, likewise.
fn each_float(
    field: Field<'_>,
    mut take: impl FnMut(f32) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    match field.value {
        Value::Fixed32(bytes) => take(f32::from_le_bytes(bytes)),
        _ => {
            let span = field.bytes()?;
            span.fixed32s()?;
            span.bytes.as_chunks().0.iter().try_for_each(|bytes| take(f32::from_le_bytes(*bytes)))
        }
    }
}

impl<'a> Tensor<'a> {
    /// Whether it is short and in the model's own bytes: a number, or a list of sizes.
    pub fn is_small(&self) -> bool {
        let len = self.dims.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
        let is_number = self.kind == FLOAT || self.kind == DOUBLE;
        let is_list = INTS.contains(&self.kind);
        let is_short = len.is_some_and(|len| is_number && len == 1 || is_list && len <= MAX_INTS as u64);
        is_short && !matches!(self.data, Data::External(_) | Data::Other)
    }

    fn parse(message: Span<'a>) -> Result<Self, ImportError> {
        let mut tensor = Tensor { name: "", dims: Vec::new(), kind: 0, data: Data::Bytes(&[]) };
        let (mut found, mut is_external, mut external) = (Vec::new(), false, External::default());
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => each_int(field, |size| push(&mut tensor.dims, "axes of an array", MAX_INTS, size))?,
                2 => tensor.kind = field.varint()?,
                8 => tensor.name = field.bytes()?.text()?,
                13 => match entry(field.bytes()?)? {
                    ("location", location) => external.location = location,
                    ("offset", offset) => external.offset = offset,
                    ("length", length) => external.length = Some(length),
                    _ => {}
                },
                14 => is_external = field.varint()? == 1,
                // Of several fields with values only that there are several is told.
                3..=7 | 9..=11 if found.len() < 2 => found.push(field),
                _ => {}
            }
        }
        tensor.data = match found[..] {
            _ if is_external => Data::External(external),
            [] => Data::Bytes(&[]),
            [field] => match (field.number, field.value) {
                (4 | 9 | 10, Value::Bytes(span)) => Data::Bytes(span.bytes),
                (5 | 7, Value::Bytes(span)) => Data::Varints(span),
                _ => Data::Other,
            },
            _ => Data::Other,
        };
        Ok(tensor)
    }
}
