//! Whether training fits into memory, asked before it is begun: an allocation that fails ends the process.

use std::fs;

use super::RecipeError;
use crate::network::NetworkBuilder;

/// Fails if training the network on such batches takes more memory than this process [may have](available_memory).
///
/// # Errors
/// [`RecipeError::Memory`]; layers that do not fit each other.
pub fn require_memory(
    network: &NetworkBuilder,
    batch_size: usize,
    image_size: usize,
) -> Result<(), RecipeError> {
    let needed = network.training_memory(batch_size)?;
    match available_memory() {
        Some(available) if needed > available => {
            Err(RecipeError::Memory { batch_size, image_size, needed, available })
        }
        _ => Ok(()),
    }
}

/// The memory that this process may have, in bytes: of the machine, of its control group, within its own limit. `None` where
/// the system tells none of them (it does on Linux).
pub fn available_memory() -> Option<u64> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let machine = number_after(&read("/proc/meminfo"), "MemTotal:").map(|kilobytes| kilobytes << 10);
    let group = read("/sys/fs/cgroup/memory.max").trim().parse().ok();
    let limit = number_after(&read("/proc/self/limits"), "Max address space");
    [machine, group, limit].into_iter().flatten().min()
}

/// The number behind a name that begins a line.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_the_systems_tables() {
        assert_eq!(number_after("MemFree: 1 kB\nMemTotal:  16384 kB\n", "MemTotal:"), Some(16384));
        let limits =
            "Max cpu time  unlimited  unlimited  seconds\nMax address space  4096  unlimited  bytes\n";
        assert_eq!(number_after(limits, "Max address space"), Some(4096));
        assert_eq!(number_after(limits, "Max cpu time"), None);
        assert_eq!(number_after("", "MemTotal:"), None);
    }
}
