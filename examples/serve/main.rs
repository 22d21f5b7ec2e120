//! A photo in, JSON out: an HTTP server around one classifier.
//!
//! ```sh
//! cargo run --release --example serve -- --model run/model.safetensors
//! curl --data-binary @photo.jpg localhost:8000
//! ```
//!
//! What a server must see to (slow clients, long bodies, many at once) is in `http.rs`; what this one does is [`answer`].

mod gate;
mod http;

use std::error::Error;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use floret::image::{DecodeOptions, ImageError, PhotoError};
use floret::{Classifier, ClassifyError, Prediction};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

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

/// Pixels that a photo may have. While it is decoded each takes up to ten bytes, in as many photos at once as there are cores.
const MAX_PIXELS: u64 = 32_000_000;

/// The answer to a photo.
#[derive(Serialize)]
struct Answer<'a> {
    class: &'a str,
    probability: f32,
    probabilities: &'a Prediction,
}

fn answer(classifier: &Classifier, request: &Request) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/") => match classifier.classify(&request.body) {
            Ok(prediction) => {
                let (class, probability) = prediction.best();
                Response::json(200, &Answer { class, probability, probabilities: &prediction })
            }
            Err(error) => Response::error(status(&error), &error.to_string()),
        },
        ("GET", "/") => Response::html(include_str!("page.html")),
        (_, "/") => Response::error(405, "send a photo by POST, or GET this page"),
        _ => Response::error(404, "there is only /"),
    }
}

/// Whose fault it is.
fn status(error: &ClassifyError) -> u16 {
    match error {
        ClassifyError::Photo(PhotoError::Image(ImageError::NotAnImage { .. })) => 415,
        ClassifyError::Photo(PhotoError::Image(ImageError::TooLarge { .. })) => 413,
        ClassifyError::Photo(_) => 422,
        _ => 500,
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
