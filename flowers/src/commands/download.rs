//! `download`: photos from the network, ready to train on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use floret::data::convert::is_unfinished;
use floret::files::HeldFolder;
use floret::files::create_folder;

use super::convert::{self, Shares};
use crate::Result;
use crate::archive::{BadArchive, unpack};
use crate::args::{self, Threads};
use crate::download::{Fetch, Source, flower_photos, no_tls, verify};
use crate::files::LABELS;
use crate::folder::Folder;
use crate::interrupt::Interrupt;
use crate::ui::{self, note, say};

/// Download TensorFlow's flower photos (3,670 in five classes, 229 MB), and turn them into TFRecord shards.
///
/// Fetches the archive, unpacks it as OUT/photos and writes the shards to OUT/data. A download that is broken off, by Ctrl-C
/// as by a cut connection, goes on with the next call. Archives (.tgz) of other photos, one folder a class, are fetched with
/// --url or taken with --archive.
#[derive(clap::Args)]
pub struct Args {
    /// Where the photos and the shards go
    #[arg(long, value_name = "DIR", default_value = "flower-photos")]
    out: PathBuf,
    /// The archive's address, by plain HTTP [default: that of TensorFlow's flower photos, whose SHA-256 is known]
    #[arg(long, value_name = "ADDRESS")]
    url: Option<String>,
    /// An archive that is here already
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    archive: Option<PathBuf>,
    /// The SHA-256 that the archive must have
    #[arg(long, value_parser = sha256, value_name = "HEX")]
    sha256: Option<String>,
    /// How long the server may keep silent
    #[arg(long, value_parser = args::positive, value_name = "SECONDS", default_value = "60")]
    timeout: usize,
    /// Attempts after one that brought nothing new
    #[arg(long, value_name = "N", default_value = "5")]
    retries: usize,
    #[command(flatten)]
    shares: Shares,
    #[command(flatten)]
    threads: Threads,
}

fn sha256(text: &str) -> std::result::Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_lowercase())
    } else {
        Err("64 hexadecimal digits are wanted".into())
    }
}

pub fn run(args: &Args) -> Result<()> {
    args.threads.apply()?;
    let source = source(args)?;
    let interrupt = Interrupt::catch()?;
    create_folder(&args.out)?;
    let held = HeldFolder::claim(&args.out)?.without_trace();
    if let Some(error) = held.unlocked() {
        let out = ui::path(&args.out);
        note!("note: {out} can't be locked ({error}): see to it yourself that no other download uses it");
    }
    let known = is_known(args);
    let fetch = Fetch {
        folder: &args.out,
        bytes: known.then_some(flower_photos::BYTES),
        timeout: Duration::from_secs(args.timeout as u64),
        retries: args.retries,
        interrupt: &interrupt,
    };
    let [photos, data] = ["photos", "data"].map(|name| args.out.join(name));
    fetch.claim_source(&source, &[&photos, &data])?;
    if photos.is_dir() {
        say!("{} is there already", ui::path(&photos));
    } else {
        unpack_from(args, &source, &fetch, &photos)?;
    }
    if known {
        let go_on = || match interrupt.exit_code() {
            None => Ok(()),
            Some(_) => Err(interrupt.error("the photos were not checked; the same command goes on".into())),
        };
        flower_photos::check(&photos, &flower_photos::CLASSES, go_on)?;
    }
    held.check()?;
    if data.join(LABELS).exists() && !is_unfinished(&data) {
        say!("{} is there already; to have it made anew, remove it", ui::path(&data));
    } else {
        convert::convert(&photos, &data, args.shares.options(), &interrupt)?;
    }
    say!("\nNext:  flowers train --data {} --out run", ui::shell(&data));
    Ok(())
}

/// Whether the archive is the one that this program knows.
fn is_known(args: &Args) -> bool {
    args.url.is_none() && args.archive.is_none()
}

fn source(args: &Args) -> Result<Source> {
    if let Some(file) = &args.archive {
        return Ok(Source::File(std::path::absolute(file)?));
    }
    let address = args.url.as_deref().unwrap_or(flower_photos::ADDRESS);
    match address.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Ok(Source::Address(address.into())),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
            Err(no_tls(&format!("{} is an https:// address", ui::escaped(address))))
        }
        _ => {
            Err(format!("{} is no address such as http://example.org/photos.tgz", ui::escaped(address))
                .into())
        }
    }
}

/// Gets hold of the archive, and unpacks it.
fn unpack_from(args: &Args, source: &Source, fetch: &Fetch<'_>, photos: &Path) -> Result<()> {
    let wanted = match &args.sha256 {
        None if is_known(args) => Some(flower_photos::SHA256),
        given => given.as_deref(),
    };
    let part = match source {
        Source::File(file) => file.clone(),
        Source::Address(address) => {
            say!("from {source}");
            fetch.archive(address)?
        }
    };
    let fetched = matches!(source, Source::Address(_));
    if let Some(wanted) = wanted {
        verify(&part, wanted, fetch.interrupt).inspect_err(|error| {
            // What is wrong stays wrong: the next call must not go on with it.
            if fetched && error.is::<BadArchive>() {
                fetch.discard();
            }
        })?;
    }
    let archive = if fetched { fetch.accept(&part)? } else { part };
    unpack(&archive, photos, fetch.interrupt).inspect_err(|error| {
        if fetched && error.is::<BadArchive>() {
            fetch.discard();
        }
    })?;
    if fetched {
        fetch.discard();
    }
    let classes = Folder::list(photos)?.folders.len();
    say!("unpacked {classes} folders to {}", ui::path(photos));
    Ok(())
}
