//! Images that tiles are cut from.

use crate::math::simd::Simd;

use super::transform::{MAX_N, TileOf};

/// Something with values at (image, y, x, channel).
pub trait Source: Copy + Send + Sync {
    /// Height, width and channels of one image.
    fn size(&self) -> (usize, usize, usize);

    /// The vector of channels from `channel` on; those beyond the last are 0. The place lies inside.
    fn vector<S: Simd>(&self, simd: S, image: usize, y: usize, x: usize, channel: usize) -> S::V;
}

/// NHWC values as they lie in memory.
#[derive(Debug, Clone, Copy)]
pub struct Dense<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Height, width and channels.
    pub size: (usize, usize, usize),
}

impl Source for Dense<'_> {
    #[inline(always)]
    fn size(&self) -> (usize, usize, usize) {
        self.size
    }

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, image: usize, y: usize, x: usize, channel: usize) -> S::V {
        let (h, w, c) = self.size;
        load_up_to(simd, &self.values[((image * h + y) * w + x) * c + channel..], c - channel)
    }
}

/// The first `count` values of a slice, at most a vector of them; further lanes are 0.
#[inline(always)]
pub fn load_up_to<S: Simd>(simd: S, from: &[f32], count: usize) -> S::V {
    if count >= S::LANES {
        return simd.load(from);
    }
    let mut lanes = [0.0; 16];
    lanes[..count].copy_from_slice(&from[..count]);
    simd.load(&lanes)
}

/// Writes the first `count` lanes, at most all of them.
#[inline(always)]
pub fn store_up_to<S: Simd>(simd: S, v: S::V, to: &mut [f32], count: usize) {
    if count >= S::LANES {
        return simd.store(v, to);
    }
    let mut lanes = [0.0; 16];
    simd.store(v, &mut lanes);
    to[..count].copy_from_slice(&lanes[..count]);
}

/// Cuts the `side x side` tile whose first value is at (`y`, `x`), which may lie outside; what is outside is 0.
#[inline(always)]
pub fn cut<S: Simd>(
    simd: S,
    source: &impl Source,
    image: usize,
    (y, x): (isize, isize),
    side: usize,
    channel: usize,
) -> TileOf<S::V> {
    let (height, width, _) = source.size();
    let mut tile = [[simd.splat(0.0); MAX_N]; MAX_N];
    let inside = y >= 0 && x >= 0 && y as usize + side <= height && x as usize + side <= width;
    if inside {
        let (y, x) = (y as usize, x as usize);
        for i in 0..side {
            for j in 0..side {
                tile[i][j] = source.vector(simd, image, y + i, x + j, channel);
            }
        }
    } else {
        for i in 0..side {
            let Some(y) = y.checked_add_unsigned(i).filter(|y| (0..height as isize).contains(y)) else {
                continue;
            };
            for j in 0..side {
                let x = x + j as isize;
                if (0..width as isize).contains(&x) {
                    tile[i][j] = source.vector(simd, image, y as usize, x as usize, channel);
                }
            }
        }
    }
    tile
}
