//! How values are compared with those of others.

/// Fails unless every value is within `tolerance` of the largest wanted magnitude.
#[track_caller]
pub fn assert_close<'a>(
    what: &str,
    got: impl IntoIterator<Item = &'a f32>,
    want: impl IntoIterator<Item = impl std::borrow::Borrow<f64>>,
    tolerance: f64,
) {
    let got: Vec<f64> = got.into_iter().map(|&v| f64::from(v)).collect();
    let want: Vec<f64> = want.into_iter().map(|v| *v.borrow()).collect();
    assert_eq!(got.len(), want.len(), "{what}: number of values");
    let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        let error = (g - w).abs();
        assert!(
            error <= tolerance * largest,
            "{what}[{i}]: got {g}, want {w}, error {error:e} over {tolerance:e} of {largest:e}"
        );
    }
}
