//! How an archive comes here, whatever the server and the machine do.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use floret::files::HeldFolder;
use tempfile::TempDir;

use super::{download, downloads, is_whole, names_in, refuses, sha256};
use crate::archives;
use crate::server::{Request, Served, Server, answer};
use crate::support::*;

#[test]
fn photos_come_as_a_data_set() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let archive = archives::flowers(1);
    let hash = sha256(&archive);
    let server = Server::start(move |_, request, stream| {
        Served { bytes: &archive, etag: "\"1\"" }.answer(request, stream, usize::MAX);
    });
    let printed = downloads(folder, &["--url", &server.address(), "--sha256", &hash]);
    holds(&printed, &["unpacked 5 folders to out/photos", "total          20      5"]);
    holds(&printed, &["Next:  flowers train --data out/data --out run"]);
    is_whole(&folder.join("out"), 1);
    assert_eq!(server.requests().len(), 1);

    // Again: everything is there. Without the shards they are made again; no byte comes over the network.
    holds(&downloads(folder, &["--url", &server.address()]), &["out/photos is there", "out/data is there"]);
    fs::remove_dir_all(folder.join("out/data")).unwrap();
    let printed = downloads(folder, &["--url", &server.address(), "--shards", "1", "--eval-fraction", "0.4"]);
    holds(&printed, &["total          15     10", "out/data/train-00000-of-00001.tfrecord"]);
    assert_eq!(server.requests().len(), 1);
    // The folder is of this archive, and of no other.
    refuses(
        folder,
        &["--url", "http://127.0.0.1:1/other.tgz"],
        &["out holds the download of http://127.0.0.1:"],
    );
    refuses(folder, &[], &["out holds the download of", "--out"]);
}

#[test]
fn a_connection_that_is_cut_is_taken_up_again() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let archive = archives::flowers(1);
    let (half, hash, length) = (archive.len() / 2, sha256(&archive), archive.len());
    let server = Server::start(move |number, request, stream| {
        let most = if number == 0 { half } else { usize::MAX };
        Served { bytes: &archive, etag: "\"1\"" }.answer(request, stream, most);
    });
    let printed = downloads(folder, &["--url", &server.address(), "--sha256", &hash]);
    holds(&printed, &["note: the connection", "trying again in 1.0 s"]);
    is_whole(&folder.join("out"), 1);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].header("range"), None);
    let from = requests[1].from().unwrap();
    assert!((1..=half).contains(&from) && half < length, "{from} of {half}");
    assert_eq!(requests[1].header("if-range"), Some("\"1\""));
}

#[test]
fn a_download_that_gave_up_goes_on_with_the_next_call() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let archive = archives::flowers(1);
    let half = archive.len() / 2;
    let server = Server::start(move |number, request, stream| {
        let most = if number == 0 { half } else { usize::MAX };
        Served { bytes: &archive, etag: "\"1\"" }.answer(request, stream, most);
    });
    let address = server.address();
    refuses(
        folder,
        &["--url", &address, "--retries", "0"],
        &["kept in out/photos.tgz.part", "same command goes on"],
    );
    assert_eq!(names_in(&folder.join("out")), [".download.json", "photos.tgz.part"]);
    let have = fs::metadata(folder.join("out/photos.tgz.part")).unwrap().len();
    downloads(folder, &["--url", &address]);
    assert_eq!(server.requests()[1].from(), Some(have as usize));
    is_whole(&folder.join("out"), 1);
}

/// As many simple servers do.
#[test]
fn a_server_without_ranges_sends_the_whole_again() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let archive = archives::flowers(1);
    let server = Server::start(move |number, _, stream| {
        let most = if number == 0 { archive.len() / 2 } else { archive.len() };
        let length = archive.len().to_string();
        answer(
            stream,
            "200 OK",
            &[("Content-Length", &length), ("Last-Modified", "Monday")],
            &archive[..most],
        );
    });
    holds(&downloads(folder, &["--url", &server.address()]), &["sends the archive from its beginning"]);
    assert!(server.requests()[1].from().is_some());
    is_whole(&folder.join("out"), 1);
}

#[test]
fn parts_of_two_archives_are_never_joined() {
    for obeys_if_range in [true, false] {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        let archives = [archives::flowers(1), archives::flowers(2)];
        let server = Server::start(move |number, request, stream| {
            if number == 0 {
                let half = archives[0].len() / 2;
                return Served { bytes: &archives[0], etag: "\"1\"" }.answer(request, stream, half);
            }
            let etag = if obeys_if_range { "\"2\"" } else { request.header("if-range").unwrap_or("\"2\"") };
            if !obeys_if_range && request.from().is_some() {
                // The other's bytes, with its own tag.
                let (from, whole) = (request.from().unwrap(), archives[1].len());
                let range = format!("bytes {from}-{}/{whole}", whole - 1);
                let headers = [("ETag", "\"2\""), ("Content-Range", range.as_str())];
                return answer(stream, "206 Partial Content", &headers, &archives[1][from..]);
            }
            Served { bytes: &archives[1], etag }.answer(request, stream, usize::MAX);
        });
        downloads(folder, &["--url", &server.address()]);
        assert_eq!(server.requests().len(), if obeys_if_range { 2 } else { 3 });
        is_whole(&folder.join("out"), 2);
    }
}

#[test]
fn a_file_without_length_is_whole_when_its_gzip_stream_is() {
    for chunked in [true, false] {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        let archive = archives::flowers(1);
        let server = Server::start(move |_, _, stream| {
            if chunked {
                let chunks: Vec<u8> = archive
                    .chunks(1000)
                    .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
                    .collect();
                let body = [&chunks[..], b"0\r\n\r\n"].concat();
                answer(stream, "200 OK", &[("Transfer-Encoding", "chunked")], &body);
            } else {
                answer(stream, "200 OK", &[], &archive);
            }
        });
        downloads(folder, &["--url", &server.address()]);
        is_whole(&folder.join("out"), 1);
    }
}

#[test]
fn statuses_are_told_and_passing_ones_tried_again() {
    let status = |status: &'static str, first: usize| {
        let archive = archives::flowers(1);
        Server::start(move |number, request, stream| match number {
            number if number < first => answer(stream, status, &[("Content-Length", "0")], b""),
            _ => Served { bytes: &archive, etag: "\"1\"" }.answer(request, stream, usize::MAX),
        })
    };
    for (server, requests, parts) in [
        (status("404 Not Found", 9), 1, &["status 404", "look whether the address is right"][..]),
        (status("403 Forbidden", 9), 1, &["status 403"]),
        (status("204 No Content", 9), 1, &["status 204"]),
        (status("500 Internal Server Error", 9), 2, &["status 500", "0 B of it are kept"]),
        (status("503 Service Unavailable", 1), 2, &[]),
    ] {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        let arguments = ["--url", &server.address(), "--retries", "1"];
        match parts {
            [] => is_whole(
                &{
                    downloads(folder, &arguments);
                    folder.join("out")
                },
                1,
            ),
            parts => {
                refuses(folder, &arguments, parts);
                assert!(!folder.join("out/photos").exists());
            }
        }
        assert_eq!(server.requests().len(), requests, "{parts:?}");
    }
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    // Before its answer, within the headers, and within the file.
    for silent_after in
        ["", "HTTP/1.1 200 OK\r\nContent-", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"]
    {
        let temporary = TempDir::new().unwrap();
        let server = Server::start(move |_, _, stream: &mut TcpStream| {
            stream.write_all(silent_after.as_bytes()).unwrap();
            sleep(Duration::from_secs(60));
        });
        let arguments = ["--url", &server.address(), "--timeout", "1", "--retries", "0"];
        refuses(temporary.path(), &arguments, &["nothing came from the server for 1 s"]);
    }
    // Nobody listens there.
    let temporary = TempDir::new().unwrap();
    refuses(
        temporary.path(),
        &["--url", "http://127.0.0.1:1/x", "--retries", "0"],
        &["the connection failed"],
    );
}

#[test]
fn redirections_are_followed_to_plain_http_and_not_in_circles() {
    let archive = archives::flowers(1);
    // Where something listens, though it speaks no TLS.
    let sound = Server::start(move |_, request, stream| {
        Served { bytes: &archive, etag: "\"1\"" }.answer(request, stream, usize::MAX);
    });
    let leads = |to: Option<String>| {
        Server::start(move |_, request: &Request, stream| {
            let own = format!("http://{}/again", request.header("host").unwrap());
            let to = to.clone().unwrap_or(own);
            answer(stream, "302 Found", &[("Location", &to), ("Content-Length", "0")], b"");
        })
    };
    let temporary = TempDir::new().unwrap();
    downloads(temporary.path(), &["--url", &leads(Some(sound.address())).address()]);
    is_whole(&temporary.path().join("out"), 1);
    for (to, parts) in [
        (None, &["the download failed", "redirect"][..]),
        (Some(sound.address().replace("http:", "https:")), &["https://", "--archive FILE"]),
        (Some("gopher://x/".into()), &["failed"]),
    ] {
        let temporary = TempDir::new().unwrap();
        let server = leads(to);
        refuses(temporary.path(), &["--url", &server.address(), "--retries", "0"], parts);
        assert!(server.requests().len() < 20);
    }
}

#[test]
fn addresses_that_cannot_be_are_refused() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    refuses(folder, &["--url", "https://example.org/x.tgz"], &["https://", "curl", "--archive FILE"]);
    refuses(folder, &["--url", "example.org/x.tgz"], &["no address such as http://"]);
    assert_eq!(download(folder, &["--sha256", "12"]).status.code(), Some(2));
    assert!(names_in(folder).is_empty(), "nothing is made before that is known");
}

/// The address that is known, as a proxy sees it.
#[test]
fn what_comes_from_the_known_address_must_be_the_known_archive() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let proxy = Server::start(|_, request, stream| {
        if request.line.starts_with("CONNECT ") {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            // The request itself, of which nothing matters here.
            sleep(Duration::from_millis(200));
        }
        answer(stream, "200 OK", &[("Content-Length", "1000")], &[7; 1000]);
    });
    let mut command = flowers();
    command.env("http_proxy", proxy.address()).env_remove("no_proxy").env_remove("NO_PROXY");
    let output = command.current_dir(folder).args(["download", "--out", "out"]).output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    holds(&errors, &["flower_photos.tgz: the archive there has 1000 bytes, not 228813984", "--url"]);
    holds(&proxy.requests()[0].line, &["storage.googleapis.com"]);
}

#[test]
fn a_folder_takes_one_download_at_a_time_and_no_strange_files() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    fs::create_dir(folder.join("out")).unwrap();
    let held = HeldFolder::claim(folder.join("out")).unwrap();
    refuses(folder, &["--url", "http://127.0.0.1:1/x"], &["out is in use by process"]);
    drop(held);
    fs::write(folder.join("out/.download.json"), "another's").unwrap();
    refuses(folder, &["--url", "http://127.0.0.1:1/x"], &[".download.json was not written by this program"]);
    fs::remove_file(folder.join("out/.download.json")).unwrap();
    // Somebody's own photos.
    for name in ["photos", "data", "photos.tgz"] {
        fs::create_dir(folder.join("out").join(name)).unwrap();
        refuses(
            folder,
            &["--url", "http://127.0.0.1:1/x"],
            &[&format!("out/{name} was there before"), "--out"],
        );
        fs::remove_dir(folder.join("out").join(name)).unwrap();
    }
    refuses(folder, &["--url", "http://127.0.0.1:1/x", "--retries", "0"], &["the connection failed"]);
    fs::create_dir(folder.join("out/photos.tgz.part")).unwrap();
    refuses(folder, &["--url", "http://127.0.0.1:1/x"], &["photos.tgz.part is no regular file"]);
}

/// What Linux does to a process: signals, and limits on files.
#[cfg(target_os = "linux")]
mod broken_off {
    use std::process::Command;

    use rustix::process::Signal;

    use super::*;
    use crate::process::Running;

    #[test]
    fn ctrl_c_keeps_what_has_come() {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        let archive = archives::flowers(1);
        let half = archive.len() / 2;
        let server = Server::start(move |number, request, stream| {
            let most = if number == 0 { half } else { usize::MAX };
            Served { bytes: &archive, etag: "\"1\"" }.answer(request, stream, most);
            if number == 0 {
                sleep(Duration::from_secs(120));
            }
        });
        let address = server.address();
        let running = Running::start(folder, &["download", "--out", "out", "--url", &address]);
        let part = folder.join("out/photos.tgz.part");
        running.wait_for_file(&part);
        while fs::metadata(&part).unwrap().len() < half as u64 {
            sleep(Duration::from_millis(1));
        }
        running.send(Signal::INT);
        let ended = running.end();
        assert_eq!(ended.code, Some(130), "{}", ended.errors);
        holds(&ended.errors, &["interrupted: ", "kept in out/photos.tgz.part; the same command goes on"]);
        assert_eq!(names_in(&folder.join("out")), [".download.json", "photos.tgz.part"]);
        downloads(folder, &["--url", &address]);
        assert_eq!(server.requests()[1].from(), Some(half));
        is_whole(&folder.join("out"), 1);
    }

    #[test]
    fn a_full_disk_keeps_what_has_come() {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        let archive = archives::flowers(1);
        assert!(archive.len() > 8192, "{}", archive.len());
        let server = Server::start(move |_, request, stream| {
            Served { bytes: &archive, etag: "\"1\"" }.answer(request, stream, usize::MAX);
        });
        let address = server.address();
        let mut shell = Command::new("sh");
        // In blocks of 512 bytes, or of 1024.
        shell.args(["-c", r#"ulimit -f 8; exec "$0" "$@""#]).arg(flowers().get_program());
        shell.args(["download", "--out", "out", "--url", &address]).current_dir(folder);
        let output = shell.output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        holds(&errors, &["cannot write out/photos.tgz.part", "ulimit -f", "the same command goes on"]);
        let have = fs::metadata(folder.join("out/photos.tgz.part")).unwrap().len();
        assert!(have > 0, "{errors}");
        downloads(folder, &["--url", &address]);
        assert_eq!(server.requests()[1].from(), Some(have as usize));
        is_whole(&folder.join("out"), 1);
    }

    /// What a kill left of unpacking is in nobody's way.
    #[test]
    fn a_kill_while_unpacking_leaves_no_part_of_the_photos() {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        fs::write(folder.join("a.tgz"), archives::flowers(1)).unwrap();
        fs::create_dir_all(folder.join("out/.photos.unpacking/daisy")).unwrap();
        fs::write(folder.join("out/.photos.unpacking/daisy/half.jpg"), "half").unwrap();
        downloads(folder, &["--archive", "a.tgz"]);
        is_whole(&folder.join("out"), 1);
    }
}
