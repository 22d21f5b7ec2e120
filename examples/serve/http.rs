//! As much of HTTP/1.1 (RFC 9112) as one question and one answer need, and what keeps strangers from harming a server.
//!
//! Each connection has a thread of its own, carries one request and is closed. A client that sends or reads slowly holds up only
//! itself, and that no longer than the timeout; bodies and heads have a limit, and so has the number of connections.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

/// The longest body.
const MAX_BODY: u64 = 16 << 20;

/// The longest request line and headers together.
const MAX_HEAD: u64 = 16 << 10;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// Connections up to which those over the limit are told why they are not served.
const REFUSED_CONNECTIONS: usize = 2 * MAX_CONNECTIONS;

/// How long a connection is kept after the answer for what the client still sends: closed at once, the answer could be lost.
const LINGER: Duration = Duration::from_secs(2);

/// A request with its whole body.
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub body: Vec<u8>,
}

/// An answer.
pub struct Response {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Response {
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_string(value).expect("text and numbers are JSON") + "\n";
        Self { status, content_type: "application/json", body }
    }

    /// `{"error": "..."}`
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "error": message }))
    }

    pub fn html(page: &str) -> Self {
        Self { status: 200, content_type: "text/html; charset=utf-8", body: page.into() }
    }

    fn write(&self, mut to: impl Write) -> io::Result<()> {
        let Self { status, content_type, body } = self;
        let reason = reason(*status);
        let allow = if *status == 405 { "Allow: GET, POST\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
            body.len()
        );
        to.write_all((head + body).as_bytes())
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Answers each request by `answer` until `stop` is set, and then those that are under way, if they end in time.
pub fn serve(
    listener: TcpListener,
    timeout: Duration,
    stop: &AtomicBool,
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
) {
    let connections = Arc::new(AtomicUsize::new(0));
    let (open, answer) = (connections.clone(), Arc::new(answer));
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
            if connections <= MAX_CONNECTIONS {
                thread::spawn(move || connection.handle(&*answer));
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

    fn handle(self, answer: &(impl Fn(&Request) -> Response + ?Sized)) {
        let by = Instant::now() + self.timeout;
        match read_request(BufReader::new(Patient { stream: &self.stream, by }), &self.stream) {
            Ok(Some(request)) => self.finish(&answer(&request)),
            Ok(None) => {}
            Err(refused) => self.finish(&refused),
        }
    }

    fn refuse(self) {
        self.finish(&Response::error(503, "too many are being served: try again"));
    }

    /// Sends the answer. Nobody is left to tell that it could not be sent.
    fn finish(&self, response: &Response) {
        let sent =
            self.stream.set_write_timeout(Some(self.timeout)).and_then(|()| response.write(&self.stream));
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

/// The request; `None` from a client that went away before the first byte; or why it is refused.
fn read_request(mut from: impl BufRead, mut to: impl Write) -> Result<Option<Request>, Response> {
    let bad = |message: &str| Response::error(400, message);
    let mut head = from.by_ref().take(MAX_HEAD);
    let Some(line) = read_line(&mut head)? else { return Ok(None) };
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("this is no HTTP/1.1 request"));
    };
    let (mut length, mut expects) = (None, false);
    loop {
        let line = read_line(&mut head)?.ok_or_else(|| bad("the request ends in its headers"))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header has no colon"))?;
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => {
                let value = Some(value).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
                let value = value.and_then(|value| value.parse::<u64>().ok());
                if value.is_none() || length.is_some_and(|length| Some(length) != value) {
                    return Err(bad("Content-Length is no number"));
                }
                length = value;
            }
            ("transfer-encoding", _) => {
                return Err(Response::error(411, "send the photo at once, with its Content-Length"));
            }
            ("expect", value) => expects = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    let length = match length {
        None if method == "POST" => return Err(Response::error(411, "Content-Length is missing")),
        length => length.unwrap_or(0),
    };
    if length > MAX_BODY {
        let message = format!("the body of {length} bytes is over the limit of {MAX_BODY}");
        return Err(Response::error(413, &message));
    }
    if expects {
        to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|error| failed(&error))?;
    }
    // Grows as the bytes come: what a length merely claims takes no memory.
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body).map_err(|error| failed(&error))?;
    if (body.len() as u64) < length {
        return Err(bad(&format!("the body ends after {} of {length} bytes", body.len())));
    }
    let path = target.split('?').next().unwrap_or_default();
    Ok(Some(Request { method: method.into(), path: path.into(), body }))
}

/// A line of the head without its end; `None` where there is none.
fn read_line(from: &mut io::Take<impl BufRead>) -> Result<Option<String>, Response> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).map_err(|error| failed(&error))?;
    if line.is_empty() && from.limit() > 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(if from.limit() == 0 {
            Response::error(431, &format!("the headers are over the limit of {MAX_HEAD} bytes"))
        } else {
            Response::error(400, "the request ends in its headers")
        });
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| Response::error(400, "a header is not UTF-8"))
}

fn failed(error: &io::Error) -> Response {
    match error.kind() {
        // Which of the two depends on the system.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            Response::error(408, "the request did not come in time")
        }
        _ => Response::error(400, &format!("the request can't be read: {error}")),
    }
}
