//! Layers one after another: offsets of their weights, their memory, and the forward and backward walk.
//!
//! In training every output is kept in one buffer of floats, with what each layer saved behind its output:
//! `[y1 saved1 y2 saved2 ..]`. The backward walk goes through the same buffer from the end and leaves in each `y` the
//! gradient of the loss with respect to it: an activation and its gradient are never held at once.

use std::ops::Range;

use super::built::Built;
use super::{
    Backward, Forward, Input, Layer, LayerSpec, MaxPool2d, Memory, Mode, NamedLayer, Param, Saved, Shape,
    ShapeError,
};
use floret_math::conv::Epilogue;
use floret_math::reduce::all_finite;
use floret_math::simd::Isa;

/// Numbers of one layer for a summary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub name: String,
    pub kind: String,
    pub output: Shape,
    pub params: usize,
    pub multiply_adds: u64,
    /// Bytes kept for one example from forward to backward.
    pub saved_bytes: usize,
}

#[derive(Debug)]
struct Link {
    name: String,
    layer: Box<dyn Layer>,
    params: Range<usize>,
    state: Range<usize>,
    prepared: Range<usize>,
    input: usize,
    output: usize,
}

/// A sequence of built layers.
#[derive(Debug)]
pub(crate) struct Chain {
    links: Vec<Link>,
    input: Shape,
    isa: Isa,
    output: Shape,
    params: Vec<Param>,
    state: Vec<Param>,
    rows: Vec<Row>,
}

/// What inference reads: weights, moving averages, and what [`Chain::prepare`] wrote or nothing.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    pub w: &'a [f32],
    pub state: &'a [f32],
    pub prepared: &'a [f32],
}

/// The buffers of one training pass.
pub(crate) struct Buffers<'a> {
    pub floats: &'a mut [f32],
    pub bytes: &'a mut [u8],
    pub scratch: &'a mut [f32],
}

impl Chain {
    /// [`build`](Self::build), but no layer that computes anything is an error.
    pub fn build_some(layers: &[NamedLayer], input: Shape, isa: Isa) -> Result<Self, ShapeError> {
        let chain = Self::build(layers, input, isa)?;
        if chain.is_empty() {
            return Err(ShapeError::new("there is no layer that computes anything"));
        }
        Ok(chain)
    }

    /// Builds the layers for inputs of shape `input`, with kernels of instruction set `isa`; the error names the layer that does not fit.
    pub fn build(layers: &[NamedLayer], input: Shape, isa: Isa) -> Result<Self, ShapeError> {
        input.check("an input")?;
        // Layers count on values: they divide by the numbers of them.
        if input.is_empty() {
            return Err(ShapeError::new(format!("an input of {input} holds no value")));
        }
        let mut chain = Self {
            links: Vec::new(),
            input,
            isa,
            output: input,
            params: Vec::new(),
            state: Vec::new(),
            rows: Vec::new(),
        };
        let mut rest = layers;
        while !rest.is_empty() {
            let (epilogue, count) = fusable(rest);
            let group;
            (group, rest) = rest.split_at(count);
            chain.append(group, epilogue)?;
        }
        Ok(chain)
    }

    /// Appends a layer, with those behind it that it computes in the same pass.
    fn append(&mut self, group: &[NamedLayer], epilogue: Epilogue) -> Result<(), ShapeError> {
        let input = self.output;
        let mut link = None;
        // Each alone, for its shape and its errors.
        for NamedLayer { name, layer: spec } in group {
            let mut row = Row {
                name: name.clone(),
                kind: spec.kind().to_owned(),
                output: self.output,
                params: 0,
                multiply_adds: 0,
                saved_bytes: 0,
            };
            match spec.build(self.output, self.isa).map_err(|error| error.of(name))? {
                Built::Reshape(shape) => row.output = shape,
                Built::Layer(layer) => {
                    (row.output, row.multiply_adds) = (layer.output(), layer.multiply_adds());
                    row.params = layer.params().iter().map(Param::len).sum();
                    link.get_or_insert((name, layer));
                }
            }
            self.output = row.output;
            self.rows.push(row);
        }
        let Some((name, mut layer)) = link else { return Ok(()) };
        if let [NamedLayer { layer: LayerSpec::Conv2d(conv), .. }, _, ..] = group {
            layer = conv.build_with(input, epilogue, self.isa)?;
        }
        let (memory, output) = (layer.memory(1), self.output.len());
        if let Some(row) = self.rows.last_mut() {
            row.saved_bytes = 4 * (output + memory.saved_floats) + memory.saved_bytes;
        }
        let (params_before, state_before) =
            self.links.last().map_or((0, 0), |link| (link.params.end, link.state.end));
        let params = append(&mut self.params, params_before, name, layer.params());
        let state = append(&mut self.state, state_before, name, layer.state());
        let start = self.prepared_len();
        let prepared = start..start + layer.prepared_len();
        self.links.push(Link {
            name: name.clone(),
            layer,
            params,
            state,
            prepared,
            input: input.len(),
            output,
        });
        Ok(())
    }

    pub fn input(&self) -> Shape {
        self.input
    }

    /// The instruction set that the layers' kernels use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    pub fn output(&self) -> Shape {
        self.output
    }

    /// Whether no layer computes anything.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    pub fn params(&self) -> &[Param] {
        &self.params
    }

    pub fn state(&self) -> &[Param] {
        &self.state
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Floats that [`prepare`](Self::prepare) writes.
    pub fn prepared_len(&self) -> usize {
        self.links.last().map_or(0, |link| link.prepared.end)
    }

    /// What each layer prepares of its weights for the inference of few examples.
    pub fn prepare(&self, w: &[f32], to: &mut [f32]) {
        for link in &self.links {
            link.layer.prepare(&w[link.params.clone()], &mut to[link.prepared.clone()]);
        }
    }

    /// What the chain needs for a batch; `saved_floats` includes every output, the last too.
    pub fn memory(&self, batch: usize) -> Memory {
        let mut total = Memory::default();
        let mut largest = 0;
        for link in &self.links {
            let memory = link.layer.memory(batch);
            total.saved_floats += batch * link.output + memory.saved_floats;
            total.saved_bytes += memory.saved_bytes;
            total.train_scratch = total.train_scratch.max(memory.train_scratch);
            total.infer_scratch = total.infer_scratch.max(memory.infer_scratch);
            largest = largest.max(batch * link.output);
        }
        // In inference outputs alternate between two buffers.
        total.infer_scratch += 2 * largest;
        total
    }

    /// Forward pass of training over a batch `x`; outputs and saved values stay in `buffers`.
    pub fn forward(&self, w: &[f32], state: &mut [f32], x: &[f32], buffers: Buffers<'_>, seed: u64) {
        let batch = x.len() / self.input.len();
        let Buffers { mut floats, mut bytes, scratch } = buffers;
        let mut x = x;
        for (index, link) in self.links.iter().enumerate() {
            let memory = link.layer.memory(batch);
            let (y, rest) = floats.split_at_mut(batch * link.output);
            let (saved_floats, rest) = rest.split_at_mut(memory.saved_floats);
            let (saved_bytes, rest_bytes) = bytes.split_at_mut(memory.saved_bytes);
            let mode = Mode::Train {
                state: &mut state[link.state.clone()],
                saved: Saved { floats: saved_floats, bytes: saved_bytes },
                seed: mix(seed, index as u64),
            };
            let scratch = &mut scratch[..memory.train_scratch];
            link.layer.forward(&w[link.params.clone()], x, y, Forward { mode, scratch });
            (x, floats, bytes) = (y, rest, rest_bytes);
        }
    }

    /// Where the last output lies in the floats of [`Self::forward`].
    pub fn last_output(&self, batch: usize) -> Range<usize> {
        let end = self.memory(batch).saved_floats;
        let link = self.links.last().expect("a chain that runs has a layer");
        let end = end - link.layer.memory(batch).saved_floats;
        end - batch * link.output..end
    }

    /// The name of the first layer among whose outputs, as [`Self::forward`] left them in `floats`, one is not finite.
    pub fn first_not_finite(&self, batch: usize, floats: &[f32]) -> Option<&str> {
        let mut start = 0;
        let not_finite = self.links.iter().find(|link| {
            let outputs = &floats[start..start + batch * link.output];
            start += outputs.len() + link.layer.memory(batch).saved_floats;
            !all_finite(outputs)
        });
        not_finite.map(|link| link.name.as_str())
    }

    /// Backward pass. The last output's place holds the gradient of the loss with respect to it; `dw` is overwritten,
    /// and `x` by its gradient where wanted.
    pub fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, buffers: Buffers<'_>) {
        let batch = x.values().len() / self.input.len();
        let Buffers { mut floats, mut bytes, scratch } = buffers;
        let mut x = Some(x);
        for (index, link) in self.links.iter().enumerate().rev() {
            let memory = link.layer.memory(batch);
            let (rest, saved_floats) = floats.split_at_mut(floats.len() - memory.saved_floats);
            let (rest, dy) = rest.split_at_mut(rest.len() - batch * link.output);
            let (rest_bytes, saved_bytes) = bytes.split_at_mut(bytes.len() - memory.saved_bytes);
            let input = match index.checked_sub(1) {
                // The chain's own input; the walk ends here.
                None => x.take().expect("the first layer comes last, once"),
                Some(before) => {
                    let end = rest.len() - self.links[before].layer.memory(batch).saved_floats;
                    Input::Activation(&mut rest[end - batch * link.input..end])
                }
            };
            let pass = Backward {
                saved: Saved { floats: saved_floats, bytes: saved_bytes },
                scratch: &mut scratch[..memory.train_scratch],
            };
            let params = link.params.clone();
            link.layer.backward(&w[params.clone()], &mut dw[params], input, dy, pass);
            (floats, bytes) = (rest, rest_bytes);
        }
    }

    /// Forward pass of inference: overwrites `y`. `scratch` holds `memory(batch).infer_scratch` floats.
    pub fn infer(&self, values: Values<'_>, x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
        let batch = x.len() / self.input.len();
        let largest = self.links.iter().map(|link| batch * link.output).max().unwrap_or(0);
        let (mut from, scratch) = scratch.split_at_mut(largest);
        let (mut to, scratch) = scratch.split_at_mut(largest);
        let last = self.links.len() - 1;
        for (index, link) in self.links.iter().enumerate() {
            let x = if index == 0 { x } else { &from[..batch * link.input] };
            let out = if index == last { &mut *y } else { &mut to[..batch * link.output] };
            let prepared =
                if values.prepared.is_empty() { &[] } else { &values.prepared[link.prepared.clone()] };
            let mode = Mode::Infer { state: &values.state[link.state.clone()], prepared };
            let scratch = &mut scratch[..link.layer.memory(batch).infer_scratch];
            link.layer.forward(&values.w[link.params.clone()], x, out, Forward { mode, scratch });
            (from, to) = (to, from);
        }
    }
}

/// How many of these layers, the first at least, one pass computes: a convolution takes a ReLU and a max-pool with it.
fn fusable(layers: &[NamedLayer]) -> (Epilogue, usize) {
    let spec = |index: usize| layers.get(index).map(|named| &named.layer);
    match (spec(0), spec(1)) {
        (Some(LayerSpec::Conv2d(conv)), Some(LayerSpec::Relu(_))) if conv.fuses() => {}
        _ => return (Epilogue::Bias, 1),
    }
    match spec(2) {
        Some(LayerSpec::MaxPool2d(pool)) if *pool == MaxPool2d::new(2) => (Epilogue::ReluPool, 3),
        _ => (Epilogue::Relu, 2),
    }
}

/// Appends a layer's arrays under its name; returns the values they occupy in the common buffer, from `start`.
fn append(all: &mut Vec<Param>, start: usize, layer: &str, params: Vec<Param>) -> Range<usize> {
    let len: usize = params.iter().map(Param::len).sum();
    all.extend(params.into_iter().map(|p| Param { name: format!("{layer}/{}", p.name), ..p }));
    start..start + len
}

/// A seed of its own for each `index`: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
