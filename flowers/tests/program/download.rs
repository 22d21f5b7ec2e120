//! `download` against servers of this machine: sound, broken and hostile ones.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;
use std::thread::sleep;
use std::time::Duration;

use floret::files::HeldFolder;
use sha2::{Digest, Sha256};
use tar::EntryType;
use tempfile::TempDir;

use crate::archives::{self, CLASSES, PHOTOS, entry, file, gzip, jpeg, sized, with};
use crate::server::{Request, Served, Server, answer};
use crate::support::*;

fn download(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = flowers();
    // A proxy of the machine's must not come between.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args([&["download", "--out", "out"], arguments].concat()).output().unwrap()
}

/// Downloads what must succeed; what it printed, notes last.
#[track_caller]
fn downloads(folder: &Path, arguments: &[&str]) -> String {
    let output = download(folder, arguments);
    let (printed, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {printed}{notes}");
    printed + &notes
}

/// Downloads what must fail; its error, in which every one of `parts` is.
#[track_caller]
fn refuses(folder: &Path, arguments: &[&str], parts: &[&str]) -> String {
    let output = download(folder, arguments);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
    assert!(errors.contains("error: ") && !errors.contains("panicked"), "{errors}");
    holds(&errors, parts);
    errors
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What an undisturbed download leaves.
#[track_caller]
fn is_whole(out: &Path, seed: u32) {
    assert_eq!(names_in(out), [".download.json", "data", "photos"]);
    assert_eq!(names_in(&out.join("photos")), [&["LICENSE.txt"], &CLASSES[..]].concat());
    for (class, name) in (0..).zip(CLASSES) {
        let photos = out.join("photos").join(name);
        assert_eq!(names_in(&photos).len(), PHOTOS);
        assert_eq!(fs::read(photos.join("3.jpg")).unwrap(), jpeg(1000 * seed + 10 * class + 3));
    }
    let labels = fs::read_to_string(out.join("data/labels.txt")).unwrap();
    assert_eq!(labels, format!("background\n{}\n", CLASSES.join("\n")));
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

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
fn a_wrong_archive_is_thrown_away() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let archive = archives::flowers(1);
    let wrong = sha256(b"another");
    let server = Server::start(move |number, request, stream| {
        let bytes: &[u8] = if number == 1 { b"<html>" } else { &archive };
        Served { bytes, etag: "\"1\"" }.answer(request, stream, usize::MAX);
    });
    let address = server.address();
    refuses(folder, &["--url", &address, "--sha256", &wrong], &["its SHA-256 is", &wrong]);
    assert_eq!(names_in(&folder.join("out")), [".download.json"]);
    refuses(folder, &["--url", &address], &["out/photos.tgz is no .tgz archive"]);
    assert_eq!(names_in(&folder.join("out")), [".download.json"]);
    downloads(folder, &["--url", &address]);
    is_whole(&folder.join("out"), 1);
}

#[test]
fn an_archive_that_is_here_is_taken_and_left() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path();
    let archive = archives::flowers(3);
    fs::write(folder.join("a.tgz"), &archive).unwrap();
    downloads(folder, &["--archive", "a.tgz"]);
    is_whole(&folder.join("out"), 3);
    assert_eq!(fs::read(folder.join("a.tgz")).unwrap(), archive);
    fs::remove_dir_all(folder.join("out")).unwrap();
    for length in [0, 5, 100, archive.len() / 2, archive.len() - 9, archive.len() - 1] {
        fs::write(folder.join("a.tgz"), &archive[..length]).unwrap();
        refuses(folder, &["--archive", "a.tgz"], &["a.tgz"]);
        assert_eq!(names_in(&folder.join("out")), [".download.json"], "{length}");
    }
    let mut damaged = archive;
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    fs::write(folder.join("a.tgz"), &damaged).unwrap();
    refuses(folder, &["--archive", "a.tgz"], &["can't be unpacked", "corrupt"]);
    refuses(folder, &["--archive", "none.tgz"], &["out holds the download of", "a.tgz"]);
}

/// Entries that no archive of photos has. Nothing of such an archive is unpacked, and nothing is written elsewhere.
#[test]
fn hostile_archives_are_refused_whole() {
    let long_name = [b"x/".repeat(40_000), b"1.jpg\0".to_vec()].concat();
    let pax = |key: &str, value: &str| {
        let body = format!("{key}={value}\n");
        let length =
            (1..99).find(|length: &usize| length.to_string().len() + 1 + body.len() == *length).unwrap();
        entry(EntryType::XHeader, b"pax", b"", format!("{length} {body}").as_bytes())
    };
    let photo = jpeg(5);
    let good = || file("flower_photos/daisy/9.jpg", &jpeg(9));
    for (name, entries, part) in [
        ("parent", vec![file("../escaped.jpg", &photo)], "leads out of the archive"),
        ("inner parent", vec![file("a/../../escaped.jpg", &photo)], "leads out of the archive"),
        ("absolute", vec![file("/tmp/escaped.jpg", &photo)], "root of the file system"),
        ("backslash", vec![file("..\\escaped.jpg", &photo)], "not every system"),
        (
            "long name",
            vec![entry(EntryType::GNULongName, b"l", b"", b"../escaped.jpg\0"), good()],
            "leads out",
        ),
        ("pax path", vec![pax("path", "../escaped.jpg"), good()], "leads out"),
        ("pax size", vec![pax("size", "7"), good()], "in two ways"),
        (
            "symlink",
            vec![entry(EntryType::Symlink, b"daisy", b"/etc", b"")],
            "because of daisy: it is a symbolic link",
        ),
        (
            "through a link",
            vec![
                entry(EntryType::Symlink, b"flower_photos/daisy/out", b"..", b""),
                file("flower_photos/daisy/out/x", b"x"),
            ],
            "symbolic link",
        ),
        ("hard link", vec![entry(EntryType::Link, b"passwd.jpg", b"/etc/passwd", b"")], "hard link"),
        ("character device", vec![entry(EntryType::Char, b"null.jpg", b"", b"")], "device"),
        ("block device", vec![entry(EntryType::Block, b"sda.jpg", b"", b"")], "device"),
        ("pipe", vec![entry(EntryType::Fifo, b"pipe.jpg", b"", b"")], "named pipe"),
        ("sparse", vec![entry(EntryType::GNUSparse, b"sparse.jpg", b"", b"")], "sparse"),
        ("unknown", vec![entry(EntryType::new(b'Z'), b"what.jpg", b"", b"")], "neither a file nor a folder"),
        ("not UTF-8", vec![entry(EntryType::Regular, b"caf\xe9.jpg", b"", &photo)], "not UTF-8"),
        ("terminal", vec![file("\u{1b}[2J.jpg", &photo)], r"\u{1b}[2J.jpg: its path has a character"),
        ("twice", vec![file("flower_photos/daisy/1.jpg", &photo)], "another entry has its name"),
        ("case", vec![file("flower_photos/DAISY/2.jpg", &photo)], "in the way of writing only"),
        (
            "file as folder",
            vec![file("flower_photos/daisy/1.jpg/x.jpg", &photo)],
            "another entry has its name",
        ),
        ("huge claim", vec![sized(EntryType::Regular, b"a.jpg", b"", &photo, 1 << 40)], "over the limit"),
        ("cut claim", vec![sized(EntryType::Regular, b"a.jpg", b"", &photo, 1 << 20)], "is cut off"),
        (
            "long name without end",
            vec![entry(EntryType::GNULongName, b"l", b"", &long_name), good()],
            "header is over",
        ),
        ("bad check sum", vec![vec![7; 512]], "can't be unpacked"),
        ("bomb", vec![file("zeros.jpg", &vec![0; 64 << 20])], "made to fill a disk"),
        ("bomb behind the end", vec![vec![0; 64 << 20]], "made to fill a disk"),
        (
            "long names",
            vec![sized(EntryType::GNULongName, b"l", b"", &vec![b'x'; 8 << 20], 8 << 20)],
            "header is over",
        ),
    ] {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        fs::write(folder.join("a.tgz"), with(&entries)).unwrap();
        let error = refuses(folder, &["--archive", "a.tgz"], &[part]);
        assert!(!error.contains('\u{1b}'), "{name}: {error:?}");
        assert_eq!(names_in(folder), ["a.tgz", "out"], "{name}");
        assert_eq!(names_in(&folder.join("out")), [".download.json"], "{name}");
    }
    // More entries than there may be, though hidden ones; what is random keeps the archive from being a bomb first.
    let noise = |n: u32| {
        [n.wrapping_mul(2_654_435_761), n.wrapping_mul(40_503) ^ n << 7].map(u32::to_be_bytes).concat()
    };
    let crowd: Vec<u8> = (0..200_001)
        .flat_map(|n| {
            entry(EntryType::Regular, b"._1.jpg", &[noise(n), noise(!n), noise(n + 77)].concat(), b"")
        })
        .collect();
    for (bytes, part) in [
        (gzip(&crowd), "more than 200000 entries"),
        (gzip(&[0; 1024]), "holds no file"),
        (b"PK\x03\x04".to_vec(), "is no .tgz archive"),
    ] {
        let temporary = TempDir::new().unwrap();
        fs::write(temporary.path().join("a.tgz"), bytes).unwrap();
        refuses(temporary.path(), &["--archive", "a.tgz"], &[part]);
    }
}

#[test]
fn archives_of_other_shapes_become_data_sets_too() {
    let photo = |name: &str, seed| file(name, &jpeg(seed));
    for (entries, folders) in [
        // At the top, in two members of a stream; split into parts.
        (vec![photo("./a/1.jpg", 1), photo("./a/2.jpg", 2), photo("./b/1.jpg", 3)], &["a", "b"][..]),
        (
            vec![
                photo("x/y/train/a/1.jpg", 1),
                photo("x/y/train/b/1.jpg", 2),
                photo("x/y/val/a/1.jpg", 3),
                photo("x/y/val/b/1.jpg", 4),
            ],
            &["train", "val"],
        ),
    ] {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path();
        let (first, rest) = entries.split_at(1);
        let archive = [gzip(&first.concat()), gzip(&[&rest.concat()[..], &[0; 1024]].concat())].concat();
        fs::write(folder.join("a.tgz"), archive).unwrap();
        downloads(folder, &["--archive", "a.tgz"]);
        assert_eq!(names_in(&folder.join("out/photos")), folders);
    }
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
