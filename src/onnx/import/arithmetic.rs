//! Constants computed number by number.

use ndarray::ArrayD;

use super::fold::{Fold, array_of, only, shape_of, spread, values, vector};
use super::value::{Constant, Size};
use crate::onnx::ImportError;

impl Fold<'_, '_> {
    /// The numbers of the images of a batch; or numbers that are known.
    pub fn range(&mut self) -> Result<Constant, ImportError> {
        let number = |index: usize| match self.input(index)? {
            Constant::Ints(array) => {
                only(array).ok_or_else(|| self.failed("its bounds are not single numbers"))
            }
            Constant::Floats(_) => Err(self.failed("ranges of whole numbers are read")),
        };
        let (start, end, step) = match (number(0)?, number(1)?, number(2)?) {
            (Size::Known(0), Size::Batch, Size::Known(1)) => {
                return Ok(Constant::Ints(vector(vec![Size::OfImage { times: 1, plus: 0 }])));
            }
            (Size::Known(start), Size::Known(end), Size::Known(step)) if step > 0 => (start, end, step),
            bounds => return Err(self.failed(format!("the range of {bounds:?} is not read"))),
        };
        let len =
            (i128::from(end) - i128::from(start)).max(0).unsigned_abs().div_ceil(step.unsigned_abs().into());
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.spend(&[len])?;
        // None is over the end.
        let values = (0..len as i64).map(|index| Size::Known(start + index * step)).collect();
        Ok(Constant::Ints(vector(values)))
    }

    pub fn binary(&mut self) -> Result<Constant, ImportError> {
        let (Some(Some(a)), Some(Some(b)), 2) = (self.inputs.first(), self.inputs.get(1), self.inputs.len())
        else {
            return Err(self.failed("it is computed of two constants"));
        };
        let to = self.together(shape_of(a), shape_of(b))?;
        self.spend(&to)?;
        let op = self.node.op;
        match (a, b) {
            (Constant::Ints(a), Constant::Ints(b)) => {
                let known: Option<Vec<Size>> = pairs(a, b, &to).map(|(a, b)| of_sizes(op, a, b)).collect();
                let by_batch =
                    "it computes with whole numbers what overflows or depends on the number of images";
                let values = known.ok_or_else(|| self.failed(by_batch))?;
                Ok(Constant::Ints(array_of(values, &to)))
            }
            (Constant::Floats(a), Constant::Floats(b)) => {
                let values = pairs(a, b, &to).map(|(a, b)| of_floats(op, a, b)).collect();
                Ok(Constant::Floats(array_of(values, &to)))
            }
            // Exponents alone are of another type.
            (Constant::Floats(a), Constant::Ints(b)) if op == "Pow" => {
                let power = |b: Size| b.known().map_or(f32::NAN, |int| int as f32);
                let values = pairs(a, b, &to).map(|(a, b)| of_floats(op, a, power(b))).collect();
                Ok(Constant::Floats(array_of(values, &to)))
            }
            _ => Err(self.failed("it computes with a float and a whole number")),
        }
    }

    pub fn unary(&mut self) -> Result<Constant, ImportError> {
        let function: fn(f32) -> f32 = match self.node.op {
            "Abs" => f32::abs,
            "Ceil" => f32::ceil,
            "Exp" => f32::exp,
            "Floor" => f32::floor,
            "Neg" => |x| -x,
            "Reciprocal" => f32::recip,
            "Sqrt" => f32::sqrt,
            "Tanh" => f32::tanh,
            _ => return Err(self.failed("it is not computed of constants")),
        };
        let of_floats_alone = || Err(self.node.unsupported("it is computed of floats alone"));
        self.on_each(0, |array| Ok(array.mapv_into(function)), |_| of_floats_alone())
    }
}

/// The values that two arrays have in each place of the shape that both are repeated to.
fn pairs<A: Copy, B: Copy>(a: &ArrayD<A>, b: &ArrayD<B>, to: &[usize]) -> impl Iterator<Item = (A, B)> {
    let places = spread(a.shape(), to).into_iter().zip(spread(b.shape(), to));
    let (a, b) = (values(a), values(b));
    places.map(move |(at_a, at_b)| (a[at_a], b[at_b]))
}

fn of_floats(op: &str, a: f32, b: f32) -> f32 {
    match op {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Pow" => a.powf(b),
        "Min" => a.min(b),
        _ => a.max(b),
    }
}

/// `None` where it is no number that is known.
fn of_sizes(op: &str, a: Size, b: Size) -> Option<Size> {
    match (a, b) {
        (Size::Known(a), Size::Known(b)) => of_numbers(op, a, b).map(Size::Known),
        // The number of images stays one where nothing changes it.
        (Size::Batch, Size::Known(1)) if matches!(op, "Mul" | "Div") => Some(Size::Batch),
        (Size::Known(1), Size::Batch) if op == "Mul" => Some(Size::Batch),
        (Size::Batch, Size::Known(0)) if matches!(op, "Add" | "Sub") => Some(Size::Batch),
        (Size::Known(0), Size::Batch) if op == "Add" => Some(Size::Batch),
        (Size::OfImage { times, plus }, Size::Known(number))
        | (Size::Known(number), Size::OfImage { times, plus }) => match op {
            "Add" => Some(Size::OfImage { times, plus: plus.checked_add(number)? }),
            "Mul" => {
                Some(Size::OfImage { times: times.checked_mul(number)?, plus: plus.checked_mul(number)? })
            }
            _ => None,
        },
        _ => None,
    }
}

fn of_numbers(op: &str, a: i64, b: i64) -> Option<i64> {
    match op {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Pow" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        "Min" => Some(a.min(b)),
        _ => Some(a.max(b)),
    }
}
