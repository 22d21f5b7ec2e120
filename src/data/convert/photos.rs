//! Photos: checked, and made records of.

use std::path::PathBuf;

use super::error::{BadPhoto, ConvertError};
use super::look::Look;
use super::part::Part;
use crate::files::FileError;
use crate::image::{
    DecodeOptions, Format, PhotoError, Truncated, decode, lacks_its_end, read_header, read_photo,
};
use crate::record::ImageExample;
use crate::record::crc::masked_crc32c;

/// A file of a class.
#[derive(Debug)]
pub(super) struct FoundFile {
    /// The number of its class, from 0.
    pub class: usize,
    /// Its path within the class folder, with `/` between folders, or as it stands in a list.
    pub name: String,
    pub path: PathBuf,
    /// The part of the data set it belongs to, where that is given.
    pub part: Option<Part>,
}

/// A photo that was read and decoded.
#[derive(Debug)]
pub(super) struct Photo {
    pub file: FoundFile,
    pub bytes: u64,
    pub look: Look,
    /// The same number as that of each photo that shows the same.
    pub group: usize,
    /// Whether it lacks its end marker, and nothing else.
    pub lacks_its_end: bool,
    crc: u32,
    format: Format,
    height: usize,
    width: usize,
}

impl Photo {
    /// Reads a file and decodes it, so that no photo gets into a record that training could not use.
    pub fn check(file: FoundFile, options: &DecodeOptions) -> Result<Self, BadPhoto> {
        let checked = read_photo(&file.path).and_then(|encoded| {
            let header = read_header(&encoded)?;
            let image = decode(&encoded, &DecodeOptions { shrink_to: None, ..*options })?;
            let ends = (
                Look::of(&encoded, &image),
                options.truncated == Truncated::Error && lacks_its_end(&encoded),
            );
            Ok((encoded.len() as u64, ends, masked_crc32c(&encoded), header))
        });
        match checked {
            Ok((bytes, (look, lacks_its_end), crc, header)) => {
                let (format, height, width) = (header.format, header.height, header.width);
                Ok(Photo { file, bytes, look, group: 0, lacks_its_end, crc, format, height, width })
            }
            Err(error) => Err(BadPhoto { path: file.path, fault: error.into() }),
        }
    }

    /// The photo's example, from the file as it is now, which must be what was checked.
    ///
    /// Color space and channels are those of the decoded image, as in TensorFlow's data sets.
    pub fn example(&self, class_name: &str) -> Result<ImageExample, ConvertError> {
        let FoundFile { class, name, path, .. } = &self.file;
        let encoded = match read_photo(path) {
            Ok(encoded) => encoded,
            Err(PhotoError::Io(error)) => return Err(FileError::new(path, "read", error).into()),
            Err(_) => return Err(ConvertError::Changed(path.clone())),
        };
        if masked_crc32c(&encoded) != self.crc {
            return Err(ConvertError::Changed(path.clone()));
        }
        Ok(ImageExample {
            encoded,
            label: *class as i64 + 1,
            class_text: Some(class_name.to_owned()),
            filename: Some(name.clone()),
            height: Some(self.height as i64),
            width: Some(self.width as i64),
            format: Some(self.format.to_string()),
            colorspace: Some("RGB".to_owned()),
            channels: Some(3),
            pixels: None,
        })
    }
}
