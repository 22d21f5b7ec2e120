//! Where the values of a graph lie in memory, for training and for inference.
//!
//! A value's memory is its own from the step that writes it to the last that reads it, and another's before and after. In
//! training it becomes its gradient in place where backward reads the value; where not, as before a sum, the gradient gets
//! memory of its own when its time comes. A value that several steps take has its gradient added up: the first of them in the
//! backward pass writes, the others add. A value before which nothing trains has no gradient, and is kept only for steps that read it.
//!
//! Offsets count floats of one example; times are steps, those of the backward pass behind those of the forward pass.

use super::step::{Operation, Step};

/// A stretch of memory and the time in which it is in use.
#[derive(Debug, Clone, Copy)]
struct Slot {
    len: usize,
    first: usize,
    last: usize,
    offset: usize,
}

/// Slots being planned. All are named by their index.
#[derive(Debug, Default)]
struct Slots(Vec<Slot>);

impl Slots {
    fn add(&mut self, len: usize, first: usize, last: usize) -> usize {
        self.0.push(Slot { len, first, last, offset: 0 });
        self.0.len() - 1
    }

    fn extend(&mut self, slot: usize, time: usize) {
        let slot = &mut self.0[slot];
        (slot.first, slot.last) = (slot.first.min(time), slot.last.max(time));
    }

    /// Gives each slot its offset: the largest first, each in the lowest gap between those in use at the same time (greedy by
    /// size, Pisarchyk and Lee 2020). Returns the length of the whole.
    fn place(&mut self) -> usize {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|&slot| std::cmp::Reverse(self.0[slot].len));
        let mut total = 0;
        let mut placed: Vec<Slot> = Vec::with_capacity(order.len());
        for index in order {
            let slot = &mut self.0[index];
            slot.offset = 0;
            // Those placed are in the order of their offsets.
            for other in placed.iter().filter(|other| other.first <= slot.last && slot.first <= other.last) {
                if slot.offset + slot.len <= other.offset {
                    break;
                }
                slot.offset = slot.offset.max(other.offset + other.len);
            }
            total = total.max(slot.offset + slot.len);
            let at = placed.partition_point(|other| other.offset <= slot.offset);
            placed.insert(at, *slot);
        }
        total
    }

    fn at(&self, slot: usize) -> Place {
        Place::At(self.0[slot].offset)
    }
}

/// Where a value or its gradient lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// With the caller: the graph's input, and in inference its output.
    Outside,
    /// At this offset.
    At(usize),
}

/// How the gradient of a step's input comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InputGradient {
    /// Where backward writes it; it finds the input's values there, if it reads them. Where it is not wanted, only they are there.
    pub to: Place,
    /// Whether backward computes it: not where nothing before trains.
    pub wanted: bool,
    /// Where the values are to be copied from before.
    pub load: Option<Place>,
    /// What is to be added to what, once it is written.
    pub add: Option<(Place, Place)>,
    /// It lies where it should already: it is the output's, in the same place.
    pub in_place: bool,
}

/// The memory of a training step.
#[derive(Debug, Default)]
pub(super) struct TrainingPlan {
    /// Where each step's output lies.
    pub outputs: Vec<Place>,
    /// Where its gradient lies when the step's backward begins.
    pub gradients: Vec<Place>,
    /// For each step, how the gradients of its inputs come about.
    pub inputs: Vec<Vec<InputGradient>>,
    /// Floats of the whole for one example.
    pub len: usize,
}

/// The memory of inference.
#[derive(Debug, Default)]
pub(super) struct InferencePlan {
    /// Where each step's output lies.
    pub outputs: Vec<Place>,
    /// Floats of the whole for one example.
    pub len: usize,
}

/// The uses of a value in the order of the steps: step and which of its inputs.
type Uses = Vec<(usize, usize)>;

/// The uses of the graph's input, and of each step's output.
fn uses(steps: &[Step]) -> (Uses, Vec<Uses>) {
    let (mut of_input, mut of_steps) = (Uses::new(), vec![Uses::new(); steps.len()]);
    for (index, step) in steps.iter().enumerate() {
        for (number, input) in step.inputs.iter().enumerate() {
            match input {
                None => of_input.push((index, number)),
                Some(from) => of_steps[*from].push((index, number)),
            }
        }
    }
    (of_input, of_steps)
}

/// The input in whose place the output of a sum, or of a layer that adds to it, may lie: that of a step whose output `dead` says
/// nothing takes later.
fn in_place(step: &Step, dead: impl Fn(usize) -> bool) -> Option<usize> {
    let free = |number: &usize| {
        let input = step.inputs[*number];
        let once = step.inputs.iter().filter(|other| **other == input).count() == 1;
        input.is_some_and(|from| once && dead(from))
    };
    match &step.operation {
        Operation::Layer(_) => (1..step.inputs.len()).find(free),
        Operation::Join(join) => (0..step.inputs.len()).find(free).filter(|_| join.may_be_in_place()),
    }
}

/// Plans a training step over an input of so many values; `input_gradient` says whether its gradient may be wanted.
pub(super) fn training(steps: &[Step], input: usize, input_gradient: bool) -> TrainingPlan {
    let n = steps.len();
    let backward = |step: usize| 2 * n - 1 - step;
    let (of_input, of_steps) = uses(steps);
    let is_wanted = |from: Option<usize>| from.map_or(input_gradient, |from| steps[from].backward);
    let in_places: Vec<Option<usize>> =
        steps.iter().map(|step| in_place(step, |from| of_steps[from].len() == 1)).collect();
    let mut slots = Slots::default();

    let mut outputs: Vec<usize> = Vec::with_capacity(n);
    for (index, step) in steps.iter().enumerate() {
        let slot = match in_places[index].and_then(|number| step.inputs[number]) {
            Some(from) => outputs[from],
            None => slots.add(step.output, index, index),
        };
        slots.extend(slot, of_steps[index].last().map_or(index, |(user, _)| *user));
        outputs.push(slot);
    }

    let mut gradients = vec![0; n];
    for index in (0..n).rev() {
        let uses = &of_steps[index];
        gradients[index] = outputs[index];
        if !steps[index].backward {
            // No gradient comes here, but backward of those that take the value may read it.
            if let Some((first, _)) = uses.iter().find(|(user, _)| steps[*user].backward) {
                slots.extend(outputs[index], backward(*first));
            }
            continue;
        }
        match uses.as_slice() {
            &[(user, number)] if in_places[user] == Some(number) => gradients[index] = gradients[user],
            [(first, _), ..] if !uses.iter().any(|(user, _)| steps[*user].reads_inputs()) => {
                gradients[index] = slots.add(steps[index].output, backward(*first), backward(*first));
            }
            _ => {}
        }
        slots.extend(gradients[index], backward(index));
    }

    // Where each use leaves its part of the gradient, and where the parts are added up.
    let mut parts = Vec::new();
    let values = (0..n).map(|index| (Some(index), &of_steps[index], steps[index].output));
    for (from, uses, len) in values.chain([(None, &of_input, input)]) {
        if !is_wanted(from) {
            // A product's backward writes over both its inputs all the same.
            let overwrites =
                |user: usize| steps[user].backward && matches!(steps[user].operation, Operation::Join(_));
            for &(user, number) in
                uses.iter().filter(|(user, _)| overwrites(*user) && steps[*user].reads_inputs())
            {
                parts.push((
                    from,
                    user,
                    number,
                    Part::Apart(slots.add(len, backward(user), backward(user))),
                    None,
                ));
            }
            continue;
        }
        let sum = match uses.as_slice() {
            [(first, _), .., (last, _)] => Some(slots.add(len, backward(*last), backward(*first))),
            _ => None,
        };
        for (turn, &(user, number)) in uses.iter().rev().enumerate() {
            let part = match sum {
                // The last leaves its part where the whole is wanted.
                _ if turn + 1 == uses.len() => Part::Whole,
                Some(sum) if turn == 0 => Part::Sum(sum),
                _ => Part::Apart(slots.add(len, backward(user), backward(user))),
            };
            parts.push((from, user, number, part, sum));
        }
    }

    let len = slots.place();
    let place = |slot: usize| slots.at(slot);
    let values_of = |from: Option<usize>| from.map_or(Place::Outside, |from| place(outputs[from]));
    let given = |from: &Option<usize>| InputGradient {
        to: values_of(*from),
        wanted: is_wanted(*from),
        load: None,
        add: None,
        in_place: false,
    };
    let mut inputs: Vec<Vec<_>> = steps.iter().map(|step| step.inputs.iter().map(given).collect()).collect();
    for (from, user, number, part, sum) in parts {
        let whole = from.map_or(Place::Outside, |from| place(gradients[from]));
        let sum = sum.map(place);
        let (to, add) = match part {
            Part::Whole => (whole, sum.map(|sum| (sum, whole))),
            Part::Sum(slot) => (place(slot), None),
            Part::Apart(slot) => (place(slot), sum.map(|sum| (place(slot), sum))),
        };
        let load = (part != Part::Whole && steps[user].reads_inputs()).then_some(values_of(from));
        let in_place = in_places[user] == Some(number);
        inputs[user][number] = InputGradient { to, load, add, in_place, ..inputs[user][number] };
    }
    TrainingPlan {
        outputs: outputs.into_iter().map(place).collect(),
        gradients: gradients.into_iter().map(place).collect(),
        inputs,
        len,
    }
}

/// Where a use leaves its part of a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Where the whole is wanted.
    Whole,
    /// In the slot where the parts before the last are added up.
    Sum(usize),
    /// In a slot of its own.
    Apart(usize),
}

/// Plans inference. The last step's output is the caller's.
pub(super) fn inference(steps: &[Step]) -> InferencePlan {
    let (_, of_steps) = uses(steps);
    let mut slots = Slots::default();
    let mut outputs: Vec<Option<usize>> = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let Some((last, _)) = of_steps[index].last() else {
            outputs.push(None);
            continue;
        };
        let dead = |from: usize| of_steps[from].last().is_some_and(|(user, _)| *user == index);
        let taken =
            in_place(step, dead).and_then(|number| step.inputs[number]).and_then(|from| outputs[from]);
        let slot = taken.unwrap_or_else(|| slots.add(step.output, index, index));
        slots.extend(slot, *last);
        outputs.push(Some(slot));
    }
    let len = slots.place();
    let place = |slot: Option<usize>| slot.map_or(Place::Outside, |slot| slots.at(slot));
    InferencePlan { outputs: outputs.into_iter().map(place).collect(), len }
}
