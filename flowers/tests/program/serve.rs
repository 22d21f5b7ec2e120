//! The example `serve`, run as a process: photos, strangers, and its end.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::photos::{jpeg, png};
use crate::support::heeding_signals;
use floret::checkpoint::{ModelInfo, save_model};
use floret::data::Preprocess;
use floret::{Classifier, models};
use serde_json::Value;
use tempfile::TempDir;

/// The server, ended with the test.
struct Server {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(timeout: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let info = ModelInfo {
            classes: ["daisy", "rosé", "tulip"].map(String::from).to_vec(),
            preprocess: Preprocess::new(32),
        };
        save_model(folder.path().join("model"), &models::seed(32, 3, 0.0).build().unwrap(), &info).unwrap();
        let tests = std::env::current_exe().unwrap();
        let program = tests.parent().unwrap().parent().unwrap().join("examples/serve");
        assert!(program.exists(), "{} is missing: run `cargo test`", program.display());
        let mut process = heeding_signals(program.as_os_str())
            .args(["--address", "127.0.0.1:0", "--timeout", timeout, "--model"])
            .arg(folder.path().join("model"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { process, address, folder }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    /// Status and body of the answer to these bytes, after which nothing more is sent.
    fn send(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        answer(stream)
    }

    /// Head and body of the answer to these bytes.
    fn exchange(&self, bytes: &[u8]) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        let body = answer.split_off(end);
        (String::from_utf8(answer).unwrap(), body)
    }

    fn post(&self, body: &[u8]) -> (u16, String) {
        let head = format!("POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat())
    }

    fn classifier(&self) -> Classifier {
        Classifier::load(self.folder.path().join("model")).unwrap()
    }
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.rsplit_once("\r\n\r\n").unwrap();
    let head = head.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(head);
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    (head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap(), body.into())
}

#[test]
fn photos_from_several_threads_get_what_the_classifier_says() {
    let server = Server::start("60");
    let classifier = server.classifier();
    // Two who have begun to send and do not go on: nobody waits for them.
    let mut slow = [server.connect(), server.connect()];
    slow[0].write_all(b"POST / HT").unwrap();
    slow[1].write_all(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc").unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (server, classifier) = (&server, &classifier);
            scope.spawn(move || {
                for seed in 0..5 {
                    let seed = 10 * thread + seed;
                    let photo = if seed % 2 == 0 { jpeg(seed, 90, 70) } else { png(seed, 40, 30) };
                    let (status, body) = server.post(&photo);
                    assert_eq!(status, 200, "{body}");
                    let answer: Value = serde_json::from_str(&body).unwrap();
                    let wanted = classifier.classify(&photo).unwrap();
                    assert_eq!(answer["class"], wanted.best().0);
                    for (class, probability) in wanted.iter() {
                        let got = answer["probabilities"][class].as_f64().unwrap();
                        assert_eq!(got as f32, probability, "to the bit: {body}");
                    }
                }
            });
        }
    });
    // As curl sends long bodies, and as it sends a query.
    let photo = jpeg(1, 50, 50);
    let head =
        format!("POST /?a=b HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n", photo.len());
    assert_eq!(server.send(&[head.as_bytes(), &photo].concat()).0, 200);
    let (status, page) = server.send(b"GET / HTTP/1.1\r\n\r\n");
    assert!(status == 200 && page.contains("curl --data-binary"));
}

#[test]
fn photos_come_as_clients_send_them() {
    let server = Server::start("60");
    let photos = [jpeg(1, 60, 50), png(2, 40, 30)];
    let wanted = photos.each_ref().map(|photo| server.post(photo).1);
    let file = |name: &str, bytes: &[u8]| {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n");
        [head.as_bytes(), bytes, b"\r\n"].concat()
    };
    let form = |files: &[Vec<u8>]| {
        let body = [&files.concat(), &b"--b--\r\n"[..]].concat();
        let head = format!(
            "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        server.send(&[head.as_bytes(), &body].concat())
    };
    // Curl -F, and a browser's form.
    assert_eq!(form(&[file("a.jpg", &photos[0])]), (200, wanted[0].clone()));
    let (status, several) =
        form(&[file("a.jpg", &photos[0]), file("b.png", &photos[1]), file("c", b"<html>")]);
    let several: Value = serde_json::from_str(&several).unwrap();
    assert_eq!((status, several.as_array().unwrap().len()), (200, 3));
    for (at, name) in ["a.jpg", "b.png"].into_iter().enumerate() {
        let alone: Value = serde_json::from_str(&wanted[at]).unwrap();
        assert_eq!((&several[at]["name"], &several[at]["class"]), (&name.into(), &alone["class"]));
        assert!(
            (several[at]["probability"].as_f64().unwrap() - alone["probability"].as_f64().unwrap()).abs()
                < 1e-5
        );
    }
    assert!(
        several[2]["error"].as_str().unwrap().starts_with("this is no photo")
            && several[2]["class"].is_null()
    );
    let (status, body) = form(&[]);
    assert!(status == 400 && body.contains("the form has no file"), "{body}");
    // In chunks, with extensions and trailers.
    let (first, second) = photos[0].split_at(100);
    let chunk = |bytes: &[u8]| [format!("{:X};x=y\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n";
    let chunked = [&head[..], &chunk(first), &chunk(second), b"0\r\nX: y\r\n\r\n"].concat();
    assert_eq!(server.send(&chunked), (200, wanted[0].clone()));
    // With the whole address, and to a proxy's taste.
    let head =
        format!("POST http://{}?a HTTP/1.1\r\nContent-Length: {}\r\n\r\n", server.address, photos[0].len());
    assert_eq!(server.send(&[head.as_bytes(), &photos[0]].concat()), (200, wanted[0].clone()));
    // A map.
    let head = format!("POST /explain HTTP/1.1\r\nContent-Length: {}\r\n\r\n", photos[0].len());
    let (head, map) = server.exchange(&[head.as_bytes(), &photos[0]].concat());
    assert!(head.contains(" 200 ") && head.contains("Content-Type: image/png\r\n"), "{head}");
    assert_eq!(floret::image::read_header(&map).unwrap().width, 512);
    // HEAD is GET without its body; OPTIONS is asked before another site's page sends a photo.
    let (get, page) = server.exchange(b"GET / HTTP/1.1\r\n\r\n");
    let (head, none) = server.exchange(b"HEAD / HTTP/1.1\r\n\r\n");
    assert!(head == get && none.is_empty() && !page.is_empty());
    let (options, none) = server.exchange(b"OPTIONS / HTTP/1.1\r\nOrigin: http://x\r\n\r\n");
    assert!(
        options.contains(" 204 ") && options.contains("Access-Control-Allow-Origin: *") && none.is_empty()
    );
}

#[test]
fn strangers_get_an_error_in_json_and_the_server_goes_on() {
    let server = Server::start("1");
    let photo = jpeg(1, 60, 60);
    let mut wide = photo.clone();
    let frame = wide.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
    wide[frame + 5..frame + 9].fill(0xFF);
    let post = |headers: &str| format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n").into_bytes();
    let long_head = [&b"GET / HTTP/1.1\r\nX: "[..], &vec![b'x'; 20_000]].concat();
    for (bytes, wanted) in [
        (b"\x16\x03\x01\x02\x00\xff\n".to_vec(), 400),
        (b"GET /\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nHost: x".to_vec(), 400),
        (long_head, 431),
        (b"GET /etc/passwd HTTP/1.1\r\n\r\n".to_vec(), 404),
        (b"PUT / HTTP/1.1\r\n\r\n".to_vec(), 405),
        (b"GET /explain HTTP/1.1\r\n\r\n".to_vec(), 405),
        (post("Host: x"), 411),
        (post("Transfer-Encoding: gzip"), 501),
        (post("Transfer-Encoding: chunked"), 400),
        (post("Transfer-Encoding: chunked\r\nContent-Length: 5"), 400),
        ([post("Transfer-Encoding: chunked"), b"xyz\r\n".to_vec()].concat(), 400),
        ([post("Transfer-Encoding: chunked"), b"+5\r\n".to_vec()].concat(), 400),
        ([post("Transfer-Encoding: chunked"), b"2\r\nabc\r\n".to_vec()].concat(), 400),
        ([post("Transfer-Encoding: chunked"), b"2\r\nab\r\n0\r\n".to_vec()].concat(), 400),
        ([post("Transfer-Encoding: chunked"), b"FFFFFFFFFFFFFFFFF\r\n".to_vec()].concat(), 413),
        (b"GET / HTTP/2.0\r\n\r\n".to_vec(), 505),
        (b"GET http://here/nothing HTTP/1.1\r\n\r\n".to_vec(), 404),
        (post("Content-Length: -1"), 400),
        (post("Content-Length: +5"), 400),
        (post("Content-Length: 99999999999999999999"), 400),
        (post("Content-Length: 5\r\nContent-Length: 6"), 400),
        (post("Content-Length: 4000000000"), 413),
        (post("Content-Length: 50"), 400),
    ] {
        let (status, body) = server.send(&bytes);
        let error: Value = serde_json::from_str(&body).unwrap();
        assert!(status == wanted && error["error"].is_string(), "{status} for {wanted}: {body}");
    }
    for (body, wanted, part) in [
        (&b""[..], 400, "the body is empty"),
        (b"<html>", 415, "this is no photo (JPEG, PNG, "),
        (&photo[..photo.len() / 2], 422, "cut off"),
        (&wide, 413, "over the limit"),
    ] {
        let (status, answer) = server.post(body);
        assert!(status == wanted && answer.contains(part), "{status} for {wanted}: {answer}");
    }
    // One who sends more than it said it would, one who stops, one who says nothing.
    assert_eq!(server.send(&[post("Content-Length: 3"), vec![0; 100_000]].concat()).0, 415);
    for begun in [&b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"[..], b"POST /", b""] {
        let mut stream = server.connect();
        stream.write_all(begun).unwrap();
        assert_eq!(answer(stream).0, 408);
    }
    drop(server.connect());
    assert_eq!(server.post(&photo).0, 200);
}

/// However many say nothing, one who asks is answered.
#[test]
fn idle_clients_make_room() {
    let server = Server::start("60");
    let mut idle: Vec<_> = (0..100).map(|_| server.connect()).collect();
    idle[1].write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").unwrap();
    let photo = jpeg(1, 60, 60);
    // Those that have just come are given time.
    thread::sleep(std::time::Duration::from_millis(400));
    for _ in 0..5 {
        assert_eq!(server.post(&photo).0, 200);
    }
    // Those who made room are told so, whatever of their requests had come.
    for made_room in idle.drain(..2) {
        let (status, body) = answer(made_room);
        assert!(status == 503 && body.contains("try again"), "{status} {body}");
    }
}

#[test]
fn of_a_hundred_at_once_each_gets_its_answer_or_is_told_to_wait() {
    let server = Server::start("60");
    let photo = jpeg(1, 200, 200);
    let answers: Vec<(u16, String)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..100).map(|_| scope.spawn(|| server.post(&photo))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let served = answers.iter().filter(|(status, _)| *status == 200).count();
    println!("{served} of 100 were served at once");
    assert!(served >= 64);
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert!(*status == 503 && body.contains("try again"), "{status} {body}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_ends_it_in_order() {
    use rustix::process::{Pid, Signal, kill_process};

    for signal in [Signal::INT, Signal::TERM] {
        let mut server = Server::start("60");
        assert_eq!(server.post(&jpeg(1, 40, 40)).0, 200);
        kill_process(Pid::from_child(&server.process), signal).unwrap();
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_model_that_is_none_is_named() {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().unwrap().parent().unwrap().join("examples/serve");
    let output = Command::new(program).args(["--model", "no/model"]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && errors.starts_with("error: ") && errors.contains("no/model"));
}
