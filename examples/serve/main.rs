//! A photo in, JSON out: an HTTP server around one classifier.
//!
//! ```sh
//! cargo run --release --example serve -- --model run/model.safetensors
//! curl --data-binary @photo.jpg localhost:8000
//! curl -F photo=@one.jpg -F photo=@two.jpg localhost:8000
//! curl --data-binary @photo.jpg localhost:8000/explain > map.png
//! ```
//!
//! A browser gets a page that does the same. What a server must see to (slow clients, long bodies, many at once) is in `http`; what this
//! one does is [`answer`].

mod form;
mod gate;
mod http;
mod words;

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use floret::image::DecodeOptions;
use floret::{Classifier, Prediction};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use form::File;
use gate::Gate;
use http::{Request, Response};

/// Classifies photos that are sent to it by HTTP.
#[derive(Parser)]
struct Args {
    /// The model, such as run/model.safetensors
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8000")]
    address: String,
    /// Seconds that a client has to send its request, and again to take the answer
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// Pixels that a photo may have. While it is decoded each takes up to fifteen bytes, in as many photos at once as there are cores.
const MAX_PIXELS: u64 = 32_000_000;

/// Photos in a form.
const MAX_FILES: usize = 64;

/// What is said of a photo.
#[derive(Serialize)]
struct Answer {
    class: String,
    probability: f32,
    probabilities: Prediction,
}

impl Answer {
    fn of(probabilities: Prediction) -> Self {
        let (class, probability) = probabilities.best();
        Self { class: class.into(), probability, probabilities }
    }
}

/// What is said of one of several photos.
#[derive(Serialize)]
struct Named {
    name: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Answer(Answer),
    Error { error: String },
}

fn answer(classifier: &Classifier, request: &Request) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/") => with_photos(request, |photos| classify(classifier, photos)),
        ("POST", "/explain") => with_photos(request, |photos| explain(classifier, photos)),
        ("GET" | "HEAD", "/") => Response::new(200, "text/html; charset=utf-8", include_str!("page.html")),
        ("OPTIONS", _) => Response::new(204, "", ""),
        (_, "/") => {
            Response::not_allowed("GET, HEAD, POST, OPTIONS", "send a photo by POST, or GET the page")
        }
        (_, "/explain") => Response::not_allowed("POST, OPTIONS", "send a photo by POST; the page is at /"),
        _ => {
            Response::error(404, "POST a photo to / for its class or to /explain for a map; the page is at /")
        }
    }
}

/// Answers for the photos of a request: its body, or the files of a form.
fn with_photos(request: &Request, answer: impl FnOnce(&[File<'_>]) -> Response) -> Response {
    match form::files(&request.content_type, &request.body) {
        None if request.body.is_empty() => {
            Response::error(400, "the body is empty: send a photo's bytes, or a form with files")
        }
        None => answer(&[File { name: String::new(), bytes: &request.body }]),
        Some(Ok(files)) if files.is_empty() => Response::error(400, "the form has no file"),
        Some(Ok(files)) if files.len() > MAX_FILES => Response::error(
            413,
            &format!("the form has {} files, over the limit of {MAX_FILES}", files.len()),
        ),
        Some(Ok(files)) => answer(&files),
        Some(Err(message)) => Response::error(400, message),
    }
}

/// Answers with an object for one photo, with a list of them for several.
fn classify(classifier: &Classifier, photos: &[File<'_>]) -> Response {
    let files: Vec<&[u8]> = photos.iter().map(|photo| photo.bytes).collect();
    let mut answers = classifier.classify_all(&files).into_iter();
    if let [_] = photos {
        return match answers.next().expect("an answer for each photo") {
            Ok(prediction) => Response::json(200, &Answer::of(prediction)),
            Err(error) => words::refusal(&error),
        };
    }
    let named = photos.iter().zip(answers).map(|(photo, answer)| Named {
        name: photo.name.clone(),
        outcome: match answer {
            Ok(prediction) => Outcome::Answer(Answer::of(prediction)),
            Err(error) => Outcome::Error { error: words::of(&error).1 },
        },
    });
    Response::json(200, &named.collect::<Vec<_>>())
}

/// The photo, and beside it what the answer for it rests on, as a PNG file.
fn explain(classifier: &Classifier, photos: &[File<'_>]) -> Response {
    let [photo] = photos else { return Response::error(400, "one photo is explained at a time") };
    let explanation = match classifier.explain(photo.bytes) {
        Ok(explanation) => explanation,
        Err(error) => return words::refusal(&error),
    };
    match flowers::heat_map(photo.bytes, classifier, &explanation.map) {
        Ok(png) => Response::new(200, "image/png", png),
        Err(error) => Response::error(500, &error.to_string()),
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let limits = DecodeOptions { max_pixels: MAX_PIXELS, ..DecodeOptions::default() };
    let classifier = Classifier::load(&args.model)?.decode_options(limits);
    let listener = TcpListener::bind(&args.address)
        .map_err(|error| format!("cannot listen on {}: {error}", args.address))?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second ends the program at once.
        flag::register_conditional_shutdown(signal, 1, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    println!("listening on http://{}", listener.local_addr()?);
    let gate = Gate::new(available_parallelism().map_or(1, |cores| cores.get()));
    let answer = move |request: &Request| gate.pass(|| answer(&classifier, request));
    http::serve(listener, Duration::from_secs(args.timeout), &stop, answer);
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
