//! As much of HTTP/1.1 (RFC 9112) as one question and one answer need, and what keeps strangers from harming a server.
//!
//! Each connection has a thread of its own, carries one request and is closed. A client that sends or reads slowly holds up only
//! itself, and that no longer than the timeout; bodies and heads have a limit, and so has the number of connections. Where that is
//! reached, those that have waited longest without a request make room.

mod request;
mod response;
mod unread;

use std::io::{self, BufReader, Read};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use request::Request;
pub use response::Response;
use unread::Unread;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// Connections up to which those over the limit are told why they are not served.
const REFUSED_CONNECTIONS: usize = 2 * MAX_CONNECTIONS;

/// How long a connection is kept after the answer for what the client still sends: closed at once, the answer could be lost.
const LINGER: Duration = Duration::from_secs(2);

/// Answers each request by `answer` until `stop` is set, and then those that are under way, if they end in time.
pub fn serve(
    listener: TcpListener,
    timeout: Duration,
    stop: &AtomicBool,
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
) {
    let connections = Arc::new(AtomicUsize::new(0));
    let (open, answer, unread) = (connections.clone(), Arc::new(answer), Arc::new(Unread::default()));
    // The thread ends with the program: nothing else wakes it from waiting for clients.
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that was gone before its turn, or no more files to be had for a moment.
            let Ok(stream) = stream else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            let connection = Connection::new(stream, &open, timeout);
            let answer = answer.clone();
            let connections = open.load(Ordering::Relaxed);
            if connections <= MAX_CONNECTIONS || unread.close_oldest() {
                let place = unread.add(&connection.stream);
                thread::spawn(move || connection.handle(place, &*answer));
            } else if connections <= REFUSED_CONNECTIONS {
                thread::spawn(move || connection.refuse());
            }
            // More than that are turned away without a word.
        }
    });
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
    }
    let last = Instant::now() + timeout;
    while connections.load(Ordering::Relaxed) > 0 && Instant::now() < last {
        thread::sleep(Duration::from_millis(10));
    }
}

/// A client, counted as long as it is there.
struct Connection {
    stream: TcpStream,
    timeout: Duration,
    open: Arc<AtomicUsize>,
}

impl Connection {
    fn new(stream: TcpStream, open: &Arc<AtomicUsize>, timeout: Duration) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self { stream, timeout, open: open.clone() }
    }

    /// Reads a request and answers it; a `place` among those whose requests are to come.
    fn handle(self, place: unread::Place, answer: &(impl Fn(&Request) -> Response + ?Sized)) {
        let by = Instant::now() + self.timeout;
        let mut from = BufReader::new(Patient { stream: &self.stream, by });
        let head = match request::read_head(&mut from) {
            Ok(Some(head)) => head,
            _ if place.was_closed() => return self.refuse(),
            Ok(None) => return,
            Err(refused) => return self.finish(&refused, true),
        };
        let with_body = !head.is_head();
        let request = head.read_body(from, &self.stream);
        if request.is_err() && place.was_closed() {
            return self.refuse();
        }
        // From now on it is the server that takes its time.
        drop(place);
        match request {
            Ok(request) => self.finish(&answer(&request), with_body),
            Err(refused) => self.finish(&refused, with_body),
        }
    }

    fn refuse(self) {
        self.finish(&Response::error(503, "too many are being served: try again in a second"), true);
    }

    /// Sends the answer. Nobody is left to tell that it could not be sent.
    fn finish(&self, response: &Response, with_body: bool) {
        let sent = self
            .stream
            .set_write_timeout(Some(self.timeout))
            .and_then(|()| response.write(&self.stream, with_body));
        if sent.and_then(|()| self.stream.shutdown(Shutdown::Write)).is_ok() {
            let mut rest = Patient { stream: &self.stream, by: Instant::now() + LINGER };
            let _ = io::copy(&mut rest, &mut io::sink());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads until a moment and no longer, however small the pieces that come.
struct Patient<'a> {
    stream: &'a TcpStream,
    by: Instant,
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.by.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}
