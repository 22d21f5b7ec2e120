//! The tiles: which minimal filtering each kind uses along its two sides, and how they cover the images.

use crate::conv::ConvShape;

use super::points::{self, Line};

/// A minimal filtering F(my x mx, r x r) of tiles, as a type: one along the columns, one along the rows.
pub trait Filtering: Copy + Send + Sync + 'static {
    /// Along the columns.
    type Y: Line;
    /// Along the rows.
    type X: Line;
    /// Rows and columns of outputs.
    const M: (usize, usize) = (Self::Y::M, Self::X::M);
    /// Rows and columns of inputs.
    const N: (usize, usize) = (Self::Y::N, Self::X::N);
    /// Taps along both sides.
    const R: usize = {
        assert!(Self::Y::R == Self::X::R);
        Self::Y::R
    };
}

/// F(MY x MX, R x R).
#[derive(Debug, Clone, Copy)]
pub struct F<const MY: usize, const MX: usize, const R: usize>;

impl<const MY: usize, const MX: usize, const R: usize> Filtering for F<MY, MX, R> {
    type Y = points::F<MY, R>;
    type X = points::F<MX, R>;
}

/// A kind of tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tile {
    /// F(4x4, 5x5): 6.25 times fewer multiplications.
    F4x4_5x5,
    /// F(6x4, 5x5): 7.5 times fewer.
    F6x4_5x5,
    /// F(3x3, 5x5): 4.6 times fewer.
    F3x3_5x5,
    /// F(2x2, 5x5): 2.78 times fewer.
    F2x2_5x5,
    /// F(6x6, 3x3): 5.06 times fewer.
    F6x6_3x3,
    /// F(4x4, 3x3): 4 times fewer.
    F4x4_3x3,
}

/// Calls `$body` with `$f` the type of the filtering. For the transforms of a tile alone: what is around them is compiled once
/// for all kinds.
macro_rules! with_filtering {
    ($tile:expr, $f:ident => $body:expr) => {{
        use $crate::conv::winograd::tiles::{F as Of, Tile};
        match $tile {
            Tile::F4x4_5x5 => {
                type $f = Of<4, 4, 5>;
                $body
            }
            Tile::F6x4_5x5 => {
                type $f = Of<6, 4, 5>;
                $body
            }
            Tile::F3x3_5x5 => {
                type $f = Of<3, 3, 5>;
                $body
            }
            Tile::F2x2_5x5 => {
                type $f = Of<2, 2, 5>;
                $body
            }
            Tile::F6x6_3x3 => {
                type $f = Of<6, 6, 3>;
                $body
            }
            Tile::F4x4_3x3 => {
                type $f = Of<4, 4, 3>;
                $body
            }
        }
    }};
}
pub(super) use with_filtering;

impl Tile {
    /// All kinds. Of those that take as long the first is the most accurate.
    pub const ALL: [Self; 6] =
        [Self::F2x2_5x5, Self::F3x3_5x5, Self::F4x4_5x5, Self::F6x4_5x5, Self::F4x4_3x3, Self::F6x6_3x3];

    /// Rows and columns of outputs.
    pub fn m(self) -> (usize, usize) {
        with_filtering!(self, K => K::M)
    }

    /// Rows and columns of inputs.
    pub fn n(self) -> (usize, usize) {
        with_filtering!(self, K => K::N)
    }

    /// Places of a tile: multiplications for each pair of channels.
    pub fn places(self) -> usize {
        self.n().0 * self.n().1
    }

    /// Taps along a side.
    pub fn taps(self) -> usize {
        with_filtering!(self, K => K::R)
    }

    /// The kind that takes least to cover `height x width` outputs of a filter of `taps x taps`, if there is one.
    pub fn fitting(taps: usize, height: usize, width: usize) -> Option<Self> {
        let kinds = Self::ALL.into_iter().filter(|tile| tile.taps() == taps);
        let costs = kinds.filter_map(|tile| Some((tile.cost(height, width)?, tile)));
        costs.min_by_key(|(cost, _)| *cost).map(|(_, tile)| tile)
    }

    /// What it takes to cover `height x width` outputs: multiplications for each pair of channels, and as much room. `None`
    /// where windows of a pool would straddle two tiles.
    fn cost(self, height: usize, width: usize) -> Option<usize> {
        let (m, places) = (self.m(), self.places());
        let fits = |m: usize, size: usize| m.is_multiple_of(2) || size <= m;
        let tiles = height.div_ceil(m.0) * width.div_ceil(m.1);
        // The longer transforms of ten values: at 6 % fewer multiplications (maps of 16 and 32) F(6x4, 5x5) took
        // as long as F(4x4, 5x5), at 17 % fewer (12 and 24) 8 % less.
        let longer = if places > 64 { places / 10 } else { 0 };
        (fits(m.0, height) && fits(m.1, width)).then_some(tiles * (places + longer))
    }
}

/// The tiles of one convolution: each computes M outputs from N inputs, `M` apart.
#[derive(Debug, Clone, Copy)]
pub struct Tiling {
    /// Their kind.
    pub tile: Tile,
    /// Rows and columns of tiles on one image.
    pub rows: usize,
    /// Columns of tiles on one image.
    pub columns: usize,
    /// Height of what they cover.
    pub height: usize,
}

impl Tiling {
    /// The tiles of the forward pass and of the filter gradient, which cover the output.
    pub fn over_output(tile: Tile, shape: &ConvShape) -> Self {
        Self::over(tile, shape.window.y.output, shape.window.x.output)
    }

    /// The tiles of the data gradient, which cover the input.
    pub fn over_input(tile: Tile, shape: &ConvShape) -> Self {
        Self::over(tile, shape.window.y.input, shape.window.x.input)
    }

    fn over(tile: Tile, height: usize, width: usize) -> Self {
        let (my, mx) = tile.m();
        Self { tile, rows: height.div_ceil(my), columns: width.div_ceil(mx), height }
    }
}
