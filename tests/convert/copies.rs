//! Photos that are there more than once, and photos of which nothing is left.

use super::*;
use floret::data::convert::Part;
use image_of::noise;

/// Encodes the same picture anew.
mod image_of {
    use jpeg_encoder::{ColorType, Encoder};

    /// Large soft patches from a seed, drawn at any size.
    pub fn noise(seed: u64, side: u16, quality: u8) -> Vec<u8> {
        let phase = seed as f32;
        let mut pixels = Vec::new();
        for y in 0..side {
            for x in 0..side {
                let [y, x] = [y, x].map(|i| (f32::from(i) + 0.5) / f32::from(side));
                for channel in 0..3 {
                    let wave =
                        (9.0 * x + 4.0 * phase + channel as f32).sin() * (7.0 * y + phase * phase).cos();
                    pixels.push((128.0 + 90.0 * wave) as u8);
                }
            }
        }
        let mut file = Vec::new();
        Encoder::new(&mut file, quality).encode(&pixels, side, side, ColorType::Rgb).unwrap();
        file
    }
}

/// The names of copies, and whether they are the same to the byte.
fn names(plan: &ConvertPlan, photos: &Path) -> Vec<(Vec<String>, bool)> {
    let name = |path: &Path| path.strip_prefix(photos).unwrap().to_str().unwrap().to_owned();
    let copies = plan.copies().into_iter();
    copies.map(|of| (of.photos.iter().map(|copy| name(&copy.path)).collect(), of.identical)).collect()
}

#[test]
fn copies_are_found_whatever_their_size_and_stay_on_one_side() {
    let mut files = Vec::new();
    for seed in 0..10 {
        let class = ["a", "b"][seed as usize % 2];
        files.push((format!("{class}/{seed}.jpg"), noise(seed, 200, 95)));
        files.push((format!("{class}/{seed} copy.jpg"), noise(seed, 200, 95)));
        files.push((format!("{class}/{seed} small.jpg"), noise(seed, 150, 60)));
    }
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let photos = folder_of(&files);
    for seed in 0..20 {
        let plan = plan(photos.path(), ConvertOptions { seed, ..ConvertOptions::default() }).unwrap();
        let copies = plan.copies();
        assert_eq!(copies.len(), 10);
        assert!(
            copies.iter().all(|of| of.photos.len() == 3 && !of.identical && !of.disagree() && !of.leak())
        );
        // A fifth of 15, as three of one photo.
        assert_eq!((plan.train().len(), plan.eval().len()), (24, 6));
    }
}

#[test]
fn a_class_of_copies_alone_keeps_them_to_train_on() {
    let files = [("a/1.jpg", noise(1, 40, 90)), ("a/2.jpg", noise(1, 40, 90)), ("b/1.jpg", noise(2, 40, 90))];
    let photos = folder_of(&files);
    let plan = plan(photos.path(), ConvertOptions::default()).unwrap();
    assert_eq!((plan.train().len(), plan.eval().len()), (3, 0));
    assert_eq!(names(&plan, photos.path()), [(vec!["a/1.jpg".into(), "a/2.jpg".into()], true)]);
}

#[test]
fn many_copies_of_one_photo_do_not_take_the_evaluation_over() {
    let copies = (0..10).map(|copy| (format!("a/copy {copy}.jpg"), noise(50, 40, 90)));
    let others = (0..10).map(|photo| (format!("a/{photo}.jpg"), noise(photo, 40, 90)));
    let of_b = (20..22).map(|photo| (format!("b/{photo}.jpg"), noise(photo, 40, 90)));
    let files: Vec<_> = copies.chain(others).chain(of_b).collect();
    let files: Vec<_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let photos = folder_of(&files);
    for seed in 0..20 {
        let plan = plan(photos.path(), ConvertOptions { seed, ..ConvertOptions::default() }).unwrap();
        assert_eq!((plan.train().len(), plan.eval().len()), (17, 5));
        assert!(plan.eval().all(|photo| !photo.path.to_str().unwrap().contains("copy")));
    }
}

#[test]
fn copies_in_two_classes_or_two_parts_are_told() {
    let files = [
        ("train/a/1.jpg", noise(1, 40, 90)),
        ("train/b/1.jpg", noise(2, 160, 90)),
        ("train/b/2.jpg", noise(1, 40, 90)),
        ("val/a/3.jpg", noise(3, 40, 90)),
        ("val/b/4.jpg", noise(2, 200, 80)),
    ];
    let photos = folder_of(&files);
    let plan = plan(photos.path(), ConvertOptions::default()).unwrap();
    let wanted = [(["train/a/1.jpg", "train/b/2.jpg"], true), (["train/b/1.jpg", "val/b/4.jpg"], false)];
    let wanted = wanted.map(|(names, identical)| (names.map(str::to_owned).to_vec(), identical));
    assert_eq!(names(&plan, photos.path()), wanted);
    let copies = plan.copies();
    assert_eq!((copies[0].disagree(), copies[0].leak()), (true, false));
    assert_eq!((copies[1].disagree(), copies[1].leak()), (false, true));
    assert_eq!(copies[1].photos[1].part, Part::Eval);
}

#[test]
fn photos_of_a_single_color_are_told_and_are_no_copies_of_each_other() {
    let gray = |level: u8, side: usize| {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side as u32, side as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&vec![level; side * side]).unwrap();
        file
    };
    let files = [
        ("a/1.png", gray(0, 20)),
        ("a/2.png", gray(0, 21)),
        ("b/1.jpg", noise(1, 20, 90)),
        ("b/2.png", gray(9, 20)),
    ];
    let (photos, data) = (folder_of(&files), tempdir().unwrap());
    let report = convert(photos.path(), data.path(), ConvertOptions::default()).unwrap();
    assert_eq!(report.copies, []);
    let wanted = ["a/1.png", "a/2.png", "b/2.png"].map(|name| photos.path().join(name));
    assert_eq!(report.uniform, wanted);
}
