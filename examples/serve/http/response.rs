//! Answers.

use std::io::{self, Write};

use serde::Serialize;

/// An answer.
pub struct Response {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    /// The methods that its path allows, if the one asked for is none of them.
    allowed: Option<&'static str>,
}

impl Response {
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, body: body.into(), allowed: None }
    }

    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_string(value).expect("text and numbers are JSON") + "\n";
        Self::new(status, "application/json", body)
    }

    /// `{"error": "..."}`
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "error": message }))
    }

    /// Says which methods are allowed instead.
    pub fn not_allowed(allowed: &'static str, message: &str) -> Self {
        Self { allowed: Some(allowed), ..Self::error(405, message) }
    }

    /// Writes it; of the answer to HEAD the body is left out.
    pub fn write(&self, mut to: impl Write, with_body: bool) -> io::Result<()> {
        let Self { status, content_type, body, allowed } = self;
        let more = match status {
            // Asked before a page of another site sends a photo.
            204 => {
                "Access-Control-Allow-Methods: GET, HEAD, POST\r\nAccess-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 86400\r\n"
            }
            503 => "Retry-After: 1\r\n",
            _ => "",
        };
        // An answer without content tells no length (RFC 9110, 8.6).
        let content = match status {
            204 => String::new(),
            _ => format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len()),
        };
        let allow = allowed.map(|methods| format!("Allow: {methods}\r\n")).unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {status} {}\r\n{content}{more}{allow}Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n",
            reason(*status)
        );
        to.write_all(head.as_bytes())?;
        if with_body { to.write_all(body) } else { Ok(()) }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
