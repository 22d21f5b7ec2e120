//! What a client is told of a photo that can't be classified.

use floret::ClassifyError;
use floret::image::{ImageError, PhotoError};

use crate::http::Response;

/// The answer to a request for this photo alone.
pub fn refusal(error: &ClassifyError) -> Response {
    let (status, message) = of(error);
    Response::error(status, &message)
}

/// Whose fault it is, and what to do, in the words of one who sends photos and has no files here.
pub fn of(error: &ClassifyError) -> (u16, String) {
    let ClassifyError::Photo(PhotoError::Image(error)) = error else { return (500, error.to_string()) };
    match error {
        ImageError::NotAnImage { found } => {
            (415, format!("this is no photo (JPEG, PNG, WebP, GIF, BMP, TIFF) but {found}"))
        }
        ImageError::NotBuilt { format } => {
            (415, format!("{format} is not read by this server: send JPEG or PNG"))
        }
        ImageError::Unsupported { format, feature } => (
            415,
            format!("this {format} uses {feature}, which is not read here: send an ordinary JPEG or PNG"),
        ),
        ImageError::TooLarge { width, height, max_pixels } => (
            413,
            format!(
                "the photo's {width}x{height} pixels are over the limit of {max_pixels}: send it smaller"
            ),
        ),
        ImageError::Truncated { format, offset } => {
            (422, format!("the {format} is cut off: its data ends at byte {offset}, before the photo's end"))
        }
        ImageError::Corrupt { format, reason } => (422, format!("the {format} is damaged: {reason}")),
        other => (422, other.to_string()),
    }
}
