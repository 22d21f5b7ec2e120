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
        simd.load_up_to(&self.values[((image * h + y) * w + x) * c + channel..], c - channel)
    }
}

/// The gradient before a 2x2 max-pool (stride 2, SAME), from that behind it: each value goes to the winner of its window.
#[derive(Debug, Clone, Copy)]
pub struct Unpooled<'a> {
    /// Gradients of the pooled values, NHWC.
    pub dy: &'a [f32],
    /// Which of its window's values won, row by row: 0 to 3; any other code for none.
    pub winners: &'a [u8],
    /// Height, width and channels before the pool.
    pub size: (usize, usize, usize),
}

impl Source for Unpooled<'_> {
    #[inline(always)]
    fn size(&self) -> (usize, usize, usize) {
        self.size
    }

    #[inline(always)]
    fn vector<S: Simd>(&self, simd: S, image: usize, y: usize, x: usize, channel: usize) -> S::V {
        let (h, w, c) = self.size;
        let (h, w) = (h.div_ceil(2), w.div_ceil(2));
        let at = ((image * h + y / 2) * w + x / 2) * c + channel;
        let (code, left) = ((y % 2 * 2 + x % 2) as u8, c - channel);
        let dy = simd.load_up_to(&self.dy[at..], left);
        simd.where_code_up_to(&self.winners[at..], code, dy, left)
    }
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
