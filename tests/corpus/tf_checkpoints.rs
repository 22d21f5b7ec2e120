//! The fuzz target of TensorFlow checkpoints, and the tables it makes of less than whole files.

#[path = "../../src/proto/tensor.rs"]
#[allow(clippy::duplicate_mod, reason = "a fuzz target takes this file without the other tests")]
#[rustfmt::skip]
mod tensor;
#[path = "../../src/proto/tensor_bundle.rs"]
#[rustfmt::skip]
mod tensor_bundle;

use std::fs;
use std::path::Path;

use floret::checkpoint::tensorflow::{Checkpoint, CheckpointWriter, guess_names, load_network, slim_network};
use floret::network::Network;
use floret::nn::{Dense, Flatten};
use floret::record::crc::{mask, masked_crc32c};
use ndarray::Array4;
use prost::Message;

use super::in_memory;
use tensor_bundle::BundleEntryProto;

/// A TensorFlow checkpoint. The first byte tells what follows:
///
/// - 0: the length of the data file (two bytes), the data file, the index;
/// - 1: the same, but of the index only the contents of its one data block, which get their place and their CRC;
/// - others: the same, but instead of the index its entries (length of the key, key, length of the value, value), which
///   get the CRC of the data they point to.
pub fn tf_checkpoint(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let Some((length, rest)) = rest.split_first_chunk() else { return };
    let Some((data, rest)) = rest.split_at_checked(u16::from_le_bytes(*length).into()) else { return };
    let mut data = data.to_vec();
    let index = match kind {
        0 => rest.to_vec(),
        1 => table(rest, &[0xFF; 9]),
        _ => described_table(rest, &mut data),
    };
    let folder = tempfile::tempdir_in(in_memory()).expect("a temporary folder");
    let prefix = folder.path().join("it");
    for (ending, bytes) in [("index", &index), ("data-00000-of-00001", &data), ("data-00000-of-00002", &data)]
    {
        fs::write(prefix.with_extension(ending), bytes).expect("a temporary file is written");
    }
    read_checkpoint(&prefix, &folder.path().join("again"));
}

/// Large enough for every layer of slim's networks to see more than padding.
const SLIM_SIDE: usize = 33;

fn read_checkpoint(prefix: &Path, again: &Path) {
    let checkpoint = match Checkpoint::open(prefix) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return drop(error.to_string()),
    };
    let mut tensors = Vec::new();
    for (name, info) in checkpoint.tensors() {
        assert_eq!(checkpoint.find(name), Some(name));
        let _ = checkpoint.readable_name(name);
        match checkpoint.read(name) {
            Ok(tensor) => {
                assert_eq!(tensor.shape(), info.shape);
                let _ = (tensor.to_i64(), tensor.to_f64(), tensor.to_strings());
                if let Ok(values) = tensor.to_f32() {
                    assert_eq!(values.len(), info.len());
                }
                tensors.push(tensor);
            }
            Err(error) => drop(error.to_string()),
        }
    }
    match slim_network(&checkpoint, Some(SLIM_SIDE)) {
        Ok(Some(slim)) => {
            let images = Array4::zeros((1, SLIM_SIDE, SLIM_SIDE, 3));
            let _ = slim.network.forward(&images);
        }
        Ok(None) => {}
        Err(error) => drop(error.to_string()),
    }
    let mut network = Network::builder((1, 2, 1)).add(Flatten).add(Dense::new(3)).build().expect("it fits");
    if let Ok((names, _)) = guess_names(&network, &checkpoint) {
        drop(load_network(&mut network, &checkpoint, &names));
    }
    // What was read can be written, and is read again.
    let mut writer = CheckpointWriter::create(again).expect("a temporary file");
    for tensor in &tensors {
        writer.add_tensor(tensor).expect("what was read can be written");
    }
    writer.finish().expect("a temporary file is written");
    let checkpoint = match Checkpoint::open(again) {
        Ok(checkpoint) => checkpoint,
        // The description of objects may tell of tensors that could not be read.
        Err(error) => panic!("{error}"),
    };
    for tensor in &tensors {
        assert_eq!(checkpoint.read(tensor.name()).expect("what was written is read"), *tensor);
    }
}

/// A table whose one data block has these contents, up to the key `last`.
fn table(contents: &[u8], last: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut append = |contents: &[u8]| {
        let place = (file.len() as u64, contents.len() as u64);
        file.extend_from_slice(contents);
        file.push(0);
        let crc = masked_crc32c(&file[place.0 as usize..]);
        file.extend_from_slice(&crc.to_le_bytes());
        place
    };
    let block = append(contents);
    let no_restarts = [0, 0, 0, 0, 1, 0, 0, 0];
    let meta = append(&no_restarts);
    let place = handle(block);
    let mut entry = vec![0, last.len() as u8, place.len() as u8];
    entry.extend([last, &place, &no_restarts].concat());
    let index = append(&entry);
    let mut footer = [handle(meta), handle(index)].concat();
    footer.resize(40, 0);
    file.extend_from_slice(&footer);
    file.extend_from_slice(&0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    file
}

fn handle((at, size): (u64, u64)) -> Vec<u8> {
    [varint(at), varint(size)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A table of described entries, each with a restart of its own; CRCs in `data` are set too.
fn described_table(mut entries: &[u8], data: &mut [u8]) -> Vec<u8> {
    let (mut block, mut restarts) = (Vec::new(), Vec::new());
    while let Some((length, rest)) = entries.split_first() {
        let Some((key, rest)) = rest.split_at_checked((*length).into()) else { break };
        let Some((length, rest)) = rest.split_first() else { break };
        let Some((value, rest)) = rest.split_at_checked((*length).into()) else { break };
        entries = rest;
        let value = with_crc(value, data).unwrap_or_else(|| value.to_vec());
        restarts.push(block.len() as u32);
        block.push(0);
        block.extend(varint(key.len() as u64));
        block.extend(varint(value.len() as u64));
        block.extend([key, &value].concat());
    }
    for number in restarts.iter().chain([&(restarts.len() as u32)]) {
        block.extend(number.to_le_bytes());
    }
    table(&block, &[0xFF; 9])
}

/// The entry with the CRC of its bytes, if it is one that points to some. A string alone gets the CRC of its length.
fn with_crc(value: &[u8], data: &mut [u8]) -> Option<Vec<u8>> {
    const STRING: i32 = 7;
    let mut entry = BundleEntryProto::decode(value).ok()?;
    let begin = usize::try_from(entry.offset).ok()?;
    let end = begin.checked_add(usize::try_from(entry.size).ok()?)?;
    let bytes = data.get_mut(begin..end)?;
    let mut crc = masked_crc32c(bytes);
    if entry.dtype == STRING && bytes.len() > 6 {
        // Its length takes one byte, or two.
        let length = (1..=2).map(|n| (n, varint((bytes.len() - 4 - n) as u64)));
        let (taken, length) = length.into_iter().find(|(n, length)| length.len() == *n)?;
        bytes[..taken].copy_from_slice(&length);
        let lengths = crc32c::crc32c(&((bytes.len() - 4 - taken) as u32).to_le_bytes());
        bytes[taken..taken + 4].copy_from_slice(&mask(lengths).to_le_bytes());
        crc = mask(crc32c::crc32c_append(lengths, &bytes[taken..]));
    }
    entry.crc32c = crc;
    Some(entry.encode_to_vec())
}
