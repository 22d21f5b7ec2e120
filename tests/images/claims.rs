//! Files whose parts claim more than the picture holds: decoders take memory by such claims.

use floret::image::{DecodeOptions, ImageError, decode, read_header};

use super::support::Fixtures;

fn decoded(bytes: &[u8]) -> Result<(usize, usize, usize), ImageError> {
    decode(bytes, &DecodeOptions::default()).map(|image| image.dim())
}

#[cfg(feature = "webp")]
mod webp {
    use super::*;

    fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let padding = &[0][..data.len() % 2];
        [name, &(data.len() as u32).to_le_bytes()[..], data, padding].concat()
    }

    fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
        chunk(b"RIFF", &[b"WEBP", &chunks.concat()[..]].concat())
    }

    /// The extended header of a canvas.
    fn canvas(flags: u8, width: u8, height: u8) -> Vec<u8> {
        chunk(b"VP8X", &[flags, 0, 0, 0, width - 1, 0, 0, height - 1, 0, 0])
    }

    fn frame(width: u8, height: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let header = [0, 0, 0, 0, 0, 0, width - 1, 0, 0, height - 1, 0, 0, 0, 0, 0, 0];
        chunk(b"ANMF", &[&header[..], &parts.concat()].concat())
    }

    /// The chunks of a picture of 45 x 38 pixels with opacity, behind the extended header.
    fn picture() -> [Vec<u8>; 2] {
        let bytes = Fixtures::more_formats().bytes("webp/lossy_alpha/file");
        let at = 30 + 8 + bytes[34..38].iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let at = at + at % 2;
        [bytes[30..at].to_vec(), bytes[at..].to_vec()]
    }

    const ANIMATED: u8 = 0b10;
    const OPACITY: u8 = 0b1_0000;

    #[test]
    fn a_frame_is_as_large_as_its_picture() {
        let [opacity, colors] = picture();
        let animation = |frame| file(&[canvas(ANIMATED | OPACITY, 100, 90), chunk(b"ANIM", &[0; 6]), frame]);
        let parts = [opacity.clone(), colors.clone()];
        assert_eq!(decoded(&animation(frame(45, 38, &parts))), Ok((90, 100, 3)));
        // image-webp (0.2.4) panics on the first.
        for claim in [
            frame(10, 10, &parts),
            frame(45, 38, &[opacity.clone(), chunk(b"ABCD", &colors[8..])]),
            frame(10, 10, &[opacity, chunk(b"ABCD", &colors[8..])]),
            frame(10, 10, std::slice::from_ref(&colors)),
        ] {
            let error = read_header(&animation(claim)).unwrap_err();
            assert!(matches!(error, ImageError::Corrupt { .. }), "{error}");
        }
    }

    #[test]
    fn a_still_picture_has_no_frames() {
        let [opacity, colors] = picture();
        assert_eq!(
            decoded(&file(&[canvas(OPACITY, 45, 38), opacity.clone(), colors.clone()])),
            Ok((38, 45, 3))
        );
        let parts = [opacity.clone(), colors.clone()];
        let error = read_header(&file(&[canvas(OPACITY, 45, 38), frame(10, 10, &parts), opacity, colors]));
        assert!(matches!(error, Err(ImageError::Corrupt { .. })), "{error:?}");
    }

    #[test]
    fn a_chunk_of_any_length_is_no_reason_to_take_memory() {
        const HAS_EXIF: u8 = 0b1000;
        let [opacity, colors] = picture();
        let mut exif = chunk(b"EXIF", &[0; 4]);
        exif[4..8].fill(0xFF);
        let header =
            read_header(&file(&[canvas(OPACITY | HAS_EXIF, 45, 38), opacity, colors, exif])).unwrap();
        assert_eq!(header.exif_orientation, 1);
    }
}

#[cfg(feature = "tiff")]
mod tiff {
    use super::*;

    const WIDTH: u16 = 256;
    const HEIGHT: u16 = 257;
    const BITS: u16 = 258;
    const COMPRESSION: u16 = 259;
    const COLORS: u16 = 262;
    const STRIP: u16 = 273;
    const SAMPLES: u16 = 277;
    const ROWS: u16 = 278;
    const STRIP_BYTES: u16 = 279;
    const PREDICTOR: u16 = 317;
    const TILE_WIDTH: u16 = 322;
    const TILE_HEIGHT: u16 = 323;
    const TILE: u16 = 324;
    const TILE_BYTES: u16 = 325;
    const OTHERS: u16 = 338;

    /// A file of one number for each tag, and data from byte 8 on.
    fn file(tags: &[(u16, u32)], data: &[u8]) -> Vec<u8> {
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        let mut bytes = b"II\x2a\0".to_vec();
        bytes.extend((8 + data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes.extend((tags.len() as u16).to_le_bytes());
        for (tag, value) in tags {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(if *value <= 0xFFFF { SHORT } else { LONG }.to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 4]);
        bytes
    }

    /// 10 x 10 gray pixels in one tile.
    fn tiled(width: u32, height: u32) -> Vec<u8> {
        let data = vec![77; 256 * 256];
        let tags = [
            (WIDTH, 10),
            (HEIGHT, 10),
            (BITS, 8),
            (COMPRESSION, 1),
            (COLORS, 1),
            (SAMPLES, 1),
            (TILE_WIDTH, width),
            (TILE_HEIGHT, height),
            (TILE, 8),
            (TILE_BYTES, data.len() as u32),
        ];
        file(&tags, &data)
    }

    #[test]
    fn a_tile_may_be_larger_than_the_picture_within_reason() {
        let image = decode(&tiled(256, 256), &DecodeOptions::default()).unwrap();
        assert!(image.dim() == (10, 10, 3) && image.iter().all(|level| *level == 77));
        for (width, height) in [(u32::MAX, 16), (1 << 20, 1 << 20), (u32::MAX, u32::MAX)] {
            let error = read_header(&tiled(width, height)).unwrap_err();
            assert!(error.to_string().contains(&format!("tiles of {width}x{height} pixels")), "{error}");
        }
    }

    /// 4 x 2 pixels: red, green, blue, and perhaps a sample of no known meaning.
    fn with_other(samples: u32, predictor: u32) -> Vec<u8> {
        let data: Vec<u8> =
            (0..8).flat_map(|pixel| (0..samples).map(move |at| (10 * pixel + at) as u8)).collect();
        let mut tags = vec![
            (WIDTH, 4),
            (HEIGHT, 2),
            (BITS, 8),
            (COMPRESSION, 1),
            (COLORS, 2),
            (STRIP, 8),
            (SAMPLES, samples),
            (ROWS, 2),
            (STRIP_BYTES, data.len() as u32),
            (PREDICTOR, predictor),
        ];
        if samples > 3 {
            tags.push((OTHERS, 0));
        }
        file(&tags, &data)
    }

    #[test]
    fn another_channel_is_left_out_where_no_predictor_goes_over_them() {
        for samples in [3, 4] {
            let image = decode(&with_other(samples, 1), &DecodeOptions::default());
            let image = image.unwrap_or_else(|error| panic!("{samples}: {error}"));
            assert_eq!((image.dim(), image[[1, 3, 0]], image[[1, 3, 2]]), ((2, 4, 3), 70, 72), "{samples}");
        }
        assert_eq!(decoded(&with_other(3, 2)), Ok((2, 4, 3)));
        let error = decoded(&with_other(4, 2)).unwrap_err();
        assert!(error.to_string().contains("a predictor where there are more channels"), "{error}");
    }

    #[test]
    fn a_jpeg_is_as_large_as_its_part() {
        for name in ["tiff/jpeg/file", "tiff/jpeg_ycbcr/file"] {
            let mut bytes = Fixtures::more_formats().bytes(name);
            assert!(decoded(&bytes).is_ok(), "{name}");
            let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
            bytes[frame + 5..frame + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
            let error = decoded(&bytes).unwrap_err();
            assert!(error.to_string().contains("larger than the part"), "{name}: {error}");
        }
    }
}
