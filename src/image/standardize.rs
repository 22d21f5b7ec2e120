//! Zero mean and unit variance for each image: TensorFlow's `tf.image.per_image_standardization`.
use super::error::ImageError;

/// `out = (x - mean) / max(stddev, 1 / sqrt(n))` over all `n` values of an image (all channels together).
///
/// Mean and variance of the bytes are exact; the result is within 1e-5 of TensorFlow's, whose sums are in
/// `f32`. The lower bound on the standard deviation makes zeros of a uniform image, not a division by
/// zero. `out` is overwritten: give it the image's place in the batch.
///
/// # Errors
/// [`ImageError::Shape`] if `out` is not as long as `pixels`.
pub fn standardize(pixels: &[u8], out: &mut [f32]) -> Result<(), ImageError> {
    check_lengths(pixels.len(), out.len())?;
    let n = pixels.len() as u128;
    let (sum, sum_of_squares) = sums(pixels);
    let (sum, sum_of_squares) = (u128::from(sum), u128::from(sum_of_squares));
    // n^2 times the variance; not negative (Cauchy-Schwarz), and exact
    let spread = n * sum_of_squares - sum * sum;
    let n = n as f64;
    let (shift, scale) = shift_and_scale(n, sum as f64 / n, spread as f64 / (n * n));
    for (out, &level) in out.iter_mut().zip(pixels) {
        *out = (f32::from(level) - shift) * scale;
    }
    Ok(())
}

/// [`standardize`] for `f32` values, such as an augmented image has; sums are in `f64`.
///
/// # Errors
/// [`ImageError::Shape`] if `out` is not as long as `values`.
pub fn standardize_f32(values: &[f32], out: &mut [f32]) -> Result<(), ImageError> {
    check_lengths(values.len(), out.len())?;
    let n = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    let (shift, scale) = shift_and_scale(n, mean, variance);
    for (out, &x) in out.iter_mut().zip(values) {
        *out = (x - shift) * scale;
    }
    Ok(())
}

fn shift_and_scale(n: f64, mean: f64, variance: f64) -> (f32, f32) {
    (mean as f32, (1.0 / variance.sqrt().max(1.0 / n.sqrt())) as f32)
}

/// Sum and sum of squares. The inner sums are 32 bits wide, which vectorizes well: 65536 * 255^2 < 2^32.
fn sums(pixels: &[u8]) -> (u64, u64) {
    pixels.chunks(1 << 16).fold((0, 0), |(sum, squares), chunk| {
        let chunk_sum: u32 = chunk.iter().map(|&x| u32::from(x)).sum();
        let chunk_squares: u32 = chunk.iter().map(|&x| u32::from(x) * u32::from(x)).sum();
        (sum + u64::from(chunk_sum), squares + u64::from(chunk_squares))
    })
}

pub(super) fn check_lengths(want: usize, got: usize) -> Result<(), ImageError> {
    if want == got {
        return Ok(());
    }
    let want = format!("an output of the image's {want} values");
    Err(ImageError::Shape { operation: "standardize", want, got: vec![got] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_white_do_not_overflow() {
        let n = 3 * (1 << 16) + 5;
        assert_eq!(sums(&vec![255; n]), (255 * n as u64, 255 * 255 * n as u64));
    }
}
