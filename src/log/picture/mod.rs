//! Pictures of what a network sees and learns, as RGB arrays of shape (height, width, 3):
//! [`encode_png`](crate::image::encode_png) makes files of them.
//!
//! | picture | function |
//! | --- | --- |
//! | a network's input, made visible again | [`from_standardized`] |
//! | the filters of a convolution | [`filters`] |
//! | who was taken for whom | [`confusion_matrix`] |
//! | several in rows and columns; one larger; one with words below | [`grid`], [`enlarged`], [`captioned`] |

mod canvas;
mod confusion;
mod font;

use ndarray::{Array3, ArrayView3, ArrayView4, Axis, s};

use canvas::{INK, blank, draw, write};
pub use confusion::{MAX_DRAWN_CLASSES, confusion_matrix};

/// Pixels between the pictures of a grid.
const GAP: usize = 2;
/// Letters of a caption that there is room for before they become larger.
const LETTERS: usize = 14;

/// Pictures row by row in `columns` columns, each in the middle of a cell as large as the largest; `None` if there are none.
///
/// Fewer pictures than columns make fewer columns; 0 columns are taken for 1.
///
/// # Panics
/// If a picture has not 3 channels.
pub fn grid(pictures: &[Array3<u8>], columns: usize) -> Option<Array3<u8>> {
    let height = pictures.iter().map(|picture| picture.dim().0).max()?;
    let width = pictures.iter().map(|picture| picture.dim().1).max()?;
    let columns = columns.clamp(1, pictures.len());
    let rows = pictures.len().div_ceil(columns);
    let mut grid = blank(rows * (height + GAP) - GAP, columns * (width + GAP) - GAP);
    for (index, picture) in pictures.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let (h, w, _) = picture.dim();
        let corner = (row * (height + GAP) + (height - h) / 2, column * (width + GAP) + (width - w) / 2);
        draw(&mut grid, corner, picture.view());
    }
    Some(grid)
}

/// Each pixel as a square of side `factor`.
pub fn enlarged(picture: ArrayView3<'_, u8>, factor: usize) -> Array3<u8> {
    let (height, width, channels) = picture.dim();
    let shape = (height * factor, width * factor, channels);
    Array3::from_shape_fn(shape, |(y, x, c)| picture[[y / factor, x / factor, c]])
}

/// A picture with lines of text below it, each cut to the picture's width.
///
/// Letters are those of ASCII, others show as boxes; in a picture of at least 84 pixels there is room for 14 of them, larger ones
/// in larger pictures.
///
/// # Panics
/// If the picture has not 3 channels.
pub fn captioned(picture: ArrayView3<'_, u8>, lines: &[String]) -> Array3<u8> {
    let (height, width, _) = picture.dim();
    let scale = (width / (LETTERS * font::ADVANCE)).max(1);
    let line_height = scale * font::LINE;
    let mut captioned = blank(height + GAP + lines.len() * line_height, width);
    draw(&mut captioned, (0, 0), picture);
    for (number, line) in lines.iter().enumerate() {
        let line = font::shortened(line, width / (scale * font::ADVANCE));
        let corner = (height + GAP + number * line_height, 0);
        write(&mut captioned, corner, &font::text(&line, scale), INK);
    }
    captioned
}

/// A network's input as a picture: its least value black, its greatest white.
///
/// Standardizing an image keeps it up to brightness and contrast, and those are chosen anew here. Of an input with other than
/// 3 channels the mean of each pixel's is shown, in gray. Values that are not finite are black.
pub fn from_standardized(image: ArrayView3<'_, f32>) -> Array3<u8> {
    let finite = || image.iter().copied().filter(|value| value.is_finite());
    let (least, most) = finite().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), v| (l.min(v), m.max(v)));
    let scale = 255.0 / (most - least).max(f32::MIN_POSITIVE);
    // A float to an integer type saturates, and NaN is 0.
    rgb(image, |value| ((value - least) * scale).round() as u8)
}

/// The filters of a convolution, kernel of shape (height, width, input channels, filters), each as a picture of `side` pixels
/// or a little more, in a grid.
///
/// Zero is middle gray; a filter's value of the largest magnitude is black or white. With 3 input channels they show as red,
/// green and blue; else the mean over the channels is shown. `None` if there is no filter.
pub fn filters(kernel: ArrayView4<'_, f32>, side: usize) -> Option<Array3<u8>> {
    let largest = kernel.shape()[0].max(kernel.shape()[1]).max(1);
    let pictures: Vec<_> = kernel
        .axis_iter(Axis(3))
        .map(|filter| {
            let filter = means(filter);
            let magnitude = filter.iter().fold(0.0f32, |most, v| most.max(v.abs())).max(f32::MIN_POSITIVE);
            let picture = rgb(filter.view(), |value| (127.5 + 127.5 * value / magnitude).round() as u8);
            enlarged(picture.view(), side.div_ceil(largest))
        })
        .collect();
    grid(&pictures, (pictures.len() as f64).sqrt().ceil() as usize)
}

/// The values of an image of 3 channels; of any other the means over the channels, one channel.
fn means(image: ArrayView3<'_, f32>) -> Array3<f32> {
    match image.dim().2 {
        3 => image.to_owned(),
        channels => image.sum_axis(Axis(2)).insert_axis(Axis(2)) / channels.max(1) as f32,
    }
}

/// The colors of an image's values; of other than 3 channels the gray of their mean.
fn rgb(image: ArrayView3<'_, f32>, level: impl Fn(f32) -> u8) -> Array3<u8> {
    let (height, width, _) = image.dim();
    let levels = means(image).mapv(level);
    let mut picture = Array3::zeros((height, width, 3));
    picture.slice_mut(s![.., .., ..]).assign(&levels.broadcast((height, width, 3)).expect("1 or 3 channels"));
    picture
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, array};

    use super::*;

    fn uniform(height: usize, width: usize, level: u8) -> Array3<u8> {
        Array3::from_elem((height, width, 3), level)
    }

    #[test]
    fn a_grid_has_each_picture_in_the_middle_of_its_cell() {
        let grid = grid(&[uniform(4, 2, 10), uniform(2, 4, 20), uniform(4, 4, 30)], 2).unwrap();
        assert_eq!(grid.dim(), (4 + 2 + 4, 4 + 2 + 4, 3));
        let white = 255;
        let columns: Vec<u8> = grid.slice(s![1, .., 0]).to_vec();
        assert_eq!(columns, [white, 10, 10, white, white, white, 20, 20, 20, 20]);
        let rows: Vec<u8> = grid.slice(s![.., 6, 2]).to_vec();
        assert_eq!(rows, [white, 20, 20, white, white, white, white, white, white, white]);
        assert_eq!(grid[[6, 0, 0]], 30);
    }

    #[test]
    fn no_picture_makes_no_grid_and_few_make_a_narrow_one() {
        assert_eq!(grid(&[], 3), None);
        assert_eq!(grid(&[uniform(1, 1, 0)], 9).unwrap().dim(), (1, 1, 3));
        assert_eq!(grid(&[uniform(1, 1, 0), uniform(1, 1, 0)], 0).unwrap().dim(), (4, 1, 3));
    }

    #[test]
    fn an_enlarged_pixel_is_a_square() {
        let picture = Array3::from_shape_vec((1, 2, 3), vec![1, 2, 3, 4, 5, 6]).unwrap();
        let large = enlarged(picture.view(), 2);
        assert_eq!(large.slice(s![1, .., 1]).to_vec(), [2, 2, 5, 5]);
        assert_eq!(enlarged(picture.view(), 0).dim(), (0, 0, 3));
    }

    #[test]
    fn a_caption_stands_below_and_within_the_width() {
        let picture = captioned(uniform(9, 20, 77).view(), &["HHHHHHHHHHHHHHHH".into(), String::new()]);
        assert_eq!(picture.dim(), (9 + GAP + 2 * font::LINE, 20, 3));
        let below = picture.slice(s![9.., .., ..]);
        // One `H` and two dots: 17 pixels of the first, 2 x 4 of each of the others.
        let ink = |picture: ArrayView3<'_, u8>| picture.iter().filter(|&&level| level == INK[0]).count();
        assert_eq!(ink(below), 3 * (17 + 8));
        // Twice as large where there is room.
        let picture = captioned(uniform(9, 168, 77).view(), &["HH".into()]);
        assert_eq!(picture.dim(), (9 + GAP + 2 * font::LINE, 168, 3));
        assert_eq!(ink(picture.view()), 3 * 2 * 4 * 17);
    }

    #[test]
    fn a_standardized_image_shows_from_black_to_white() {
        let image = Array3::from_shape_vec((1, 2, 3), vec![-2.0, 0.0, 2.0, f32::NAN, 1.0, -1.0]).unwrap();
        assert_eq!(from_standardized(image.view()).into_raw_vec_and_offset().0, [0, 128, 255, 0, 191, 64]);
        let uniform = Array3::<f32>::zeros((2, 2, 3));
        assert!(from_standardized(uniform.view()).iter().all(|&level| level == 0));
        let gray = array![[[1.0f32], [3.0]]];
        assert_eq!(from_standardized(gray.view()).into_raw_vec_and_offset().0, [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn zero_is_gray_in_every_filter() {
        let mut kernel = Array4::<f32>::zeros((1, 2, 3, 2));
        kernel[[0, 0, 0, 0]] = 0.01;
        kernel[[0, 1, 2, 1]] = -7.0;
        let picture = filters(kernel.view(), 2).unwrap();
        assert_eq!(picture.dim(), (1, 6, 3));
        let levels: Vec<_> = picture.slice(s![0, .., ..]).rows().into_iter().map(|p| p.to_vec()).collect();
        let white = vec![255, 255, 255];
        let gray = || vec![128, 128, 128];
        assert_eq!(levels, [vec![255, 128, 128], gray(), white.clone(), white, gray(), vec![128, 128, 0]]);
        // Of other channels the mean; of no filter nothing.
        let kernel = Array4::from_shape_vec((1, 2, 2, 1), vec![1.0, 3.0, -1.0, -1.0]).unwrap();
        assert_eq!(
            filters(kernel.view(), 1).unwrap().into_raw_vec_and_offset().0,
            [255, 255, 255, 64, 64, 64]
        );
        assert_eq!(filters(Array4::zeros((3, 3, 3, 0)).view(), 9), None);
    }
}
