//! Connections whose requests are still to come.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection is waited for whoever else comes.
const GRACE: Duration = Duration::from_millis(250);

/// Those that are waited for, from the oldest on.
#[derive(Default)]
pub struct Unread(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

struct Connection {
    since: Instant,
    stream: TcpStream,
    closed: Arc<AtomicBool>,
}

/// A connection's place among them, until it is dropped.
pub struct Place {
    unread: Arc<Unread>,
    number: u64,
    closed: Arc<AtomicBool>,
}

impl Unread {
    pub fn add(self: &Arc<Self>, stream: &TcpStream) -> Place {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        let closed = Arc::<AtomicBool>::default();
        // Without a handle of its own it can't be closed from here, which is all that is lost.
        if let Ok(stream) = stream.try_clone() {
            let connection = Connection { since: Instant::now(), stream, closed: closed.clone() };
            waiting.connections.insert(number, connection);
        }
        Place { unread: self.clone(), number, closed }
    }

    /// Waits no longer for the one that is waited for longest, if that is long; whether there was one. Its thread reads an end.
    pub fn close_oldest(&self) -> bool {
        let mut waiting = self.lock();
        let Some(oldest) = waiting.connections.first_entry() else { return false };
        if oldest.get().since.elapsed() < GRACE {
            return false;
        }
        let Connection { stream, closed, .. } = oldest.remove();
        closed.store(true, Ordering::Relaxed);
        stream.shutdown(Shutdown::Read).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether the connection was closed to make room: what its client sent may lack its end for that alone.
    pub fn was_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.unread.lock().connections.remove(&self.number);
    }
}
