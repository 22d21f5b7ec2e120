//! What rounds.

use std::env::consts;
use std::fmt;

use serde::{Deserialize, Serialize};

use floret_math::simd::Isa;

/// What the last bits of a result depend on besides seed, settings and data: where any of these differ, sums may be taken in
/// another order or rounded otherwise, and after many steps a network trained from the same seed is another one of the same
/// quality. The number of threads, the cache and interruptions are not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Arithmetic {
    /// The version of this crate.
    pub floret: String,
    /// The processor's architecture, such as `x86_64`.
    pub architecture: String,
    /// The system, whose mathematical functions are used, such as `linux`.
    pub system: String,
    /// The kernels' instruction set, such as `avx2`: [`Isa::name`].
    pub instructions: String,
}

impl Arithmetic {
    /// That of this process, with kernels of the best instruction set.
    ///
    /// # Panics
    /// As [`Isa::best`].
    pub fn here() -> Self {
        Self::with(Isa::best())
    }

    /// That of this process, with kernels of instruction set `isa`.
    pub fn with(isa: Isa) -> Self {
        Self {
            floret: env!("CARGO_PKG_VERSION").into(),
            architecture: consts::ARCH.into(),
            system: consts::OS.into(),
            instructions: isa.name().into(),
        }
    }
}

impl fmt::Display for Arithmetic {
    /// `floret 0.1.0 with avx2 on x86_64 linux`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { floret, architecture, system, instructions } = self;
        write!(f, "floret {floret} with {instructions} on {architecture} {system}")
    }
}
