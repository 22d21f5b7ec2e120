//! The memory of a sequence's passes, grown to the largest batch seen and reused.

use super::Memory;
use super::chain::Buffers;
use crate::math::buffer::sized;

/// Buffers for training and inference. Their content means something only between a forward and its backward pass.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    floats: Vec<f32>,
    bytes: Vec<u8>,
    scratch: Vec<f32>,
}

impl Workspace {
    /// Buffers of exactly the sizes that a training pass needs.
    pub fn train(&mut self, memory: Memory) -> Buffers<'_> {
        if self.bytes.len() < memory.saved_bytes {
            self.bytes.resize(memory.saved_bytes, 0);
        }
        Buffers {
            floats: sized(&mut self.floats, memory.saved_floats),
            bytes: &mut self.bytes[..memory.saved_bytes],
            scratch: sized(&mut self.scratch, memory.train_scratch),
        }
    }

    /// Scratch of inference.
    pub fn infer(&mut self, memory: Memory) -> &mut [f32] {
        sized(&mut self.scratch, memory.infer_scratch)
    }
}
