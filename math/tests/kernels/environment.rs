//! What the environment asks for, by name.

use std::ffi::OsString;

use floret_math::conv::ConvAlgorithm;
use floret_math::env::named;
use floret_math::simd::{Isa, Unavailable};

#[test]
fn names_are_found_and_others_are_errors_that_list_them() {
    let isa = |value: Option<&str>| named("FLORET_ISA", value.map(OsString::from), &Isa::ALL, Isa::name);
    assert_eq!([isa(None), isa(Some(""))], [Ok(None), Ok(None)]);
    for set in Isa::ALL {
        assert_eq!(isa(Some(set.name())), Ok(Some(set)));
    }
    let message = isa(Some("avx521")).unwrap_err().to_string();
    assert_eq!(
        message,
        "the environment variable FLORET_ISA is `avx521`, but must be one of portable, avx2, avx512"
    );
    let conv = named("FLORET_CONV", Some("wingorad".into()), &ConvAlgorithm::ALL, ConvAlgorithm::name);
    assert!(
        conv.unwrap_err().to_string().ends_with("is `wingorad`, but must be one of auto, im2col, winograd")
    );
}

#[test]
fn an_instruction_set_that_is_missing_is_an_error_that_lists_what_there_is() {
    let message = Unavailable(Isa::Avx512).to_string();
    assert!(message.starts_with("this processor does not have the instruction set avx512; it has portable"));
    for isa in Isa::ALL {
        assert_eq!(isa.check().is_ok(), Isa::available().any(|available| available == isa));
    }
    assert!(Isa::best().is_available());
}
