//! Tensors saved in parts, as partitioned variables are.
//!
//! The tensor's own entry lists its slices; each slice has an entry with its bytes, under a key made of name and place:
//!
//! | part of the key | bytes |
//! | --- | --- |
//! | a mark that no name begins with | 0 |
//! | the name | as it is, but `00` as `00 FF` and `FF` as `FF 00`; then `00 01` |
//! | number of axes | how many bytes follow, then the number, the highest byte first |
//! | per axis where it begins and its length | signed numbers; 0 and -1 for the whole axis |
//!
//! A signed number has as many leading bits like its sign as it has bytes (the first tells the sign: 1 for numbers from 0
//! on), and then the number in two's complement, the highest bit first.
//!
//! Source: TensorFlow's `core/util/saved_tensor_slice_util.cc` and `core/lib/strings/ordered_code.cc`.

use crate::proto::tensor_bundle::TensorSliceProto;
use crate::proto::tensor_bundle::tensor_slice_proto::Extent;

/// The most slices of a tensor: each pair of them is looked at.
const MAX_SLICES: usize = 1 << 10;

/// The first byte of a slice's key.
pub(super) const MARK: u8 = 0;

/// What stands for the length of a whole axis in a key.
const WHOLE: i64 = -1;

/// A block of a tensor: where it begins along each axis, and its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    pub start: Vec<usize>,
    pub shape: Vec<usize>,
}

impl Slice {
    /// The slice of a tensor of `shape`; or why it is none.
    fn read(proto: &TensorSliceProto, shape: &[usize]) -> Result<Self, String> {
        if proto.extent.len() != shape.len() {
            return Err(format!("a slice has {} axes, the tensor {}", proto.extent.len(), shape.len()));
        }
        let (mut start, mut sizes) = (Vec::new(), Vec::new());
        for (extent, &size) in proto.extent.iter().zip(shape) {
            let (begin, length) = match *extent {
                Extent { start, length: Some(length) } => (start, length),
                Extent { start: 0, length: None } => (0, size as i64),
                Extent { start, length: None } => return Err(format!("a slice from {start} has no length")),
            };
            let within = begin >= 0 && length >= 0 && begin.checked_add(length) <= Some(size as i64);
            if !within || begin.checked_add(length).is_none() {
                return Err(format!("a slice takes {length} from {begin} on an axis of {size}"));
            }
            start.push(begin as usize);
            sizes.push(length as usize);
        }
        Ok(Self { start, shape: sizes })
    }

    fn values(&self) -> u64 {
        super::tensor::count(&self.shape).unwrap_or(u64::MAX)
    }

    fn overlaps(&self, other: &Slice) -> bool {
        let axes = self.start.iter().zip(&self.shape).zip(other.start.iter().zip(&other.shape));
        axes.into_iter().all(|((a, a_len), (b, b_len))| a.max(b) < &(a + a_len).min(b + b_len))
    }

    /// Copies the slice's values of `size` bytes each, in row-major order, to their place in the whole tensor.
    pub fn copy(&self, values: &[u8], size: usize, shape: &[usize], whole: &mut [u8]) {
        let Some((&row, outer)) = self.shape.split_last() else {
            whole.copy_from_slice(values);
            return;
        };
        if values.is_empty() {
            return;
        }
        let mut place = vec![0; outer.len()];
        for row_values in values.chunks_exact(row * size) {
            let axes = place.iter().chain([&0]).zip(&self.start).zip(shape);
            let at = size * axes.fold(0, |at, ((within, start), size)| at * size + start + within);
            whole[at..at + row_values.len()].copy_from_slice(row_values);
            // The next row, as an odometer turns.
            for (within, size) in place.iter_mut().zip(outer).rev() {
                *within += 1;
                if *within < *size {
                    break;
                }
                *within = 0;
            }
        }
    }
}

/// The slices of a tensor of `shape` with their keys; or why they do not cover it, each value once.
pub(super) fn read(
    name: &str,
    shape: &[usize],
    protos: &[TensorSliceProto],
) -> Result<Vec<(Vec<u8>, Slice)>, String> {
    if protos.len() > MAX_SLICES {
        return Err(format!("it has {} slices, over the limit of {MAX_SLICES}", protos.len()));
    }
    let slices = protos.iter().map(|proto| Ok((key(name, proto), Slice::read(proto, shape)?)));
    let slices: Vec<_> = slices.collect::<Result<_, String>>()?;
    for (i, (_, slice)) in slices.iter().enumerate() {
        if let Some((_, other)) = slices[..i].iter().find(|(_, other)| slice.overlaps(other)) {
            return Err(format!("its slices from {:?} and {:?} overlap", other.start, slice.start));
        }
    }
    let covered = slices.iter().fold(0u64, |sum, (_, slice)| sum.saturating_add(slice.values()));
    match super::tensor::count(shape) {
        Some(wanted) if wanted == covered => Ok(slices),
        wanted => Err(format!("its slices have {covered} values of {}", wanted.unwrap_or(u64::MAX))),
    }
}

/// The key of a slice's entry.
fn key(name: &str, slice: &TensorSliceProto) -> Vec<u8> {
    let mut key = vec![MARK];
    for byte in name.bytes() {
        match byte {
            0x00 => key.extend([0x00, 0xFF]),
            0xFF => key.extend([0xFF, 0x00]),
            _ => key.push(byte),
        }
    }
    key.extend([0x00, 0x01]);
    let axes = (slice.extent.len() as u64).to_be_bytes();
    let axes = &axes[axes.iter().take_while(|byte| **byte == 0).count()..];
    key.push(axes.len() as u8);
    key.extend(axes);
    for extent in &slice.extent {
        put_signed(&mut key, extent.start);
        put_signed(&mut key, extent.length.unwrap_or(WHOLE));
    }
    key
}

fn put_signed(key: &mut Vec<u8>, value: i64) {
    // So many bytes hold the numbers from -2^(7n - 1) on and below 2^(7n - 1).
    let bits = 65 - (value ^ value >> 63).leading_zeros() as usize;
    let bytes = bits.div_ceil(7);
    let mut number = i128::from(value).to_be_bytes();
    let number = &mut number[16 - bytes..];
    let header = (!0u128 << (128 - bytes)).to_be_bytes();
    number.iter_mut().zip(header).for_each(|(byte, header)| *byte ^= header);
    key.extend_from_slice(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples in the comments of TensorFlow's `ordered_code.cc`, and the borders of the lengths.
    #[test]
    fn signed_numbers_are_encoded_as_tensorflow_does() {
        let encoded = |value| {
            let mut key = Vec::new();
            put_signed(&mut key, value);
            key
        };
        for (value, bytes) in [
            (0x424242, &[0xF0, 0x42, 0x42, 0x42][..]),
            (-0x800, &[0x38, 0x00]),
            (0, &[0x80]),
            (-1, &[0x7F]),
            (63, &[0xBF]),
            (64, &[0xC0, 0x40]),
            (-64, &[0x40]),
            (-65, &[0x3F, 0xBF]),
        ] {
            assert_eq!(encoded(value), bytes, "{value}");
        }
        assert_eq!(encoded(i64::MAX).len(), 10);
        let mut last = encoded(i64::MIN);
        for value in [-1 << 40, -5000, -1, 0, 1, 127, 128, 8191, 8192, 1 << 55, i64::MAX] {
            let next = encoded(value);
            assert!(last < next, "{value}");
            last = next;
        }
    }

    fn proto(extents: &[(i64, Option<i64>)]) -> TensorSliceProto {
        let extent = extents.iter().map(|(start, length)| Extent { start: *start, length: *length });
        TensorSliceProto { extent: extent.collect() }
    }

    #[test]
    fn slices_must_cover_the_tensor_once() {
        let read = |slices: &[&[(i64, Option<i64>)]]| {
            let protos: Vec<_> = slices.iter().map(|slice| proto(slice)).collect();
            read("it", &[4, 3], &protos).map(|slices| slices.len())
        };
        let (upper, lower) = ([(0, Some(1)), (0, None)], [(1, Some(3)), (0, None)]);
        assert_eq!(read(&[&upper, &lower]), Ok(2));
        for (slices, reason) in [
            (&[&upper[..]][..], "its slices have 3 values of 12"),
            (&[&upper, &lower, &upper], "its slices from [0, 0] and [0, 0] overlap"),
            (&[&[(2, Some(3)), (0, None)]], "a slice takes 3 from 2 on an axis of 4"),
            (&[&[(-1, Some(3)), (0, None)]], "a slice takes 3 from -1 on an axis of 4"),
            (&[&[(1, Some(i64::MAX)), (0, None)]], "a slice takes 9223372036854775807 from 1 on"),
            (&[&[(0, Some(-1)), (0, None)]], "a slice takes -1 from 0 on an axis of 4"),
            (&[&[(3, None), (0, None)]], "a slice from 3 has no length"),
            (&[&[(0, None)]], "a slice has 1 axes, the tensor 2"),
        ] {
            let got = read(slices).unwrap_err();
            assert!(got.contains(reason), "{got}");
        }
        let many = vec![proto(&upper); MAX_SLICES + 1];
        assert!(super::read("it", &[4, 3], &many).unwrap_err().contains("over the limit of 1024"));
    }

    #[test]
    fn slices_are_copied_to_their_place() {
        let shape = [2, 3, 2];
        let whole: Vec<u8> = (0..12).collect();
        for axis in 0..3 {
            let mut got = vec![0xEE; 12];
            for begin in 0..shape[axis] {
                let mut slice = Slice { start: vec![0; 3], shape: shape.to_vec() };
                (slice.start[axis], slice.shape[axis]) = (begin, 1);
                let inside = |index: usize| [index / 6, index / 2 % 3, index % 2][axis] == begin;
                let values: Vec<u8> = whole.iter().copied().filter(|v| inside(*v as usize)).collect();
                slice.copy(&values, 1, &shape, &mut got);
            }
            assert_eq!(got, whole, "axis {axis}");
        }
    }
}
