//! What is made of an archive, whatever is in it.

use std::fs;

use tar::EntryType;
use tempfile::TempDir;

use super::{downloads, is_whole, names_in, refuses, sha256};
use crate::archives::{self, entry, file, gzip, jpeg, sized, with};
use crate::server::{Served, Server};

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
    refuses(folder, &["--url", &address], &["out/photos.tgz is no .tgz or .zip archive"]);
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
        (b"PK\x03\x04".to_vec(), "can't be unpacked, and nothing of it was"),
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
