//! What long work shows: a bar with rate and time left on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines come no more often than this.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of a known number of things.
pub struct Progress {
    what: String,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Begins to show; `what` is what is being done, `unit` what is counted (`photos`).
    pub fn new(what: impl Into<String>, total: u64, unit: &str) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let template = format!("{{msg:24}} {{bar:30}} {{pos}}/{{len}} {unit} {{per_sec}}, {{eta}} left");
            let style = ProgressStyle::with_template(&template).expect("the template is well formed");
            ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_message(what.clone())
        });
        Self { what, total, done: 0, bar, started: Instant::now(), last_line: Instant::now() }
    }

    /// So many are done in all.
    pub fn set(&mut self, done: u64) {
        self.done = done;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.last_line.elapsed() >= PLAIN_INTERVAL && done < self.total => {
                self.last_line = Instant::now();
                eprintln!("{}: {done} of {}, {} left", self.what, self.total, self.left());
            }
            None => {}
        }
    }

    /// What is being done, with figures that change.
    pub fn describe(&mut self, what: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.clone());
        }
        self.what = what;
    }

    /// Ends the display; seconds since the beginning.
    pub fn finish(self) -> f64 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.started.elapsed().as_secs_f64()
    }

    fn left(&self) -> String {
        let rate = self.done as f64 / self.started.elapsed().as_secs_f64();
        let seconds = (self.total - self.done) as f64 / rate.max(1e-9);
        duration(seconds)
    }
}

/// `95.2` as `1 min 35 s`.
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        0..10 => format!("{seconds:.1} s"),
        s @ 10..120 => format!("{s} s"),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}
