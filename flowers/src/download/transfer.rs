//! One HTTP request. It runs on a thread of its own, so that a signal is heeded while nothing comes.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::http::HeaderMap;
use ureq::{Agent, Error};

use crate::interrupt::Interrupt;

/// Bytes of the body in a piece.
const PIECE_BYTES: usize = 1 << 16;
/// Pieces that wait to be taken.
const PIECES_AHEAD: usize = 4;
/// How often signals are looked for.
const PATIENCE: Duration = Duration::from_millis(50);
/// The longest way of redirections.
const MAX_REDIRECTS: u32 = 8;

/// What comes of a request, in this order: the answer, bytes, an end.
pub enum Piece {
    Answer(Answer),
    Bytes(Vec<u8>),
    End,
}

/// What an answer says of itself.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// The length of the body, if it is told.
    pub length: Option<u64>,
    /// Of a part of a file: its first byte, and the length of the whole.
    pub range: Option<(u64, u64)>,
    /// What is told again to ask for the rest of the same file, and no other: a strong `ETag`, else `Last-Modified`.
    pub validator: Option<String>,
}

/// Why there is no next piece.
pub enum Stop {
    Interrupted,
    Failed(Error),
}

/// A request under way.
pub struct Transfer {
    pieces: Receiver<Result<Piece, Error>>,
}

/// Asks for things by plain HTTP; each step of the way and each wait for more of the body may take so long.
pub fn agent(timeout: Duration) -> Agent {
    let limit = Some(timeout);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(MAX_REDIRECTS)
        .user_agent(concat!("flowers/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(limit)
        .timeout_connect(limit)
        .timeout_recv_response(limit)
        .timeout_per_read(limit)
        .timeout_per_write(limit);
    config.build().into()
}

impl Transfer {
    /// Asks for a file, or for what follows its first bytes, if it is still the one of this validator.
    pub fn start(agent: &Agent, address: &str, after: Option<(u64, &str)>) -> Self {
        let mut request = agent.get(address);
        if let Some((have, validator)) = after {
            request = request.header("Range", format!("bytes={have}-")).header("If-Range", validator);
        }
        let (sender, pieces) = sync_channel(PIECES_AHEAD);
        thread::spawn(move || {
            // Nobody takes it any more if sending fails.
            let _ = sender.send(run(request, &sender).map(|()| Piece::End));
        });
        Self { pieces }
    }

    pub fn next(&self, interrupt: &Interrupt) -> Result<Piece, Stop> {
        loop {
            if interrupt.exit_code().is_some() {
                return Err(Stop::Interrupted);
            }
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => return piece.map_err(Stop::Failed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Stop::Failed(Error::ConnectionFailed)),
            }
        }
    }
}

type Request = ureq::RequestBuilder<ureq::typestate::WithoutBody>;

fn run(request: Request, pieces: &SyncSender<Result<Piece, Error>>) -> Result<(), Error> {
    let response = request.call()?;
    let length = response.body().content_length();
    let answer = Answer { length, ..Answer::of(response.status().as_u16(), response.headers()) };
    if pieces.send(Ok(Piece::Answer(answer))).is_err() {
        return Ok(());
    }
    let mut body = response.into_body().into_reader();
    loop {
        let mut bytes = vec![0; PIECE_BYTES];
        let read = body.read(&mut bytes)?;
        bytes.truncate(read);
        if read == 0 || pieces.send(Ok(Piece::Bytes(bytes))).is_err() {
            return Ok(());
        }
    }
}

impl Answer {
    fn of(status: u16, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let etag = text("etag").filter(|tag| !tag.starts_with("W/"));
        let validator = etag.or_else(|| text("last-modified")).map(str::to_owned);
        Answer { status, length: None, range: text("content-range").and_then(range), validator }
    }
}

/// The first byte and the whole length of `bytes 5-9/10`.
fn range(text: &str) -> Option<(u64, u64)> {
    let (span, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last, whole): (u64, u64, u64) =
        (first.parse().ok()?, last.parse().ok()?, whole.parse().ok()?);
    (first <= last && last < whole).then_some((first, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_validators_are_read() {
        assert_eq!(range("bytes 5-9/10"), Some((5, 10)));
        for text in
            ["bytes 5-10/10", "bytes 9-5/10", "bytes */10", "bytes 5-9/*", "5-9/10", "bytes -1-9/10", ""]
        {
            assert_eq!(range(text), None, "{text}");
        }
        let validator = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            Answer::of(200, &headers.collect()).validator
        };
        assert_eq!(validator(&[("etag", "\"a\""), ("last-modified", "Monday")]).unwrap(), "\"a\"");
        assert_eq!(validator(&[("etag", "W/\"a\""), ("last-modified", "Monday")]).unwrap(), "Monday");
        assert_eq!(validator(&[("etag", "W/\"a\"")]), None);
    }
}
