//! Photos of one's own: found, checked and counted, in the words of the program.

pub mod report;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use floret::data::convert::{Conversion, ConvertError, ConvertOptions, ConvertPlan, ConvertReport, Part};

use crate::interrupt::Interrupt;
use crate::photo_list::PhotoList;
use crate::ui::{self, Progress, Unit, say};
use crate::{Error, Result};

/// Finds the photos of a folder or a list and checks each, to be written to `data` or used where they are. What is printed calls
/// the folder `name`.
pub fn plan(
    photos: &Path,
    name: &Path,
    data: Option<&Path>,
    options: ConvertOptions,
    interrupt: &Interrupt,
) -> Result<ConvertPlan> {
    let conversion = if photos.is_file() {
        let PhotoList { classes, photos: listed, columns } = PhotoList::read(photos)?;
        say!("{}: {columns}", ui::path(photos));
        match data {
            Some(data) => Conversion::of_list(photos, classes, listed, data, options),
            None => Conversion::of_list_in_place(photos, classes, listed, options),
        }
    } else {
        let found = match data {
            Some(data) => Conversion::new(photos, data, options),
            None => Conversion::in_place(photos, options),
        };
        found.inspect(|conversion| say_where(conversion, photos, name))
    };
    let check = |conversion: Conversion| {
        let files = conversion.files() as u64;
        shown("checking", files, interrupt, |done| conversion.check(done))
    };
    conversion.and_then(check).map_err(|error| told(error, interrupt, data))
}

/// Writes the shards to `data`.
pub fn write(plan: ConvertPlan, data: &Path, interrupt: &Interrupt) -> Result<ConvertReport> {
    let photos = [Part::Train, Part::Eval, Part::Test].map(|part| plan.part(part).len() as u64).iter().sum();
    let written = shown("writing", photos, interrupt, |done| plan.write(done));
    written.map_err(|error| told(error, interrupt, Some(data)))
}

/// A path within the folder `photos`, if that were called `name`.
pub fn renamed(path: &Path, photos: &Path, name: &Path) -> PathBuf {
    match path.strip_prefix(photos) {
        Ok(rest) if rest.as_os_str().is_empty() => name.into(),
        Ok(rest) => name.join(rest),
        Err(_) => path.into(),
    }
}

/// Says where the classes of a folder were found.
fn say_where(conversion: &Conversion, photos: &Path, name: &Path) {
    let roots = conversion.class_roots().iter().map(|root| ui::path(&renamed(root, photos, name)));
    let roots: Vec<String> = roots.collect();
    let split = if roots.len() > 1 { ", split as they are" } else { "" };
    let (classes, files) = (conversion.classes().len(), ui::count(conversion.files(), "file"));
    say!("{classes} classes, the folders in {}{split}: {files}", roots.join(", "));
}

/// Runs `work`, which tells how many files are done, behind a progress bar, and breaks it off when a signal came.
fn shown<T>(
    what: &str,
    total: u64,
    interrupt: &Interrupt,
    work: impl FnOnce(&(dyn Fn(usize) -> ControlFlow<()> + Sync)) -> std::result::Result<T, ConvertError>,
) -> std::result::Result<T, ConvertError> {
    let progress = Progress::new(what, total, Unit::Photos);
    work(&|done| {
        progress.set(done as u64);
        match interrupt.exit_code() {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    })
}

/// The error, in the words of a signal where one broke the work off.
fn told(error: ConvertError, interrupt: &Interrupt, data: Option<&Path>) -> Error {
    match error {
        ConvertError::Interrupted if interrupt.exit_code().is_some() => interrupt.error(match data {
            Some(data) => format!("nothing was written to {}; the same command begins again", data.display()),
            None => "the photos were still being checked; the same command begins again".into(),
        }),
        error => error.into(),
    }
}
