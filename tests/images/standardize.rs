//! Per-image standardization, against TensorFlow's values.
use floret::image::{ImageError, standardize, standardize_f32};
use ndarray::Array3;

use super::support::{Fixtures, difference, noise};

fn standardized(image: &Array3<u8>) -> Array3<f32> {
    // NaN, so that a value that is not overwritten shows
    let mut out = Array3::from_elem(image.dim(), f32::NAN);
    standardize(image.as_slice().unwrap(), out.as_slice_mut().unwrap()).unwrap();
    out
}

fn standardized_f32(image: &Array3<f32>) -> Array3<f32> {
    let mut out = Array3::from_elem(image.dim(), f32::NAN);
    standardize_f32(image.as_slice().unwrap(), out.as_slice_mut().unwrap()).unwrap();
    out
}

/// TensorFlow sums in f32: a few roundings of values of up to about 5.
const TOLERANCE: f64 = 1e-5;

#[test]
fn values_equal_tensorflows() {
    let fixtures = Fixtures::images();
    for size in [24, 48] {
        for key in fixtures.between("", &format!("/standardized_{size}")) {
            let image = fixtures.image(&format!("{key}/crop_or_pad_{size}"));
            let expected = fixtures.floats(&format!("{key}/standardized_{size}"));
            for ours in [standardized(&image), standardized_f32(&image.mapv(f32::from))] {
                let max = difference(&ours, &expected).max;
                assert!(max < TOLERANCE, "{key} {size}: off by {max}");
            }
        }
    }
}

#[test]
fn a_uniform_image_gives_zeros() {
    let fixtures = Fixtures::images();
    let uniform = fixtures.image("uniform/rgb");
    assert_eq!(standardized(&uniform), fixtures.floats("uniform/standardized"));
    assert!(standardized(&uniform).iter().all(|&x| x == 0.0));
    assert!(standardized_f32(&Array3::from_elem((5, 7, 3), 0.1)).iter().all(|&x| x == 0.0));
}

/// One value of 12 differs by a level: the deviation, sqrt(11)/12, is below the bound of 1/sqrt(12).
#[test]
fn the_bound_on_the_deviation_holds() {
    let mut image = Array3::from_elem((2, 2, 3), 100);
    image[[0, 0, 0]] = 101;
    let ours = standardized(&image);
    let expected = |x: f64| (x - (1201.0 / 12.0)) * 12f64.sqrt();
    assert!((f64::from(ours[[0, 0, 0]]) - expected(101.0)).abs() < 1e-4);
    assert!((f64::from(ours[[1, 1, 2]]) - expected(100.0)).abs() < 1e-4);
}

#[test]
fn mean_is_zero_and_variance_one() {
    let ours = standardized(&noise(33, 21, 5)).mapv(f64::from);
    let mean = ours.mean().unwrap();
    let variance = ours.mapv(|x| (x - mean).powi(2)).mean().unwrap();
    assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6, "{mean} {variance}");
}

#[test]
fn lengths_must_agree() {
    let error = standardize(&[1, 2, 3], &mut [0.0; 4]).unwrap_err();
    assert!(matches!(error, ImageError::Shape { .. }));
    assert_eq!(error.to_string(), "standardize: wanted an output of the image's 3 values, got shape [4]");
    assert!(standardize_f32(&[1.0], &mut []).is_err());
    assert_eq!(standardize(&[], &mut []), Ok(()));
}
