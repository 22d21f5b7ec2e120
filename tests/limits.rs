//! What a process may take: memory and time, measured for the whole of it, so that these tests run one at a time.

mod common;
mod corpus;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod memory_estimate;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps the other tests from running, and begins to measure the process's memory anew.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Linux: the peak falls to what is resident now.
    let _ = fs::write("/proc/self/clear_refs", "5");
    one
}

/// The most memory that was resident since [`alone`], in bytes, where the system says so.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

/// [`peak_memory`] on Linux.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    peak_memory().expect("Linux tells the peak of the resident memory")
}
