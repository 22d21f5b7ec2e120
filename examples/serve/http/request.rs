//! Requests, as they come from strangers.

use std::io::{self, BufRead, Read, Write};

use super::response::Response;

/// The longest body.
const MAX_BODY: u64 = 16 << 20;

/// The longest request line and headers together, and the longest trailers.
const MAX_HEAD: u64 = 16 << 10;

/// The longest line before a chunk.
const MAX_CHUNK_LINE: u64 = 1 << 10;

/// A request with its whole body.
pub struct Request {
    pub method: String,
    /// Without the query.
    pub path: String,
    /// What the body is, as the client says.
    pub content_type: String,
    pub body: Vec<u8>,
}

/// The request line and headers.
pub struct Head {
    method: String,
    path: String,
    content_type: String,
    body: Body,
    expects: bool,
}

/// How the body's end is known.
enum Body {
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks (RFC 9112, 7.1).
    Chunked,
    /// Nothing is said.
    Untold,
}

/// Reads the request line and headers; `None` from a client that went away before the first byte; or why they are refused.
pub fn read_head(from: &mut impl BufRead) -> Result<Option<Head>, Response> {
    let mut lines = from.take(MAX_HEAD);
    let Some(line) = read_line(&mut lines)? else { return Ok(None) };
    let (method, path) = read_first(&line)?;
    let (mut length, mut chunked, mut expects, mut content_type) = (None, false, false, String::new());
    loop {
        let line = read_line(&mut lines)?.ok_or_else(|| bad("the request ends in its headers"))?;
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
            ("transfer-encoding", value) if value.eq_ignore_ascii_case("chunked") && !chunked => {
                chunked = true
            }
            ("transfer-encoding", value) => {
                return Err(Response::error(
                    501,
                    &format!(
                        "the transfer coding `{value}` is not known here: send the photo as it is, or chunked"
                    ),
                ));
            }
            ("content-type", value) => content_type = value.into(),
            ("expect", value) => expects = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
    }
    let body = match (length, chunked) {
        // Two who read them in different ways would see two requests.
        (Some(_), true) => return Err(bad("the request has both a Content-Length and a Transfer-Encoding")),
        (Some(length), false) => Body::Length(length),
        (None, true) => Body::Chunked,
        (None, false) => Body::Untold,
    };
    Ok(Some(Head { method, path, content_type, body, expects }))
}

impl Head {
    /// Reads the body that follows, after the client was told to go on if it waits for that.
    pub fn read_body(self, mut from: impl BufRead, mut to: impl Write) -> Result<Request, Response> {
        let Self { method, path, content_type, body, expects } = self;
        if let Body::Length(length) = body {
            check_length(length)?;
        }
        if expects {
            to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|error| failed(&error))?;
        }
        let body = match body {
            Body::Length(length) => read_exactly(&mut from, length)?,
            Body::Chunked => read_chunks(&mut from)?,
            Body::Untold if method == "POST" => {
                return Err(Response::error(411, "Content-Length is missing"));
            }
            Body::Untold => Vec::new(),
        };
        Ok(Request { method, path, content_type, body })
    }

    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// Method and path of the request line.
fn read_first(line: &str) -> Result<(String, String), Response> {
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("this is no HTTP/1.1 request"));
    };
    match version {
        "HTTP/1.1" | "HTTP/1.0" => {}
        _ if version.starts_with("HTTP/") => {
            return Err(Response::error(505, &format!("{version} is not spoken here: use HTTP/1.1")));
        }
        _ => return Err(bad("this is no HTTP/1.1 request")),
    }
    // A whole address is taken as well (RFC 9112, 3.2.2).
    let lower = target.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
    let path = scheme.map_or(target, |scheme| {
        let rest = &target[scheme.len()..];
        rest.find(['/', '?']).map_or("/", |at| &rest[at..])
    });
    let path = path.split('?').next().unwrap_or_default();
    Ok((method.into(), if path.is_empty() { "/".into() } else { path.into() }))
}

/// Grows as the bytes come: what a length merely claims takes no memory.
fn read_exactly(from: &mut impl BufRead, length: u64) -> Result<Vec<u8>, Response> {
    let mut body = Vec::new();
    from.take(length).read_to_end(&mut body).map_err(|error| failed(&error))?;
    if (body.len() as u64) < length {
        return Err(bad(&format!("the body ends after {} of {length} bytes", body.len())));
    }
    Ok(body)
}

fn read_chunks(from: &mut impl BufRead) -> Result<Vec<u8>, Response> {
    let ends = || bad("the body ends in its chunks");
    let mut body = Vec::new();
    loop {
        let line = read_line(&mut from.take(MAX_CHUNK_LINE))?.ok_or_else(ends)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let is_hexadecimal = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = is_hexadecimal.then(|| u64::from_str_radix(size, 16).unwrap_or(u64::MAX));
        let size = size.ok_or_else(|| bad("the size of a chunk is no hexadecimal number"))?;
        if size == 0 {
            break;
        }
        check_length(size.saturating_add(body.len() as u64))?;
        body.append(&mut read_exactly(from, size)?);
        if read_exactly(from, 2)? != b"\r\n" {
            return Err(bad("a chunk is longer than it says"));
        }
    }
    // Trailers, of which none matters here.
    let mut trailers = from.take(MAX_HEAD);
    while !read_line(&mut trailers)?.ok_or_else(ends)?.is_empty() {}
    Ok(body)
}

fn check_length(length: u64) -> Result<(), Response> {
    match length {
        ..=MAX_BODY => Ok(()),
        _ => Err(Response::error(
            413,
            &format!("the body of {length} bytes or more is over the limit of {MAX_BODY}"),
        )),
    }
}

/// A line without its end; `None` where there is none.
fn read_line(from: &mut io::Take<&mut impl BufRead>) -> Result<Option<String>, Response> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).map_err(|error| failed(&error))?;
    if line.is_empty() && from.limit() > 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(if from.limit() == 0 {
            Response::error(431, "the headers, or a line before a chunk, are over the limit")
        } else {
            bad("the request ends in a line")
        });
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| bad("a header is not UTF-8"))
}

fn bad(message: &str) -> Response {
    Response::error(400, message)
}

fn failed(error: &io::Error) -> Response {
    match error.kind() {
        // Which of the two depends on the system.
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
            Response::error(408, "the request did not come in time")
        }
        _ => bad(&format!("the request can't be read: {error}")),
    }
}
