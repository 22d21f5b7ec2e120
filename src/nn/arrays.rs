//! Where a layer's arrays lie.

use std::ops::Range;

/// Where a layer's arrays lie among those of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrays {
    pub params: Range<usize>,
    pub state: Range<usize>,
}
