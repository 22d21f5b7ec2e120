//! Which views of a photo a head is fitted to.

use crate::data::Preprocess;
use crate::image::Fit;

/// The crop shares of views, in sevenths of the ordinary one: more of the photo, then less. For the usual 0.875 they are 1 and 0.75.
const SEVENTHS: [f32; 4] = [7.0, 8.0, 6.0, 5.0];

/// Up to `most` ways from a photo to the network's input, the `ordinary` one first; the others show more of the photo, or less. Where
/// the ordinary one shows all of it, all others show less.
pub(crate) fn in_views(ordinary: Preprocess, most: usize) -> Vec<Preprocess> {
    let views = SEVENTHS.map(|sevenths| ordinary.crop_share(ordinary.crop_share * sevenths / 7.0));
    // A photo that is not resized shows the same middle whatever the share.
    let most = if ordinary.fit == Fit::Crop { 1 } else { most };
    views.into_iter().filter(|view| view.defect().is_none()).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinary_view_comes_first_and_no_view_shows_more_than_all() {
        let shares = |share: f32, most: usize| -> Vec<f32> {
            let ordinary = Preprocess::new(32).crop_share(share);
            in_views(ordinary, most).iter().map(|view| view.crop_share).collect()
        };
        assert_eq!(shares(0.875, 1), [0.875]);
        assert_eq!(shares(0.875, 3), [0.875, 1.0, 0.75]);
        let of_whole = shares(1.0, 3);
        assert_eq!((of_whole.len(), of_whole[0]), (3, 1.0));
        assert!(of_whole[1..].iter().all(|share| (0.7..0.9).contains(share)), "{of_whole:?}");
        // As small a share as there may be.
        assert_eq!(shares(0.1, 3)[0], 0.1);
        assert_eq!(in_views(Preprocess::new(32).fit(Fit::Crop).crop_share(0.875), 3).len(), 1);
    }
}
