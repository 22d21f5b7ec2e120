//! Residual blocks (He et al. 2016): a chain of layers with a way around it.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::built::Built;
use super::chain::{Buffers, Chain, Values};
use super::{
    Backward, CHUNK, Forward, Input, Layer, LayerSpec, Memory, Mode, NamedLayer, Param, Shape, ShapeError,
};
use floret_math::simd::Isa;

/// `y = body(x) + shortcut(x)`; without a shortcut `y = body(x) + x`.
///
/// The shortcut makes the shapes agree where the body changes them: a 1x1 convolution of the same stride, usually with
/// a batch norm. The activation after the sum is a layer of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Residual {
    /// The layers of the block.
    pub body: Vec<LayerSpec>,
    /// The layers of the way around it; empty for the identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerSpec>,
}

impl Residual {
    /// An empty block with the identity around it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer to the body.
    pub fn body(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.body.push(layer.into());
        self
    }

    /// Adds a layer to the shortcut.
    pub fn shortcut(mut self, layer: impl Into<LayerSpec>) -> Self {
        self.shortcut.push(layer.into());
        self
    }

    /// What the names of the body's layers begin with.
    pub(crate) const BODY: &str = "body";
    /// What those of the shortcut begin with.
    pub(crate) const SHORTCUT: &str = "shortcut";

    /// The layers of body and shortcut, under the names that their arrays have.
    pub(crate) fn parts(&self) -> [Vec<NamedLayer>; 2] {
        [named(Self::BODY, &self.body), named(Self::SHORTCUT, &self.shortcut)]
    }

    /// The name of the layer of this index in a part: `body_1_conv2d`, `body_2_relu`, ...
    pub(crate) fn part_name(part: &str, index: usize, layer: &LayerSpec) -> String {
        format!("{part}_{}_{}", index + 1, layer.kind())
    }

    pub(crate) fn build(&self, input: Shape, isa: Isa) -> Result<Built, ShapeError> {
        let [body, shortcut] = self.parts();
        let body = Chain::build(&body, input, isa)?;
        if body.is_empty() {
            return Err(ShapeError::new(
                "a residual block needs at least one layer that computes in its body",
            ));
        }
        let shortcut = match shortcut.as_slice() {
            [] => None,
            layers => Some(Chain::build(layers, input, isa)?).filter(|chain| !chain.is_empty()),
        };
        let around = shortcut.as_ref().map_or(input, Chain::output);
        if body.output() != around {
            return Err(ShapeError::new(format!(
                "the body gives {}, the shortcut {around}: give both the same shape, for example by a 1x1 convolution as the shortcut",
                body.output()
            )));
        }
        Ok(Built::Layer(Box::new(ResidualLayer { body, shortcut })))
    }
}

fn named(part: &str, layers: &[LayerSpec]) -> Vec<NamedLayer> {
    let name = |(index, layer): (usize, &LayerSpec)| NamedLayer {
        name: Residual::part_name(part, index, layer),
        layer: layer.clone(),
    };
    layers.iter().enumerate().map(name).collect()
}

#[derive(Debug)]
struct ResidualLayer {
    body: Chain,
    shortcut: Option<Chain>,
}

/// Number of values of a list of parameters.
fn total(params: &[Param]) -> usize {
    params.iter().map(Param::len).sum()
}

fn add(to: &mut [f32], from: &[f32]) {
    to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| {
        to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
    });
}

impl ResidualLayer {
    fn chains(&self) -> impl Iterator<Item = &Chain> {
        [&self.body].into_iter().chain(&self.shortcut)
    }
}

impl Layer for ResidualLayer {
    fn output(&self) -> Shape {
        self.body.output()
    }

    fn params(&self) -> Vec<Param> {
        self.chains().flat_map(|chain| chain.params().to_vec()).collect()
    }

    fn state(&self) -> Vec<Param> {
        self.chains().flat_map(|chain| chain.state().to_vec()).collect()
    }

    fn memory(&self, batch: usize) -> Memory {
        let mut memory = self.body.memory(batch);
        if let Some(shortcut) = &self.shortcut {
            let other = shortcut.memory(batch);
            memory.saved_floats += other.saved_floats;
            memory.saved_bytes += other.saved_bytes;
            // Backward works on a copy of x beside the chains' own scratch; inference on the shortcut's output.
            memory.train_scratch =
                memory.train_scratch.max(other.train_scratch) + batch * self.body.input().len();
            memory.infer_scratch =
                memory.infer_scratch.max(other.infer_scratch) + batch * shortcut.output().len();
        }
        memory
    }

    fn prepared_len(&self) -> usize {
        self.chains().map(Chain::prepared_len).sum()
    }

    fn prepare(&self, w: &[f32], to: &mut [f32]) {
        let (w_body, w_shortcut) = w.split_at(total(self.body.params()));
        let (body, around) = to.split_at_mut(self.body.prepared_len());
        self.body.prepare(w_body, body);
        if let Some(shortcut) = &self.shortcut {
            shortcut.prepare(w_shortcut, around);
        }
    }

    fn multiply_adds(&self) -> u64 {
        self.chains().flat_map(Chain::rows).map(|row| row.multiply_adds).sum()
    }

    fn forward(&self, w: &[f32], x: &[f32], y: &mut [f32], pass: Forward<'_>) {
        let batch = x.len() / self.body.input().len();
        let (w_body, w_shortcut) = w.split_at(total(self.body.params()));
        match pass.mode {
            Mode::Infer { state, prepared } => {
                let (state_body, state_shortcut) = state.split_at(total(self.body.state()));
                let middle = self.body.prepared_len().min(prepared.len());
                let (prepared_body, prepared_shortcut) = prepared.split_at(middle);
                let body = Values { w: w_body, state: state_body, prepared: prepared_body };
                let around = Values { w: w_shortcut, state: state_shortcut, prepared: prepared_shortcut };
                match &self.shortcut {
                    None => {
                        self.body.infer(body, x, y, pass.scratch);
                        add(y, x);
                    }
                    Some(shortcut) => {
                        let (y_around, scratch) = pass.scratch.split_at_mut(y.len());
                        self.body.infer(body, x, y, scratch);
                        shortcut.infer(around, x, y_around, scratch);
                        add(y, y_around);
                    }
                }
            }
            Mode::Train { state, saved, seed } => {
                let memory = self.body.memory(batch);
                let (state_body, state_shortcut) = state.split_at_mut(total(self.body.state()));
                let (floats, floats_shortcut) = saved.floats.split_at_mut(memory.saved_floats);
                let (bytes, bytes_shortcut) = saved.bytes.split_at_mut(memory.saved_bytes);
                let buffers = Buffers { floats, bytes, scratch: pass.scratch };
                self.body.forward(w_body, state_body, x, buffers, seed);
                y.copy_from_slice(&floats[self.body.last_output(batch)]);
                match &self.shortcut {
                    None => add(y, x),
                    Some(shortcut) => {
                        let buffers =
                            Buffers { floats: floats_shortcut, bytes: bytes_shortcut, scratch: pass.scratch };
                        // Any other seed serves: the shortcut's randomness must not be the body's.
                        shortcut.forward(w_shortcut, state_shortcut, x, buffers, !seed);
                        add(y, &floats_shortcut[shortcut.last_output(batch)]);
                    }
                }
            }
        }
    }

    fn backward(&self, w: &[f32], dw: &mut [f32], x: Input<'_>, dy: &mut [f32], pass: Backward<'_>) {
        let batch = x.values().len() / self.body.input().len();
        let memory = self.body.memory(batch);
        let (w_body, w_shortcut) = w.split_at(total(self.body.params()));
        let (dw_body, dw_shortcut) = dw.split_at_mut(total(self.body.params()));
        let (floats, floats_shortcut) = pass.saved.floats.split_at_mut(memory.saved_floats);
        let (bytes, bytes_shortcut) = pass.saved.bytes.split_at_mut(memory.saved_bytes);
        // y = body(x) + shortcut(x): dy is the gradient of both outputs.
        floats[self.body.last_output(batch)].copy_from_slice(dy);
        let Some(shortcut) = &self.shortcut else {
            let buffers = Buffers { floats, bytes, scratch: pass.scratch };
            match x {
                Input::Given(x) => self.body.backward(w_body, dw_body, Input::Given(x), buffers),
                Input::Activation(x) => {
                    self.body.backward(w_body, dw_body, Input::Activation(x), buffers);
                    add(x, dy);
                }
            }
            return;
        };
        floats_shortcut[shortcut.last_output(batch)].copy_from_slice(dy);
        let (x_copy, scratch) = pass.scratch.split_at_mut(x.values().len());
        let around = Buffers { floats: floats_shortcut, bytes: bytes_shortcut, scratch };
        match x {
            Input::Given(x) => {
                shortcut.backward(w_shortcut, dw_shortcut, Input::Given(x), around);
                self.body.backward(w_body, dw_body, Input::Given(x), Buffers { floats, bytes, scratch });
            }
            Input::Activation(x) => {
                x_copy.copy_from_slice(x);
                shortcut.backward(w_shortcut, dw_shortcut, Input::Activation(x_copy), around);
                self.body.backward(w_body, dw_body, Input::Activation(x), Buffers { floats, bytes, scratch });
                add(x, x_copy);
            }
        }
    }
}
