//! JPEG header: the marker segments up to the first scan (ITU-T T.81, annex B).
use crate::image::error::ImageError;
use crate::image::exif;
use crate::image::format::Format;
use crate::image::info::{ColorModel, ImageHeader};

/// Start-of-image marker, and the byte that begins the next marker.
pub(in crate::image) const START: [u8; 2] = [0xFF, SOI];

const SOI: u8 = 0xD8;
/// End-of-image marker.
pub(in crate::image) const END: [u8; 2] = [0xFF, EOI];
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP14: u8 = 0xEE;
const APP15: u8 = 0xEF;

/// Most scans of an image of as many pixels as may be; smaller ones may have more. Encoders write 1 to about 15.
const MAX_SCANS: u64 = 32;

/// What decoding needs to know beyond the image's header.
pub(in crate::image) struct JpegHeader {
    /// The part that concerns the user.
    pub image: ImageHeader,
    /// Whether Adobe's marker is there: CMYK values are then stored inverted.
    pub adobe: bool,
    /// How the planes are subsampled.
    pub sampling: Sampling,
    /// Whether the first scan holds every color component (as all but rare files do).
    pub interleaved: bool,
    /// Offset of the first scan's entropy-coded data.
    scan: usize,
}

/// How much smaller than the image its smallest plane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) struct Sampling {
    /// Factor between the heights, rounded up.
    pub vertical: usize,
    /// Factor between the widths, rounded up.
    pub horizontal: usize,
    /// One plane, or luma with two chroma planes, in one of the usual ways: 4:4:4, 4:2:2, 4:4:0, 4:2:0.
    pub usual: bool,
}

/// Parses the header of a file that begins with [`START`].
pub(super) fn parse(bytes: &[u8]) -> Result<JpegHeader, ImageError> {
    let mut frame = None;
    let mut applications = Applications { jfif: false, adobe_transform: None, exif_orientation: 1 };
    let mut segments = Segments { bytes, at: START.len() };
    loop {
        let Segment { marker, data } = segments.next()?;
        match marker {
            0xC0..=0xC2 if frame.is_some() => return Err(corrupt("two frame headers")),
            0xC0..=0xC2 => frame = Some(Frame::parse(data, marker == 0xC2)?),
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err(unsupported(coding_name(marker))),
            APP0..=APP15 => applications.read(marker, data),
            EOI => return Err(corrupt("it ends before its first scan")),
            SOS => {
                let frame = frame.ok_or_else(|| corrupt("a scan comes before the frame header"))?;
                let scan_components = *data.first().ok_or_else(|| corrupt("an empty scan header"))?;
                return Ok(JpegHeader::new(&frame, &applications, usize::from(scan_components), segments.at));
            }
            _ => {}
        }
    }
}

/// What application segments say that matters here.
struct Applications {
    jfif: bool,
    adobe_transform: Option<u8>,
    exif_orientation: u8,
}

impl Applications {
    fn read(&mut self, marker: u8, data: &[u8]) {
        match marker {
            APP0 if data.starts_with(b"JFIF\0") => self.jfif = true,
            APP1 => {
                let tiff = data.strip_prefix(b"Exif\0\0");
                self.exif_orientation = tiff.and_then(exif::orientation).unwrap_or(self.exif_orientation);
            }
            APP14 if data.starts_with(b"Adobe") => {
                self.adobe_transform = data.get(11).copied().or(self.adobe_transform);
            }
            _ => {}
        }
    }
}

impl JpegHeader {
    fn new(frame: &Frame, applications: &Applications, scan_components: usize, scan: usize) -> JpegHeader {
        JpegHeader {
            image: ImageHeader {
                format: Format::Jpeg,
                width: frame.width,
                height: frame.height,
                color: frame.color(applications),
                bit_depth: 8,
                progressive: frame.progressive,
                exif_orientation: applications.exif_orientation,
            },
            adobe: applications.adobe_transform.is_some(),
            sampling: frame.sampling(),
            interleaved: scan_components == frame.components.len(),
            scan,
        }
    }

    /// Fails if the scans of the file would have to be decoded into more than [`MAX_SCANS`] times `max_pixels` pixels:
    /// a scan of a few bytes passes over the whole image, and takes as long as one of megabytes.
    pub(in crate::image) fn check_scans(&self, bytes: &[u8], max_pixels: u64) -> Result<(), ImageError> {
        // Also what only looks like a scan counts, so that no decoder's way through the segments finds more of them.
        // Entropy-coded data holds none.
        let scans = bytes[self.scan..].windows(2).filter(|pair| *pair == [0xFF, SOS]).count() + 1;
        let (width, height) = (self.image.width, self.image.height);
        let pixels = (width as u64) * (height as u64); // of 16 bits each
        if pixels.saturating_mul(scans as u64) > max_pixels.saturating_mul(MAX_SCANS) {
            return Err(unsupported(format!(
                "{scans} scans of {width}x{height} pixels, over the limit of {MAX_SCANS} scans of {max_pixels} pixels together"
            )));
        }
        Ok(())
    }

    /// The scale, in eighths (1, 2 or 8), at which to decode so that no plane is smaller than `least`
    /// (height, width), unless it is so at full size. At 4 jpeg-decoder takes longer than zune-jpeg does for
    /// the whole image.
    pub(in crate::image) fn eighths(&self, least: (usize, usize)) -> usize {
        let (height, width) = (self.image.height, self.image.width);
        let serves = |eighths: &usize| {
            scaled(height.div_ceil(self.sampling.vertical), *eighths) >= least.0
                && scaled(width.div_ceil(self.sampling.horizontal), *eighths) >= least.1
        };
        // Of a smaller image the scales do not differ enough for jpeg-decoder to be asked for one.
        if height.max(width) < 8 { 8 } else { [1, 2].into_iter().find(serves).unwrap_or(8) }
    }

    /// `None` if the end-of-image marker is there; otherwise the offset at which whole data ends.
    ///
    /// A file that was cut off and had an end marker put behind cannot be told from a sound one without
    /// decoding it; the decoders (like libjpeg) fill what is missing with gray.
    pub(in crate::image) fn cut_off_at(&self, bytes: &[u8]) -> Option<usize> {
        if bytes.ends_with(&END) {
            return None;
        }
        // Something may follow the image: look for its end, scan by scan.
        let mut segments = Segments { bytes, at: self.scan };
        loop {
            let begin = segments.at;
            match segments.next() {
                Ok(Segment { marker: EOI, .. }) => return None,
                Ok(_) => {}
                Err(_) => return Some(segments.marker_from(begin).map_or(bytes.len(), |(at, _)| at)),
            }
        }
    }
}

/// Length of a plane's side after decoding at a scale of `eighths`.
pub(in crate::image) fn scaled(length: usize, eighths: usize) -> usize {
    (length * eighths).div_ceil(8)
}

struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    /// Identifier, horizontal and vertical sampling factor of each component.
    components: Vec<[u8; 3]>,
}

impl Frame {
    fn parse(data: &[u8], progressive: bool) -> Result<Frame, ImageError> {
        let Some((&[precision, h1, h0, w1, w0, count], table)) = data.split_first_chunk() else {
            return Err(corrupt("the frame header is too short"));
        };
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if precision != 8 {
            return Err(unsupported(format!("{precision} bits a sample")));
        }
        if height == 0 && width > 0 {
            return Err(unsupported("a height that only follows after the first scan (DNL)"));
        }
        if width == 0 {
            return Err(corrupt("its width is zero"));
        }
        if table.len() != 3 * usize::from(count) {
            return Err(corrupt("the frame header's length does not fit its number of components"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(format!("{count} color components")));
        }
        let components = table.chunks_exact(3).map(|c| [c[0], c[1] >> 4, c[1] & 15]).collect();
        Ok(Frame { width: usize::from(width), height: usize::from(height), progressive, components })
    }

    /// The color model, by the rules of libjpeg's `default_decompress_parms`.
    fn color(&self, applications: &Applications) -> ColorModel {
        match (self.components.len(), applications.adobe_transform) {
            (1, _) => ColorModel::Gray,
            (3, _) if applications.jfif => ColorModel::YCbCr,
            (3, Some(0)) => ColorModel::Rgb,
            (3, None) if self.components.iter().map(|c| c[0]).eq(*b"RGB") => ColorModel::Rgb,
            (3, _) => ColorModel::YCbCr,
            (_, None | Some(0)) => ColorModel::Cmyk,
            (_, Some(_)) => ColorModel::Ycck,
        }
    }

    fn sampling(&self) -> Sampling {
        // luma's factors, and one sample each of the others
        let usual = matches!(self.components.as_slice(), [_] | [[_, 1 | 2, 1 | 2], [_, 1, 1], [_, 1, 1]]);
        let factor = |axis: usize| {
            let factors = || self.components.iter().map(|c| usize::from(c[axis].max(1)));
            factors().max().unwrap_or(1).div_ceil(factors().min().unwrap_or(1))
        };
        Sampling { vertical: factor(2), horizontal: factor(1), usual }
    }
}

/// A marker and, where it has any, its segment's data.
struct Segment<'a> {
    marker: u8,
    data: &'a [u8],
}

/// Walks the markers, over anything between them: fill bytes, entropy-coded data, and the junk that libjpeg
/// skips too.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    /// The next marker and its data, stepping behind both.
    fn next(&mut self) -> Result<Segment<'a>, ImageError> {
        let cut = |offset| ImageError::Truncated { format: Format::Jpeg, offset };
        let (begin, code) = self.marker_from(self.at).ok_or(cut(self.bytes.len()))?;
        let (marker, rest) = (self.bytes[code], &self.bytes[code + 1..]);
        let segment = match rest.first_chunk().map(|&length| usize::from(u16::from_be_bytes(length))) {
            _ if marker == EOI || marker == SOI => Some(0..0), // these two have no segment
            Some(0 | 1) => {
                return Err(corrupt(format!("the segment at byte {begin} has an impossible length")));
            }
            Some(length) => Some(2..length),
            None => None,
        };
        let range = segment.filter(|range| range.end <= rest.len()).ok_or(cut(begin))?;
        self.at = code + 1 + range.end;
        Ok(Segment { marker, data: &rest[range] })
    }

    /// The next marker that stands for more than a restart: offsets of its first byte (0xFF) and of its code.
    fn marker_from(&self, from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        loop {
            let begin = at + self.bytes.get(at..)?.iter().position(|&b| b == 0xFF)?;
            let code = begin + self.bytes[begin..].iter().position(|&b| b != 0xFF)?;
            match self.bytes[code] {
                // stuffed 0xFF of entropy-coded data, TEM, RST0 to RST7: no segment
                0x00 | 0x01 | 0xD0..=0xD7 => at = code + 1,
                _ => return Some((begin, code)),
            }
        }
    }
}

fn coding_name(marker: u8) -> String {
    match marker {
        0xC3 => "lossless coding",
        0xC5..=0xC7 => "hierarchical coding",
        0xC9..=0xCB => "arithmetic coding",
        _ => "hierarchical arithmetic coding",
    }
    .into()
}

fn corrupt(reason: impl Into<String>) -> ImageError {
    ImageError::corrupt(Format::Jpeg, reason)
}

fn unsupported(feature: impl Into<String>) -> ImageError {
    ImageError::unsupported(Format::Jpeg, feature)
}
