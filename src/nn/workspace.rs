//! The memory of a sequence's passes, grown to the largest batch seen and reused.

use super::Memory;
use super::chain::Buffers;

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
            floats: grown(&mut self.floats, memory.saved_floats),
            bytes: &mut self.bytes[..memory.saved_bytes],
            scratch: grown(&mut self.scratch, memory.train_scratch),
        }
    }

    /// Scratch of inference.
    pub fn infer(&mut self, memory: Memory) -> &mut [f32] {
        grown(&mut self.scratch, memory.infer_scratch)
    }
}

/// The first `len` floats of a buffer that is made longer if it is shorter.
fn grown(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
