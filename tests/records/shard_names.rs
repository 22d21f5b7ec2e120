//! Which files a list of paths, prefixes and globs stands for, and what is wrong with it.

use std::fs;
use std::path::Path;

use floret::record::*;

use super::support::*;

/// A folder with (empty) files of these names.
fn folder_with(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(folder.path().join(name), "").unwrap();
    }
    folder
}

/// The names found in `folder` for these patterns, or the message with the folder left out.
fn find(folder: &Path, patterns: &[&str]) -> Result<Vec<String>, String> {
    let patterns: Vec<_> = patterns.iter().map(|pattern| folder.join(pattern)).collect();
    let name = |path: &std::path::PathBuf| path.strip_prefix(folder).unwrap().to_str().unwrap().to_string();
    match find_shards(&patterns) {
        Ok(paths) => Ok(paths.iter().map(name).collect()),
        Err(error) => Err(error.to_string().replace(&format!("{}/", folder.display()), "")),
    }
}

const TWO_SETS: [&str; 5] = [
    "eval-00000-of-00001.tfrecord",
    "train-00000-of-00003.tfrecord",
    "train-00001-of-00003.tfrecord",
    "train-00002-of-00003.tfrecord",
    "labels.txt",
];

#[test]
fn files_prefixes_and_globs_are_found_sorted_and_once() {
    let folder = folder_with(&TWO_SETS);
    let find = |patterns: &[&str]| find(folder.path(), patterns).unwrap();
    assert_eq!(find(&["train"]), TWO_SETS[1..4]);
    assert_eq!(find(&["train-*"]), TWO_SETS[1..4]);
    assert_eq!(find(&["*.tfrecord"]), TWO_SETS[..4]);
    assert_eq!(find(&["train-0000[01]-of-?????.tfrecord"]), TWO_SETS[1..3], "a glob may choose");
    assert_eq!(find(&["train", "eval"]), TWO_SETS[..4]);
    assert_eq!(find(&["train", "./train-00001-of-00003.tfrecord", "train-*"]), TWO_SETS[1..4]);
    assert_eq!(find(&["labels.txt"]), ["labels.txt"], "what is named is taken");
}

#[test]
fn a_folder_may_have_the_characters_of_a_glob_in_its_name() {
    let outer = tempfile::tempdir().unwrap();
    for name in ["flowers [2024]", "what?", "all*"] {
        let folder = outer.path().join(name);
        fs::create_dir(&folder).unwrap();
        TWO_SETS.iter().for_each(|file| fs::write(folder.join(file), "").unwrap());
        let wanted: Vec<_> = TWO_SETS[1..4].iter().map(|file| format!("{name}/{file}")).collect();
        assert_eq!(find(outer.path(), &[&format!("{name}/train")]).unwrap(), wanted);
        assert_eq!(find(outer.path(), &[&wanted[0]]).unwrap(), wanted[..1]);
        let message = find(outer.path(), &[&format!("{name}/test")]).unwrap_err();
        assert!(message.contains("nor shards test-00000-of-NNNNN"), "{message}");
    }
    // Where there is no folder of that name, it is a glob.
    let wanted: Vec<_> = TWO_SETS[1..4].iter().map(|file| format!("what?/{file}")).collect();
    assert_eq!(find(outer.path(), &["w*?/train-*"]).unwrap(), wanted);
    assert_eq!(find(outer.path(), &["w*/train-00001-of-00003.tfrecord"]).unwrap(), wanted[1..2]);
}

#[test]
fn relative_paths_stay_relative() {
    // Tests run in the package's folder.
    let found = find_shards(&["tests/fixtures/train"]).unwrap();
    let wanted = ["train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"];
    assert_eq!(found, wanted.map(|name| Path::new("tests/fixtures").join(name)));
    assert_eq!(find_shards(&["Cargo.toml"]).unwrap(), [Path::new("Cargo.toml")]);
    let message = find_shards(&["nothing"]).unwrap_err().to_string();
    assert!(message.starts_with("nothing stands for no file"), "{message}");
}

#[test]
fn hidden_and_unrelated_files_are_left_out() {
    let folder =
        folder_with(&["a-00000-of-00001.tfrecord", ".a-00000-of-00001.tfrecord.12-3.tmp", "a-notes"]);
    fs::create_dir(folder.path().join("a-folder.tfrecord")).unwrap();
    assert_eq!(find(folder.path(), &["a"]).unwrap(), ["a-00000-of-00001.tfrecord"]);
    assert_eq!(find(folder.path(), &["*.tfrecord"]).unwrap(), ["a-00000-of-00001.tfrecord"]);
    assert_eq!(
        find(folder.path(), &["*tmp"]).unwrap_err(),
        "*tmp stands for no file: no file name matches the glob"
    );
}

#[test]
fn a_file_may_have_a_globs_characters() {
    let folder = folder_with(&["odd[1].tfrecord", "odd1.tfrecord"]);
    assert_eq!(find(folder.path(), &["odd[1].tfrecord"]).unwrap(), ["odd[1].tfrecord"]);
    assert_eq!(find(folder.path(), &["odd[1-9].tfrecord"]).unwrap(), ["odd1.tfrecord"]);
}

#[test]
fn globs_look_into_folders() {
    let outer = tempfile::tempdir().unwrap();
    for folder in ["a", "b/deep/er", ".hidden"] {
        fs::create_dir_all(outer.path().join(folder)).unwrap();
        fs::write(outer.path().join(folder).join("x.tfrecord"), "").unwrap();
    }
    let find = |pattern: &str| find(outer.path(), &[pattern]);
    let all = ["a/x.tfrecord", "b/deep/er/x.tfrecord"];
    for pattern in ["**/*.tfrecord", "**", "**/**/x.*", "**/x.tfrecord"] {
        assert_eq!(find(pattern).unwrap(), all, "{pattern}");
    }
    assert_eq!(find("*/x.tfrecord").unwrap(), all[..1]);
    assert_eq!(find("[b-z]/*/er/../er/*").unwrap(), ["b/deep/er/../er/x.tfrecord"]);
    assert_eq!(find(".h*/*").unwrap(), [".hidden/x.tfrecord"]);
    assert!(find("a/*/*").unwrap_err().contains("no file name matches"));
    for bad in ["a**/x", "[a/x"] {
        assert!(find(bad).unwrap_err().contains("is not a valid glob"), "{bad}");
    }
}

/// Links that lead back have `**` go round for ever where they are followed.
#[cfg(unix)]
#[test]
fn any_folders_are_no_links_and_other_links_are_followed() {
    use std::os::unix::fs::symlink;
    let folder = folder_with(&["x.tfrecord"]);
    fs::create_dir(folder.path().join("a")).unwrap();
    fs::write(folder.path().join("a/y.tfrecord"), "").unwrap();
    symlink(".", folder.path().join("dot")).unwrap();
    symlink("..", folder.path().join("a/up")).unwrap();
    symlink("a", folder.path().join("b")).unwrap();
    symlink("none", folder.path().join("broken.tfrecord")).unwrap();
    assert_eq!(find(folder.path(), &["**/*.tfrecord"]).unwrap(), ["a/y.tfrecord", "x.tfrecord"]);
    assert_eq!(find(folder.path(), &["[b]/*.tfrecord"]).unwrap(), ["b/y.tfrecord"]);
    assert_eq!(find(folder.path(), &["d*/d*/x*"]).unwrap(), ["dot/dot/x.tfrecord"]);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_match_as_well() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join(OsStr::from_bytes(b"fol\xffder"));
    fs::create_dir(&folder).unwrap();
    let names = [&b"\xff.tfrecord"[..], b"a.tfrecord", b"no\xfftes.txt"].map(OsStr::from_bytes);
    names.iter().for_each(|name| fs::write(folder.join(name), "").unwrap());
    let found = find_shards(&[folder.join("*.tfrecord")]).unwrap();
    assert_eq!(found, [folder.join("a.tfrecord"), folder.join(names[0])]);
    assert_eq!(find_shards(&[outer.path().join("*/no?*.txt")]).unwrap(), [folder.join(names[2])]);
}

#[test]
fn a_pattern_without_files_is_named() {
    let folder = folder_with(&TWO_SETS);
    let find = |pattern| find(folder.path(), &["train", pattern]).unwrap_err();
    assert_eq!(find("test-*"), "test-* stands for no file: no file name matches the glob");
    let wanted =
        "test stands for no file: there is neither a file of that name nor shards test-00000-of-NNNNN";
    assert_eq!(find("test"), wanted);
    assert!(find("[").contains("is not a valid glob"), "{}", find("["));
    for file in ["test.tfrecord", "train-00000-of-00007"] {
        assert!(find(file).starts_with(&format!("cannot open {file}: ")), "{}", find(file));
    }
    assert!(find("none/train").starts_with("cannot list the folder none: "), "{}", find("none/train"));
    assert!(matches!(find_shards::<&str>(&[]), Err(ShardError::NoPattern)));
}

#[test]
fn a_folder_is_not_guessed_at() {
    let folder = folder_with(&TWO_SETS);
    let message = find_shards(&[folder.path()]).unwrap_err().to_string();
    let path = folder.path().display();
    let wanted = format!(
        "{path} is a folder: name the shards in it by a prefix, such as {path}/train, or by a glob, such as"
    );
    assert!(message.starts_with(&wanted), "{message}");
}

#[test]
fn missing_shards_are_named() {
    let folder = folder_with(&["train-00001-of-00004.tfrecord", "train-00003-of-00004.tfrecord"]);
    let wanted = "2 of the 4 shards train-*-of-00004.tfrecord are missing: \
                  train-00000-of-00004.tfrecord, train-00002-of-00004.tfrecord";
    assert_eq!(find(folder.path(), &["train"]).unwrap_err(), wanted);
    assert_eq!(find(folder.path(), &["train-*"]).unwrap_err(), wanted);
    assert_eq!(find(folder.path(), &["train-00001*"]).unwrap_err(), wanted);
    let named = ["train-00001-of-00004.tfrecord"];
    assert_eq!(find(folder.path(), &named).unwrap(), named, "one file named is one file wanted");

    // A total that only a mistake can bring takes neither time nor memory.
    let folder = folder_with(&["train-00000-of-4294967295.tfrecord"]);
    let message = find(folder.path(), &["train"]).unwrap_err();
    assert!(message.starts_with("4294967294 of the 4294967295 shards"), "{message}");
    assert!(message.ends_with("train-00008-of-4294967295.tfrecord, ..."), "{message}");
}

#[test]
fn several_sets_of_one_prefix_are_an_error() {
    let two_totals = ["a-00000-of-00001.tfrecord", "a-00000-of-00002.tfrecord", "a-00001-of-00002.tfrecord"];
    let folder = folder_with(&two_totals);
    let wanted = "a has more than one set of shards (a-*-of-00001.tfrecord, a-*-of-00002.tfrecord): \
                  remove all but one, or name one by a glob";
    assert_eq!(find(folder.path(), &["a"]).unwrap_err(), wanted);
    assert_eq!(find(folder.path(), &two_totals[..2]).unwrap_err(), wanted);
    assert_eq!(find(folder.path(), &["a-*-of-00002.tfrecord"]).unwrap(), two_totals[1..]);

    let folder = folder_with(&["a-00000-of-00001.tfrecord", "a-00000-of-00001.tfrecord.gz"]);
    let message = find(folder.path(), &["a"]).unwrap_err();
    assert!(message.contains("(a-*-of-00001.tfrecord, a-*-of-00001.tfrecord.gz)"), "{message}");
}

#[test]
fn shards_are_written_in_turn_and_appear_together() {
    let payloads: Vec<_> = (0..7u8).map(|record| vec![record; usize::from(record)]).collect();
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zlib] {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ShardWriter::create(folder.path(), "train", 3, compression).unwrap();
        for payload in &payloads {
            writer.write(payload).unwrap();
        }
        assert!(names_in(folder.path()).iter().all(|name| name.starts_with('.')), "none is visible yet");
        let paths = writer.finish().unwrap();
        assert_eq!(names_in(folder.path()), TWO_SETS[1..4]);
        assert_eq!(find_shards(&[folder.path().join("train")]).unwrap(), paths);
        for (shard, path) in paths.iter().enumerate() {
            let wanted: Vec<_> = payloads.iter().skip(shard).step_by(3).cloned().collect();
            assert_eq!(payloads_of(path), wanted);
        }
    }
}

#[test]
fn shards_given_up_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::Plain, Compression::Gzip] {
        let mut writer = ShardWriter::create(folder.path(), "train", 2, compression).unwrap();
        writer.write(b"a record").unwrap();
        drop(writer);
        assert!(names_in(folder.path()).is_empty());
    }
    let error = ShardWriter::create(folder.path(), "train", 0, Compression::Plain).unwrap_err();
    assert!(error.to_string().contains("at least 1"), "{error}");
    let error = ShardWriter::create(folder.path().join("none"), "train", 1, Compression::Plain).unwrap_err();
    assert!(error.path.ends_with("none/train-00000-of-00001.tfrecord"), "{error}");
}
