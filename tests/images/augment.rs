//! Augmentation, against TensorFlow's values, f64 formulas and its own invariants.
use floret::image::color::{
    adjust_brightness, adjust_contrast, adjust_hue, adjust_hue_and_saturation, adjust_saturation,
};
use floret::image::geometry::{Border, cutout, flip_horizontal, rotate_zoom, window};
use floret::image::{Augment, Filter, Fit, ImageError, RandomCrop, resize};
use ndarray::{Array3, s};
use proptest::prelude::*;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::support::{Fixtures, difference, noise, picture, seeded};

#[test]
fn colors_equal_tensorflows() {
    let fixtures = Fixtures::formats();
    let image = fixtures.floats("adjust/in");
    for case in fixtures.between("adjust/", "").iter().filter(|case| *case != "in") {
        let (operation, value) = case.rsplit_once('_').unwrap();
        let value: f32 = value.parse().unwrap();
        let mut ours = image.clone();
        match operation {
            "brightness" => adjust_brightness(&mut ours, value),
            "contrast" => adjust_contrast(&mut ours, value),
            "saturation" => adjust_saturation(&mut ours, value),
            "hue" => adjust_hue(&mut ours, value),
            other => panic!("unknown operation {other}"),
        }
        .unwrap();
        let expected = fixtures.floats(&format!("adjust/{case}")).mapv(|x| x.clamp(0.0, 255.0));
        let max = difference(&ours, &expected).max;
        // f32 hues in sixths of a turn, here and there: some 1e-6 of 255 levels
        assert!(max < 2e-3, "{case}: off by {max} levels");
    }
}

/// Textbook RGB to HSV to RGB in f64, hue in degrees.
fn naive_hue_and_saturation([r, g, b]: [f64; 3], degrees: f64, factor: f64) -> [f64; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    let delta = max - min;
    let hue = if delta == 0.0 {
        0.0
    } else if max == r {
        60.0 * ((g - b) / delta).rem_euclid(6.0)
    } else if max == g {
        60.0 * ((b - r) / delta + 2.0)
    } else {
        60.0 * ((r - g) / delta + 4.0)
    };
    let saturation = if max == 0.0 { 0.0 } else { (delta / max * factor).min(1.0) };
    let hue = (hue + degrees).rem_euclid(360.0);
    let chroma = max * saturation;
    let second = chroma * (1.0 - ((hue / 60.0).rem_euclid(2.0) - 1.0).abs());
    let (r, g, b) = match (hue / 60.0) as u32 {
        0 => (chroma, second, 0.0),
        1 => (second, chroma, 0.0),
        2 => (0.0, chroma, second),
        3 => (0.0, second, chroma),
        4 => (second, 0.0, chroma),
        _ => (chroma, 0.0, second),
    };
    [r, g, b].map(|x| x + max - chroma)
}

proptest! {
    #![proptest_config(seeded(64))]

    #[test]
    fn hue_and_saturation_equal_the_naive_ones(seed: u64, turns in -1f32..1.0, factor in 0f32..3.0) {
        let image = noise(4, 5, seed).mapv(f32::from);
        let mut ours = image.clone();
        adjust_hue_and_saturation(&mut ours, turns, factor).unwrap();
        for (ours, pixel) in ours.rows().into_iter().zip(image.rows()) {
            let pixel = [0, 1, 2].map(|c| f64::from(pixel[c]));
            let expected = naive_hue_and_saturation(pixel, 360.0 * f64::from(turns), f64::from(factor));
            for c in 0..3 {
                // f32: 1e-6 of a turn is 2e-3 levels
                let difference = (f64::from(ours[c]) - expected[c]).abs();
                prop_assert!(difference < 5e-3, "{:?}: {} for {:?}", pixel, ours, expected);
            }
        }
    }

    #[test]
    fn brightness_and_contrast_equal_the_naive_ones(seed: u64, delta in -1f32..1.0, factor in 0f32..3.0) {
        let image = noise(6, 3, seed).mapv(f32::from);
        let (mut brighter, mut contrasted) = (image.clone(), image.clone());
        adjust_brightness(&mut brighter, delta).unwrap();
        adjust_contrast(&mut contrasted, factor).unwrap();
        for ((y, x, c), &level) in image.indexed_iter() {
            let level = f64::from(level);
            let mean = image.slice(s![.., .., c]).mapv(f64::from).mean().unwrap();
            let brightened = (level + 255.0 * f64::from(delta)).clamp(0.0, 255.0);
            let spread = ((level - mean) * f64::from(factor) + mean).clamp(0.0, 255.0);
            prop_assert!((f64::from(brighter[[y, x, c]]) - brightened).abs() < 1e-4);
            prop_assert!((f64::from(contrasted[[y, x, c]]) - spread).abs() < 1e-3);
        }
    }

    #[test]
    fn no_change_is_the_identity(seed: u64, size in (1usize..12, 1usize..12)) {
        let image = noise(size.0, size.1, seed).mapv(f32::from);
        let mut ours = image.clone();
        flip_horizontal(&mut ours).unwrap();
        flip_horizontal(&mut ours).unwrap();
        adjust_brightness(&mut ours, 0.0).unwrap();
        prop_assert_eq!(&ours, &image, "two flips, no brightness");
        prop_assert_eq!(&rotate_zoom(&image, 0.0, 1.0, Border::Edge).unwrap(), &image, "no rotation");
        adjust_contrast(&mut ours, 1.0).unwrap();
        adjust_hue_and_saturation(&mut ours, 0.0, 1.0).unwrap();
        // f32: there and back again
        prop_assert!(difference(&ours, &image).max < 1e-3);
    }

    /// Whatever is asked for, the result has the size, and levels within the range.
    #[test]
    fn every_augmentation_gives_the_size(
        seed: u64, from in (1usize..40, 1usize..40), to in (1usize..24, 1usize..24), which in 0usize..4,
    ) {
        let crop = [
            RandomCrop::None,
            RandomCrop::Shift(0.3),
            RandomCrop::Window,
            RandomCrop::Resized { area: (0.1, 1.0), ratio: (0.3, 3.0) },
        ][which];
        let augment = Augment::standard().crop(crop).zoom(0.4).cutout(0.5);
        let image = noise(from.0, from.1, seed);
        let ours = augment.apply(&image, to, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        prop_assert_eq!(ours.dim(), (to.0, to.1, 3));
        for &x in &ours {
            prop_assert!((0.0..=255.001).contains(&x), "{}", x);
        }
    }

    /// Nonsense strengths give nonsense images, but no panic.
    #[test]
    fn no_strength_panics(
        strength in prop::sample::select(vec![f32::NAN, f32::INFINITY, -f32::MAX, 1e30, 1e-38, -1.0]),
    ) {
        let augment = Augment::standard().zoom(strength).rotation(strength).cutout(strength)
            .flip(strength).brightness(strength).contrast(strength).saturation(strength).hue(strength);
        let crops = [
            RandomCrop::None,
            RandomCrop::Shift(strength),
            RandomCrop::Window,
            RandomCrop::Resized { area: (strength, 1.0), ratio: (0.5, strength) },
        ];
        for crop in crops {
            let augment = augment.clone().crop(crop);
            let ours = augment.apply(&picture(9, 8), (5, 6), &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
            prop_assert_eq!(ours.dim(), (5, 6, 3));
        }
    }
}

#[test]
fn a_flip_mirrors() {
    let image = picture(5, 6).mapv(f32::from);
    let mut flipped = image.clone();
    flip_horizontal(&mut flipped).unwrap();
    assert_eq!(flipped, image.slice(s![.., ..;-1, ..]));
}

#[test]
fn a_quarter_turn_is_counter_clockwise() {
    let image = picture(7, 7).mapv(f32::from);
    let turned = rotate_zoom(&image, std::f32::consts::FRAC_PI_2, 1.0, Border::Edge).unwrap();
    // what was at the right is now at the top
    let expected = Array3::from_shape_fn((7, 7, 3), |(y, x, c)| image[[x, 6 - y, c]]);
    // the sine of an f32 quarter turn is 1 within 1e-7: some 1e-6 of a pixel
    assert!(difference(&turned, &expected).max < 1e-3);
}

/// Zooming 2 times about the center of a ramp halves its slope; the center stays.
#[test]
fn zoom_enlarges() {
    let ramp = Array3::from_shape_fn((9, 9, 3), |(y, x, _)| (10 * x + y) as f32);
    let zoomed = rotate_zoom(&ramp, 0.0, 2.0, Border::Edge).unwrap();
    let expected =
        Array3::from_shape_fn((9, 9, 3), |(y, x, _)| 44.0 + 5.0 * (x as f32 - 4.0) + 0.5 * (y as f32 - 4.0));
    assert!(difference(&zoomed, &expected).max < 1e-4);
}

#[test]
fn borders_are_made_up_as_said() {
    let row = Array3::from_shape_fn((1, 3, 3), |(_, x, _)| b"abc"[x]);
    let text = |left: isize, border: Border| -> String {
        let shown = window(&row, (0, left), (1, 9), border).unwrap();
        shown.slice(s![0, .., 0]).iter().map(|&x| x as u8 as char).collect()
    };
    assert_eq!(text(-3, Border::Reflect), "cbaabccba");
    assert_eq!(text(-3, Border::Edge), "aaaabcccc");
    assert_eq!(text(1, Border::Reflect), "bccbaabcc");
    assert_eq!(text(isize::MAX, Border::Edge), "ccccccccc");
    assert_eq!(text(isize::MIN, Border::Edge), "aaaaaaaaa");
    assert_eq!(text(isize::MIN, Border::Reflect).len(), 9);
}

#[test]
fn cutout_paints_the_mean() {
    let mut image = picture(10, 12).mapv(f32::from);
    let original = image.clone();
    cutout(&mut image, (1, 6), (6, 4)).unwrap();
    for ((y, x, c), &level) in image.indexed_iter() {
        // rows -2 to 3, columns 4 to 7
        let mean = original.slice(s![.., .., c]).mapv(f64::from).mean().unwrap() as f32;
        let expected = if y < 4 && (4..8).contains(&x) { mean } else { original[[y, x, c]] };
        assert_eq!(level, expected, "{y} {x} {c}");
    }
    cutout(&mut image, (usize::MAX, 0), (usize::MAX, 3)).unwrap();
}

#[test]
fn nothing_switched_on_is_the_fit() {
    let image = picture(30, 40);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let ours = Augment::none().apply(&image, (16, 16), &mut rng).unwrap();
    assert_eq!(ours, Fit::Resize.apply(&image, (16, 16)).unwrap().mapv(f32::from));
    assert_eq!(rng.get_word_pos(), 0);
}

/// A full-size crop of unchanged shape is the plain resize.
#[test]
fn a_resized_crop_of_everything_is_the_resize() {
    let image = picture(30, 44);
    let augment = Augment::none().crop(RandomCrop::Resized { area: (1.0, 1.0), ratio: (1.0, 1.0) });
    let ours = augment.apply(&image, (16, 20), &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
    assert_eq!(ours, resize(&image, 16, 20, Filter::Bilinear, true).unwrap());
}

/// A window shows the image unchanged, and over many draws every place of it.
#[test]
fn windows_are_everywhere_in_the_image() {
    let image = Array3::from_shape_fn((6, 9, 3), |(y, x, _)| (16 * y + x) as u8);
    let augment = Augment::none().crop(RandomCrop::Window);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let shown = augment.apply(&image, (4, 4), &mut rng).unwrap();
        let corner = shown[[0, 0, 0]] as usize;
        let (top, left) = (corner / 16, corner % 16);
        assert_eq!(shown, image.slice(s![top..top + 4, left..left + 4, ..]).mapv(f32::from));
        seen.insert(corner);
    }
    assert_eq!(seen.len(), 3 * 6);
}

/// The number of draws does not depend on the image, the size, or what was drawn.
#[test]
fn draws_are_fixed() {
    let resized = RandomCrop::Resized { area: (0.2, 1.0), ratio: (0.5, 2.0) };
    let cases = [
        (Augment::none().crop(RandomCrop::Shift(0.1)), 2),
        (Augment::none().crop(RandomCrop::Window), 2),
        (Augment::none().crop(resized), 4),
        (Augment::none().rotation(20.0), 1),
        (Augment::none().rotation(20.0).zoom(0.1), 2),
        (Augment::none().flip(0.5), 1),
        (Augment::none().brightness(0.5), 1),
        (Augment::none().contrast(0.5), 1),
        (Augment::none().saturation(0.5), 1),
        (Augment::none().hue(0.5), 1),
        (Augment::none().cutout(0.5), 2),
        (Augment::standard(), 4 + 1 + 1 + 4),
    ];
    for (augment, draws) in cases {
        for (seed, from) in [(1, (3, 3)), (2, (64, 17)), (3, (17, 64))] {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            augment.apply(&picture(from.0, from.1), (16, 16), &mut rng).unwrap();
            assert_eq!(rng.get_word_pos(), draws, "{augment:?}");
        }
    }
}

#[test]
fn a_seed_is_a_result() {
    let image = picture(50, 40);
    let augment = Augment::standard().cutout(0.2).zoom(0.2);
    let with_seed = |seed| augment.apply(&image, (32, 32), &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
    assert_eq!(with_seed(1), with_seed(1));
    assert_ne!(with_seed(1), with_seed(2));
    // every change happens: none of 20 results is the fitted image
    let fitted = Fit::Resize.apply(&image, (32, 32)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for _ in 0..20 {
        let ours = augment.apply(&image, (32, 32), &mut rng).unwrap();
        assert!(difference(&ours, &fitted).mean > 1.0);
        rng.next_u32();
    }
}

#[test]
fn settings_are_saved_and_read() {
    let augment = Augment::standard().crop(RandomCrop::Shift(0.125)).border(Border::Edge);
    let json = serde_json::to_string(&augment).unwrap();
    assert_eq!(serde_json::from_str::<Augment>(&json).unwrap(), augment);
    assert_eq!(serde_json::from_str::<Augment>(r#"{"flip": 0.5}"#).unwrap(), Augment::none().flip(0.5));
    assert!(serde_json::from_str::<Augment>(r#"{"flips": 0.5}"#).is_err());
}

#[test]
fn impossible_shapes_are_errors() {
    let mut gray = Array3::<f32>::zeros((4, 4, 1));
    for result in [
        adjust_brightness(&mut gray, 0.1),
        adjust_contrast(&mut gray, 0.1),
        adjust_hue(&mut gray, 0.1),
        flip_horizontal(&mut gray),
        cutout(&mut gray, (0, 0), (1, 1)),
        rotate_zoom(&gray, 0.1, 1.0, Border::Edge).map(drop),
        Augment::standard()
            .apply(&Array3::zeros((0, 3, 3)), (2, 2), &mut ChaCha8Rng::seed_from_u64(1))
            .map(drop),
        Augment::none().apply(&picture(3, 3), (2, 0), &mut ChaCha8Rng::seed_from_u64(1)).map(drop),
    ] {
        assert!(matches!(result, Err(ImageError::Shape { .. })), "{result:?}");
    }
}
