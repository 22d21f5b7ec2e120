//! Images that ask for much with few bytes.

use std::io::Read;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use floret::image::{DecodeOptions, Fit, decode, decode_fitted};

use super::within_limits;

/// A JPEG segment: marker, length, data.
fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker], &length[..], data].concat()
}

/// A gray JPEG of `side` x `side` pixels, of kind `frame` (0xC0 sequential, 0xC2 progressive), whose scans are `scan`
/// with `data`, `scans` times. Its Huffman tables have one code of one bit each: DC no difference; AC `ac`.
fn jpeg(frame: u8, side: u16, ac: u8, scans: usize, scan: [u8; 3], data: &[u8]) -> Vec<u8> {
    let [h, l] = side.to_be_bytes();
    let table = |class: u8, symbol: u8| {
        let mut table = vec![class, 1];
        table.extend([0; 15]);
        table.push(symbol);
        segment(0xC4, &table)
    };
    let mut bytes = vec![0xFF, 0xD8];
    bytes.extend(segment(0xDB, &[&[0][..], &[1; 64]].concat()));
    bytes.extend(segment(frame, &[8, h, l, h, l, 1, 1, 0x11, 0]));
    bytes.extend(table(0x00, 0));
    bytes.extend(table(0x10, ac));
    let [start, end, approximation] = scan;
    for _ in 0..scans {
        bytes.extend(segment(0xDA, &[1, 1, 0, start, end, approximation]));
        bytes.extend_from_slice(data);
    }
    bytes.extend([0xFF, 0xD9]);
    bytes
}

/// A PNG chunk with its checksum.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(name);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), &name[..], data, &crc.sum().to_be_bytes()].concat()
}

/// `bytes` zeros as zlib compresses them: about a thousandth.
fn zeros(bytes: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    std::io::copy(&mut std::io::repeat(0).take(bytes), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// A PNG of `side` x `side` pixels with these chunks between IHDR and IEND.
fn png(side: u32, depth: u8, color: u8, interlace: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    let side = side.to_be_bytes();
    let ihdr = [&side, &side, &[depth, color, 0, 0, interlace][..]].concat();
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &ihdr)[..], &chunks.concat(), &chunk(b"IEND", b"")].concat()
}

/// Fails if the image can't be decoded to `side` x `side` pixels, whole and fitted, within the limits.
fn decodes(name: &str, bytes: &[u8], side: usize) {
    println!("{name}: {} bytes", bytes.len());
    let options = DecodeOptions::default();
    let image = within_limits(|| decode(bytes, &options)).unwrap();
    assert_eq!(image.dim(), (side, side, 3), "{name}");
    let fitted = within_limits(|| decode_fitted(bytes, Fit::Resize, (8, 8), &options)).unwrap();
    assert_eq!(fitted.dim(), (8, 8, 3), "{name}");
}

/// Fails unless each way to decode the image ends in an error, within the limits; gives its message.
fn is_refused(name: &str, bytes: &[u8]) -> String {
    println!("{name}: {} bytes", bytes.len());
    let options = DecodeOptions::default();
    let error = within_limits(|| decode(bytes, &options)).unwrap_err();
    within_limits(|| decode_fitted(bytes, Fit::Resize, (8, 8), &options)).unwrap_err();
    error.to_string()
}

/// Just under the default limit of 64 million pixels.
const LARGE: u16 = 7900;

#[test]
fn an_image_of_as_many_pixels_as_may_be_and_hardly_any_data_is_decoded_within_the_limits() {
    decodes("sequential", &jpeg(0xC0, LARGE, 0, 1, [0, 63, 0], &[]), LARGE.into());
    decodes("progressive", &jpeg(0xC2, LARGE, 0xE0, 1, [0, 0, 0], &[]), LARGE.into());
    let side = u64::from(LARGE);
    let rgba16 = png(LARGE.into(), 16, 6, 0, &[chunk(b"IDAT", &zeros(side * (1 + 8 * side)))]);
    decodes("16-bit RGBA", &rgba16, LARGE.into());
    let missing = png(LARGE.into(), 16, 6, 1, &[chunk(b"IDAT", &zeros(0))]);
    assert!(is_refused("without data", &missing).starts_with("PNG is damaged"));
}

/// Each scan passes over the whole image, whatever its length.
#[test]
fn a_jpeg_of_thousands_of_scans_is_refused() {
    let message = |frame, scan| is_refused("scans", &jpeg(frame, LARGE, 0xE0, 2000, scan, &[0; 8]));
    let refused =
        "JPEG uses 2000 scans of 7900x7900 pixels, over the limit of 32 scans of 64000000 pixels together";
    assert!(message(0xC2, [0, 0, 0]).starts_with(refused));
    assert!(message(0xC2, [1, 63, 0]).starts_with(refused));
    assert!(message(0xC0, [0, 63, 0]).starts_with(refused));
    // As many as the limit allows, and many of a small image.
    decodes("32 scans", &jpeg(0xC2, LARGE, 0xE0, 32, [0, 0, 0], &[0; 8]), LARGE.into());
    decodes("2000 small scans", &jpeg(0xC2, 64, 0xE0, 2000, [0, 0, 0], &[0; 8]), 64);
}

/// What is not part of the picture is not decompressed: a gigabyte in a megabyte.
#[test]
fn compressed_bombs_beside_the_picture_of_a_png_cost_nothing() {
    let (picture, bomb) = (chunk(b"IDAT", &zeros(8 * 9)), zeros(1 << 30));
    let beside = |name: &[u8; 4], prefix: &[u8]| {
        let bomb = chunk(name, &[prefix, &bomb].concat());
        decodes(&String::from_utf8_lossy(name), &png(8, 8, 0, 0, &[bomb, picture.clone()]), 8);
    };
    beside(b"zTXt", b"a\0\0");
    beside(b"iCCP", b"a\0\0");
    beside(b"iTXt", b"a\0\x01\0\0\0");
    decodes("IDAT", &png(8, 8, 0, 0, &[chunk(b"IDAT", &bomb)]), 8);
}

#[test]
fn dimensions_over_the_limit_are_refused_from_the_header() {
    let wide = jpeg(0xC2, 65_500, 0xE0, 1, [0, 0, 0], &[]);
    assert!(is_refused("65500x65500 JPEG", &wide).contains("65500x65500 pixels is over the limit"));
    let wide = png(i32::MAX as u32, 1, 0, 0, &[chunk(b"IDAT", &zeros(9))]);
    assert!(is_refused("largest PNG", &wide).contains("is over the limit"));
}
