//! The memory of a sequence's passes, grown to the largest batch seen and reused.

use std::sync::{Mutex, PoisonError};

use super::Memory;
use super::graph::Buffers;
use floret_math::buffer::Aligned;

/// Buffers for training and inference. Their content means something only between a forward and its backward pass.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    floats: Aligned,
    bytes: Vec<u8>,
    /// Room to work in, not in use: as many buffers as there were passes at once. Training takes one of inference's.
    scratch: Mutex<Vec<Aligned>>,
}

impl Workspace {
    /// Buffers of exactly the sizes that a training pass needs.
    pub fn train(&mut self, memory: Memory) -> Buffers<'_> {
        if self.bytes.len() < memory.saved_bytes {
            self.bytes.resize(memory.saved_bytes, 0);
        }
        let scratch = self.scratch.get_mut().unwrap_or_else(PoisonError::into_inner);
        if scratch.is_empty() {
            scratch.push(Aligned::default());
        }
        Buffers {
            floats: self.floats.sized(memory.saved_floats),
            bytes: &mut self.bytes[..memory.saved_bytes],
            scratch: scratch[0].sized(memory.train_scratch),
        }
    }

    /// Runs a pass of inference with scratch that is its own meanwhile. The lock is held only to take it and to put it back.
    pub fn infer(&self, memory: Memory, pass: impl FnOnce(&mut [f32])) {
        let unused = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = unused().pop().unwrap_or_default();
        pass(scratch.sized(memory.infer_scratch));
        unused().push(scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_at_once_have_scratch_of_their_own_which_the_next_ones_reuse() {
        let workspace = Workspace::default();
        let memory = Memory { infer_scratch: 1000, ..Memory::default() };
        let unused = || {
            let buffers = workspace.scratch.lock().unwrap();
            buffers.iter().map(|buffer| buffer.as_ptr()).collect::<Vec<_>>()
        };
        // As when a thread of the pool takes up another pass while it waits for a part of its own.
        workspace.infer(memory, |outer| {
            outer.fill(1.0);
            workspace.infer(memory, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|value| *value == 1.0));
        });
        let two = unused();
        assert_eq!(two.len(), 2);
        for _ in 0..3 {
            workspace.infer(memory, |scratch| assert_eq!(scratch.len(), 1000));
        }
        assert_eq!(unused(), two, "nothing was allocated or lost");
    }
}
