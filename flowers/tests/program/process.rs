//! The program while it runs: its lines as they come, signals and limits.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tempfile::{NamedTempFile, TempDir};

use crate::support::{flowers, heeding_signals};

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder in memory, where there is room for it: the checkpoints of these tests are large, and they are many.
pub fn fast_folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

/// A started program. Killed when dropped.
pub struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it prints to standard error, which may be looked at any time.
    errors: NamedTempFile,
}

/// How a program ended.
pub struct Ended {
    /// Its exit code; none if a signal killed it.
    pub code: Option<i32>,
    /// What it printed to standard error.
    pub errors: String,
}

impl Running {
    /// Starts the program, which takes SIGINT and SIGTERM whether or not this process ignores them.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = heeding_signals(flowers().get_program());
        command.args(arguments);
        Self::spawn(folder, command)
    }

    /// [`start`](Self::start) from a process that ignores SIGINT, as `cargo test &` in a script does.
    pub fn start_from_background(folder: &Path, arguments: &[&str]) -> Self {
        let heeding = heeding_signals(flowers().get_program());
        let mut shell = ignoring_interrupts(heeding.get_program());
        shell.args(heeding.get_args()).args(arguments);
        Self::spawn(folder, shell)
    }

    /// As a shell without job control begins what goes on beside it.
    pub fn start_ignoring_interrupts(folder: &Path, arguments: &[&str]) -> Self {
        let mut shell = ignoring_interrupts(flowers().get_program());
        shell.args(arguments);
        Self::spawn(folder, shell)
    }

    fn spawn(folder: &Path, mut command: Command) -> Self {
        let errors = NamedTempFile::new().unwrap();
        command.current_dir(folder).stdout(Stdio::piped());
        let mut child = command.stderr(errors.reopen().unwrap()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, errors }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reads its standard output up to a line with `part`.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) {
        let mut all = String::new();
        loop {
            let before = all.len();
            let read = self.output.read_line(&mut all).unwrap();
            assert!(read > 0, "{part:?} did not come: {all}{}", self.errors());
            if all[before..].contains(part) {
                return;
            }
        }
    }

    /// Waits until its standard error holds `part`.
    #[track_caller]
    pub fn wait_for_error(&self, part: &str) {
        let begun = Instant::now();
        while !self.errors().contains(part) {
            assert!(begun.elapsed() < PATIENCE, "{part:?} is not in {:?}", self.errors());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until there is a file.
    #[track_caller]
    pub fn wait_for_file(&self, path: &Path) {
        let begun = Instant::now();
        while !path.exists() {
            assert!(begun.elapsed() < PATIENCE, "{} did not come: {}", path.display(), self.errors());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// What it has printed to standard error.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.errors.path()).unwrap()
    }

    /// Sends a signal; a process that has ended hears nothing.
    pub fn send(&self, signal: Signal) {
        // Not yet waited for, so its number is nobody else's.
        let _ = kill_process(self.pid(), signal);
    }

    /// Limits the size of files that it writes from now on.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(Some(self.pid()), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let mut rest = Vec::new();
        self.output.read_to_end(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, errors: self.errors() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a failed assertion; else it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `program` with SIGINT ignored.
fn ignoring_interrupts(program: &OsStr) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" INT; exec "$0" "$@""#]).arg(program);
    shell
}

/// Whether a folder without permission to write keeps this process out: not the administrator.
pub fn heeds_permissions(folder: &Path) -> bool {
    let probe: PathBuf = folder.join("probe");
    fs::create_dir(&probe).unwrap();
    set_writable(&probe, false);
    File::create(probe.join("file")).is_err()
}

pub fn set_writable(folder: &Path, writable: bool) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if writable { 0o755 } else { 0o555 };
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
}
