//! Room to work in, kept from call to call.

use std::ops::{Deref, DerefMut};

/// Floats of a cache line. A vector of AVX-512 fills one: anywhere else each of its loads and stores would touch two.
const LINE: usize = 16;

/// The first `len` floats from a cache line's border on, of a buffer that is made longer if it is shorter.
pub fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len + LINE {
        // What it holds means nothing between calls: nothing is copied.
        *buffer = Vec::new();
        *buffer = vec![0.0; len + LINE];
    }
    let first = border(buffer);
    &mut buffer[first..first + len]
}

/// Floats before the first cache line's border. It may be out of reach in theory; that would cost time alone.
fn border(buffer: &[f32]) -> usize {
    buffer.as_ptr().align_offset(4 * LINE).min(LINE)
}

/// Values that begin at a cache line's border, for good.
#[derive(Debug)]
pub struct Aligned {
    buffer: Vec<f32>,
    first: usize,
    len: usize,
}

impl Aligned {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        let buffer = vec![0.0; len + LINE];
        // The vector never grows: its border stays where it is.
        Self { first: border(&buffer), buffer, len }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[self.first..self.first + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.first..self.first + self.len]
    }
}
