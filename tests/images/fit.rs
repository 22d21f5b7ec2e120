//! Cropping and resizing, against TensorFlow's values and a naive oracle.
use floret::image::{Filter, Fit, ImageError, crop_or_pad, resize, resize_shorter_side_then_crop};
use ndarray::{Array3, s};
use proptest::prelude::*;

use super::support::{Difference, Fixtures, difference, noise, picture, seeded};

const FILTERS: [Filter; 4] = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic, Filter::Area];

#[test]
fn crop_or_pad_equals_tensorflows() {
    let fixtures = Fixtures::images();
    for size in [24, 48] {
        for key in fixtures.between("", &format!("/crop_or_pad_{size}")) {
            let image = fixtures.image(&format!("{key}/rgb"));
            let expected = fixtures.image(&format!("{key}/crop_or_pad_{size}"));
            assert_eq!(crop_or_pad(&image, size, size).unwrap(), expected, "{key} {size}");
        }
    }
}

/// `bilinear_antialias_31x23` and the like.
fn parse_case(case: &str) -> (Filter, bool, usize, usize) {
    let (method, size) = case.rsplit_once('_').unwrap();
    let (height, width) = size.split_once('x').unwrap();
    let name = method.strip_suffix("_antialias");
    let filter = match name.unwrap_or(method) {
        "nearest" => Filter::Nearest,
        "bilinear" => Filter::Bilinear,
        "bicubic" => Filter::Bicubic,
        "area" => Filter::Area,
        other => panic!("unknown method {other}"),
    };
    (filter, name.is_some(), height.parse().unwrap(), width.parse().unwrap())
}

/// TensorFlow computes positions in f32, here they are f64: at most 1e-5 of a pixel apart in images of this
/// size, times steps of at most 255 levels between pixels.
const RESIZE_TOLERANCE: f64 = 1e-3;

fn assert_resized(image: &Array3<u8>, case: &str, expected: &Array3<f32>) {
    let (filter, antialias, height, width) = parse_case(case);
    let Difference { max, .. } =
        difference(&resize(image, height, width, filter, antialias).unwrap(), expected);
    println!("{case}: {max:.2e}");
    assert!(max < RESIZE_TOLERANCE, "{case}: off by {max} levels");
}

#[test]
fn resize_equals_tensorflows() {
    let fixtures = Fixtures::images();
    for name in fixtures.names() {
        if let Some((key, case)) = name.split_once("/resize_") {
            assert_resized(&fixtures.image(&format!("{key}/rgb")), case, &fixtures.floats(&name));
        }
    }
    let fixtures = Fixtures::formats();
    for group in fixtures.between("resize/", "/in") {
        let image = fixtures.image(&format!("resize/{group}/in"));
        for case in fixtures.between(&format!("resize/{group}/"), "").iter().filter(|case| *case != "in") {
            assert_resized(&image, case, &fixtures.floats(&format!("resize/{group}/{case}")));
        }
    }
}

/// One output value straight from the definition: every pixel of the image, weighted by the product of the
/// two axes' weights, over the sum of the weights.
fn naive_resize(image: &Array3<u8>, to: (usize, usize), filter: Filter, antialias: bool) -> Array3<f64> {
    let (height, width, _) = image.dim();
    let weight = |j: usize, i: usize, from: usize, to: usize| -> f64 {
        let ratio = from as f64 / to as f64;
        let center = (i as f64 + 0.5) * ratio;
        let stretch = if antialias && ratio > 1.0 { ratio } else { 1.0 };
        let t = ((j as f64 + 0.5 - center) / stretch).abs();
        match filter {
            Filter::Nearest => f64::from(u8::from(j == center.floor() as usize)),
            Filter::Bilinear => {
                if t < 1.0 {
                    1.0 - t
                } else {
                    0.0
                }
            }
            Filter::Bicubic if t < 1.0 => 1.5 * t.powi(3) - 2.5 * t.powi(2) + 1.0,
            Filter::Bicubic if t < 2.0 => -0.5 * t.powi(3) + 2.5 * t.powi(2) - 4.0 * t + 2.0,
            Filter::Bicubic => 0.0,
            Filter::Area => {
                let (begin, end) = (i as f64 * ratio, (i as f64 + 1.0) * ratio);
                (end.min(j as f64 + 1.0) - begin.max(j as f64)).max(0.0)
            }
            other => panic!("there is no formula of {other:?} here"),
        }
    };
    Array3::from_shape_fn((to.0, to.1, 3), |(y, x, c)| {
        let (mut sum, mut total) = (0.0, 0.0);
        for v in 0..height {
            for u in 0..width {
                let w = weight(v, y, height, to.0) * weight(u, x, width, to.1);
                sum += w * f64::from(image[[v, u, c]]);
                total += w;
            }
        }
        sum / total
    })
}

/// The cubic's table of 1024 steps moves a sample by up to 1/2048 of a pixel, where the cubic's slope is up
/// to 1.2 on each axis: up to 0.3 levels between neighbors 255 levels apart. All else is f32 rounding of
/// sums of 255s.
fn naive_tolerance(filter: Filter, antialias: bool) -> f64 {
    if filter == Filter::Bicubic && !antialias { 0.5 } else { 1e-3 }
}

#[test]
fn resize_equals_the_naive_one() {
    let sides = [(1, 1), (1, 5), (2, 3), (5, 4), (13, 7), (16, 31)];
    for (seed, from) in sides.into_iter().enumerate() {
        let image = noise(from.0, from.1, seed as u64);
        for to in sides {
            for filter in FILTERS {
                for antialias in [false, true] {
                    let fast = resize(&image, to.0, to.1, filter, antialias).unwrap();
                    let Difference { max, .. } =
                        difference(&fast, &naive_resize(&image, to, filter, antialias));
                    let tolerance = naive_tolerance(filter, antialias);
                    assert!(max < tolerance, "{from:?} to {to:?} {filter:?} antialias {antialias}: {max}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(seeded(64))]

    /// Weights sum to 1: within a rounding of 255 for each of the weights.
    #[test]
    fn a_uniform_image_stays_so(
        level: u8,
        from in (1usize..90, 1usize..90),
        to in (1usize..90, 1usize..90),
        antialias: bool,
        which in 0usize..4,
    ) {
        let image = Array3::from_elem((from.0, from.1, 3), level);
        let resized = resize(&image, to.0, to.1, FILTERS[which], antialias).unwrap();
        prop_assert_eq!(resized.dim(), (to.0, to.1, 3));
        for &x in &resized {
            prop_assert!((x - f32::from(level)).abs() < 1e-3, "{} became {}", level, x);
        }
    }

    #[test]
    fn the_same_size_is_the_same_image(
        size in (1usize..20, 1usize..20),
        seed: u64,
        antialias: bool,
        which in 0usize..4,
    ) {
        let image = noise(size.0, size.1, seed);
        let resized = resize(&image, size.0, size.1, FILTERS[which], antialias).unwrap();
        prop_assert_eq!(resized, image.mapv(f32::from));
    }

    /// Only the cubic overshoots.
    #[test]
    fn values_stay_within_the_range(
        from in (1usize..20, 1usize..20),
        to in (1usize..40, 1usize..40),
        seed: u64,
        antialias: bool,
    ) {
        let image = noise(from.0, from.1, seed);
        for filter in [Filter::Nearest, Filter::Bilinear, Filter::Area] {
            for &x in &resize(&image, to.0, to.1, filter, antialias).unwrap() {
                prop_assert!((-1e-3..255.001).contains(&x), "{:?} gave {}", filter, x);
            }
        }
    }

    /// A mirrored image resizes to the mirrored result (nearest aside, whose ties go one way).
    #[test]
    fn resizing_is_symmetric(
        from in (1usize..20, 1usize..20),
        to in (1usize..30, 1usize..30),
        seed: u64,
        antialias: bool,
    ) {
        let image = noise(from.0, from.1, seed);
        let mirrored = image.slice(s![..;-1, ..;-1, ..]).to_owned();
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Area] {
            let resized = resize(&image, to.0, to.1, filter, antialias).unwrap();
            let other = resize(&mirrored, to.0, to.1, filter, antialias).unwrap();
            let back = other.slice(s![..;-1, ..;-1, ..]).to_owned();
            // the cubic's table rounds to even steps, which a mirror swaps: see `naive_tolerance`
            let tolerance = 2.0 * naive_tolerance(filter, antialias);
            prop_assert!(difference(&resized, &back).max < tolerance, "{:?}", filter);
        }
    }

    /// Padding and cropping back is the identity where the pads are even; with odd ones the same pixel is
    /// dropped that was added.
    #[test]
    fn crop_undoes_pad(size in (1usize..20, 1usize..20), more in (0usize..9, 0usize..9), seed: u64) {
        let image = noise(size.0, size.1, seed);
        let padded = crop_or_pad(&image, size.0 + more.0, size.1 + more.1).unwrap();
        prop_assert_eq!(padded.dim(), (size.0 + more.0, size.1 + more.1, 3));
        prop_assert_eq!(padded.mapv(u64::from).sum(), image.mapv(u64::from).sum());
        prop_assert_eq!(crop_or_pad(&padded, size.0, size.1).unwrap(), image);
    }

    #[test]
    fn every_fit_gives_the_size(from in (1usize..70, 1usize..70), to in (1usize..40, 1usize..40), seed: u64) {
        let image = noise(from.0, from.1, seed);
        for fit in Fit::ALL {
            prop_assert_eq!(fit.apply(&image, to).unwrap().dim(), (to.0, to.1, 3));
        }
    }
}

#[test]
fn fit_resize_is_the_rounded_resize() {
    let image = picture(120, 91);
    let levels = resize(&image, 32, 48, Filter::Bilinear, true).unwrap();
    assert_eq!(Fit::Resize.apply(&image, (32, 48)).unwrap(), levels.mapv(|x| x.round() as u8));
    assert_eq!(Fit::Resize.apply(&image, (120, 91)).unwrap(), image);
}

#[test]
fn resize_crop_is_a_crop_of_the_resize() {
    // (from, covering size, to): the longer side is scaled by the same factor, rounded
    for (from, covering, to) in [
        ((100, 150), (40, 60), (40, 40)),
        ((333, 500), (64, 96), (64, 64)),
        ((500, 333), (96, 64), (64, 64)),
        ((20, 30), (50, 75), (50, 60)),
        ((64, 64), (64, 64), (64, 64)),
        ((10, 1000), (32, 3200), (32, 32)),
    ] {
        let image = picture(from.0, from.1);
        let whole =
            resize(&image, covering.0, covering.1, Filter::Bilinear, true).unwrap().mapv(|x| x.round() as u8);
        let (top, left) = ((covering.0 - to.0) / 2, (covering.1 - to.1) / 2);
        let expected = whole.slice(s![top..top + to.0, left..left + to.1, ..]).to_owned();
        assert_eq!(resize_shorter_side_then_crop(&image, to.0, to.1).unwrap(), expected, "{from:?}");
        assert_eq!(Fit::ResizeCrop.apply(&image, to).unwrap(), expected, "{from:?}");
    }
}

/// Arrays whose memory is not in row order work the same.
#[test]
fn layout_does_not_matter() {
    let image = noise(12, 17, 3);
    let mut turned = image.clone().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
    turned.swap_axes(0, 1);
    assert!(!turned.is_standard_layout());
    assert_eq!(turned, image);
    for fit in Fit::ALL {
        assert_eq!(fit.apply(&turned, (7, 9)).unwrap(), fit.apply(&image, (7, 9)).unwrap());
    }
}

#[test]
fn impossible_shapes_are_errors() {
    let gray = Array3::<u8>::zeros((4, 4, 1));
    let empty = Array3::<u8>::zeros((0, 4, 3));
    let image = picture(4, 4);
    for result in [
        crop_or_pad(&gray, 2, 2),
        crop_or_pad(&empty, 2, 2),
        crop_or_pad(&image, 0, 2),
        Fit::Resize.apply(&empty, (2, 2)),
        Fit::Resize.apply(&image, (2, 65_536)),
        resize_shorter_side_then_crop(&gray, 2, 2),
        resize_shorter_side_then_crop(&image, usize::MAX, 1),
    ] {
        assert!(matches!(result, Err(ImageError::Shape { .. })), "{result:?}");
    }
    let error = resize(&image, 0, 7, Filter::Area, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "resize: wanted a new height and width of 1 to 65535 pixels, got shape [0, 7]"
    );
}

#[test]
fn fits_have_one_name_everywhere() {
    for fit in Fit::ALL {
        assert_eq!(fit.to_string().parse::<Fit>(), Ok(fit));
        assert_eq!(serde_json::to_string(&fit).unwrap(), format!("\"{fit}\""));
        assert_eq!(serde_json::from_str::<Fit>(&format!("\"{fit}\"")).unwrap(), fit);
    }
    let error = "stretch".parse::<Fit>().unwrap_err();
    assert_eq!(error.to_string(), "unknown fit \"stretch\": wanted crop, resize or resize-crop");
}
