//! The program `flowers`, which lives in the crate of that name: `cargo run --release --example flowers`.

fn main() -> std::process::ExitCode {
    flowers::main()
}
