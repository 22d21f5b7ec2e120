//! Files that are something else, or damaged.

use std::fs;
use std::path::Path;

use floret::checkpoint::{Arithmetic, ModelInfo, load_model, load_training, save_model};
use serde_json::{Value, json};

use super::{bits, edit, edit_entry, edit_header, small_files};
use crate::common::fixture;

#[test]
fn a_training_state_tells_with_what_it_was_computed() {
    let (_folder, _, training) = small_files();
    assert_eq!(load_training(&training).unwrap().arithmetic, Some(Arithmetic::here()));
    let elsewhere = edit(&training, |entry| entry["arithmetic"]["instructions"] = "neon".into());
    let arithmetic = load_training(elsewhere).unwrap().arithmetic.unwrap();
    assert_ne!(arithmetic, Arithmetic::here());
    assert!(arithmetic.to_string().contains(" with neon on "), "{arithmetic}");
    // Earlier versions did not tell.
    let earlier = edit(&training, |entry| drop(entry.as_object_mut().unwrap().remove("arithmetic")));
    assert_eq!(load_training(earlier).unwrap().arithmetic, None);
}

#[test]
fn files_of_another_kind_are_named_for_what_they_are() {
    let (folder, model, training) = small_files();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = fs::read(&model).unwrap();
    for (path, reason) in [
        (training.clone(), "is not a model file of floret: it is a training state"),
        (
            fixture("network.safetensors"),
            "is not a model file of floret: it is a safetensors file of another program",
        ),
        (file("empty", b""), "is not a model file of floret: it looks like an empty file"),
        (file("text", b"weights: none\n"), "it looks like a text file; name a model file that floret wrote"),
        (file("zeros", &[0; 4096]), "it looks like a file of zeros"),
        (file("jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"), "it looks like a JPEG image"),
        (file("hdf5", b"\x89HDF\r\n\x1a\n\0\0\0\0"), "it looks like an HDF5 file"),
        (file("lfs", b"version https://git-lfs.github.com/spec/v1\n"), "`git lfs pull`"),
        (file("unknown", b"\x01\x02\x03\x04\x05\x06\x07\x08\x09"), "it is no whole safetensors file"),
        (fixture("train-00000-of-00002.tfrecord"), "it looks like a TFRecord file"),
        (file("cut", &whole[..whole.len() - 1]), "it is no whole safetensors file"),
        (file("cut short", &whole[..50]), "it is no whole safetensors file"),
        (file("longer", &[&whole[..], b"more"].concat()), "it is no whole safetensors file"),
        (folder.path().join("none"), "none: No such file"),
        (folder.path().to_path_buf(), "it is a folder, not a regular file"),
    ] {
        let message = load_model(&path).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
    let message = load_training(&model).unwrap_err().to_string();
    assert!(message.contains("is not a training state of floret: it is a model file"), "{message}");
}

#[test]
fn a_changed_file_is_refused_with_what_does_not_fit() {
    let (_folder, model, training) = small_files();
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 17] = [
        (|e| e["version"] = 2.into(), "it is of version 2, this program reads up to 1: use a newer floret"),
        (|e| e["kind"] = "cake".into(), "is damaged: its metadata: unknown variant `cake`"),
        (
            |e| drop(e.as_object_mut().unwrap().remove("network")),
            "is damaged: its metadata: missing field `network`",
        ),
        (|e| e["steps"] = u64::MAX.into(), "is damaged: it counts 18446744073709551615 steps"),
        (
            |e| e["classes"] = json!(["a"]),
            "is damaged: the network has 4 outputs, but there are 1 class names",
        ),
        (
            |e| e["preprocess"]["image_size"] = 64.into(),
            "is damaged: the network takes images of 12x12x3, but preprocessing makes 64x64x3",
        ),
        (|e| e["crc32c"] = 7.into(), "not the one it says"),
        (|e| e["crc32c"] = "none".into(), "not the one it says"),
        (|e| e["network"]["layers"][0]["layer"] = "cake".into(), "unknown variant `cake`"),
        (
            |e| e["network"]["layers"][5]["units"] = 9.into(),
            "`dense_1/kernel` has the shape [36, 8], the network wants [36, 9]",
        ),
        (|e| e["network"]["layers"][5]["name"] = "other".into(), "the array `other/kernel` is missing"),
        (
            |e| e["network"]["layers"][8]["name"] = "dense_1".into(),
            "`dense_1/kernel` has the shape [36, 8], the network wants [8, 4]",
        ),
        (
            |e| e["network"]["layers"][5]["units"] = (1u64 << 62).into(),
            "layer `dense_1`: a kernel of 36 x 4611686018427387904 values is over",
        ),
        (
            |e| e["network"]["layers"][0]["filters"] = (1u64 << 40).into(),
            "layer `conv2d_1`: a kernel of 3 x 3 x 3 x",
        ),
        (
            |e| e["network"]["layers"][0]["dilation"] = json!([u64::MAX, 1]),
            "layer `conv2d_1`: a kernel of 3x3",
        ),
        (
            |e| e["network"]["input"]["image"]["height"] = u64::MAX.into(),
            "an input of 18446744073709551615 x 12 x 3 values is over",
        ),
        (
            |e| e["network"]["layers"] = json!([]),
            "building the network: there is no layer that computes anything",
        ),
    ];
    for (change, reason) in changes {
        let message = load_model(edit(&model, change)).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("model.edited"), "{message}");
    }
    let changes: [(Change, &str); 6] = [
        (
            |e| {
                e["progress"]["pace"] = json!({
                    "done": 0.5, "left": 0, "spent": 1.0, "times": {"steps": [], "evaluation": [], "callbacks": []}
                })
            },
            "is damaged: it tells of 0 epochs left",
        ),
        (
            |e| {
                e["progress"]["pace"] = json!({
                    "done": 0.5, "left": 3, "spent": -5.0, "times": {"steps": [], "evaluation": [1.0], "callbacks": []}
                })
            },
            "is damaged: it tells of a time of -5 s",
        ),
        (|e| e["progress"]["step"] = u64::MAX.into(), "it counts 18446744073709551615 steps"),
        (|e| e["progress"]["epoch"] = (-1).into(), "is damaged: its metadata: invalid value"),
        (|e| e["optimizer"]["common"]["steps"] = u64::MAX.into(), "it counts 18446744073709551615 updates"),
        (|e| drop(e["progress"].as_object_mut().unwrap().remove("sums")), "missing field `sums`"),
    ];
    for (change, reason) in changes {
        let message = load_training(edit(&training, change)).unwrap_err().to_string();
        assert!(message.contains(reason) && message.contains("training.edited"), "{message}");
    }

    let rename = |from: &str, to: &str, path: &Path| {
        edit_header(&edit(path, |_| ()), |header| {
            let array = header.as_object_mut().unwrap().remove(from).unwrap();
            header[to] = array;
        })
    };
    let message = load_model(rename("dense_1/bias", "dense_7/bias", &model)).unwrap_err().to_string();
    assert!(message.contains("is damaged: the array `dense_1/bias` is missing"), "{message}");
    let message =
        load_training(rename("network/dense_1/bias", "dense_1/bias", &training)).unwrap_err().to_string();
    assert!(message.contains("is damaged: the array `network/dense_1/bias` is missing"), "{message}");
    // Whatever else is changed, the checksum tells.
    let changes: [Change; 4] = [
        |e| e["seed"] = 4.into(),
        |e| e["classes"][0] = "daisy".into(),
        |e| e["network"]["layers"][1]["epsilon"] = 0.5.into(),
        |e| e["new"] = 1.into(),
    ];
    for change in changes {
        let message = load_model(edit_entry(&model, change)).unwrap_err().to_string();
        assert!(message.contains("is damaged: its contents have the CRC32C"), "{message}");
    }
    let integers =
        edit_header(&edit(&model, |_| ()), |header| header["dense_1/bias"]["dtype"] = "I32".into());
    let message = load_model(integers).unwrap_err().to_string();
    assert!(message.contains("`dense_1/bias` holds I32 values, F32 is wanted"), "{message}");

    // Without the checksum, the file is taken as it is.
    assert!(load_model(edit(&model, |_| ())).is_ok());
}

/// What could not be read again is not written.
#[test]
fn a_description_over_the_limit_is_not_saved() {
    let (_folder, model, _) = small_files();
    let before = fs::read(&model).unwrap();
    let (network, info) = load_model(&model).unwrap();
    let classes = info.classes.iter().map(|name| name.repeat(5 << 20)).collect();
    let error = save_model(&model, &network, &ModelInfo { classes, ..info }).unwrap_err();
    assert!(error.to_string().contains("over the limit of 4194304"), "{error}");
    assert_eq!(fs::read(&model).unwrap(), before);
}

/// Sparse files that no memory could hold: what they are is told from their beginning.
#[test]
fn a_long_file_is_told_from_its_beginning() {
    let (folder, model, training) = small_files();
    let long = |name: &str, begin: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, begin).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(1 << 43).unwrap();
        load_model(&path).unwrap_err().to_string()
    };
    for (begin, reason) in [
        (&[0xFF; 8][..], "it does not begin with the length of a description"),
        (b"\xFF\xFF\xFF\xFF\xFF\0\0\0{", "over the limit of 4194304 bytes"),
        (&[], "it looks like a file of zeros"),
        (&fs::read(&training).unwrap(), "it is a training state"),
        (&fs::read(&model).unwrap(), "it has 8796093022208 bytes, and should have"),
    ] {
        let message = long("long", begin);
        assert!(message.contains(reason), "{message}");
    }
}

/// Arrays that the network does not have, in a hole of the file.
#[test]
fn values_that_belong_to_nothing_are_not_read() {
    let (_folder, model, training) = small_files();
    let grown = |path: &Path, name: &str, values: u64| {
        let edited = edit_header(&edit(path, |_| ()), |header| {
            let arrays = header.as_object().unwrap().values();
            let end = arrays.filter_map(|array| array["data_offsets"][1].as_u64()).max().unwrap();
            header[name] =
                json!({"dtype": "F32", "shape": [values], "data_offsets": [end, end + 4 * values]});
        });
        let file = fs::File::options().write(true).open(&edited).unwrap();
        file.set_len(file.metadata().unwrap().len() + 4 * values).unwrap();
        edited
    };
    let before = peak();
    let message = load_model(grown(&model, "zz\n", 1 << 29)).unwrap_err().to_string();
    assert!(message.contains(r"1 arrays belong to nothing, among them `zz\n`"), "{message}");
    let message = load_training(grown(&training, "optimizer/zz", 1 << 29)).unwrap_err().to_string();
    assert!(message.contains("the array `optimizer/zz` has the shape [536870912], ["), "{message}");
    assert!(peak() - before < 256 << 20, "{} bytes", peak() - before);
}

/// The most memory this process ever had resident, in bytes; 0 where the system does not tell.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10)
}

/// Bytes all over the header and the arrays, one at a time: an error or the same network, never a panic.
#[test]
fn a_file_with_a_damaged_byte_is_an_error_or_the_same_model() {
    let (folder, model, _) = small_files();
    let whole = fs::read(&model).unwrap();
    let header = 8 + u64::from_le_bytes(*whole.first_chunk().unwrap()) as usize;
    let (network, info) = load_model(&model).unwrap();
    let wanted = (network.spec().clone(), network.seed(), info, bits(&network));
    let damaged = folder.path().join("damaged");
    let mut errors = 0;
    for place in (0..header).step_by(7).chain((header..whole.len()).step_by(97)) {
        for flip in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[place] ^= flip;
            fs::write(&damaged, bytes).unwrap();
            match load_model(&damaged) {
                Ok((network, info)) => {
                    assert!(place < header, "a changed weight goes unnoticed");
                    let got = (network.spec().clone(), network.seed(), info, bits(&network));
                    // The checksum's own name may be what changed.
                    assert_eq!(got, wanted, "byte {place}");
                }
                Err(error) => {
                    errors += 1;
                    let message = error.to_string();
                    assert!(message.contains("damaged") && !message.contains('\n'), "{message}");
                    assert!(place < header || message.contains("CRC32C"), "{message}");
                }
            }
        }
    }
    assert!(errors > 2 * header / 7 / 2, "{errors} of {}", 2 * header / 7);
}
