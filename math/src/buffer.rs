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
    memory: Memory,
    first: usize,
    len: usize,
}

impl Default for Aligned {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl Aligned {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        let memory = Memory::zeros(len + LINE);
        // Memory never moves: its border stays where it is.
        Self { first: border(memory.values()), memory, len }
    }

    /// The first `len` values; if there are fewer, they are replaced by so many zeros.
    pub fn sized(&mut self, len: usize) -> &mut [f32] {
        if self.len < len {
            // Both at once might be more than there is.
            *self = Self::default();
            *self = Self::zeros(len);
        }
        &mut self[..len]
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory.values()[self.first..self.first + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory.values_mut()[self.first..self.first + self.len]
    }
}

/// Values from the allocator, or from the system in huge pages.
///
/// A step goes through hundreds of megabytes, and of pages of 4 KB the processor knows the addresses of a few thousand: with
/// those of 2 MB a training step takes 0.88 of the time (`residual_small` and the reference network, batch 64; five pairs each).
#[derive(Debug)]
enum Memory {
    Heap(Vec<f32>),
    #[cfg(target_os = "linux")]
    Pages(memmap2::MmapMut),
}

/// Bytes from which on memory is asked for in huge pages: a few of them.
#[cfg(target_os = "linux")]
const HUGE: usize = 4 << 21;

impl Memory {
    fn zeros(len: usize) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(pages) = len.checked_mul(size_of::<f32>()).filter(|&bytes| bytes >= HUGE).and_then(pages)
        {
            return Memory::Pages(pages);
        }
        Memory::Heap(vec![0.0; len])
    }

    fn values(&self) -> &[f32] {
        match self {
            Memory::Heap(values) => values,
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => bytemuck::cast_slice(pages),
        }
    }

    fn values_mut(&mut self) -> &mut [f32] {
        match self {
            Memory::Heap(values) => values,
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => bytemuck::cast_slice_mut(pages),
        }
    }
}

/// So many bytes of zeros, in huge pages where the system has them.
#[cfg(target_os = "linux")]
fn pages(bytes: usize) -> Option<memmap2::MmapMut> {
    let pages = memmap2::MmapMut::map_anon(bytes).ok()?;
    // Advice: without it they are pages like any.
    let _ = pages.advise(memmap2::Advice::HugePage);
    Some(pages)
}
