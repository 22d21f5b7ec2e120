//! A little HTTP server, which misbehaves as a test wants it to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request: its first line, and its headers with names in lower case.
#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let line = lines.next()?;
        let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        });
        Some(Self { line, headers: headers.collect() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// The first byte asked for.
    pub fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// Answers each request on a thread of its own, until the tests end.
pub struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` is told the number of the request, from 0.
    pub fn start(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer, mut stream) = (seen.clone(), answer.clone(), stream.unwrap());
                thread::spawn(move || {
                    let Some(request) = Request::read(&stream) else { return };
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    answer(number, &request, &mut stream);
                });
            }
        });
        Self { port, requests }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/photos.tgz", self.port)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Sends an answer; the client may be gone.
pub fn answer(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    let _ = stream.write_all(format!("{text}\r\n").as_bytes());
    let _ = stream.write_all(body);
}

/// A file that a sound server has.
pub struct Served<'a> {
    pub bytes: &'a [u8],
    pub etag: &'a str,
}

impl Served<'_> {
    /// Answers as RFC 9110 has it, but sends only the first `most` bytes of the body.
    pub fn answer(&self, request: &Request, stream: &mut TcpStream, most: usize) {
        let whole = self.bytes.len();
        let (status, from) = match request.from() {
            Some(from) if request.header("if-range").is_none_or(|etag| etag == self.etag) => {
                ("206 Partial Content", from)
            }
            _ => ("200 OK", 0),
        };
        let body = &self.bytes[from.min(whole)..];
        let (length, range) = (body.len().to_string(), format!("bytes {from}-{}/{whole}", whole - 1));
        let mut headers = vec![("ETag", self.etag), ("Content-Length", length.as_str())];
        if from > 0 {
            headers.push(("Content-Range", &range));
        }
        answer(stream, status, &headers, &body[..most.min(body.len())]);
    }
}
