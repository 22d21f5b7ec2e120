//! Ctrl-C and SIGTERM: training ends the step under way and is saved, a conversion takes back what it wrote, a download keeps
//! what has come, and the exit code tells.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use floret::network::StepReport;
use floret::train::{Callback, EpochRecord, Flow, Moment, OpeningProgress, TrainError};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::{Error, Result};

/// The exit code of a program that a signal ended is this and the signal's number.
const SIGNAL_EXIT: i32 = 128;

/// Takes signals from its beginning to its end; as a callback it stops training after the first. A second signal ends the
/// program at once, as does the first after its end.
pub struct Interrupt(Flags);

/// What the handlers of signals set.
#[derive(Clone, Default)]
struct Flags {
    /// The number of the signal that came; 0 before.
    signal: Arc<AtomicUsize>,
    /// Whether the next signal ends the program.
    at_once: Arc<AtomicBool>,
}

/// Those of this process: a handler stays once it is registered, and one that ends the program would come before another's.
static FLAGS: Mutex<Option<Flags>> = Mutex::new(None);

impl Flags {
    fn register() -> Result<Self> {
        let flags = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // Who began this program wants it to go on, as a script does for what it began with `&`.
            if is_ignored(signal) {
                continue;
            }
            // In the order in which they act: the first signal finds `at_once` unset, and sets it for the second.
            flag::register_conditional_shutdown(signal, SIGNAL_EXIT + signal, flags.at_once.clone())?;
            flag::register(signal, flags.at_once.clone())?;
            flag::register_usize(signal, flags.signal.clone(), signal as usize)?;
        }
        // A limit on the size of files (`ulimit -f`) is to be a save that fails, not the end of the process.
        #[cfg(unix)]
        flag::register(signal_hook::consts::SIGXFSZ, Arc::default())?;
        Ok(flags)
    }
}

impl Interrupt {
    pub fn catch() -> Result<Self> {
        let mut registered = FLAGS.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = match &*registered {
            Some(flags) => flags.clone(),
            None => registered.insert(Flags::register()?).clone(),
        };
        let interrupt = Self(flags);
        // A signal that nothing has heeded yet still counts.
        if interrupt.exit_code().is_none() {
            interrupt.0.at_once.store(false, Ordering::Relaxed);
        }
        Ok(interrupt)
    }

    /// The exit code for the signal that came, if one did.
    pub fn exit_code(&self) -> Option<u8> {
        match self.0.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => u8::try_from(SIGNAL_EXIT as usize + signal).ok(),
        }
    }

    /// The error of work that the signal ended; `message` says what is left of it.
    pub fn error(&self, message: String) -> Error {
        let exit_code = self.exit_code().unwrap_or((SIGNAL_EXIT + SIGINT) as u8);
        Interrupted { exit_code, message }.into()
    }

    fn flow(&self) -> std::result::Result<Flow, TrainError> {
        Ok(if self.exit_code().is_some() { Flow::Stop } else { Flow::Continue })
    }
}

/// Whether the signal is ignored, where the system tells (Linux).
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.at_once.store(true, Ordering::Relaxed);
    }
}

impl Callback for Interrupt {
    fn on_opening(&mut self, _: OpeningProgress) -> Flow {
        if self.exit_code().is_some() { Flow::Stop } else { Flow::Continue }
    }

    fn on_start(&mut self, _: Moment<'_>) -> std::result::Result<Flow, TrainError> {
        self.flow()
    }

    fn on_step(&mut self, _: Moment<'_>, _: &StepReport) -> std::result::Result<Flow, TrainError> {
        self.flow()
    }

    fn on_epoch(&mut self, _: Moment<'_>, _: &EpochRecord) -> std::result::Result<Flow, TrainError> {
        self.flow()
    }
}

/// The error of work that a signal ended in order.
#[derive(Debug)]
pub struct Interrupted {
    pub exit_code: u8,
    /// What is saved, and how to go on.
    pub message: String,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Interrupted {}
