//! `flowers`: trains, evaluates and uses image classifiers, from folders of photos or TFRecord files.
//!
//! Without a subcommand it runs the whole job on pictures it draws itself. Each subcommand has a file in `commands/`.

mod archive;
mod args;
mod commands;
mod copies;
mod data;
mod demo;
mod download;
mod evaluation;
mod files;
mod folder;
mod heat_map;
mod interrupt;
mod machine;
mod messages;
mod photo_list;
mod photos;
mod reading;
mod report_html;
mod run_file;
mod survey;
mod tables;
mod ui;
mod words;

use std::process::ExitCode;

pub use heat_map::heat_map;

use clap::{Parser, Subcommand};

/// Any error: its message is whole, and `main` prints it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// Trains image classifiers on the CPU, from folders of photos or TFRecord files.
///
/// Without a subcommand: draws pictures of flowers, writes them as TFRecords, trains a network on them, saves it, loads
/// it back and evaluates it. That takes about a minute and shows what each subcommand does.
#[derive(Parser)]
#[command(name = "flowers", version, args_conflicts_with_subcommands = true, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: commands::demo::Args,
    /// When to use color
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: ui::When,
}

const EXAMPLE: &str = "\
With photos of your own, one sub-folder a class:
  flowers convert my-photos data                   my-photos/cats/*.jpg, my-photos/dogs/*.png, ... become TFRecords
  flowers train   --data data --out run            the best network so far is run/model.safetensors
  flowers eval    --data data --model run/model.safetensors
  flowers predict --model run/model.safetensors holiday.jpg
Without photos of your own:
  flowers download --out flower-photos             TensorFlow's flower photos (229 MB), as TFRecords in flower-photos/data

`flowers SUBCOMMAND --help` explains each flag. From a clone, `flowers` is `cargo run --release --example flowers --`.";

#[derive(Subcommand)]
enum Command {
    Download(commands::download::Args),
    Convert(commands::convert::Args),
    Train(commands::train::Args),
    Eval(commands::eval::Args),
    Predict(commands::predict::Args),
    Report(commands::report::Args),
    Export(commands::export::Args),
    Import(commands::import::Args),
    Inspect(commands::inspect::Args),
    Bench(commands::bench::Args),
}

/// Runs the program with this process's arguments; its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.apply();
    let done = match cli.command {
        None => commands::demo::run(&cli.demo),
        Some(Command::Download(args)) => commands::download::run(&args),
        Some(Command::Convert(args)) => commands::convert::run(&args),
        Some(Command::Train(args)) => commands::train::run(&args),
        Some(Command::Eval(args)) => commands::eval::run(&args),
        Some(Command::Predict(args)) => commands::predict::run(&args),
        Some(Command::Report(args)) => commands::report::run(&args),
        Some(Command::Export(args)) => commands::export::run(&args),
        Some(Command::Import(args)) => commands::import::run(&args),
        Some(Command::Inspect(args)) => commands::inspect::run(&args),
        Some(Command::Bench(args)) => commands::bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<interrupt::Interrupted>() {
            Some(interrupted) => {
                ui::tell(ui::Level::Interrupted, format_args!("{interrupted}"));
                ExitCode::from(interrupted.exit_code)
            }
            None => {
                ui::error!("{}", messages::message(error.as_ref()));
                ExitCode::FAILURE
            }
        },
    }
}
