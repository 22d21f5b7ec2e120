//! An archive from the network: over as many requests as it takes, each going on where the one before ended.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use floret::files::{FileError, write_atomically};
use indicatif::HumanBytes;
use serde::{Deserialize, Serialize};

use super::transfer::{Answer, Piece, Stop, Transfer, agent};
use crate::interrupt::Interrupt;
use crate::ui::{self, Busy, PLAIN_INTERVAL, Progress, Unit, note};
use crate::{Error, Result};

/// The largest archive that is fetched.
const MAX_BYTES: u64 = 16 << 30;
/// What is known of the archive under way.
const STATE: &str = ".download.json";
/// More than that ever takes.
const MAX_STATE_BYTES: u64 = 1 << 16;
/// The whole archive.
const ARCHIVE: &str = "photos.tgz";
/// What has come of it.
const PART: &str = "photos.tgz.part";
/// The longest wait before another attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where an archive is from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Address(String),
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Address(address) => f.write_str(&ui::escaped(address)),
            Source::File(path) => f.write_str(&ui::path(path)),
        }
    }
}

/// What the folder of a download is about.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    source: Source,
    /// What tells the file there from another; without it the rest of it can't be asked for.
    validator: Option<String>,
    /// Its length, if the server told it.
    length: Option<u64>,
}

/// An archive to be fetched into a folder.
pub struct Fetch<'a> {
    /// The folder, held by the caller.
    pub folder: &'a Path,
    /// The length it must have, where that is known.
    pub bytes: Option<u64>,
    /// How long nothing may come.
    pub timeout: Duration,
    /// Attempts after one that brought nothing new.
    pub retries: usize,
    pub interrupt: &'a Interrupt,
}

/// Why an attempt did not bring the whole.
enum Fault {
    /// Another may.
    Passing(String),
    Final(Error),
    Interrupted,
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Fault::Final(error.into())
    }
}

impl Fetch<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes the folder one of this source, in which the paths `ours` may be made, used and removed.
    ///
    /// # Errors
    /// A folder that holds a download from elsewhere, or files of somebody else's under these names.
    pub fn claim_source(&self, source: &Source, ours: &[&Path]) -> Result<()> {
        match self.state()? {
            Some(state) if state.source != *source => Err(format!(
                "{} holds the download of {}: choose another folder (--out), or remove that",
                ui::path(self.folder),
                state.source
            )
            .into()),
            Some(_) => Ok(()),
            None => {
                let archives = [self.path(ARCHIVE), self.path(PART)];
                let mut all = ours.iter().copied().chain(archives.iter().map(PathBuf::as_path));
                if let Some(other) = all.find(|path| fs::symlink_metadata(path).is_ok()) {
                    return Err(format!(
                        "{} was there before any download to {}: choose another folder (--out)",
                        ui::path(other),
                        ui::path(self.folder)
                    )
                    .into());
                }
                self.write_state(&State { source: source.clone(), validator: None, length: None })
            }
        }
    }

    /// Fetches the archive, if it is not there; where it is then. What has come stays when the work is broken off, and the
    /// next call goes on from it.
    ///
    /// # Errors
    /// A server that does not have the archive, one of the wrong length or over the limit; attempts that brought nothing; a
    /// file that can't be written; a signal.
    pub fn archive(&self, address: &str) -> Result<PathBuf> {
        let archive = self.path(ARCHIVE);
        if archive.try_exists().map_err(|error| FileError::new(&archive, "open", error))? {
            return Ok(archive);
        }
        let (mut most, mut failures) = (self.have()?, 0);
        loop {
            let reason = match self.attempt(address) {
                Ok(()) => break,
                Err(Fault::Passing(reason)) => reason,
                Err(Fault::Final(error)) => return Err(error),
                Err(Fault::Interrupted) => return Err(self.interrupted()),
            };
            let have = self.have()?;
            // Counted from the most that there ever was: a server without ranges could begin anew for ever.
            failures = if have > most { 1 } else { failures + 1 };
            most = most.max(have);
            if failures > self.retries {
                let have = HumanBytes(have);
                let part = ui::path(&self.path(PART));
                return Err(format!(
                    "{}: {reason}; {have} of it are kept in {part}, and the same command goes on",
                    ui::escaped(address)
                )
                .into());
            }
            let wait = LONGEST_WAIT.min(Duration::from_secs(1 << failures.min(8)) / 2);
            note!("note: {reason}; trying again in {}", ui::duration(wait.as_secs_f64()));
            self.wait(wait)?;
        }
        // The name says that it is whole, after a power cut too.
        let part = self.path(PART);
        File::open(&part)
            .and_then(|file| file.sync_all())
            .map_err(|error| FileError::new(&part, "sync", error))?;
        Ok(part)
    }

    /// Gives what has come its name, once it is known to be right.
    pub fn accept(&self, part: &Path) -> Result<PathBuf> {
        let archive = self.path(ARCHIVE);
        if part != archive {
            fs::rename(part, &archive).map_err(|error| FileError::new(&archive, "rename", error))?;
        }
        Ok(archive)
    }

    /// Removes the archive.
    pub fn discard(&self) {
        for name in [PART, ARCHIVE] {
            // What is left takes room, and is replaced.
            let _ = fs::remove_file(self.path(name));
        }
    }

    fn interrupted(&self) -> Error {
        let have = HumanBytes(self.have().unwrap_or(0));
        let part = ui::path(&self.path(PART));
        self.interrupt.error(format!("{have} of the archive are kept in {part}; the same command goes on"))
    }

    fn wait(&self, time: Duration) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < time {
            if self.interrupt.exit_code().is_some() {
                return Err(self.interrupted());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The bytes that have come.
    fn have(&self) -> Result<u64> {
        let part = self.path(PART);
        match fs::symlink_metadata(&part) {
            Ok(found) if found.is_file() => Ok(found.len()),
            Ok(_) => Err(format!("{} is no regular file: move it away", ui::path(&part)).into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(FileError::new(part, "open", error).into()),
        }
    }

    /// One request, to the end of what it brings.
    fn attempt(&self, address: &str) -> std::result::Result<(), Fault> {
        let (have, state) = (self.have()?, self.state()?);
        let known = state.as_ref().and_then(|state| Some((state.validator.as_deref()?, state.length?)));
        let after = known.filter(|(_, length)| (1..*length).contains(&have));
        if known.is_some_and(|(_, length)| have == length) {
            return Ok(());
        }
        let transfer =
            Transfer::start(&agent(self.timeout), address, after.map(|(validator, _)| (have, validator)));
        let Piece::Answer(answer) = self.next(&transfer)? else {
            return Err(Fault::Passing("the server's answer makes no sense".into()));
        };
        let begin = match (answer.status, after) {
            (200, _) => 0,
            (206, Some((validator, length))) => {
                // Whatever `If-Range` means to the server, it must be the same file.
                let same = answer.validator.as_deref().is_none_or(|other| other == validator);
                if !same || answer.range != Some((have, length)) {
                    return Err(self.begin_anew("the server went on with another file"));
                }
                have
            }
            (416, Some(_)) => return Err(self.begin_anew("the server's file is shorter than what has come")),
            (status @ (408 | 429 | 500..=599), _) => {
                return Err(Fault::Passing(format!("the server answers with status {status}")));
            }
            (status, _) => return Err(refused(address, status)),
        };
        let length = if begin == 0 { answer.length } else { known.map(|(_, length)| length) };
        self.check_length(address, length)?;
        if begin == 0 && have > 0 {
            note!("note: the server sends the archive from its beginning");
        }
        let mut part = self.open_part(begin)?;
        if begin == 0 {
            // After the part was emptied: it never holds bytes of another file than the state tells of.
            let Answer { validator, length, .. } = answer;
            self.write_state(&State { source: Source::Address(address.into()), validator, length })?;
        }
        let got = self.receive(&transfer, &mut part, begin, length)?;
        match length {
            Some(length) if got < length => Err(Fault::Passing(format!(
                "the connection ended after {} of {}",
                HumanBytes(got),
                HumanBytes(length)
            ))),
            _ => Ok(()),
        }
    }

    /// Writes what comes behind the first `begin` bytes; how many there are then.
    fn receive(
        &self,
        transfer: &Transfer,
        part: &mut File,
        begin: u64,
        length: Option<u64>,
    ) -> std::result::Result<u64, Fault> {
        let most = length.or(self.bytes).unwrap_or(MAX_BYTES);
        let progress = length.map(|length| Progress::from("downloading", begin, length, Unit::Bytes));
        let _busy = length.is_none().then(|| Busy::new("downloading".into(), PLAIN_INTERVAL));
        let mut got = begin;
        loop {
            match self.next(transfer)? {
                Piece::Bytes(bytes) => {
                    got += bytes.len() as u64;
                    if got > most {
                        return Err(too_long(most).into());
                    }
                    part.write_all(&bytes).map_err(|error| self.cannot_write(error))?;
                    progress.iter().for_each(|progress| progress.set(got));
                }
                Piece::End => return Ok(got),
                Piece::Answer(_) => return Err(Fault::Passing("the server's answer makes no sense".into())),
            }
        }
    }

    fn next(&self, transfer: &Transfer) -> std::result::Result<Piece, Fault> {
        transfer.next(self.interrupt).map_err(|stop| match stop {
            Stop::Interrupted => Fault::Interrupted,
            Stop::Failed(error) => self.failed(error),
        })
    }

    fn failed(&self, error: ureq::Error) -> Fault {
        use ureq::Error as E;
        let timed_out = || {
            let seconds = self.timeout.as_secs();
            Fault::Passing(format!("nothing came from the server for {seconds} s"))
        };
        match error {
            E::Timeout(_) => timed_out(),
            E::Io(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
                timed_out()
            }
            E::Io(_) | E::ConnectionFailed | E::HostNotFound | E::BodyStalled | E::Protocol(_) => {
                Fault::Passing(format!("the connection failed ({error})"))
            }
            E::TlsRequired => Fault::Final(no_tls("the server leads on to an https:// address")),
            error => Fault::Final(format!("the download failed: {error}").into()),
        }
    }

    /// What has come is of no more use.
    fn begin_anew(&self, reason: &str) -> Fault {
        match self.open_part(0) {
            Ok(_) => Fault::Passing(reason.into()),
            Err(error) => error.into(),
        }
    }

    /// The part, cut to `begin` bytes, to be written on.
    fn open_part(&self, begin: u64) -> Result<File> {
        let part = self.path(PART);
        let opened = OpenOptions::new().create(true).append(true).open(&part);
        let file = opened.map_err(|error| FileError::new(&part, "open", error))?;
        file.set_len(begin).map_err(|error| self.cannot_write(error))?;
        Ok(file)
    }

    fn cannot_write(&self, error: io::Error) -> Error {
        let hint = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its disk",
            ErrorKind::FileTooLarge => "raise the limit on the size of files (ulimit -f)",
            _ => "see whether its disk is sound",
        };
        let error = FileError::new(self.path(PART), "write", error);
        format!("{error}: {hint}, and the same command goes on").into()
    }

    fn check_length(&self, address: &str, length: Option<u64>) -> Result<()> {
        match (length, self.bytes) {
            (Some(length), Some(wanted)) if length != wanted => Err(format!(
                "{}: the archive there has {length} bytes, not {wanted}, so it is another: with --url ADDRESS it is taken as it \
                 is",
                ui::escaped(address)
            )
            .into()),
            (Some(length), None) if length > MAX_BYTES => Err(too_long(MAX_BYTES)),
            _ => Ok(()),
        }
    }

    fn state(&self) -> Result<Option<State>> {
        let path = self.path(STATE);
        let failed = |error| FileError::new(&path, "read", error);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error).into()),
        };
        if !found.is_file() || found.len() > MAX_STATE_BYTES {
            return Err(not_ours(&path));
        }
        let mut text = String::new();
        let file = File::open(&path).map_err(failed)?;
        file.take(MAX_STATE_BYTES).read_to_string(&mut text).map_err(failed)?;
        serde_json::from_str(&text).map(Some).map_err(|_| not_ours(&path))
    }

    fn write_state(&self, state: &State) -> Result<()> {
        let text = serde_json::to_vec(state)?;
        Ok(write_atomically(self.path(STATE), |file| file.write_all(&text))?)
    }
}

fn not_ours(path: &Path) -> Error {
    format!("{} was not written by this program: move it away", ui::path(path)).into()
}

fn too_long(limit: u64) -> Error {
    format!("the server sends more than the {limit} bytes that it may").into()
}

fn refused(address: &str, status: u16) -> Fault {
    let hint = match status {
        404 | 410 => ": there is no such file; look whether the address is right",
        401 | 403 => ": it keeps the file to itself",
        _ => "",
    };
    Fault::Final(format!("{}: the server answers with status {status}{hint}", ui::escaped(address)).into())
}

/// What to do without TLS.
pub fn no_tls(what: &str) -> Error {
    format!(
        "{what}, but this program speaks plain HTTP alone: fetch the archive with a browser or `curl -LO`, and give it the file: \
         flowers download --archive FILE"
    )
    .into()
}
