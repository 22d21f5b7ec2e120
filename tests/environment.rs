//! How kernels are chosen: by the builder, by environment variables, and what of it stays with a network.

use std::process::Command;

use floret::math::Isa;
use floret::network::{Network, NetworkBuilder, NetworkError};
use floret::nn::{Dense, Shape};

fn builder() -> NetworkBuilder {
    Network::builder(Shape::Vector(4)).add(Dense::new(3))
}

#[test]
fn a_network_is_built_for_instruction_sets_that_the_processor_has() {
    for isa in Isa::ALL {
        match builder().isa(isa).build() {
            Ok(network) => {
                assert!(isa.is_available());
                assert_eq!([network.isa(), network.clone().isa()], [isa, isa]);
                assert_eq!(network.spec(), builder().build().unwrap().spec(), "no part of the description");
            }
            Err(error) => {
                assert!(!isa.is_available());
                assert!(matches!(error, NetworkError::Unavailable(missing) if missing.0 == isa), "{error}");
            }
        }
    }
    assert_eq!(builder().build().unwrap().isa(), Isa::best());
}

/// Run by the test below in processes of its own: variables are read once.
#[test]
fn in_this_environment() {
    match (builder().build(), builder().training_memory(1)) {
        (Ok(network), Ok(_)) => println!("built for {}", network.isa().name()),
        (Err(NetworkError::Environment(error)), Err(NetworkError::Environment(_))) => {
            println!("refused: {error}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn variables_that_name_nothing_are_errors_that_list_the_names() {
    let cases = [
        ("FLORET_ISA", "portable", "built for portable"),
        (
            "FLORET_ISA",
            "avx521",
            "refused: the environment variable FLORET_ISA is `avx521`, but must be one of portable, avx2, avx512",
        ),
        ("FLORET_CONV", "im2col", "built for "),
        (
            "FLORET_CONV",
            "wingorad",
            "refused: the environment variable FLORET_CONV is `wingorad`, but must be one of auto, im2col, winograd",
        ),
    ];
    for (variable, value, want) in cases {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--exact", "environment::in_this_environment", "--nocapture"]).env(variable, value);
        let output = tests.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains(want), "{variable}={value}: {text}");
    }
}
