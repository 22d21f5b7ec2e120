//! Connections whose requests are still to come.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection is waited for whoever else comes.
const GRACE: Duration = Duration::from_millis(250);

/// Those that are waited for, from the oldest on.
#[derive(Default)]
pub struct Unread(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    streams: BTreeMap<u64, (Instant, TcpStream)>,
    next: u64,
}

/// A connection's place among them, until it is dropped.
pub struct Place {
    unread: Arc<Unread>,
    number: u64,
}

impl Unread {
    pub fn add(self: &Arc<Self>, stream: &TcpStream) -> Place {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        // Without a handle of its own it can't be closed from here, which is all that is lost.
        if let Ok(stream) = stream.try_clone() {
            waiting.streams.insert(number, (Instant::now(), stream));
        }
        Place { unread: self.clone(), number }
    }

    /// Waits no longer for the one that is waited for longest, if that is long; whether there was one. Its thread reads an end.
    pub fn close_oldest(&self) -> bool {
        let mut waiting = self.lock();
        let Some(oldest) = waiting.streams.first_entry() else { return false };
        let is_old = oldest.get().0.elapsed() >= GRACE;
        is_old && oldest.remove().1.shutdown(Shutdown::Read).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.unread.lock().streams.remove(&self.number);
    }
}
