//! The instruction sets that tests run the kernels on.

use floret_math::simd::Isa;

/// Every instruction set that this processor has, up to the one that `FLORET_ISA` names.
///
/// Fails if one of those that `FLORET_REQUIRE_ISA` lists (`avx2,avx512`) is not among them: it would go untested unnoticed.
#[track_caller]
pub fn instruction_sets() -> Vec<Isa> {
    let sets: Vec<Isa> = Isa::available().filter(|isa| *isa <= Isa::best()).collect();
    let names: Vec<&str> = sets.iter().map(|isa| isa.name()).collect();
    println!("instruction sets: {}", names.join(", "));
    let required = std::env::var("FLORET_REQUIRE_ISA").unwrap_or_default();
    let missing = required.split(',').filter(|name| !name.is_empty()).find(|name| !names.contains(name));
    assert_eq!(missing, None, "FLORET_REQUIRE_ISA asks for it, but the tests would run on {names:?} only");
    sets
}
