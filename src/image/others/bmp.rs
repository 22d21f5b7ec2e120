//! Windows bitmaps (the `BITMAPINFOHEADER` of Microsoft's Win32 reference, its successors, and OS/2's `BITMAPCOREHEADER`).
//!
//! The small crates that read them gave other values than TensorFlow and Pillow for some depths; a large one doubled the build.

use ndarray::Array3;

use super::plain_header;
use crate::image::error::ImageError;
use crate::image::format::Format;
use crate::image::info::{ColorModel, ImageHeader};
use crate::image::rgb::rgb_array;

/// Bytes before the header that tells the size.
const FILE_HEADER: usize = 14;
/// The length of OS/2's header, whose sizes have 16 bits, and colors 3 bytes.
const CORE_HEADER: usize = 12;
/// The length of the header from which on all others begin.
const INFO_HEADER: usize = 40;

pub(super) fn header(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    let bitmap = Bitmap::parse(bytes)?;
    let color = if bitmap.bits <= 8 { ColorModel::Palette } else { ColorModel::Rgb };
    plain_header(Format::Bmp, (bitmap.width, bitmap.height), color)
}

pub(super) fn decode(bytes: &[u8], header: &ImageHeader) -> Result<Array3<u8>, ImageError> {
    let bitmap = Bitmap::parse(bytes)?;
    let palette = bitmap.palette();
    let color_of =
        |index: usize| palette.get(index).copied().ok_or_else(|| corrupt("its palette is too short"));
    let rgb: Vec<[u8; 3]> = match bitmap.coding {
        Coding::Runs => {
            bitmap.runs()?.into_iter().map(|index| color_of(index.into())).collect::<Result<_, _>>()?
        }
        Coding::Plain(masks) => {
            let row = bitmap.row().and_then(|row| Some((row, row.checked_mul(bitmap.height)?)));
            let (row, length) = row.ok_or_else(|| corrupt("its size does not fit into memory"))?;
            let data = bytes
                .get(bitmap.start..)
                .and_then(|data| data.get(..length))
                .ok_or_else(|| cut_off(bytes))?;
            let mut rgb = Vec::with_capacity(bitmap.height * bitmap.width);
            for y in 0..bitmap.height {
                let stored = if bitmap.top_down { y } else { bitmap.height - 1 - y };
                let row = &data[stored * row..][..row];
                for x in 0..bitmap.width {
                    let pixel = bitmap.pixel(row, x);
                    rgb.push(if bitmap.bits <= 8 {
                        color_of(pixel as usize)?
                    } else {
                        masks.map(|mask| level(pixel, mask))
                    });
                }
            }
            rgb
        }
    };
    rgb_array(Format::Bmp, header.height, header.width, rgb.into_flattened())
}

/// How pixels are stored.
#[derive(Clone, Copy)]
enum Coding {
    /// One after another; where they are colors, with the bits of red, green and blue.
    Plain([u32; 3]),
    /// Indices into the palette, of 4 or 8 bits, in runs of the same.
    Runs,
}

/// What the headers say.
struct Bitmap<'a> {
    bytes: &'a [u8],
    width: usize,
    height: usize,
    top_down: bool,
    /// Bits a pixel.
    bits: usize,
    coding: Coding,
    /// Bytes of the second header, behind which the palette lies.
    header: usize,
    /// How many colors the palette has, as it says; 0 if as many as can be.
    colors: usize,
    /// Where the first pixel lies.
    start: usize,
}

impl<'a> Bitmap<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let u32_at = |at: usize| {
            bytes.get(at..).and_then(|rest| rest.first_chunk()).map(|four| u32::from_le_bytes(*four))
        };
        let u32_at = |at: usize| u32_at(at).ok_or_else(|| cut_off(bytes));
        let [low, high] = [|two: u32| two & 0xFFFF, |two: u32| two >> 16];
        let (start, header) = (u32_at(10)? as usize, u32_at(FILE_HEADER)? as usize);
        let (width, height, bits, coding, colors) = match header {
            CORE_HEADER => (low(u32_at(18)?) as i32, high(u32_at(18)?) as i32, high(u32_at(22)?), 0, 0),
            INFO_HEADER.. => {
                let [width, height] = [u32_at(18)?.cast_signed(), u32_at(22)?.cast_signed()];
                (width, height, high(u32_at(26)?), u32_at(30)?, u32_at(46)?)
            }
            _ => return Err(unsupported(format!("a header of {header} bytes"))),
        };
        let bits = bits as usize;
        let masks = || Ok([u32_at(54)?, u32_at(58)?, u32_at(62)?]);
        let coding = match (coding, bits) {
            (0, 1 | 2 | 4 | 8) => Coding::Plain([0; 3]),
            (0, 16) => Coding::Plain([0x7C00, 0x03E0, 0x001F]),
            (0, 24 | 32) => Coding::Plain([0xFF_0000, 0xFF00, 0xFF]),
            (3 | 6, 16 | 32) => Coding::Plain(masks()?),
            (1, 8) | (2, 4) => Coding::Runs,
            (0 | 3, _) => return Err(unsupported(format!("{bits} bits a pixel"))),
            (coding, _) => return Err(unsupported(format!("compression {coding}"))),
        };
        let size = usize::try_from(width).ok().zip(usize::try_from(height.unsigned_abs()).ok());
        let (width, rows) = size.ok_or_else(|| corrupt("its width is negative"))?;
        let top_down = height < 0;
        Ok(Bitmap {
            bytes,
            width,
            height: rows,
            top_down,
            bits,
            coding,
            header,
            colors: colors as usize,
            start,
        })
    }

    /// Bytes of a row: whole words of 4.
    fn row(&self) -> Option<usize> {
        Some(self.width.checked_mul(self.bits)?.div_ceil(32) * 4)
    }

    /// The bits of a pixel; several of a byte from the high ones on.
    fn pixel(&self, row: &[u8], x: usize) -> u32 {
        if self.bits < 8 {
            let bit = x * self.bits;
            return u32::from(row[bit / 8]) >> (8 - self.bits - bit % 8) & ((1 << self.bits) - 1);
        }
        let bytes = self.bits / 8;
        row[x * bytes..][..bytes].iter().rev().fold(0, |bits, &byte| bits << 8 | u32::from(byte))
    }

    /// The colors, as many as there are.
    fn palette(&self) -> Vec<[u8; 3]> {
        let most = if self.bits <= 8 { 1 << self.bits } else { 0 };
        let colors = if self.colors == 0 { most } else { self.colors.min(most) };
        let table = self.bytes.get(FILE_HEADER + self.header..).unwrap_or_default();
        let bytes = if self.header == CORE_HEADER { 3 } else { 4 };
        table.chunks_exact(bytes).take(colors).map(|color| [color[2], color[1], color[0]]).collect()
    }

    /// The indices of all pixels, of which those that are skipped are 0.
    fn runs(&self) -> Result<Vec<u8>, ImageError> {
        let mut indices = vec![0; self.width * self.height];
        // From the lowest row up.
        let (mut x, mut y) = (0, 0);
        let mut data = self.bytes.get(self.start..).unwrap_or_default().iter().copied();
        let mut next = || data.next().ok_or_else(|| cut_off(self.bytes));
        let half = |byte: u8, at: usize| if self.bits == 8 { byte } else { byte >> (4 - at % 2 * 4) & 15 };
        let mut put = |x: usize, y: usize, index: u8| {
            if x < self.width && y < self.height {
                indices[(self.height - 1 - y) * self.width + x] = index;
            }
        };
        loop {
            match (next()?, next()?) {
                (0, 0) => (x, y) = (0, y + 1),
                // Rows that nothing is said of are missing: of few bytes no large picture is made.
                (0, 1) if y + 1 < self.height => return Err(cut_off(self.bytes)),
                (0, 1) => return Ok(indices),
                (0, 2) => (x, y) = (x + usize::from(next()?), y + usize::from(next()?)),
                // As they are, filled up to whole words of 2 bytes.
                (0, count) => {
                    let bytes = (usize::from(count) * self.bits).div_ceil(8);
                    let mut byte = 0;
                    for at in 0..usize::from(count) {
                        if (at * self.bits).is_multiple_of(8) {
                            byte = next()?;
                        }
                        put(x + at, y, half(byte, at));
                    }
                    if bytes % 2 == 1 {
                        next()?;
                    }
                    x += usize::from(count);
                }
                (count, byte) => {
                    (0..usize::from(count)).for_each(|at| put(x + at, y, half(byte, at)));
                    x += usize::from(count);
                }
            }
        }
    }
}

/// The 8-bit level that the bits of a mask hold.
fn level(pixel: u32, mask: u32) -> u8 {
    let most = mask.unbounded_shr(mask.trailing_zeros());
    let value = (pixel & mask).unbounded_shr(mask.trailing_zeros());
    if most == 0 { 0 } else { (u64::from(value) * 255 / u64::from(most)) as u8 }
}

fn cut_off(bytes: &[u8]) -> ImageError {
    ImageError::Truncated { format: Format::Bmp, offset: bytes.len() }
}

fn unsupported(feature: String) -> ImageError {
    ImageError::unsupported(Format::Bmp, feature)
}

fn corrupt(reason: &str) -> ImageError {
    ImageError::corrupt(Format::Bmp, reason)
}
