//! Images that tiles are cut from.

use crate::math::simd::Simd;

use super::transform::{MAX_N, TileOf, in_two_dimensions};

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

/// A tile of a source, parts of which may lie outside of its image; what is outside is 0.
#[derive(Debug, Clone, Copy)]
pub struct Cut<T> {
    source: T,
    image: usize,
    /// Place of the tile's first value.
    y: isize,
    x: isize,
}

impl<T: Source> Cut<T> {
    /// The tile of image `image` whose first value is at (`y`, `x`).
    pub fn new(source: T, image: usize, (y, x): (isize, isize)) -> Self {
        Self { source, image, y, x }
    }

    /// Whether all of its `side x side` values lie inside.
    #[inline(always)]
    pub fn is_inside(&self, side: usize) -> bool {
        let (height, width, _) = self.source.size();
        let fits = |at: isize, len: usize| at >= 0 && at as usize + side <= len;
        fits(self.y, height) && fits(self.x, width)
    }

    /// The vector at (`i`, `j`) of a tile that lies [inside](Self::is_inside).
    #[inline(always)]
    pub fn inner<S: Simd>(&self, simd: S, i: usize, j: usize, channel: usize) -> S::V {
        self.source.vector(simd, self.image, self.y as usize + i, self.x as usize + j, channel)
    }

    /// The vector at (`i`, `j`) of any tile.
    #[inline(always)]
    pub fn outer<S: Simd>(&self, simd: S, i: usize, j: usize, channel: usize) -> S::V {
        let (height, width, _) = self.source.size();
        let (y, x) = (self.y + i as isize, self.x + j as isize);
        if y < 0 || x < 0 || y as usize >= height || x as usize >= width {
            return simd.splat(0.0);
        }
        self.source.vector(simd, self.image, y as usize, x as usize, channel)
    }

    /// Transforms the tile's `from x from` values for `channel` and the lanes behind it.
    #[inline(always)]
    pub fn transform<S: Simd>(
        &self,
        simd: S,
        between: &mut TileOf<S::V>,
        from: usize,
        to: usize,
        channel: usize,
        transform: impl Fn([S::V; MAX_N]) -> [S::V; MAX_N],
        store: impl FnMut(usize, usize, S::V),
    ) {
        if self.is_inside(from) {
            in_two_dimensions::<S>(
                between,
                from,
                to,
                #[inline(always)]
                |i, j| self.inner(simd, i, j, channel),
                transform,
                store,
            );
        } else {
            in_two_dimensions::<S>(
                between,
                from,
                to,
                #[inline(always)]
                |i, j| self.outer(simd, i, j, channel),
                transform,
                store,
            );
        }
    }
}
