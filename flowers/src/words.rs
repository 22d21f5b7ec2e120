//! The library's notes of training in the words of the program, which name its flags. Its errors are in
//! [`messages`](crate::messages).

use floret::image::ChannelOrder;
use floret::recipe::{FEW_PHOTOS, Note};

use crate::files::EVAL;
use crate::ui::{self, note, say};

/// The most classes whose photos are told one by one.
const MAX_COUNTED: usize = 20;

/// Says what the library found or decided.
pub fn tell(told: Note) {
    match told {
        Note::OtherShards { split, set } => {
            note!("note: reading {} as the {split} shards", ui::path(&set));
        }
        Note::EmptyClasses { classes, has_others } => {
            // Others may be of it, if they could be read, or had a label in range: training tells of them.
            let known = if has_others { "that can be used " } else { "" };
            note!(
                "note: there are no photos to train on {known}of {}: it will never be the answer",
                ui::names(&classes)
            );
        }
        Note::ClassesWeighted { fewest, most, weights: (least, greatest), alike } => {
            let alike = if alike { "alike" } else { "more alike" };
            note!(
                "note: the classes are unbalanced, {} photos of {} and {} of {}: the losses of each class are weighted so that \
                 all count {alike} ({least:.2} to {greatest:.2}; --class-weights none leaves them as they are)",
                fewest.0,
                ui::escaped(&fewest.1),
                most.0,
                ui::escaped(&most.1),
            );
        }
        Note::MirrorClasses { pairs } => {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|[one, other]| format!("`{}` and `{}`", ui::escaped(one), ui::escaped(other)))
                .collect();
            note!(
                "note: the photos of {} are each other's mirror images, so none is mirrored, in training and in answers; \
                 --mirror true does it all the same",
                pairs.join(", of ")
            );
        }
        Note::Counted { mut classes } => {
            let told = |(name, photos): &(String, u64)| format!("{} {photos}", ui::escaped(name));
            if classes.len() <= MAX_COUNTED {
                say!("photos of each class: {}", classes.iter().map(told).collect::<Vec<_>>().join(", "));
            } else {
                classes.sort_by_key(|(_, photos)| *photos);
                let (fewest, most) = (&classes[0], &classes[classes.len() - 1]);
                say!("photos of each of {} classes: from {} to {}", classes.len(), told(fewest), told(most));
            }
        }
        Note::BrightnessTells { classes: [one, other], normalize } => note!(
            "note: photos of `{}` and `{}` differ in brightness or contrast, so all are normalized by the same numbers, --normalize \
             {normalize}; --normalize photo standardizes each by itself",
            ui::escaped(&one),
            ui::escaped(&other)
        ),
        Note::Gray => {
            note!(
                "note: the photos are gray, so the network has one channel, --channel-order gray; rgb gives it three"
            )
        }
        Note::FewPhotos { photos, fewest } => note!(
            "note: there are few photos to train on, {photos} in all and {fewest} of the smallest class: the network is kept \
             from learning them by heart by stronger regularization, but will often be wrong about new ones. {FEW_PHOTOS} \
             photos of each class or more would help most"
        ),
        Note::FewToEvaluate { photos, margin } => note!(
            "note: an accuracy on {} is right to about {:.0} percentage points only",
            ui::count(photos, "photo"),
            100.0 * margin
        ),
        Note::Planned { seconds, epochs, train_sizes, image_size } => {
            let sizes: Vec<String> = train_sizes.iter().map(usize::to_string).collect();
            say!(
                "{} on this machine: about {} on images of {} pixels, evaluated at {image_size}",
                ui::duration(seconds),
                ui::count(epochs, "epoch"),
                sizes.join(", then "),
            );
        }
        Note::SinglePass { seconds } => note!(
            "note: that is a single pass over the photos, longer than {}: more --minutes would do more",
            ui::duration(seconds)
        ),
        Note::NewHead { layer, before, preprocess } => {
            let knew = match before.len() {
                0 => "of whose classes nothing is known".to_owned(),
                1 => "that knows one other class".to_owned(),
                count => format!("that knows {count} other classes"),
            };
            say!(
                "begins with a network {knew}: a new last layer takes the place of `{}`",
                ui::escaped(&layer)
            );
            say!(
                "photos come to it as {}, --crop-share {}, --normalize {}{}",
                preprocess.fit,
                preprocess.crop_share,
                preprocess.normalize,
                match preprocess.channel_order {
                    ChannelOrder::Rgb => String::new(),
                    order => format!(", --channel-order {order}"),
                }
            );
        }
        Note::PlannedHead { photos, views, features_seconds, seconds, tunes } => {
            let seen = match views {
                1 => "once".to_owned(),
                _ => format!("once, those to train on in {views} views"),
            };
            let then = match (tunes, seconds) {
                (false, _) => String::new(),
                (true, Some(seconds)) => {
                    format!("; in what is left of {} its later layers train too", ui::duration(seconds))
                }
                (true, None) => "; then its later layers train too".into(),
            };
            say!(
                "first {} go through the network {seen} (about {}), and the new layer is fitted to what comes out{then}",
                ui::count(photos, "photo"),
                ui::duration(features_seconds)
            );
        }
        Note::NoEvaluation => {
            note!(
                "note: there are no {EVAL} shards, so the best network is the one of the lowest training loss"
            );
        }
        Note::SmallerBatches { photos, batch_size, smaller } => note!(
            "note: {} do not fill a batch of {batch_size}, so each epoch is a single step: --batch-size {smaller} would make it \
             {}",
            ui::count(photos, "photo"),
            photos.div_ceil(smaller)
        ),
        Note::GoingOn { epochs, batches } => {
            say!("going on after {} and {batches} batches", ui::count(epochs as usize, "epoch"));
        }
        Note::OtherArithmetic { before, now } => note!(
            "note: the run was computed by {before} and goes on with {now}, which may round otherwise: it will not end with the \
             very same weights"
        ),
        Note::OtherEpochs { epochs, before } => note!(
            "note: with {epochs} epochs instead of {before} the learning rate follows another curve from here on: the result is \
             not that of a run of {epochs} epochs from its start"
        ),
        Note::Complete => note!(
            "note: the run is complete, and more time changes nothing: for a longer one begin anew in another folder (--out)"
        ),
        other => note!("note: {other:?}"),
    }
}
