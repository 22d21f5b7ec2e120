//! `convert`: photos, in folders or a list, to TFRecord shards.

use std::path::{Path, PathBuf};

use floret::data::convert::{ClassFolders, ConvertOptions};
use floret::files::{FileError, create_folder};
use floret::image::DecodeOptions;

use crate::archive::{is_archive, unpack};
use crate::args::{self, Threads};
use crate::interrupt::Interrupt;
use crate::photos::{self, report};
use crate::ui::{self, say};
use crate::{Result, copies};

/// Turn a folder of photos, one sub-folder a class, an archive of one (.zip, .tgz), or a CSV list of photos into TFRecord shards.
///
/// A folder with sub-folders train and val (also: valid, validation, eval, test), which hold the class folders, stays split as
/// it is. A list is a table with the path of a photo (from the list's folder) and its class in each line, with or without a line of
/// headings, and perhaps its part, train, val or test: CSV, tabs, blanks, JSON lines, or a column of 0 and 1 for each class. Which
/// columns were taken is said.
///
/// Writes DATA_DIR/train-00000-of-00002.tfrecord and so on, eval-... likewise, and labels.txt with the names of the classes. Every
/// photo is decoded first; files that are no photos (JPEG, PNG, WebP, GIF, BMP, TIFF) are listed at the end and left out. A shard appears under its name
/// only when it is complete.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with one sub-folder a class: PHOTOS_DIR/cats/*.jpg, PHOTOS_DIR/dogs/*.png, ...; an archive of such; or a CSV list
    #[arg(value_name = "PHOTOS")]
    photos: PathBuf,
    /// Folder for the shards; made if it is missing
    #[arg(value_name = "DATA_DIR")]
    data: PathBuf,
    #[command(flatten)]
    shares: Shares,
    /// Take each folder that photos lie in, however deep, as a class of its own, such as `cats/siamese`
    #[arg(long)]
    nested_classes: bool,
    /// Most pixels that a photo may have; decoding one takes up to fifteen bytes for each. Training on such photos takes the flag, too
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N", default_value_t = DecodeOptions::default().max_pixels)]
    max_pixels: u64,
    /// Fail if any file can't be used, and write nothing
    #[arg(long)]
    strict: bool,
    /// Replace the data set that DATA_DIR holds already
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    threads: Threads,
}

// How photos are shared out. (No doc comment: clap would take it for the help of the subcommand.)
#[derive(clap::Args)]
pub struct Shares {
    /// Shards of the training photos, and as many of the evaluation photos (up to 500: all are open at once)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500), value_name = "N", default_value = "2")]
    shards: u32,
    /// Share of each class's photos kept for evaluation
    #[arg(long, value_parser = args::fraction, value_name = "X", default_value = "0.2")]
    eval_fraction: f64,
    /// Source of the split: the same seed and photos give the same split
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
}

impl Shares {
    pub fn options(&self) -> ConvertOptions {
        let Shares { shards, eval_fraction, seed } = *self;
        ConvertOptions { shards, eval_fraction, seed, ..ConvertOptions::default() }
    }
}

pub fn run(args: &Args) -> Result<()> {
    args.threads.apply()?;
    ui::outlive_reader();
    let nested = if args.nested_classes { ClassFolders::Innermost } else { ClassFolders::Outermost };
    let options = ConvertOptions {
        strict: args.strict,
        overwrite: args.overwrite,
        class_folders: nested,
        decode: DecodeOptions { max_pixels: args.max_pixels, ..DecodeOptions::default() },
        ..args.shares.options()
    };
    convert(&args.photos, &args.data, options, &Interrupt::catch()?)?;
    say!("\nNext:  flowers train --data {} --out run", ui::shell(&args.data));
    Ok(())
}

/// Converts a folder, a list or an archive, and says what came of it.
pub fn convert(photos: &Path, data: &Path, options: ConvertOptions, interrupt: &Interrupt) -> Result<()> {
    if photos.is_file() && is_archive(photos) {
        // Unpacked beside the data, where there is room for as much, and gone with this function.
        let beside = data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        create_folder(beside)?;
        let failed = |error| FileError::new(beside, "create a folder in", error);
        let temporary = tempfile::Builder::new().prefix(".photos-").tempdir_in(beside).map_err(failed)?;
        let unpacked = temporary.path().join("photos");
        unpack(photos, &unpacked, interrupt)?;
        say!("{} was unpacked", ui::path(photos));
        return convert_unpacked(&unpacked, photos, data, options, interrupt);
    }
    convert_unpacked(photos, photos, data, options, interrupt)
}

/// The same of the folder `photos`, which what is printed calls `name`.
fn convert_unpacked(
    photos: &Path,
    name: &Path,
    data: &Path,
    options: ConvertOptions,
    interrupt: &Interrupt,
) -> Result<()> {
    let plan = photos::plan(photos, name, Some(data), options, interrupt)?;
    let mut report = photos::write(plan, data, interrupt)?;
    let paths = (report.bad.iter_mut().map(|bad| &mut bad.path))
        .chain(report.passed_over.iter_mut().map(|passed| &mut passed.path))
        .chain(report.copies.iter_mut().flat_map(|copies| &mut copies.photos).map(|copy| &mut copy.path))
        .chain(&mut report.uniform)
        .chain(&mut report.without_end);
    paths.for_each(|path| *path = photos::renamed(path, photos, name));
    copies::save(&report, data)?;
    report::print(&report);
    report::note_doubts(&report);
    Ok(())
}
