//! The memory of a graph's passes, in which the plan gives each value its place.

use std::ops::Range;

use super::Input;
use super::join::{add, copy};
use super::plan::{InputGradient, Place};

/// A value: its place, and its length for one example.
pub(super) type Value = (Place, usize);

/// The values of a forward pass.
#[derive(Debug)]
pub(super) struct Values<'a> {
    pub batch: usize,
    /// Those between the steps.
    pub floats: &'a mut [f32],
    /// The graph's input.
    pub input: &'a [f32],
    /// In inference, the graph's output.
    pub output: &'a mut [f32],
}

impl Values<'_> {
    /// A value between the steps.
    pub fn of(&self, value: Value) -> &[f32] {
        range(value, self.batch).map_or(&*self.output, |range| &self.floats[range])
    }

    /// One value to read and another to write.
    pub fn pair(&mut self, x: Value, y: Value) -> (&[f32], &mut [f32]) {
        let (from, to) = (range(x, self.batch), range(y, self.batch));
        match (from, to) {
            (None, None) => (self.input, self.output),
            (None, Some(to)) => (self.input, &mut self.floats[to]),
            (Some(from), None) => (&self.floats[from], self.output),
            (Some(from), Some(to)) => {
                let [x, y] = apart(self.floats, [from, to]);
                (x, y)
            }
        }
    }
}

/// The gradients of a backward pass, each in its value's place or in one of its own.
#[derive(Debug)]
pub(super) struct Gradients<'a> {
    pub batch: usize,
    /// Those between the steps.
    pub floats: &'a mut [f32],
    /// The graph's input.
    pub input: Input<'a>,
}

/// The gradient of a step's input.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputOf {
    /// Whether it is the graph's input.
    pub graph: bool,
    /// Its length for one example.
    pub len: usize,
    pub gradient: InputGradient,
}

impl Gradients<'_> {
    /// Has `backward(x, dy)` write the gradient of a layer's input.
    pub fn of_layer(&mut self, x: InputOf, dy: Value, backward: impl FnOnce(Input<'_>, &mut [f32])) {
        let dy = range(dy, self.batch).expect("a gradient between steps has its place");
        let wanted = self.wanted(x);
        if wanted {
            self.load(x);
        }
        // Of the graph's input a part of the gradient may lie among the floats, but only where it is wanted.
        match (self.range(x).filter(|_| wanted || !x.graph), &mut self.input) {
            (Some(x), _) => {
                let [x, dy] = apart(self.floats, [x, dy]);
                backward(if wanted { Input::Activation(x) } else { Input::Given(x) }, dy);
            }
            (None, Input::Activation(x)) => backward(Input::Activation(x), &mut self.floats[dy]),
            (None, Input::Given(x)) => backward(Input::Given(x), &mut self.floats[dy]),
        }
        if wanted {
            self.add(x);
        }
    }

    /// Has `change` change the gradient of a step's output.
    pub fn of_output(&mut self, dy: Value, change: impl FnOnce(&mut [f32])) {
        change(&mut self.floats[range(dy, self.batch).expect("a gradient between steps has its place")]);
    }

    /// Has `backward(dy, dx)` write the gradient of one input of a step that does not read its inputs backward.
    pub fn of_part(&mut self, x: InputOf, dy: Value, backward: impl FnOnce(&[f32], &mut [f32])) {
        if x.gradient.in_place || !self.wanted(x) {
            return;
        }
        let dy = range(dy, self.batch).expect("a gradient between steps has its place");
        match (self.range(x), &mut self.input) {
            (Some(x), _) => {
                let [x, dy] = apart(self.floats, [x, dy]);
                backward(dy, x);
            }
            (None, Input::Activation(x)) => backward(&self.floats[dy], x),
            (None, Input::Given(_)) => {}
        }
        self.add(x);
    }

    /// Has `backward(x1, x2, dy)` write the gradients of both inputs of a step, neither of them the graph's.
    pub fn of_two(
        &mut self,
        inputs: [InputOf; 2],
        dy: Value,
        backward: impl FnOnce(&mut [f32], &mut [f32], &mut [f32]),
    ) {
        inputs.into_iter().for_each(|x| self.load(x));
        let places = [self.range(inputs[0]), self.range(inputs[1]), range(dy, self.batch)];
        let places = places.map(|place| place.expect("a gradient between steps has its place"));
        let [first, second, dy] = apart(self.floats, places);
        backward(first, second, dy);
        inputs.into_iter().for_each(|x| self.add(x));
    }

    /// Whether anyone wants it.
    fn wanted(&self, x: InputOf) -> bool {
        x.gradient.wanted && !(x.graph && matches!(self.input, Input::Given(_)))
    }

    /// Where it is written; `None` is in the graph's input.
    fn range(&self, x: InputOf) -> Option<Range<usize>> {
        range((x.gradient.to, x.len), self.batch)
    }

    /// Copies the input's values to where backward reads them, if they are not there.
    fn load(&mut self, x: InputOf) {
        let (Some(from), Some(to)) = (x.gradient.load, self.range(x)) else { return };
        match range((from, x.len), self.batch) {
            None => copy(&mut self.floats[to], self.input.values()),
            Some(from) => {
                let [from, to] = apart(self.floats, [from, to]);
                copy(to, from);
            }
        }
    }

    /// Adds it to the gradient that other steps gave, or that to it.
    fn add(&mut self, x: InputOf) {
        let Some((from, to)) = x.gradient.add else { return };
        let from = range((from, x.len), self.batch).expect("a part of a gradient has its place");
        match (range((to, x.len), self.batch), &mut self.input) {
            (Some(to), _) => {
                let [from, to] = apart(self.floats, [from, to]);
                add(to, from);
            }
            (None, Input::Activation(x)) => add(x, &self.floats[from]),
            (None, Input::Given(_)) => {}
        }
    }
}

/// Where a value lies among those of a batch; `None` is outside.
pub(super) fn range((place, len): Value, batch: usize) -> Option<Range<usize>> {
    match place {
        Place::Outside => None,
        Place::At(start) => Some(batch * start..batch * (start + len)),
    }
}

/// Values that do not overlap.
fn apart<const N: usize>(floats: &mut [f32], ranges: [Range<usize>; N]) -> [&mut [f32]; N] {
    floats.get_disjoint_mut(ranges).expect("the plan keeps apart what is in use at once")
}
