//! The machine that this process runs on.

use std::{fs, thread};

use floret::checkpoint::Arithmetic;
use floret::recipe::available_memory;
use serde::{Deserialize, Serialize};

/// What a run's speed depends on besides its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name, where the system tells it (Linux on x86).
    pub cpu: Option<String>,
    /// Cores that this process may use, counting hardware threads.
    pub cores: Option<usize>,
    /// Bytes that it may use.
    pub memory: Option<u64>,
    #[serde(flatten)]
    pub arithmetic: Arithmetic,
}

impl Machine {
    pub fn here() -> Self {
        Self {
            cpu: fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model_name(&text)),
            cores: thread::available_parallelism().ok().map(usize::from),
            memory: available_memory(),
            arithmetic: Arithmetic::here(),
        }
    }
}

fn model_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_name_is_found() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2.10GHz\n\nprocessor\t: 1\n";
        assert_eq!(model_name(cpuinfo).as_deref(), Some("Some CPU @ 2.10GHz"));
        assert_eq!(model_name("CPU implementer : 0x41\n"), None);
    }
}
