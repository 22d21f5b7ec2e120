//! TensorFlow checkpoints: those of TensorFlow are read to the bit, what is written is read again, and files that are
//! something else or damaged are errors.

use std::fs;
use std::path::{Path, PathBuf};

use floret::checkpoint::tensorflow::{Checkpoint, CheckpointWriter, DataType, Tensor};
use proptest::prelude::*;
use safetensors::SafeTensors;
use tempfile::{TempDir, tempdir};

use super::error_message as message;
use super::small_network;
use crate::common::fixture;

/// What TensorFlow's `Saver` wrote.
const FIXTURE: &str = "tf_checkpoint/model.ckpt";

#[test]
fn tensorflows_values_are_read_to_the_bit() {
    let bytes = fs::read(fixture("tf_checkpoint/expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    // By its prefix, by each of its files, and as the latest of its folder.
    for path in ["", "/model.ckpt", "/model.ckpt.index", "/model.ckpt.data-00000-of-00001", "/checkpoint"] {
        let checkpoint = Checkpoint::open(fixture(&format!("tf_checkpoint{path}"))).unwrap();
        assert_eq!(checkpoint.prefix(), fixture(FIXTURE));
        let names: Vec<_> = checkpoint.tensors().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["conv1/bias", "conv1/kernel", "fc/bias", "fc/kernel", "global_step", "scalar"]);
        for (name, view) in expected.tensors() {
            let tensor = checkpoint.read(&name).unwrap();
            // safetensors files of NumPy have no scalars.
            let shape = if name == "scalar" { &[][..] } else { view.shape() };
            assert_eq!((tensor.dtype(), tensor.shape()), (DataType::Float32, shape), "{name}");
            assert_eq!(tensor.bytes(), view.data(), "{name}");
            let values = tensor.to_f32().unwrap();
            let stored = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).to_bits());
            assert!(values.iter().map(|value| value.to_bits()).eq(stored), "{name}");
        }
        let step = checkpoint.read("global_step").unwrap();
        assert_eq!((step.dtype(), step.to_i64().unwrap()[[]]), (DataType::Int64, 123));
    }
    let names = message(Checkpoint::open(fixture(FIXTURE)).unwrap().read("conv2/bias"));
    assert!(names.ends_with("has no tensor `conv2/bias`; it has conv1/bias, conv1/kernel, fc/bias, fc/kernel, global_step, scalar"), "{names}");
}

/// The same tensors in the order of their names give TensorFlow's own bytes.
#[test]
fn what_is_written_is_what_tensorflow_writes() {
    let folder = tempdir().unwrap();
    let original = Checkpoint::open(fixture(FIXTURE)).unwrap();
    let prefix = folder.path().join("model.ckpt");
    copy(&original, &prefix);
    for file in ["model.ckpt.index", "model.ckpt.data-00000-of-00001", "checkpoint"] {
        let (got, want) = (fs::read(folder.path().join(file)), fs::read(fixture("tf_checkpoint").join(file)));
        assert!(got.unwrap() == want.unwrap(), "{file}");
    }
}

fn copy(checkpoint: &Checkpoint, prefix: &Path) {
    let mut writer = CheckpointWriter::create(prefix).unwrap();
    for (name, _) in checkpoint.tensors() {
        writer.add_tensor(&checkpoint.read(name).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

/// Any tensor of numbers or strings.
fn tensor(name: String) -> impl Strategy<Value = Tensor> {
    let shape = proptest::collection::vec(0usize..4, 0..4);
    (shape, 0..8u8, any::<u64>()).prop_map(move |(shape, kind, seed)| {
        let count = shape.iter().product::<usize>() as u64;
        let bits: Vec<u64> = (0..count).map(|i| seed.wrapping_mul(i + 1).rotate_left(i as u32)).collect();
        macro_rules! of {
            ($convert:expr) => {
                Tensor::new(&name, &shape, &bits.iter().map($convert).collect::<Vec<_>>())
            };
        }
        match kind {
            0 => of!(|b| f32::from_bits(*b as u32)),
            1 => of!(|b| f64::from_bits(*b)),
            2 => of!(|b| *b as i8),
            3 => of!(|b| *b as u16),
            4 => of!(|b| *b as i32),
            5 => of!(|b| *b as i64),
            6 => of!(|b| *b),
            _ => {
                let strings: Vec<_> = bits.iter().map(|b| vec![*b as u8; (*b % 200) as usize]).collect();
                Tensor::strings(&name, &shape, &strings)
            }
        }
        .unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_written_is_read_again(
        tensors in proptest::collection::btree_set("[a-c/]{1,12}|\u{7f}|gänse", 0..40).prop_flat_map(|names| {
            names.into_iter().map(tensor).collect::<Vec<_>>()
        }).prop_shuffle(),
    ) {
        let folder = tempdir().unwrap();
        let prefix = folder.path().join("it");
        let mut writer = CheckpointWriter::create(&prefix).unwrap();
        tensors.iter().for_each(|tensor| writer.add_tensor(tensor).unwrap());
        writer.finish().unwrap();
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        prop_assert_eq!(checkpoint.tensors().count(), tensors.len());
        for tensor in &tensors {
            prop_assert_eq!(&checkpoint.read(tensor.name()).unwrap(), tensor);
        }
        // And again the same bytes, in whatever order they are read.
        let again = folder.path().join("again");
        let mut writer = CheckpointWriter::create(&again).unwrap();
        tensors.iter().for_each(|tensor| writer.add_tensor(tensor).unwrap());
        writer.finish().unwrap();
        for file in ["index", "data-00000-of-00001"] {
            let of = |prefix: &str| fs::read(folder.path().join(format!("{prefix}.{file}"))).unwrap();
            prop_assert!(of("it") == of("again"));
        }
    }
}

/// A small checkpoint of tensors and an object graph, to be damaged.
fn small() -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let prefix = folder.path().join("it");
    let network = small_network(0.0).build().unwrap();
    let mut writer = CheckpointWriter::create(&prefix).unwrap();
    writer.add("a/bias", &[3], &[1.5f32, -2.0, 0.0]).unwrap();
    writer.add_tensor(&Tensor::strings("text", &[2], &["daisy", ""]).unwrap()).unwrap();
    writer.add("step", &[], &[network.steps() as i64]).unwrap();
    writer.finish().unwrap();
    (folder, prefix)
}

/// Every tensor, or the first error.
fn read_all(prefix: &Path) -> Result<Vec<Tensor>, String> {
    let checkpoint = Checkpoint::open(prefix).map_err(|error| error.to_string())?;
    checkpoint.tensors().map(|(name, _)| checkpoint.read(name).map_err(|error| error.to_string())).collect()
}

#[test]
fn every_changed_byte_and_every_cut_is_found() {
    let (_folder, prefix) = small();
    let whole = read_all(&prefix).unwrap();
    assert_eq!(whole.len(), 3);
    for file in ["it.index", "it.data-00000-of-00001"] {
        let path = prefix.with_file_name(file);
        let bytes = fs::read(&path).unwrap();
        for place in 0..bytes.len() {
            for flip in [0x01, 0x10, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[place] ^= flip;
                fs::write(&path, damaged).unwrap();
                let message = read_all(&prefix).expect_err(&format!("byte {place} of {file}"));
                assert!(message.contains(file), "byte {place}: {message}");
            }
            fs::write(&path, &bytes[..place]).unwrap();
            let message = message(read_all(&prefix));
            assert!(message.contains(file), "cut at {place}: {message}");
        }
        fs::write(&path, [&bytes[..], b"more"].concat()).unwrap();
        assert!(message(read_all(&prefix)).contains(file));
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read_all(&prefix).unwrap(), whole);
    }
}

#[test]
fn files_of_another_kind_are_named_for_what_they_are() {
    let (folder, prefix) = small();
    let index = prefix.with_extension("index");
    let whole = fs::read(&index).unwrap();
    let model = folder.path().join("model.safetensors");
    fs::write(&model, b"\x40\x01\0\0\0\0\0\0{\"__metadata__\"").unwrap();
    for (bytes, reason) in [
        (&b""[..], "is not the index of a TensorFlow checkpoint: it looks like an empty file"),
        (b"weights", "it looks like a text file; name a checkpoint that TensorFlow or floret wrote"),
        (&fs::read(&model).unwrap(), "it looks like a safetensors file"),
        (&[0; 4096], "it looks like a file of zeros"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "it looks like an HDF5 file"),
        (&fs::read(fixture("train-00000-of-00002.tfrecord")).unwrap(), "it looks like a TFRecord file"),
        (&whole[..whole.len() - 1], "it.index is damaged: it does not end as a table does"),
        (&whole[whole.len() - 8..], "is damaged: at byte 0 its 8 bytes are too few for a table"),
    ] {
        fs::write(&index, bytes).unwrap();
        let message = message(Checkpoint::open(&prefix));
        assert!(message.contains(reason), "{message}");
    }
    fs::write(&index, whole).unwrap();
    for (path, reason) in [
        (
            model,
            "model.safetensors is not the index of a TensorFlow checkpoint: it looks like a safetensors file",
        ),
        (folder.path().join("none"), "there is no TensorFlow checkpoint"),
        (folder.path().join("none"), "none: its file none.index is missing"),
        (fixture("tf_events"), "neither a file `checkpoint` that names one nor variables/variables.index"),
    ] {
        let message = message(Checkpoint::open(&path));
        assert!(message.contains(reason), "{message}");
    }
    fs::remove_file(prefix.with_file_name("it.data-00000-of-00001")).unwrap();
    let message = message(Checkpoint::open(&prefix));
    assert!(message.contains("it.data-00000-of-00001: No such file"), "{message}");
}

/// Sparse files that no memory could hold.
#[test]
fn long_files_are_refused_before_they_are_read() {
    let (_folder, prefix) = small();
    let grow = |file: &str| {
        let path = prefix.with_file_name(file);
        let before = fs::metadata(&path).unwrap().len();
        fs::File::options().write(true).open(&path).unwrap().set_len(1 << 43).unwrap();
        let message = message(Checkpoint::open(&prefix));
        fs::File::options().write(true).open(&path).unwrap().set_len(before).unwrap();
        message
    };
    let message = grow("it.index");
    assert!(
        message.contains("its 8796093022208 bytes are more than the 16777216 that are read"),
        "{message}"
    );
    let message = grow("it.data-00000-of-00001");
    assert!(message.contains("bytes from byte") && message.contains("belong to no tensor"), "{message}");
    read_all(&prefix).unwrap();
}

#[test]
fn names_that_no_checkpoint_can_hold_are_refused() {
    let folder = tempdir().unwrap();
    let mut writer = CheckpointWriter::create(folder.path().join("it")).unwrap();
    writer.add("a", &[1], &[1u8]).unwrap();
    for (name, shape, reason) in [
        ("a", &[1][..], "the tensor `a`: a second tensor of this name"),
        ("", &[1], "an empty name, or one that begins with a zero byte"),
        ("\0a", &[1], "an empty name, or one that begins with a zero byte"),
        ("b", &[2], "the tensor `b`: 1 values for the shape [2]"),
    ] {
        let message = message(writer.add(name, shape, &[1u8]));
        assert!(message.contains("it can't be written: ") && message.contains(reason), "{message}");
    }
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "what is not finished leaves nothing");
    assert!(message(CheckpointWriter::create("/")).contains("no name that files could begin with"));
}

/// Variables in parts, and every type that is read.
#[test]
fn slices_and_other_types_are_read() {
    let checkpoint = Checkpoint::open(fixture("tf_checkpoint_slices")).unwrap();
    let bytes = fs::read(fixture("tf_checkpoint_slices/expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let dtypes = [
        ("rows", DataType::Float32),
        ("columns", DataType::Float32),
        ("middle", DataType::Float32),
        ("half", DataType::Float16),
        ("bfloat", DataType::BFloat16),
        ("double", DataType::Float64),
        ("int32", DataType::Int32),
        ("uint8", DataType::UInt8),
        ("flag", DataType::Bool),
    ];
    assert_eq!(expected.len(), dtypes.len());
    for (name, dtype) in dtypes {
        let (tensor, view) = (checkpoint.read(name).unwrap(), expected.tensor(name).unwrap());
        assert_eq!((tensor.dtype(), tensor.shape()), (dtype, view.shape()), "{name}");
        let want: Vec<_> = view.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
        assert_eq!(tensor.to_f64().unwrap().into_raw_vec_and_offset().0, want, "{name}");
    }
    let text = checkpoint.read("text").unwrap();
    assert_eq!(text.to_strings().unwrap(), [b"daisy", &b""[..], &[b'x'; 300], "größe".as_bytes()]);
    let message = message(checkpoint.read("complex"));
    assert_eq!(message, "the tensor `complex` holds type 8 values, numbers or strings are wanted");
    // Put together, they are written as one.
    let folder = tempdir().unwrap();
    let mut writer = CheckpointWriter::create(folder.path().join("whole")).unwrap();
    writer.add_tensor(&checkpoint.read("columns").unwrap()).unwrap();
    writer.finish().unwrap();
    let whole = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(whole.read("columns").unwrap(), checkpoint.read("columns").unwrap());
}

/// A slice with a changed byte, and an index without one of the slices.
#[test]
fn a_damaged_slice_is_found() {
    let folder = tempdir().unwrap();
    for file in ["model.ckpt.index", "model.ckpt.data-00000-of-00001"] {
        fs::copy(fixture("tf_checkpoint_slices").join(file), folder.path().join(file)).unwrap();
    }
    let prefix = folder.path().join("model.ckpt");
    let places = |name: &str| {
        let whole = fs::read(fixture("tf_checkpoint_slices/model.ckpt.data-00000-of-00001")).unwrap();
        let data = folder.path().join("model.ckpt.data-00000-of-00001");
        let damaged = (0..whole.len()).filter(|&place| {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&data, bytes).unwrap();
            Checkpoint::open(&prefix).unwrap().read(name).is_err()
        });
        damaged.count()
    };
    assert_eq!(places("rows"), 7 * 3 * 4);
    assert_eq!(places("middle"), 2 * 5 * 3 * 4);
}

/// A killed writer leaves no index, so no checkpoint; and an earlier one until its data are replaced.
#[test]
fn an_unfinished_checkpoint_is_none() {
    let (folder, prefix) = small();
    let whole = read_all(&prefix).unwrap();
    let mut writer = CheckpointWriter::create(&prefix).unwrap();
    writer.add("a/bias", &[3], &[9f32, 9.0, 9.0]).unwrap();
    // Not dropped, as if killed.
    std::mem::forget(writer);
    assert_eq!(read_all(&prefix).unwrap(), whole);
    // Data of the next one under the index of the one before.
    let next = folder.path().join("next");
    let mut writer = CheckpointWriter::create(&next).unwrap();
    writer.add("a/bias", &[8], &[9f32; 8]).unwrap();
    writer.finish().unwrap();
    let data = |prefix: &Path| PathBuf::from(format!("{}.data-00000-of-00001", prefix.display()));
    fs::copy(data(&next), data(&prefix)).unwrap();
    let message = read_all(&prefix).unwrap_err();
    assert!(message.contains("it.data-00000-of-00001 is damaged"), "{message}");
}
