//! WebP, GIF, BMP and TIFF, each against TensorFlow's values or Pillow's.

use floret::image::{DecodeOptions, Format, ImageError, Truncated, decode, read_header};

use super::support::{Difference, Fixtures, difference};

/// The formats that this build reads.
const READ: [(Format, &str, bool); 4] = [
    (Format::WebP, "webp", cfg!(feature = "webp")),
    (Format::Gif, "gif", cfg!(feature = "gif")),
    (Format::Bmp, "bmp", true),
    (Format::Tiff, "tiff", cfg!(feature = "tiff")),
];

/// Every file of a format by its name.
fn files(fixtures: &Fixtures, format: &str) -> Vec<(String, Vec<u8>)> {
    let names = fixtures.between(&format!("{format}/"), "/file").into_iter();
    names
        .map(|name| {
            let key = format!("{format}/{name}");
            let bytes = fixtures.bytes(&format!("{key}/file"));
            (key, bytes)
        })
        .collect()
}

#[test]
fn values_are_those_of_others() {
    let fixtures = Fixtures::more_formats();
    for (format, name, read) in READ {
        for (key, bytes) in files(&fixtures, name) {
            let header = read_header(&bytes);
            if !read {
                assert_eq!(header, Err(ImageError::NotBuilt { format }), "{key}");
                continue;
            }
            let header = header.unwrap_or_else(|error| panic!("{key}: {error}"));
            let image =
                decode(&bytes, &DecodeOptions::default()).unwrap_or_else(|error| panic!("{key}: {error}"));
            let expected = fixtures.image(&format!("{key}/rgb"));
            assert_eq!(
                (header.format, header.height, header.width),
                (format, image.dim().0, image.dim().1),
                "{key}"
            );
            assert_eq!(image.dim(), expected.dim(), "{key}");
            let Difference { mean, max } = difference(&image, &expected);
            // Of lossy ones the inverse transforms and the chroma's upsampling are others.
            let limit = if key.contains("lossy") || key.contains("jpeg") { 3.0 } else { 0.0 };
            assert!(max <= limit && mean <= limit / 10.0, "{key}: mean {mean:.3}, max {max}");
        }
    }
}

/// Each file cut off at every length: an error, and no panic; a picture only of what may end early.
#[test]
fn what_is_cut_off_is_an_error() {
    let fixtures = Fixtures::more_formats();
    for (format, name, _) in READ.into_iter().filter(|(.., read)| *read) {
        for (key, bytes) in files(&fixtures, name) {
            let whole = decode(&bytes, &DecodeOptions::default()).unwrap();
            for length in 0..bytes.len() {
                for truncated in [Truncated::Error, Truncated::Recover] {
                    match decode(&bytes[..length], &DecodeOptions { truncated, ..Default::default() }) {
                        Err(_) => {}
                        // What lies behind the picture may be missing.
                        Ok(image) => {
                            assert!(image == whole, "{format} {key}: {length} of {} bytes", bytes.len());
                        }
                    }
                }
            }
        }
    }
}

#[cfg(all(feature = "webp", feature = "tiff"))]
#[test]
fn orientations_are_read() {
    let fixtures = Fixtures::more_formats();
    let webp = fixtures.bytes("webp/turned/file");
    let mut tiff = fixtures.bytes("tiff/rgb_16/file");
    // The orientation's value: the seventh entry of the directory at byte 8.
    tiff[10 + 12 * 6 + 8] = 6;
    for bytes in [webp, tiff] {
        let header = read_header(&bytes).unwrap();
        assert_eq!(header.exif_orientation, 6);
        let upright =
            DecodeOptions { orientation: floret::image::Orientation::Upright, ..Default::default() };
        assert_eq!(decode(&bytes, &upright).unwrap().dim(), (header.width, header.height, 3));
    }
}

#[test]
fn limits_hold_before_anything_is_allocated() {
    let fixtures = Fixtures::more_formats();
    for (_, name, _) in READ.into_iter().filter(|(.., read)| *read) {
        for (key, bytes) in files(&fixtures, name) {
            let header = read_header(&bytes).unwrap();
            let pixels = (header.width * header.height) as u64;
            let error =
                decode(&bytes, &DecodeOptions { max_pixels: pixels - 1, ..Default::default() }).unwrap_err();
            assert!(matches!(error, ImageError::TooLarge { .. }), "{key}: {error}");
        }
    }
}

/// A small canvas around a large picture: nothing is decoded.
#[cfg(feature = "webp")]
#[test]
fn a_picture_beyond_its_canvas_is_refused() {
    let picture = Fixtures::more_formats().bytes("webp/lossless/file");
    let canvas = [&b"VP8X\x0a\0\0\0\0\0\0\0"[..], &[1, 0, 0, 1, 0, 0]].concat();
    let chunks = [&b"WEBP"[..], &canvas, &picture[12..]].concat();
    let file = [&b"RIFF"[..], &(chunks.len() as u32).to_le_bytes(), &chunks].concat();
    let reason = "its picture is not of the size that it says".into();
    assert_eq!(read_header(&file), Err(ImageError::Corrupt { format: Format::WebP, reason }));
}

/// Few bytes that tell of many pixels.
#[test]
fn a_run_length_coded_bitmap_holds_all_its_rows() {
    let mut bytes = Fixtures::more_formats().bytes("bmp/run_length_8/file");
    let start = u32::from_le_bytes(*bytes[10..].first_chunk().unwrap()) as usize;
    bytes.truncate(start);
    bytes.extend([0, 1]);
    let offset = bytes.len();
    let error = decode(&bytes, &DecodeOptions::default()).unwrap_err();
    assert_eq!(error, ImageError::Truncated { format: Format::Bmp, offset });
}
