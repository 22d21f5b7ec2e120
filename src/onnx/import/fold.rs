//! Nodes whose inputs are all constants, computed: what exporters leave of shapes and of weights that they rearrange.

use ndarray::{ArrayD, IxDyn};

use super::files::{Files, Purpose};
use super::model::{BOOL, DOUBLE, FLOAT, INTS, Node};
use super::value::{Constant, Size, wrapped};
use crate::onnx::ImportError;

/// The most axes of an array.
const MAX_AXES: usize = 16;

/// Whether nodes of this operator are computed where their inputs are constants.
pub fn is_foldable(op: &str) -> bool {
    const OPS: [&str; 29] = [
        "Abs",
        "Add",
        "Cast",
        "Ceil",
        "Concat",
        "Constant",
        "ConstantOfShape",
        "Div",
        "Exp",
        "Expand",
        "Floor",
        "Gather",
        "Identity",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "Pow",
        "Range",
        "Reciprocal",
        "Reshape",
        "Shape",
        "Slice",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
    ];
    OPS.contains(&op)
}

/// Computes a node of constants; an input that is left out is `None`.
///
/// Each result is at most as large as what is left of the memory for constants.
pub fn fold(
    node: &Node<'_>,
    inputs: &[Option<Constant>],
    files: &mut Files,
) -> Result<Constant, ImportError> {
    Fold { node, inputs, files }.compute()
}

/// A node being computed.
pub struct Fold<'f, 'a> {
    pub node: &'f Node<'a>,
    pub inputs: &'f [Option<Constant>],
    files: &'f mut Files,
}

impl Fold<'_, '_> {
    fn compute(&mut self) -> Result<Constant, ImportError> {
        match self.node.op {
            "Constant" => self.constant(),
            "ConstantOfShape" => self.constant_of_shape(),
            "Identity" => self.on_each(0, Ok, Ok),
            "Cast" => self.cast(),
            "Shape" => self.shape(),
            "Gather" => self.gather(),
            "Concat" => self.concat(),
            "Slice" => self.slice(),
            "Reshape" | "Squeeze" | "Unsqueeze" => self.reshape(),
            "Transpose" => self.transpose(),
            "Expand" => self.expand(),
            "Range" => self.range(),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" => self.binary(),
            _ => self.unary(),
        }
    }

    pub fn failed(&self, reason: impl Into<String>) -> ImportError {
        self.node.unsupported(reason)
    }

    pub fn input(&self, index: usize) -> Result<&Constant, ImportError> {
        let input = self.inputs.get(index).and_then(Option::as_ref);
        input.ok_or_else(|| self.node.missing(index))
    }

    /// Takes memory for an array of this shape.
    pub fn spend(&mut self, shape: &[usize]) -> Result<(), ImportError> {
        // Also where a size is 0: an array's other sizes must be numbers to count by.
        let len = shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size.max(1) as u64));
        let bytes = len.and_then(|len| len.checked_mul(size_of::<Size>() as u64)).unwrap_or(u64::MAX);
        if shape.len() > MAX_AXES {
            return Err(self.failed(format!("it gives an array of over {MAX_AXES} axes")));
        }
        self.files.spend(self.node.outputs.first().copied().unwrap_or_default(), bytes, Purpose::Folding)
    }

    /// A list of whole numbers: an attribute in older sets of operators, an input in newer ones.
    fn list(&self, name: &str, index: usize) -> Result<Option<Vec<i64>>, ImportError> {
        if let Some(ints) = self.node.ints(name) {
            return Ok(Some(ints.to_vec()));
        }
        match self.inputs.get(index).and_then(Option::as_ref) {
            None => Ok(None),
            Some(Constant::Ints(ints)) => {
                let known: Option<Vec<i64>> = values(ints).iter().map(|size| size.known()).collect();
                known
                    .map(Some)
                    .ok_or_else(|| self.failed(format!("its `{name}` depends on the number of images")))
            }
            Some(Constant::Floats(_)) => Err(self.failed(format!("its `{name}` is not of whole numbers"))),
        }
    }

    /// A new array of the input `index`, by a function of each kind of array.
    pub fn on_each(
        &mut self,
        index: usize,
        floats: impl Fn(ArrayD<f32>) -> Result<ArrayD<f32>, ImportError>,
        ints: impl Fn(ArrayD<Size>) -> Result<ArrayD<Size>, ImportError>,
    ) -> Result<Constant, ImportError> {
        let input = self.input(index)?.clone();
        self.spend(shape_of(&input))?;
        match input {
            Constant::Floats(array) => floats(array).map(Constant::Floats),
            Constant::Ints(array) => ints(array).map(Constant::Ints),
        }
    }

    fn constant(&mut self) -> Result<Constant, ImportError> {
        let node = self.node;
        if let Some(tensor) = node.attribute("value").and_then(|value| value.tensor.as_ref()) {
            return self.files.constant(tensor);
        }
        let ints = |ints: &[i64]| ints.iter().map(|&int| Size::Known(int)).collect();
        if let Some(int) = node.int("value_int")? {
            return Ok(Constant::Ints(ArrayD::from_elem(IxDyn(&[]), Size::Known(int))));
        }
        if let Some(float) = node.float("value_float")? {
            return Ok(Constant::Floats(ArrayD::from_elem(IxDyn(&[]), float)));
        }
        if let Some(list) = node.ints("value_ints") {
            return Ok(Constant::Ints(vector(ints(list))));
        }
        match node.attribute("value_floats") {
            Some(list) => Ok(Constant::Floats(vector(list.floats.clone()))),
            None if node.attribute("value_ints").is_some() => Ok(Constant::Ints(vector(Vec::new()))),
            None => Err(self.failed("its value is no array of numbers, which are what is read")),
        }
    }

    fn constant_of_shape(&mut self) -> Result<Constant, ImportError> {
        let shape = self.list("shape", 0)?.ok_or_else(|| self.node.missing(0))?;
        let shape = self.sizes(&shape)?;
        self.spend(&shape)?;
        let value = match self.node.attribute("value").and_then(|value| value.tensor.as_ref()) {
            Some(tensor) => self.files.constant(tensor)?,
            None => Constant::Floats(ArrayD::zeros(IxDyn(&[1]))),
        };
        let one = || self.failed("its `value` is not a single number");
        Ok(match value {
            Constant::Floats(value) => {
                Constant::Floats(ArrayD::from_elem(IxDyn(&shape), only(&value).ok_or_else(one)?))
            }
            Constant::Ints(value) => {
                Constant::Ints(ArrayD::from_elem(IxDyn(&shape), only(&value).ok_or_else(one)?))
            }
        })
    }

    fn sizes(&self, sizes: &[i64]) -> Result<Vec<usize>, ImportError> {
        let sizes: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
        sizes.ok_or_else(|| self.failed("its shape has a size below 0"))
    }

    fn cast(&mut self) -> Result<Constant, ImportError> {
        let to = self.node.int("to")?.and_then(|to| u64::try_from(to).ok()).unwrap_or_default();
        let input = self.input(0)?.clone();
        self.spend(shape_of(&input))?;
        let is_float = to == FLOAT || to == DOUBLE;
        let by_batch = || self.failed("it makes a float of the number of images");
        match input {
            Constant::Floats(array) if is_float => Ok(Constant::Floats(array)),
            Constant::Ints(array) if INTS.contains(&to) => Ok(Constant::Ints(array)),
            Constant::Ints(array) if is_float => {
                let known: Option<Vec<f32>> =
                    values(&array).iter().map(|size| size.known().map(|int| int as f32)).collect();
                Ok(Constant::Floats(array_of(known.ok_or_else(by_batch)?, array.shape())))
            }
            Constant::Floats(array) if INTS.contains(&to) => {
                let ints = values(&array).iter().map(|&value| Size::Known(value as i64)).collect();
                Ok(Constant::Ints(array_of(ints, array.shape())))
            }
            Constant::Ints(array) if to == BOOL => Ok(Constant::Ints(array)),
            _ => {
                Err(self.failed("constants are cast to FLOAT, DOUBLE, INT32 and INT64, and to no other type"))
            }
        }
    }

    fn shape(&mut self) -> Result<Constant, ImportError> {
        if self.node.attribute("start").is_some() || self.node.attribute("end").is_some() {
            return Err(self.failed("the whole shape of a constant is read, and no part of it"));
        }
        let shape = shape_of(self.input(0)?);
        Ok(Constant::Ints(vector(shape.iter().map(|&size| Size::Known(size as i64)).collect())))
    }

    fn gather(&mut self) -> Result<Constant, ImportError> {
        let shape = shape_of(self.input(0)?).to_vec();
        let axis = self.axis(self.node.int("axis")?.unwrap_or(0), shape.len())?;
        let Constant::Ints(indices) = self.input(1)?.clone() else {
            return Err(self.failed("its indices are not whole numbers"));
        };
        let picked: Option<Vec<usize>> =
            values(&indices).iter().map(|index| wrapped(index.known()?, shape[axis], shape[axis])).collect();
        let picked = picked.ok_or_else(|| self.failed("an index is beyond the array"))?;
        let to: Vec<usize> = [&shape[..axis], indices.shape(), &shape[axis + 1..]].concat();
        self.spend(&to)?;
        let inner: usize = shape[axis + 1..].iter().product();
        let outer: usize = shape[..axis].iter().product();
        let mut places = Vec::new();
        for before in 0..outer {
            for index in &picked {
                let start = (before * shape[axis] + index) * inner;
                places.extend(start..start + inner);
            }
        }
        Ok(at_places(self.input(0)?, &places, &to))
    }

    fn axis(&self, axis: i64, rank: usize) -> Result<usize, ImportError> {
        wrapped(axis, rank, rank)
            .ok_or_else(|| self.failed(format!("it has {rank} axes, and none is `axis` {axis}")))
    }

    fn concat(&mut self) -> Result<Constant, ImportError> {
        let rank = shape_of(self.input(0)?).len();
        let axis = self.node.int("axis")?.ok_or_else(|| self.failed("its `axis` is missing"))?;
        let axis = self.axis(axis, rank)?;
        let mut to = shape_of(self.input(0)?).to_vec();
        to[axis] = 0;
        for index in 0..self.inputs.len() {
            let shape = shape_of(self.input(index)?);
            if shape.len() != rank {
                return Err(self.failed(format!("it joins arrays of {rank} axes and of {}", shape.len())));
            }
            to[axis] = to[axis].saturating_add(shape[axis]);
        }
        self.spend(&to)?;
        let (mut floats, mut ints) = (Vec::new(), Vec::new());
        for input in self.inputs.iter().flatten() {
            match input {
                Constant::Floats(array) => floats.push(values(array)),
                Constant::Ints(array) => ints.push(values(array)),
            }
            let shape = shape_of(input);
            if shape[..axis] != to[..axis] || shape[axis + 1..] != to[axis + 1..] {
                return Err(self.failed("its shapes do not fit each other"));
            }
        }
        let outer: usize = to[..axis].iter().product();
        match (&floats[..], &ints[..]) {
            (floats, []) => Ok(Constant::Floats(array_of(joined(floats, outer), &to))),
            ([], ints) => Ok(Constant::Ints(array_of(joined(ints, outer), &to))),
            _ => Err(self.failed("it joins floats and whole numbers")),
        }
    }

    fn slice(&mut self) -> Result<Constant, ImportError> {
        let shape = shape_of(self.input(0)?).to_vec();
        let starts = self.list("starts", 1)?.unwrap_or_default();
        let ends = self.list("ends", 2)?.unwrap_or_default();
        let axes = self.list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = self.list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
        if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
            return Err(self.failed("its bounds are not as many as its axes"));
        }
        let (mut to, mut strides, mut first) = (shape.clone(), strides(&shape), 0);
        for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
            let axis = self.axis(axis, shape.len())?;
            let size = to[axis] as i64;
            if step == 0 {
                return Err(self.failed("it goes through a constant by steps of 0"));
            }
            // Backwards it ends before the first value, as PyTorch reverses the pads of a network.
            let (least, most) = if step > 0 { (0, size) } else { (-1, size - 1) };
            let bound = |bound: i64, least: i64| {
                if bound < 0 { bound.saturating_add(size) } else { bound }.clamp(least, most)
            };
            let (start, end) = (bound(start, most.min(0)), bound(end, least));
            let (way, by) = if step > 0 { (end - start, step) } else { (start - end, step.saturating_neg()) };
            to[axis] = (way.max(0) as usize).div_ceil(by as usize);
            if to[axis] == 0 {
                continue;
            }
            first += start as usize * strides[axis];
            // A longer one leads to no second value.
            let stride = strides[axis].saturating_mul(by as usize);
            strides[axis] = if step > 0 { stride } else { stride.wrapping_neg() };
        }
        self.spend(&shape)?;
        Ok(at_places(self.input(0)?, &places(&to, first, &strides), &to))
    }

    /// `Reshape`, `Squeeze`, `Unsqueeze`: the same values by another shape.
    fn reshape(&mut self) -> Result<Constant, ImportError> {
        let from = shape_of(self.input(0)?).to_vec();
        let to = match self.node.op {
            "Reshape" => self.reshaped(&from)?,
            "Squeeze" => {
                let all =
                    || from.iter().enumerate().filter(|(_, size)| **size == 1).map(|(axis, _)| axis as i64);
                let axes = self.list("axes", 1)?.unwrap_or_else(|| all().collect());
                let dropped =
                    axes.iter().map(|&axis| self.axis(axis, from.len())).collect::<Result<Vec<_>, _>>()?;
                from.iter()
                    .enumerate()
                    .filter(|(axis, _)| !dropped.contains(axis))
                    .map(|(_, size)| *size)
                    .collect()
            }
            _ => {
                let axes = self.list("axes", 1)?.unwrap_or_default();
                let rank = from.len() + axes.len();
                let added = axes.iter().map(|&axis| self.axis(axis, rank)).collect::<Result<Vec<_>, _>>()?;
                let mut kept = from.iter().copied();
                (0..rank)
                    .map(|axis| if added.contains(&axis) { 1 } else { kept.next().unwrap_or(1) })
                    .collect()
            }
        };
        if to.len() > MAX_AXES {
            return Err(self.failed(format!("it gives an array of over {MAX_AXES} axes")));
        }
        let node = self.node;
        let wrong = |_| node.unsupported(format!("an array of shape {from:?} is not one of shape {to:?}"));
        let input = self.input(0)?.clone();
        self.spend(&from)?;
        let shape = IxDyn(&to);
        match input {
            Constant::Floats(array) => {
                array.into_shape_with_order(shape).map(Constant::Floats).map_err(wrong)
            }
            Constant::Ints(array) => array.into_shape_with_order(shape).map(Constant::Ints).map_err(wrong),
        }
    }

    fn reshaped(&self, from: &[usize]) -> Result<Vec<usize>, ImportError> {
        let shape = self.list("shape", 1)?.ok_or_else(|| self.node.missing(1))?;
        let keeps = self.node.int("allowzero")?.unwrap_or(0) == 0;
        let size = |(index, &size): (usize, &i64)| match size {
            0 if keeps => from.get(index).map(|&size| size as i64),
            size => Some(size),
        };
        let wrong = || self.failed(format!("an array of shape {from:?} is not one of shape {shape:?}"));
        let sizes: Option<Vec<i64>> = shape.iter().enumerate().map(size).collect();
        let mut sizes = sizes.ok_or_else(wrong)?;
        let len: usize = from.iter().product();
        let others = sizes
            .iter()
            .filter(|size| **size != -1)
            .try_fold(1i64, |product, &size| product.checked_mul(size));
        if let Some(open) = sizes.iter().position(|&size| size == -1) {
            let others = others.and_then(|others| usize::try_from(others).ok()).filter(|others| *others > 0);
            sizes[open] = others.map(|others| (len / others) as i64).ok_or_else(wrong)?;
        }
        self.sizes(&sizes)
    }

    fn transpose(&mut self) -> Result<Constant, ImportError> {
        let shape = shape_of(self.input(0)?).to_vec();
        let rank = shape.len();
        let perm = self.node.ints("perm").map_or_else(|| (0..rank as i64).rev().collect(), <[i64]>::to_vec);
        let axes: Option<Vec<usize>> = perm.iter().map(|&axis| wrapped(axis, rank, rank)).collect();
        let axes = axes.unwrap_or_default();
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() {
            return Err(self.failed(format!("its `perm` {perm:?} is no order of the {rank} axes that come")));
        }
        self.spend(&shape)?;
        let strides = strides(&shape);
        let in_order = |of: &[usize]| axes.iter().map(|&axis| of[axis]).collect::<Vec<usize>>();
        let to = in_order(&shape);
        Ok(at_places(self.input(0)?, &places(&to, 0, &in_order(&strides)), &to))
    }

    fn expand(&mut self) -> Result<Constant, ImportError> {
        let shape = self.list("shape", 1)?.ok_or_else(|| self.node.missing(1))?;
        let shape = self.sizes(&shape)?;
        let to = self.together(shape_of(self.input(0)?), &shape)?;
        self.spend(&to)?;
        let input = self.input(0)?;
        Ok(at_places(input, &spread(shape_of(input), &to), &to))
    }

    /// The shape that both are broadcast to.
    pub fn together(&self, a: &[usize], b: &[usize]) -> Result<Vec<usize>, ImportError> {
        let rank = a.len().max(b.len());
        let size = |shape: &[usize], axis: usize| {
            (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
        };
        let axis = |axis: usize| match (size(a, axis), size(b, axis)) {
            (1, size) | (size, 1) => Some(size),
            (a, b) => (a == b).then_some(a),
        };
        let shape: Option<Vec<usize>> = (0..rank).map(axis).collect();
        shape.ok_or_else(|| {
            self.failed(format!("its constants of shapes {a:?} and {b:?} do not fit each other"))
        })
    }
}

pub fn shape_of(constant: &Constant) -> &[usize] {
    match constant {
        Constant::Floats(array) => array.shape(),
        Constant::Ints(array) => array.shape(),
    }
}

pub fn vector<T>(values: Vec<T>) -> ArrayD<T> {
    let len = values.len();
    array_of(values, &[len])
}

/// The array of this shape, whose size was checked.
pub fn array_of<T>(values: Vec<T>, shape: &[usize]) -> ArrayD<T> {
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values")
}

/// The values of a constant in row-major order, in which they lie.
pub fn values<T>(array: &ArrayD<T>) -> &[T] {
    array.as_slice().expect("constants are in row-major order")
}

pub fn only<T: Copy>(array: &ArrayD<T>) -> Option<T> {
    match *values(array) {
        [only] => Some(only),
        _ => None,
    }
}

/// The array of the values at these places among the constant's.
fn at_places(constant: &Constant, places: &[usize], to: &[usize]) -> Constant {
    fn picked<T: Copy>(array: &ArrayD<T>, places: &[usize], to: &[usize]) -> ArrayD<T> {
        let values = values(array);
        array_of(places.iter().map(|&place| values[place]).collect(), to)
    }
    match constant {
        Constant::Floats(array) => Constant::Floats(picked(array, places, to)),
        Constant::Ints(array) => Constant::Ints(picked(array, places, to)),
    }
}

/// How far apart the values along each axis lie.
fn strides(shape: &[usize]) -> Vec<usize> {
    (1..=shape.len()).map(|next| shape[next..].iter().product()).collect()
}

/// The places, in row-major order, of an array of shape `to` whose first value is at `first`.
fn places(to: &[usize], first: usize, strides: &[usize]) -> Vec<usize> {
    let mut places = vec![first];
    // A way back is a stride under 0, wrapped around.
    let at = |place: usize, index: usize, stride: usize| place.wrapping_add(index.wrapping_mul(stride));
    for (&size, &stride) in to.iter().zip(strides) {
        places =
            places.iter().flat_map(|place| (0..size).map(move |index| at(*place, index, stride))).collect();
    }
    places
}

/// The places of an array of shape `from`, repeated to the shape `to`.
pub fn spread(from: &[usize], to: &[usize]) -> Vec<usize> {
    // Axes that it lacks are the first ones.
    let mut repeated = vec![0; to.len() - from.len()];
    repeated
        .extend(strides(from).iter().zip(from).map(|(&stride, &size)| if size == 1 { 0 } else { stride }));
    places(to, 0, &repeated)
}

/// Arrays behind one another along an axis, with `outer` lists of values before it.
fn joined<T: Copy>(arrays: &[&[T]], outer: usize) -> Vec<T> {
    let mut joined = Vec::new();
    for index in 0..outer {
        for array in arrays {
            let len = array.len() / outer;
            joined.extend_from_slice(&array[index * len..][..len]);
        }
    }
    joined
}
