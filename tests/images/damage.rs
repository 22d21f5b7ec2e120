//! Files that are cut off, damaged, of another kind, or hostile: always an error that helps, never a panic.
use std::sync::LazyLock;

use floret::files::FileKind;
use floret::image::{DecodeOptions, Format, ImageError, Orientation, Truncated, decode, read_header};
use ndarray::s;
use proptest::prelude::*;

use super::support::{Fixtures, png_chunk, seeded};

/// A few hundred bytes to 4 KB each, of every coding.
static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| {
    let images = Fixtures::images();
    let formats = Fixtures::formats();
    // one of each kind: 00 to 07 are baseline 4:2:0, 4:4:4, 4:2:2, progressive, optimized, restart, gray,
    // EXIF
    let numbered = (0..8).map(|i| format!("{i:02}/jpeg"));
    let unusual =
        ["jpeg/cmyk_adobe", "jpeg/rgb", "jpeg/gray_progressive", "jpeg/small_422_progressive_17x33"];
    let pngs = ["png/rgb_8", "png/rgba_16_interlaced", "png/palette_transparent", "png/gray_2"];
    let unusual = unusual.iter().chain(&pngs).map(|name| format!("{name}/file"));
    numbered
        .map(|name| (name.clone(), images.bytes(&name)))
        .chain(unusual.map(|name| (name.clone(), formats.bytes(&name))))
        .collect()
});

fn is_jpeg(name: &str) -> bool {
    !name.starts_with("png/")
}

/// Damaged headers may claim any size: keep what is allocated small.
fn small() -> DecodeOptions {
    DecodeOptions { max_pixels: 1 << 16, ..DecodeOptions::default() }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    for (name, bytes) in FILES.iter() {
        // The last 12 bytes of a PNG are an empty chunk behind the image, and 4 before it a checksum.
        let needed = if is_jpeg(name) { bytes.len() } else { bytes.len() - 16 };
        let whole = decode(bytes, &small()).unwrap();
        let is_sequential = is_jpeg(name) && !read_header(bytes).unwrap().progressive;
        for length in 0..needed {
            match decode(&bytes[..length], &small()) {
                Err(ImageError::NotAnImage { .. }) if length < 8 => {}
                Err(ImageError::Truncated { offset, .. }) if offset <= length => {}
                // But for the end marker, and bits that decide nothing.
                Ok(image) if is_sequential && image == whole && length + 16 >= needed => {}
                other => panic!("{name} cut to {length} of {} bytes: {other:?}", bytes.len()),
            }
        }
        assert!(decode(bytes, &small()).is_ok(), "{name}");
    }
}

/// As some cameras and microcontrollers write them; as Pillow and so torchvision read them.
#[test]
fn a_jpeg_that_lacks_its_end_marker_alone_is_whole() {
    let mut lacking = 0;
    for (name, bytes) in FILES.iter().filter(|(name, _)| is_jpeg(name)) {
        let Ok(header) = read_header(bytes) else { continue };
        let whole = decode(bytes, &small()).unwrap();
        let data = &bytes[..bytes.len() - 2];
        for end in [&b""[..], b"\xff", &[0; 200], b"\xff\0\0"] {
            match decode(&[data, end].concat(), &small()) {
                Ok(image) => {
                    assert_eq!(image, whole, "{name}");
                    lacking += 1;
                }
                Err(ImageError::Truncated { .. }) => {
                    assert!(header.progressive || end.is_empty(), "{name} {end:?}")
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
        // A download that left zeros where the rest was to come.
        let mut holed = bytes.clone();
        holed[bytes.len() / 2..].fill(0);
        assert!(matches!(decode(&holed, &small()), Err(ImageError::Truncated { .. })), "{name}");
    }
    assert!(lacking >= 8, "{lacking}");
}

#[test]
fn what_there_is_of_a_jpeg_can_be_recovered() {
    let options = DecodeOptions { truncated: Truncated::Recover, ..small() };
    let reduced = DecodeOptions { shrink_to: Some((1, 1)), ..options };
    for (name, bytes) in FILES.iter().filter(|(name, _)| is_jpeg(name)) {
        let whole = decode(bytes, &small()).unwrap();
        let scan = bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
        let header = read_header(bytes).unwrap();
        assert_eq!(decode(bytes, &options).unwrap(), whole, "{name}, whole");
        for length in scan + 16..bytes.len() {
            let recovered = decode(&bytes[..length], &options)
                .unwrap_or_else(|error| panic!("{name} cut to {length} of {} bytes: {error}", bytes.len()));
            assert_eq!(recovered.dim(), whole.dim(), "{name} cut to {length}");
            assert_eq!(
                decode(&bytes[..length], &reduced),
                Ok(recovered.clone()),
                "{name} cut to {length}, reduced"
            );
            // Of a sequential image the first rows are there, once half of the data is: all but a row of
            // blocks of a third.
            if !header.progressive && length > (scan + bytes.len()) / 2 {
                let rows = (whole.dim().0 / 3).saturating_sub(17);
                assert_eq!(
                    recovered.slice(s![..rows, .., ..]),
                    whole.slice(s![..rows, .., ..]),
                    "{name} cut to {length}"
                );
            }
        }
        // Only the end marker is missing: nothing is lost.
        assert_eq!(decode(&bytes[..bytes.len() - 2], &options).unwrap(), whole, "{name} without its end");
    }
}

/// As libjpeg and TensorFlow do; the documentation of `decode` says so.
#[test]
fn a_premature_end_marker_is_not_noticed() {
    let bytes = Fixtures::images().bytes("00/jpeg");
    let cut = [&bytes[..bytes.len() * 3 / 4], &[0xFF, 0xD9]].concat();
    assert_eq!(decode(&cut, &small()).unwrap().dim(), decode(&bytes, &small()).unwrap().dim());
}

#[test]
fn a_size_over_the_limit_is_refused_before_anything_is_allocated() {
    let mut bytes = Fixtures::formats().bytes("jpeg/quality_100/file");
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    bytes[frame + 5..frame + 9].fill(0xFF);
    let error = decode(&bytes, &DecodeOptions::default()).unwrap_err();
    assert_eq!(error, ImageError::TooLarge { width: 65_535, height: 65_535, max_pixels: 64_000_000 });
    assert_eq!(
        error.to_string(),
        "image of 65535x65535 pixels is over the limit of 64000000 pixels; shrink it"
    );
    let mut bytes = Fixtures::formats().bytes("png/rgb_8/file");
    bytes[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    assert!(matches!(decode(&bytes, &DecodeOptions::default()), Err(ImageError::TooLarge { .. })));
    // the limit itself is allowed
    let bytes = Fixtures::formats().bytes("png/rgb_8/file");
    let limit = |max_pixels| DecodeOptions { max_pixels, ..DecodeOptions::default() };
    assert!(decode(&bytes, &limit(11 * 13)).is_ok());
    assert!(decode(&bytes, &limit(11 * 13 - 1)).is_err());
}

#[test]
fn other_kinds_of_file_are_named() {
    for (bytes, message) in [
        (
            &b""[..],
            "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but an empty file; fetch the photo again, or remove the file",
        ),
        (
            b"<!doctype html><html>404",
            "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but an HTML page, as a failed download leaves it; fetch the photo again, or remove the file",
        ),
        (
            b"\0\0\0\x1cftypavif",
            "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but an AVIF image; convert it to JPEG or PNG, or remove the file",
        ),
        (
            b"\0\0\0\x18ftypheic",
            "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but a HEIC/HEIF image; convert it to JPEG or PNG, or remove the file \
             (iPhones write JPEG with Settings > Camera > Formats > Most Compatible)",
        ),
        (
            &[0, 1, 2, 3, 4],
            "not a photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but an unknown kind of file (first bytes 00 01 02 03); \
             fetch the photo again, or remove the file",
        ),
    ] {
        let error = decode(bytes, &DecodeOptions::default()).unwrap_err();
        assert_eq!(error, ImageError::NotAnImage { found: FileKind::of(bytes) });
        assert_eq!(error.to_string(), message);
        assert_eq!(read_header(bytes).unwrap_err(), error);
    }
}

#[test]
fn codings_that_are_not_read_are_named() {
    let original = Fixtures::formats().bytes("jpeg/quality_100/file");
    let frame = original.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    for (at, value, feature) in [
        (1, 0xC9, "arithmetic coding"),
        (1, 0xC3, "lossless coding"),
        (1, 0xC5, "hierarchical coding"),
        (4, 12, "12 bits a sample"),
        (9, 2, ""), // two components, but a table of three
    ] {
        let mut bytes = original.clone();
        bytes[frame + at] = value;
        let error = decode(&bytes, &small()).unwrap_err();
        if feature.is_empty() {
            assert!(matches!(error, ImageError::Corrupt { .. }), "{error}");
        } else {
            let wanted = ImageError::Unsupported { format: Format::Jpeg, feature: feature.into() };
            assert_eq!(error, wanted);
        }
    }
    let mut bytes = original.clone();
    bytes[frame + 5..frame + 7].fill(0);
    let message = decode(&bytes, &small()).unwrap_err().to_string();
    assert!(message.contains("a height that only follows after the first scan (DNL)"), "{message}");
}

#[test]
fn damage_is_an_error_that_says_what_to_do() {
    let mut bytes = Fixtures::formats().bytes("png/rgb_8/file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let message = decode(&bytes, &small()).unwrap_err().to_string();
    assert!(message.starts_with("PNG is damaged: "), "{message}");
    assert!(message.ends_with("; fetch the file again, or remove it"), "{message}");

    let bytes = Fixtures::images().bytes("01/jpeg");
    let tables = bytes.windows(2).position(|pair| pair == [0xFF, 0xC4]).unwrap();
    let mut damaged = bytes.clone();
    damaged[tables + 5..tables + 21].fill(0xFF);
    let message = decode(&damaged, &small()).unwrap_err().to_string();
    assert!(message.starts_with("JPEG is damaged: "), "{message}");

    let message = decode(&bytes[..bytes.len() - 40], &small()).unwrap_err().to_string();
    let wanted = format!(
        "JPEG is cut off: the image data ends at byte {}, before the end of the image; fetch the file again",
        bytes.len() - 40
    );
    assert_eq!(message, wanted);
}

/// Replaces the data of a PNG's chunk.
fn with_chunk(png: &[u8], name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let at = png.windows(4).position(|window| window == name).unwrap() - 4;
    let old = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
    [&png[..at], &png_chunk(name, data), &png[at + 12 + old..]].concat()
}

/// The png crate (0.18.1) panics on the first two.
#[test]
fn a_broken_palette_is_an_error() {
    let bytes = Fixtures::formats().bytes("png/palette_8/file");
    for length in [7, 3 * 257] {
        let error = decode(&with_chunk(&bytes, b"PLTE", &vec![1; length]), &small()).unwrap_err();
        let reason = format!("a palette of {length} bytes");
        assert_eq!(error, ImageError::Corrupt { format: Format::Png, reason });
    }
    // indices beyond a short palette are black, as libpng has it
    let image = decode(&with_chunk(&bytes, b"PLTE", &[9; 3]), &small()).unwrap();
    assert!(image.iter().all(|level| [0, 9].contains(level)));
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Flip(u8),
    Set(u8),
    Remove,
    Insert(u8),
    Marker(u8),
    Copy(usize),
    Cut,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0u8..8).prop_map(Edit::Flip),
        4 => any::<u8>().prop_map(Edit::Set),
        2 => Just(Edit::Remove),
        2 => any::<u8>().prop_map(Edit::Insert),
        2 => prop_oneof![0xC0u8..=0xC4, 0xE0u8..=0xE2, 0xFEu8..=0xFF].prop_map(Edit::Marker),
        1 => (0xD0u8..=0xDD).prop_map(Edit::Marker),
        2 => (0usize..1 << 12).prop_map(Edit::Copy),
        1 => Just(Edit::Cut),
    ]
}

fn apply(bytes: &mut Vec<u8>, at: usize, edit: Edit) {
    if bytes.is_empty() {
        return;
    }
    let at = at % bytes.len();
    match edit {
        Edit::Flip(bit) => bytes[at] ^= 1 << bit,
        Edit::Set(value) => bytes[at] = value,
        Edit::Remove => drop(bytes.remove(at)),
        Edit::Insert(value) => bytes.insert(at, value),
        Edit::Marker(marker) => bytes.splice(at..(at + 2).min(bytes.len()), [0xFF, marker]).for_each(drop),
        Edit::Copy(from) => {
            let from = from % bytes.len();
            let length = 24.min(bytes.len() - at).min(bytes.len() - from);
            bytes.copy_within(from..from + length, at);
        }
        Edit::Cut => bytes.truncate(at),
    }
}

proptest! {
    #![proptest_config(seeded(2000))]

    /// Half of the edits are in the first 700 bytes, where the headers are.
    #[test]
    fn damaged_files_never_panic(
        which: prop::sample::Index,
        edits in prop::collection::vec((prop_oneof![0usize..700, 0usize..1 << 16], edit()), 1..5),
        recover: bool, upright: bool, shrink in prop::option::of((1usize..20, 1usize..20)),
    ) {
        let (_, mut bytes) = FILES[which.index(FILES.len())].clone();
        for (at, edit) in edits {
            apply(&mut bytes, at, edit);
        }
        let options = DecodeOptions {
            truncated: if recover { Truncated::Recover } else { Truncated::Error },
            orientation: if upright { Orientation::Upright } else { Orientation::AsStored },
            shrink_to: shrink,
            ..small()
        };
        // An image or an error, which must have a message.
        match decode(&bytes, &options) {
            Ok(image) => prop_assert!(!image.is_empty() && image.dim().2 == 3),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn random_bytes_never_panic(
        start in prop::sample::select(vec![&b""[..], b"\xFF\xD8", b"\x89PNG\r\n\x1A\n"]),
        tail in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [start, &tail].concat();
        prop_assert!(decode(&bytes, &small()).is_err());
    }
}
