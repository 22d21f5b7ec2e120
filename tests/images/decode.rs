//! Decoding whole files, against TensorFlow's values.
use floret::image::{
    ColorModel, DecodeOptions, Filter, Fit, Format, Orientation, decode, decode_fitted, read_header, resize,
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use ndarray::{Array3, Axis, s};

use super::support::{Difference, Fixtures, difference, picture, png_chunk};

fn decoded(bytes: &[u8]) -> Array3<u8> {
    decode(bytes, &DecodeOptions::default()).unwrap()
}

/// zune-jpeg's inverse transform rounds as stb_image's does, not as libjpeg's (a level in a sample), and
/// 4:2:0 chroma is rounded after each of two directions (another level); the color conversion makes 1.8
/// times that of a difference in chroma, and adds the luma's.
/// Where a small picture is all edges and noise, its most different value is as far as 12 levels off.
const MOST: f64 = 12.0;
/// Mean of the same: 0.02 without subsampling, 0.2 with 4:2:2, 0.3 to 0.42 with 4:2:0.
const MEAN: f64 = 0.45;

fn assert_near(name: &str, image: &Array3<u8>, expected: &Array3<u8>) {
    let Difference { mean, max } = difference(image, expected);
    // In tiny images the edges count: libjpeg does not smooth two chroma samples in a row, and zune-jpeg
    // smooths over the right and lower edge into the padding.
    let (mean_limit, limit) = if image.dim().1 <= 8 { (8.0, 24.0) } else { (MEAN, MOST) };
    println!("{name}: mean {mean:.3}, max {max}");
    assert!(mean <= mean_limit && max <= limit, "{name}: mean {mean:.3}, max {max} levels");
}

#[test]
fn jpeg_values_are_near_tensorflows() {
    let fixtures = Fixtures::images();
    for key in fixtures.between("", "/jpeg") {
        assert_near(
            &key,
            &decoded(&fixtures.bytes(&format!("{key}/jpeg"))),
            &fixtures.image(&format!("{key}/rgb")),
        );
    }
    let fixtures = Fixtures::formats();
    for name in fixtures.between("jpeg/", "/file") {
        let image = decoded(&fixtures.bytes(&format!("jpeg/{name}/file")));
        assert_near(&name, &image, &fixtures.image(&format!("jpeg/{name}/rgb")));
    }
}

#[test]
fn without_subsampling_values_are_nearer() {
    let fixtures = Fixtures::images();
    for key in ["01", "09", "17"] {
        let image = decoded(&fixtures.bytes(&format!("{key}/jpeg")));
        let Difference { mean, max } = difference(&image, &fixtures.image(&format!("{key}/rgb")));
        assert!(mean < 0.03 && max <= 3.0, "{key}: mean {mean:.3}, max {max}");
    }
}

#[test]
fn png_values_equal_tensorflows() {
    let fixtures = Fixtures::formats();
    for name in fixtures.between("png/", "/file") {
        let image = decoded(&fixtures.bytes(&format!("png/{name}/file")));
        assert_eq!(image, fixtures.image(&format!("png/{name}/rgb")), "{name}");
    }
}

fn encoded(image: &Array3<u8>, quality: u8, with: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    with(&mut encoder);
    let (height, width, _) = image.dim();
    encoder.encode(image.as_slice().unwrap(), width as u16, height as u16, ColorType::Rgb).unwrap();
    bytes
}

/// Every subsampling, interleaved or plane by plane, sequential or progressive, with and without restart
/// markers: a decoder that mixes up the planes is off by dozens of levels.
#[test]
fn every_subsampling_and_scan_order() {
    use SamplingFactor::*;
    // Wide enough that chroma has few edges: a 4x4 subsampling blurs those that there are.
    let original = picture(70, 133);
    for sampling in [F_1_1, F_2_1, F_1_2, F_2_2, F_4_1, F_4_2, F_1_4, F_2_4] {
        for (progressive, plane_by_plane) in [(false, false), (false, true), (true, false)] {
            // the encoder panics on some pictures if asked for both planes and restarts
            for restart_interval in if plane_by_plane { 0..=0 } else { 0..=3 }.step_by(3) {
                let bytes = encoded(&original, 95, |encoder| {
                    encoder.set_sampling_factor(sampling);
                    encoder.set_progressive(progressive);
                    encoder.set_optimized_huffman_tables(plane_by_plane);
                    if restart_interval > 0 {
                        encoder.set_restart_interval(restart_interval);
                    }
                });
                let Difference { mean, .. } = difference(&decoded(&bytes), &original);
                let case = format!(
                    "{sampling:?} progressive {progressive} by planes {plane_by_plane} {restart_interval}"
                );
                println!("{case}: {mean:.2}");
                assert!(mean < 3.0, "{case}: mean {mean:.2} levels from what was encoded");
            }
        }
    }
}

/// Each decoder is the other's oracle: where both are trusted, they agree as well as they agree with
/// TensorFlow.
#[test]
fn two_decoders_agree() {
    let fixtures = Fixtures::images();
    for key in fixtures.between("", "/jpeg") {
        let bytes = fixtures.bytes(&format!("{key}/jpeg"));
        let mut other = jpeg_decoder::Decoder::new(bytes.as_slice());
        let samples = other.decode().unwrap();
        let info = other.info().unwrap();
        let channels = info.pixel_format.pixel_bytes();
        let shape = (usize::from(info.height), usize::from(info.width), channels);
        let samples = Array3::from_shape_vec(shape, samples).unwrap();
        let rgb = samples.broadcast((shape.0, shape.1, 3)).unwrap().to_owned();
        assert_near(&key, &decoded(&bytes), &rgb);
    }
}

#[test]
fn headers_tell_what_decoding_gives() {
    for (fixtures, prefix, suffix) in [
        (Fixtures::images(), "", "/jpeg"),
        (Fixtures::formats(), "jpeg/", "/file"),
        (Fixtures::formats(), "png/", "/file"),
    ] {
        for name in fixtures.between(prefix, suffix) {
            let bytes = fixtures.bytes(&format!("{prefix}{name}{suffix}"));
            let header = read_header(&bytes).unwrap();
            let (height, width, _) = decoded(&bytes).dim();
            assert_eq!((header.height, header.width), (height, width), "{name}");
            assert_eq!(header.format, if prefix == "png/" { Format::Png } else { Format::Jpeg }, "{name}");
            // the files of images.safetensors are numbered: every eighth from 3 on is progressive
            let progressive = name.parse().is_ok_and(|number: usize| number % 8 == 3)
                || name.contains("progressive")
                || name.contains("interlaced");
            assert_eq!(header.progressive, progressive, "{name}");
        }
    }
}

#[test]
fn headers_tell_colors() {
    let fixtures = Fixtures::formats();
    for (name, color, bits) in [
        ("jpeg/cmyk_adobe", ColorModel::Cmyk, 8),
        ("jpeg/cmyk_plain", ColorModel::Cmyk, 8),
        ("jpeg/ycck_adobe", ColorModel::Ycck, 8),
        ("jpeg/rgb", ColorModel::Rgb, 8),
        ("jpeg/rgb_by_component_names", ColorModel::Rgb, 8),
        ("jpeg/jfif_beats_adobe", ColorModel::YCbCr, 8),
        ("jpeg/gray_progressive", ColorModel::Gray, 8),
        ("png/gray_1", ColorModel::Gray, 1),
        ("png/gray_alpha_16", ColorModel::GrayAlpha, 16),
        ("png/palette_4", ColorModel::Palette, 4),
        ("png/rgb_16", ColorModel::Rgb, 16),
        ("png/rgba_8", ColorModel::Rgba, 8),
    ] {
        let header = read_header(&fixtures.bytes(&format!("{name}/file"))).unwrap();
        assert_eq!((header.color, header.bit_depth), (color, bits), "{name}");
    }
}

/// The header is enough for `read_header`: no byte of image data is looked at.
#[test]
fn a_header_is_read_without_the_image_data() {
    let fixtures = Fixtures::formats();
    let bytes = fixtures.bytes("jpeg/quality_100/file");
    let scan = bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    assert_eq!(read_header(&bytes[..scan + 14]), read_header(&bytes));
    let bytes = fixtures.bytes("png/rgb_16/file");
    assert_eq!(read_header(&bytes[..33]), read_header(&bytes));
}

#[test]
fn reduced_size_is_near_libjpegs() {
    let fixtures = Fixtures::formats();
    for ratio in [4, 8] {
        for name in fixtures.between("jpeg/", &format!("/ratio{ratio}")) {
            let expected = fixtures.image(&format!("jpeg/{name}/ratio{ratio}"));
            let bytes = fixtures.bytes(&format!("jpeg/{name}/file"));
            let (height, width, _) = expected.dim();
            let options = DecodeOptions { shrink_to: Some((height, width)), ..Default::default() };
            let Difference { mean, max } = difference(&decode(&bytes, &options).unwrap(), &expected);
            println!("{name} 1/{ratio}: mean {mean:.3}, max {max}");
            // jpeg-decoder leaves terms out of the transform for 1/4, and rounds that for 1/8 down
            assert!(mean < 2.0, "{name} 1/{ratio}: mean {mean:.3}, max {max}");
        }
    }
}

/// A scale is used only where both sides of every plane stay long enough.
#[test]
fn a_shrunk_image_is_never_smaller_than_asked() {
    use SamplingFactor::{R_4_2_0, R_4_4_4};
    for ((height, width), sampling, least, expected) in [
        ((256, 300), R_4_4_4, (32, 37), (32, 38)), // 1/8
        ((256, 300), R_4_4_4, (32, 38), (32, 38)),
        ((256, 300), R_4_4_4, (33, 38), (64, 75)), // 1/4
        ((256, 300), R_4_4_4, (64, 75), (64, 75)),
        ((256, 300), R_4_4_4, (64, 76), (256, 300)),
        ((256, 300), R_4_4_4, (1000, 1), (256, 300)),
        ((256, 300), R_4_2_0, (33, 38), (256, 300)), // chroma: 128 x 150
        ((256, 300), R_4_2_0, (32, 38), (64, 75)),
        ((256, 300), R_4_2_0, (16, 19), (32, 38)),
        ((97, 40), R_4_4_4, (1, 1), (13, 5)),
        ((1, 64), R_4_4_4, (1, 8), (1, 8)),
        ((64, 1), R_4_4_4, (9, 1), (16, 1)),
        ((7, 7), R_4_4_4, (1, 1), (7, 7)),
        ((8, 8), R_4_4_4, (1, 1), (1, 1)),
        ((1, 1), R_4_4_4, (1, 1), (1, 1)),
    ] {
        let bytes = encoded(&picture(height, width), 80, |encoder| encoder.set_sampling_factor(sampling));
        let options = DecodeOptions { shrink_to: Some(least), ..Default::default() };
        let (h, w, _) = decode(&bytes, &options).unwrap().dim();
        assert_eq!((h, w), expected, "{height}x{width} {sampling:?} for {least:?}");
    }
}

/// What a reduced decode costs in quality, after the resize to the network's size: 0.3 levels at 1/4, 1.1 at
/// 1/8, on this picture (on 60 photos of 180 to 500 pixels a side: 1.0 at 64x64, 1.1 at 32x32). The height of
/// 333 ends within a pixel of the reduced image: overlooking that costs another level.
#[test]
fn fitting_a_reduced_image_changes_little() {
    use SamplingFactor::{R_4_2_0, R_4_4_4};
    for (sampling, size, height) in [(R_4_4_4, 64, 84), (R_4_4_4, 40, 42), (R_4_2_0, 40, 84)] {
        let bytes = encoded(&picture(333, 500), 90, |encoder| encoder.set_sampling_factor(sampling));
        for fit in [Fit::Resize, Fit::ResizeCrop] {
            let size = (size, size);
            let options = DecodeOptions { shrink_to: fit.shrink_hint(size), ..Default::default() };
            assert_eq!(decode(&bytes, &options).unwrap().dim().0, height, "{sampling:?} {size:?}");
            let direct = fit.apply(&decoded(&bytes), size).unwrap();
            let fitted = decode_fitted(&bytes, fit, size, &DecodeOptions::default()).unwrap();
            let Difference { mean, max } = difference(&fitted, &direct);
            println!("{sampling:?} {fit} {size:?}: mean {mean:.3}, max {max}");
            assert!(mean < 1.5, "{sampling:?} {fit} {size:?}: mean {mean:.3}, max {max}");
        }
    }
    // a crop needs every pixel
    let bytes = encoded(&picture(333, 500), 90, |_| {});
    let cropped = decode_fitted(&bytes, Fit::Crop, (20, 20), &DecodeOptions::default()).unwrap();
    assert_eq!(cropped, Fit::Crop.apply(&decoded(&bytes), (20, 20)).unwrap());
}

/// EXIF data (a big-endian TIFF directory) with nothing but an orientation.
fn exif_orientation(orientation: u8) -> [u8; 26] {
    let mut tiff = *b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
    tiff[19] = orientation;
    tiff
}

#[test]
fn a_png_is_turned_too() {
    let bytes = Fixtures::formats().bytes("png/rgb_8/file");
    let bytes = [&bytes[..33], &png_chunk(b"eXIf", &exif_orientation(3)), &bytes[33..]].concat();
    assert_eq!(read_header(&bytes).unwrap().exif_orientation, 3);
    let upright = DecodeOptions { orientation: Orientation::Upright, ..Default::default() };
    assert_eq!(decode(&bytes, &upright).unwrap(), decoded(&bytes).slice(s![..;-1, ..;-1, ..]));
}

/// The picture's place in a reduced image survives turning it upright: fitted upright is fitted, then turned.
#[test]
fn a_reduced_image_is_turned_with_its_edges() {
    let plain =
        encoded(&picture(333, 501), 90, |encoder| encoder.set_sampling_factor(SamplingFactor::R_4_4_4));
    for orientation in 1..=8 {
        let exif = [b"\xFF\xE1\0\x22Exif\0\0", &exif_orientation(orientation)[..]].concat();
        let bytes = [&plain[..2], &exif, &plain[2..]].concat();
        assert_eq!(read_header(&bytes).unwrap().exif_orientation, orientation);
        let upright = DecodeOptions { orientation: Orientation::Upright, ..Default::default() };
        let fitted = decode_fitted(&bytes, Fit::Resize, (40, 40), &upright).unwrap();
        let full = Fit::Resize.apply(&decode(&bytes, &upright).unwrap(), (40, 40)).unwrap();
        let Difference { mean, max } = difference(&fitted, &full);
        assert!(mean < 1.0, "orientation {orientation}: mean {mean:.3}, max {max}");
    }
}

/// A reduced decode is the mean over squares, the area resize of the full decode, less up to a level in each
/// plane: that of 1/8 rounds down.
#[test]
fn a_reduced_decode_is_the_mean_of_squares() {
    let bytes = encoded(&picture(64, 96), 95, |encoder| encoder.set_sampling_factor(SamplingFactor::R_4_4_4));
    for (height, width) in [(8, 12), (16, 24)] {
        let options = DecodeOptions { shrink_to: Some((height, width)), ..Default::default() };
        let means = resize(&decoded(&bytes), height, width, Filter::Area, false).unwrap();
        let Difference { mean, max } = difference(&decode(&bytes, &options).unwrap(), &means);
        println!("{height}x{width}: mean {mean:.3}, max {max:.2}");
        assert!(mean < 1.5, "{height}x{width}: mean {mean:.3}, max {max:.2}");
    }
}

/// jpeg-decoder, which decodes at reduced size, wants restart markers numbered 0 to 7 in turn; zune-jpeg takes any.
#[test]
fn a_file_that_only_the_full_decoder_takes_is_decoded_at_full_size_where_less_is_asked() {
    let picture = picture(64, 96);
    let sound = encoded(&picture, 95, |encoder| encoder.set_restart_interval(2));
    let mut odd = sound.clone();
    let mut renumbered = 0;
    for place in 1..odd.len() {
        // In the image data, 0xFF comes only before a marker or a zero.
        if odd[place - 1] == 0xFF && (0xD0..=0xD7).contains(&odd[place]) {
            odd[place] = 0xD0;
            renumbered += 1;
        }
    }
    assert!(renumbered > 8, "{renumbered} restart markers");
    assert!(jpeg_decoder::Decoder::new(odd.as_slice()).decode().is_err(), "this file tests nothing");
    let full = decoded(&sound);
    assert_eq!(decoded(&odd), full);
    let options = DecodeOptions { shrink_to: Some((8, 12)), ..Default::default() };
    assert_eq!(decode(&sound, &options).unwrap().dim(), (8, 12, 3));
    assert_eq!(decode(&odd, &options).unwrap(), full);
}

#[test]
fn orientation_is_kept_unless_asked_for() {
    let fixtures = Fixtures::images();
    let bytes = fixtures.bytes("07/jpeg"); // stored on its side: EXIF orientation 6
    let header = read_header(&bytes).unwrap();
    assert_eq!(header.exif_orientation, 6);
    assert!(header.is_sideways());
    let stored = decoded(&bytes);
    let options = DecodeOptions { orientation: Orientation::Upright, ..Default::default() };
    let upright = decode(&bytes, &options).unwrap();
    // Orientation 6: the first stored row is the right side of the picture, the first column its top.
    let mut expected = stored.clone();
    expected.swap_axes(0, 1);
    expected.invert_axis(Axis(1));
    assert_eq!(upright, expected);
    // Sizes asked for are those of the upright image: a quarter of it serves, and is upright too.
    let quarter = (upright.dim().0.div_ceil(4), upright.dim().1.div_ceil(4), 3);
    let options = DecodeOptions { shrink_to: Some((quarter.0 / 2, quarter.1 / 2)), ..options };
    assert_eq!(decode(&bytes, &options).unwrap().dim(), quarter);
}
