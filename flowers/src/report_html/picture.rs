//! Pictures as text within the page: data URIs.

use floret::image::{Fit, encode_png};
use floret::log::picture as draw;
use ndarray::{Array3, ArrayView4, s};

/// An `img`'s source and its size in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub source: String,
    pub width: usize,
    pub height: usize,
}

/// The longer side of a photo.
pub const PHOTO_SIDE: usize = 128;

/// Of photos; below 90 colors would be stored at half the size.
const JPEG_QUALITY: u8 = 90;

/// A photo of levels, (height, width, 3), at most [`PHOTO_SIDE`] wide and high; `None` of one without pixels.
pub fn photo(image: &Array3<u8>) -> Option<Picture> {
    let (height, width, _) = image.dim();
    let longer = height.max(width);
    let shrunk = |side: usize| (side * PHOTO_SIDE / longer.max(1)).max(1);
    let small = match longer > PHOTO_SIDE {
        true => Fit::Resize.apply(image, (shrunk(height), shrunk(width))).ok()?,
        false => image.as_standard_layout().into_owned(),
    };
    let (height, width, _) = small.dim();
    let mut bytes = Vec::new();
    let (columns, rows) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, JPEG_QUALITY);
    encoder.encode(small.as_slice()?, columns, rows, jpeg_encoder::ColorType::Rgb).ok()?;
    Some(Picture { source: data_uri("image/jpeg", &bytes), width, height })
}

/// The filters of a convolution, HWIO, each by itself and a pixel a weight.
pub fn filters(kernel: ArrayView4<f32>) -> Vec<Picture> {
    let filter = |number| {
        let drawn = draw::filters(kernel.slice(s![.., .., .., number..number + 1]), 1)?;
        let (height, width, _) = drawn.dim();
        Some(Picture { source: data_uri("image/png", &encode_png(drawn.view()).ok()?), width, height })
    };
    (0..kernel.dim().3).filter_map(filter).collect()
}

fn data_uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", base64(bytes))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() { DIGITS[value as usize] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    /// The test vectors of RFC 4648, section 10.
    #[test]
    fn base64_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xEF, 0xFF]), "++//");
    }

    #[test]
    fn photos_keep_their_shape() {
        let picture = photo(&Array3::from_elem((300, 600, 3), 9)).unwrap();
        assert_eq!((picture.width, picture.height), (128, 64));
        let picture = photo(&Array3::from_elem((5, 7, 3), 9)).unwrap();
        assert_eq!((picture.width, picture.height), (7, 5));
        assert!(picture.source.starts_with("data:image/jpeg;base64,/9j/"));
        assert_eq!(photo(&Array3::from_elem((1, 4000, 3), 9)).unwrap().height, 1);
        assert_eq!(photo(&Array3::from_elem((0, 7, 3), 9)), None);
    }

    #[test]
    fn each_filter_is_a_picture() {
        let mut kernel = Array4::zeros((2, 3, 3, 2));
        (kernel[[0, 0, 0, 1]], kernel[[1, 1, 2, 1]]) = (0.5, -0.5);
        let pictures = filters(kernel.view());
        assert_eq!((pictures.len(), pictures[0].width, pictures[0].height), (2, 3, 2));
        assert_ne!(pictures[0], pictures[1]);
        assert!(pictures[0].source.starts_with("data:image/png;base64,iVBORw0KGgo"));
    }
}
