//! Arguments that several subcommands have, and how numbers are read.
//!
//! The flags of training's settings are made of the library's table of them.

use std::marker::PhantomData;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use floret::recipe::{Choices, Keys, SETTINGS, Setting};

use crate::Result;

// No doc comments on these structs: clap would take them for the help of the subcommand that they are part of.

#[derive(clap::Args)]
pub struct Threads {
    /// Threads to compute with [default: one a core]
    #[arg(long, value_parser = positive, value_name = "N")]
    threads: Option<usize>,
}

/// Threads for each core, at most, and what may be asked for whatever the number of cores.
const THREADS_PER_CORE: usize = 4;
const LEAST_LIMIT: usize = 64;

impl Threads {
    /// Sets the number of threads of everything that follows; without the flag it is rayon's choice, one a core.
    pub fn apply(&self) -> Result<()> {
        if let Some(threads) = self.threads {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            let most = (THREADS_PER_CORE * cores).max(LEAST_LIMIT);
            if threads > most {
                return Err(format!(
                    "--threads {threads} is too many for {}, {} at most; one a core, the default, is fastest",
                    crate::ui::count(cores, "core"),
                    most
                )
                .into());
            }
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }
        Ok(())
    }
}

/// Which of the library's settings a subcommand has flags for.
pub trait Selection {
    /// Whether they are so many that the help needs headings.
    const HEADINGS: bool = false;
    /// The flag that they go with, if they go with one alone.
    const REQUIRES: Option<&'static str> = None;

    fn has(name: &str) -> bool;
}

/// All of them.
pub struct Everything;

impl Selection for Everything {
    const HEADINGS: bool = true;

    fn has(_: &str) -> bool {
        true
    }
}

/// How records are read.
pub struct OfRecords;

impl Selection for OfRecords {
    fn has(name: &str) -> bool {
        OfKeys::has(name) || ["label-offset", "skip-bad", "max-pixels"].contains(&name)
    }
}

/// The same where records are read with `--pipeline` alone.
pub struct OfPipeline;

impl Selection for OfPipeline {
    const REQUIRES: Option<&'static str> = Some("pipeline");

    fn has(name: &str) -> bool {
        OfRecords::has(name)
    }
}

/// How photos become a network's input.
pub struct OfInput;

impl Selection for OfInput {
    fn has(name: &str) -> bool {
        ["fit", "crop-share", "normalize", "channel-order"].contains(&name)
    }
}

/// Under which names their features are.
pub struct OfKeys;

impl Selection for OfKeys {
    fn has(name: &str) -> bool {
        ["image-key", "label-key", "pixels"].contains(&name)
    }
}

/// The values of those flags.
pub struct Flags<S> {
    pub choices: Choices,
    selection: PhantomData<S>,
}

impl<S> Flags<S> {
    /// The features of records.
    pub fn keys(&self) -> Keys {
        self.choices.keys()
    }
}

impl<S: Selection> clap::Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        let selected = SETTINGS.iter().filter(|setting| S::has(setting.name));
        command.args(selected.map(|setting| {
            let heading = S::HEADINGS.then(|| setting.group.heading());
            let argument = argument(setting).help_heading(heading);
            match S::REQUIRES {
                Some(flag) => argument.requires(flag),
                None => argument,
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Selection> FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let mut flags = Self { choices: Choices::default(), selection: PhantomData };
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        for setting in SETTINGS.iter().filter(|setting| S::has(setting.name)) {
            let text = match setting.is_switch() {
                true => matches.get_flag(setting.name).then(|| true.to_string()),
                false => matches.get_one::<String>(setting.name).cloned(),
            };
            let Some(text) = text else { continue };
            let chosen = setting.choose(&mut self.choices, &text);
            chosen.map_err(|error| clap::Error::raw(clap::error::ErrorKind::ValueValidation, error))?;
        }
        Ok(())
    }
}

/// What a setting is, with the names of others as flags.
fn help(setting: &Setting) -> String {
    let mut help = setting.help.to_owned();
    for other in SETTINGS {
        help = help.replace(&format!("`{}`", other.name), &format!("--{}", other.name));
    }
    help
}

/// The flag of a setting.
fn argument(setting: &'static Setting) -> Arg {
    let argument = Arg::new(setting.name).long(setting.name).help(help(setting));
    let argument = argument.conflicts_with_all(setting.excludes);
    let argument = if setting.is_of_model { argument.conflicts_with("start-from") } else { argument };
    if setting.is_switch() {
        return argument.action(ArgAction::SetTrue);
    }
    let argument = match setting.alone {
        Some(value) => argument.num_args(0..=1).default_missing_value(value),
        None => argument,
    };
    let argument = argument.value_name(setting.value);
    let values = setting.values();
    if values.is_empty() {
        let check = |text: String| setting.choose(&mut Choices::default(), &text).map(|()| text);
        return argument.value_parser(StringValueParser::new().try_map(check));
    }
    let values = values.into_iter().map(|(name, about)| PossibleValue::new(name).help(about));
    argument.value_parser(PossibleValuesParser::new(values))
}

/// An image side.
pub fn image_size(text: &str) -> std::result::Result<usize, String> {
    let mut choices = Choices::default();
    Setting::named("image-size").ok_or("there is no such setting")?.choose(&mut choices, text)?;
    choices.image_size.ok_or_else(|| "a value is wanted".into())
}

/// The largest count of anything.
const MOST: usize = 1 << 20;

/// A count of at least one.
pub fn positive(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MOST).contains(&count) => Ok(count),
        _ => Err(format!("a whole number from 1 to {MOST} is wanted")),
    }
}

/// A number from 0 to under 1.
pub fn fraction(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("a number from 0 to under 1 is wanted".into()),
    }
}
