//! The table of all settings that can be chosen, saved and asked for: each is described here and nowhere else.
//!
//! A program makes its flags of it. [`Settings::resumed`](super::Settings::resumed) finds choices that contradict a run, and
//! [`Settings::of`](super::Settings::of) holds what was saved to what can be chosen. To add a setting, add a field to [`Choices`],
//! one to [`Settings`](super::Settings), a line to [`Settings::new`](super::Settings::new), and a row here.

use super::setting::{
    ANY, choose, count, crop_share, image_size, label, minutes, named, not_negative, of_names, parsed,
    pixels, positive, share, views, words,
};
use super::{Architecture, Augmentation, Choices, ClassWeights, Group, Recipe, RecipeError, Rule, Setting};
use crate::image::{ChannelOrder, Fit};
use crate::record::PixelFormat;

impl Setting {
    /// The setting of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }
}

impl Choices {
    /// Chooses a value of the setting `name` by its text, such as one from a configuration file.
    ///
    /// ```
    /// let mut choices = floret::recipe::Choices::default();
    /// choices.set("image-size", "96")?;
    /// assert_eq!(choices.image_size, Some(96));
    /// assert!(choices.set("image-size", "7").is_err());
    /// # Ok::<(), floret::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`RecipeError::Value`]: no such setting, or a value that it can't have.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), RecipeError> {
        let refused = |setting, reason| RecipeError::Value { setting, value: text.into(), reason };
        let Some(setting) = Setting::named(name) else {
            let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
            return Err(refused("an unknown setting", format!("there are {}", names.join(", "))));
        };
        setting.choose(self, text).map_err(|reason| refused(setting.name, reason))
    }

    /// Fails if a value is none that can be chosen.
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        SETTINGS.iter().try_for_each(|setting| match setting.chosen(self) {
            Some(text) => Choices::default().set(setting.name, &text),
            None => Ok(()),
        })
    }
}

/// Every setting, in the order of a help text.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "image-key",
        value: "KEY",
        group: Group::Data,
        help: "The feature that holds a record's photo, such as `image` in TensorFlow Datasets' records [default: image/encoded]",
        choose: |choices, text| choose(&mut choices.image_key, Ok(text.to_owned())),
        chosen: |choices| choices.image_key.clone(),
        saved: |settings| Some(settings.keys.schema().encoded),
        ..ANY
    },
    Setting {
        name: "label-key",
        value: "KEY",
        group: Group::Data,
        help: "The feature that holds its label, such as `label` [default: image/class/label]",
        choose: |choices, text| choose(&mut choices.label_key, Ok(text.to_owned())),
        chosen: |choices| choices.label_key.clone(),
        saved: |settings| Some(settings.keys.schema().label),
        ..ANY
    },
    Setting {
        name: "pixels",
        value: "HxWxC|auto",
        group: Group::Data,
        help: "The feature holds no image file but pixels: bytes, floats or a serialized tensor, of this height, width and number of \
               channels (28x28x1; 3x32x32 where each channel lies together; auto where the record tells), and :0..1 behind it where black \
               is 0 and white is 1 [default: an image file]",
        choose: |choices, text| {
            choose(&mut choices.pixels, text.parse::<PixelFormat>().map_err(|e| e.to_string()))
        },
        chosen: |choices| words(&choices.pixels),
        saved: |settings| settings.keys.pixels.clone(),
        ..ANY
    },
    Setting {
        name: "max-pixels",
        value: "N",
        group: Group::Data,
        help: "Most pixels that a photo may have; decoding one takes up to fifteen bytes for each [default: 64000000]",
        choose: |choices, text| choose(&mut choices.max_pixels, pixels(text)),
        chosen: |choices| words(&choices.max_pixels),
        saved: |settings| words(&settings.max_pixels),
        changes: true,
        ..ANY
    },
    Setting {
        name: "hold-out",
        value: "X",
        group: Group::Data,
        help: "Share of each class's training photos to keep for evaluation, where the data have none for that; drawn by `seed` \
               [default: none]",
        choose: |choices, text| choose(&mut choices.hold_out, share(text)),
        chosen: |choices| words(&choices.hold_out),
        saved: |settings| words(&settings.hold_out),
        ..ANY
    },
    Setting {
        name: "label-offset",
        value: "N",
        group: Group::Data,
        help: "The label of the first class in the records: 1 where photos were converted, 0 in data that counts from 0 \
               [default: 1]",
        choose: |choices, text| choose(&mut choices.label_offset, label(text)),
        chosen: |choices| words(&choices.label_offset),
        saved: |settings| Some(settings.label_offset.to_string()),
        ..ANY
    },
    Setting {
        name: "skip-bad",
        group: Group::Data,
        help: "Leave out and count records that are damaged, have no usable photo or a label of no class",
        changes: true,
        choose: |choices, text| {
            choices.skip_bad = parsed(text, "true or false")?;
            Ok(())
        },
        chosen: |choices| choices.skip_bad.then(|| true.to_string()),
        saved: |settings| Some(settings.skip_bad.to_string()),
        ..ANY
    },
    Setting {
        name: "fit",
        value: "crop|resize|resize-crop",
        group: Group::Data,
        help: "How a photo becomes a square: resize the whole of it, its center (resize-crop), or a cut from its middle at full \
               resolution (crop) [default: resize; with `recipe` script crop]",
        choose: |choices, text| choose(&mut choices.fit, text.parse::<Fit>().map_err(|e| e.to_string())),
        chosen: |choices| words(&choices.fit),
        saved: |settings| Some(settings.fit.to_string()),
        ..ANY
    },
    Setting {
        name: "crop-share",
        value: "X",
        group: Group::Data,
        help: "The share of the fitted photo's side that the network sees, about its middle [default: 1, or that of the model that \
               training starts from; 0.875 for a network of another program]",
        choose: |choices, text| choose(&mut choices.crop_share, crop_share(text)),
        chosen: |choices| words(&choices.crop_share),
        saved: |settings| Some(settings.crop_share.to_string()),
        ..ANY
    },
    Setting {
        name: "normalize",
        value: "photo|data|imagenet|MEAN/DEVIATION",
        group: Group::Data,
        help: "How levels from 0 to 255 become the network's values: each photo by its own mean and deviation, which leaves nothing of \
               how bright it is (photo), by those of the training photos (data) or of ImageNet (imagenet), or by numbers, one or three \
               with commas, such as 127/128, or 0/255 to scale alone [default: photo, or data where classes differ in brightness; as \
               the model that training starts from]",
        choose: |choices, text| choose(&mut choices.normalize, text.parse()),
        // By the photos it is chosen anew: in a run that goes on, as it was.
        chosen: |choices| words(&choices.given_normalize()),
        saved: |settings| Some(settings.normalize.to_string()),
        ..ANY
    },
    Setting {
        name: "channel-order",
        value: "rgb|bgr|gray",
        group: Group::Data,
        help: "The order of a pixel's values: bgr for networks of Caffe's; gray, which is one value, for networks of one channel \
               [default: rgb, or gray where all photos are; that of the model that training starts from]",
        choose: |choices, text| {
            choose(&mut choices.channel_order, text.parse::<ChannelOrder>().map_err(|e| e.to_string()))
        },
        chosen: |choices| words(&choices.channel_order),
        saved: |settings| Some(settings.channel_order.to_string()),
        ..ANY
    },
    Setting {
        name: "class-weights",
        value: "CLASS_WEIGHTS",
        group: Group::Data,
        help: "Whether photos of rare classes count more [default: auto; with `recipe` script none]",
        values: named::<ClassWeights>,
        choose: |choices, text| choose(&mut choices.class_weights, of_names(text)),
        chosen: |choices| words(&choices.class_weights),
        ..ANY
    },
    Setting {
        name: "minutes",
        value: "N",
        group: Group::Time,
        help: "How long it may all take, report included: image size and epochs are fitted to the speed of this machine \
               [default: 5, unless `epochs` or `recipe` script is given]",
        excludes: &["epochs"],
        changes: true,
        choose: |choices, text| choose(&mut choices.minutes, minutes(text)),
        chosen: |choices| words(&choices.minutes),
        saved: |settings| words(&settings.minutes),
        ..ANY
    },
    Setting {
        name: "epochs",
        value: "N",
        group: Group::Time,
        help: "Passes over the training photos, however long they take. The same seed then gives the same network on every \
               machine of its kind [default with `recipe` script: 20]",
        changes: true,
        choose: |choices, text| choose(&mut choices.epochs, count(text)),
        chosen: |choices| words(&choices.epochs),
        saved: |settings| Some(settings.epochs.to_string()),
        ..ANY
    },
    Setting {
        name: "image-size",
        value: "PIXELS",
        group: Group::Network,
        help: "Side of the square image that the finished network sees, in pixels. Small and large networks train on smaller \
               ones, if changes are strong [default: what there is time for; with `epochs` 96, with `recipe` script 64]",
        choose: |choices, text| choose(&mut choices.image_size, image_size(text)),
        chosen: |choices| words(&choices.image_size),
        saved: |settings| Some(settings.image_size.to_string()),
        ..ANY
    },
    Setting {
        name: "network",
        value: "NETWORK",
        group: Group::Network,
        help: "The network's architecture [default: small, for images of 128 pixels and more large; with `recipe` script \
               reference]",
        is_of_model: true,
        values: named::<Architecture>,
        choose: |choices, text| choose(&mut choices.network, of_names(text)),
        chosen: |choices| words(&choices.network),
        saved: |settings| Some(settings.network.to_string()),
        ..ANY
    },
    Setting {
        name: "head-only",
        group: Group::Network,
        help: "Give a network that was trained on other classes a new last layer, and train nothing else",
        choose: |choices, text| {
            choices.head_only = parsed(text, "true or false")?;
            Ok(())
        },
        chosen: |choices| choices.head_only.then(|| true.to_string()),
        saved: |settings| Some(settings.head_only.to_string()),
        ..ANY
    },
    Setting {
        name: "head-views",
        value: "N",
        group: Group::Network,
        help: "Fit the new last layer to this many views of each training photo: 1 for the ordinary one alone, 2 for one that shows more \
               of the photo besides, 3 for one that shows less as well. Each takes as much time as the first [default: 3 for the last \
               layer alone, with up to 200 photos or with `minutes` enough; else 1]",
        choose: |choices, text| choose(&mut choices.head_views, views(text)),
        chosen: |choices| words(&choices.head_views),
        saved: |settings| Some(settings.head_views.to_string()),
        ..ANY
    },
    Setting {
        name: "recipe",
        value: "RECIPE",
        group: Group::Optimization,
        help: "What the defaults are [default: default]",
        values: named::<Recipe>,
        choose: |choices, text| choose(&mut choices.recipe, of_names(text)),
        chosen: |choices| words(&choices.recipe),
        saved: |settings| Some(settings.recipe.to_string()),
        ..ANY
    },
    Setting {
        name: "batch-size",
        value: "N",
        group: Group::Optimization,
        help: "Photos in a step [default: 64, fewer where there are few photos]",
        choose: |choices, text| choose(&mut choices.batch_size, count(text)),
        chosen: |choices| words(&choices.batch_size),
        saved: |settings| Some(settings.batch_size.to_string()),
        ..ANY
    },
    Setting {
        name: "optimizer",
        value: "OPTIMIZER",
        group: Group::Optimization,
        help: "The rule that moves the weights [default: momentum; with `recipe` script sgd]",
        values: named::<Rule>,
        choose: |choices, text| choose(&mut choices.optimizer, of_names(text)),
        chosen: |choices| words(&choices.optimizer),
        saved: |settings| Some(settings.optimizer.to_string()),
        ..ANY
    },
    Setting {
        name: "learning-rate",
        value: "X",
        group: Group::Optimization,
        help: "Step size [default: sgd and momentum 0.05 x batch size / 64, for the reference network 0.02; adam and adamw \
               0.0005; with `recipe` script, where the loss is a sum over the batch, sgd 0.0005 and momentum 0.02 / batch size]",
        choose: |choices, text| choose(&mut choices.learning_rate, positive(text)),
        chosen: |choices| words(&choices.learning_rate),
        saved: |settings| Some(settings.learning_rate.to_string()),
        ..ANY
    },
    Setting {
        name: "seed",
        value: "N",
        group: Group::Optimization,
        help: "Source of all randomness: with the same `epochs` the same seed gives the same network [default: 1]",
        choose: |choices, text| choose(&mut choices.seed, parsed(text, "a whole number")),
        chosen: |choices| words(&choices.seed),
        saved: |settings| Some(settings.seed.to_string()),
        ..ANY
    },
    Setting {
        name: "augment",
        value: "AUGMENT",
        group: Group::Augmentation,
        help: "Change training photos at random, so that the network sees more than there are; `augment` alone is \
               `augment` standard [default: strong; with `recipe` script none]",
        alone: Some("standard"),
        values: named::<Augmentation>,
        choose: |choices, text| choose(&mut choices.augment, of_names(text)),
        chosen: |choices| words(&choices.augment),
        saved: |settings| Some(settings.augment.to_string()),
        ..ANY
    },
    Setting {
        name: "mixup",
        value: "X",
        group: Group::Augmentation,
        help: "Share of the photos blended with another one [default: 0]",
        choose: |choices, text| choose(&mut choices.mixup, share(text)),
        chosen: |choices| words(&choices.mixup),
        saved: |settings| Some(settings.regularization.mix.map_or(0.0, |mix| mix.mixup).to_string()),
        ..ANY
    },
    Setting {
        name: "cutmix",
        value: "X",
        group: Group::Augmentation,
        help: "Share of the photos that get a rectangle of another one [default: 0.5, for few photos 0.8; with `recipe` script 0]",
        choose: |choices, text| choose(&mut choices.cutmix, share(text)),
        chosen: |choices| words(&choices.cutmix),
        saved: |settings| Some(settings.regularization.mix.map_or(0.0, |mix| mix.cutmix).to_string()),
        ..ANY
    },
    Setting {
        name: "dropout",
        value: "X",
        group: Group::Regularization,
        help: "Share of the features dropped before the last layer [default: 0.2, for few photos 0.5; with `recipe` script 0.5]",
        is_of_model: true,
        choose: |choices, text| choose(&mut choices.dropout, share(text)),
        chosen: |choices| words(&choices.dropout),
        saved: |settings| Some(settings.regularization.dropout.to_string()),
        ..ANY
    },
    Setting {
        name: "label-smoothing",
        value: "X",
        group: Group::Regularization,
        help: "Share of each target spread over all classes [default: 0.1; with `recipe` script 0]",
        choose: |choices, text| choose(&mut choices.label_smoothing, share(text)),
        chosen: |choices| words(&choices.label_smoothing),
        saved: |settings| Some(settings.regularization.label_smoothing.to_string()),
        ..ANY
    },
    Setting {
        name: "weight-decay",
        value: "X",
        group: Group::Regularization,
        help: "Decoupled weight decay, for the optimizers momentum and adamw [default: momentum 0.0005, for few photos 0.001; \
               adamw 0.05; with `recipe` script and momentum 0]",
        choose: |choices, text| choose(&mut choices.weight_decay, not_negative(text)),
        chosen: |choices| words(&choices.weight_decay),
        saved: |settings| Some(settings.regularization.weight_decay.to_string()),
        ..ANY
    },
    Setting {
        name: "average",
        value: "X",
        group: Group::Regularization,
        help: "Decay of the average of the weights that is evaluated and saved; 0 for the weights themselves [default: 0.998; \
               with `recipe` script 0]",
        choose: |choices, text| choose(&mut choices.average, share(text)),
        chosen: |choices| words(&choices.average),
        saved: |settings| Some(settings.regularization.average.unwrap_or(0.0).to_string()),
        ..ANY
    },
    Setting {
        name: "mirror",
        value: "true|false",
        group: Group::Regularization,
        help: "Whether a mirror image shows the same class: if not, photos are mirrored neither in training nor in answers [default: \
               true, unless the photos tell that classes are each other's mirror images]",
        choose: |choices, text| choose(&mut choices.mirror, parsed(text, "true or false")),
        chosen: |choices| words(&choices.mirror),
        saved: |settings| Some(settings.mirror.to_string()),
        ..ANY
    },
    Setting {
        name: "test-time-flip",
        value: "true|false",
        group: Group::Regularization,
        help: "Whether answers are the means of a photo's and its mirror image's [default: as photos are mirrored in training; with `recipe` script false]",
        choose: |choices, text| choose(&mut choices.test_time_flip, parsed(text, "true or false")),
        chosen: |choices| words(&choices.test_time_flip),
        saved: |settings| Some(settings.regularization.test_time_flip.to_string()),
        ..ANY
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Census, Settings};

    /// Other values than those of [`Settings::sample`].
    fn other(setting: &Setting) -> &'static str {
        match setting.name {
            "image-key" | "label-key" => "picture",
            "skip-bad" | "head-only" => "true",
            "normalize" => "imagenet",
            "pixels" => "3x32x32:0..1",
            "channel-order" => "bgr",
            "test-time-flip" | "mirror" => "false",
            "fit" => "crop",
            "class-weights" => "balanced",
            "network" => "reference",
            "recipe" => "script",
            "optimizer" => "adamw",
            "augment" => "light",
            "image-size" => "77",
            "head-views" => "3",
            "minutes" | "epochs" | "max-pixels" | "batch-size" | "seed" | "label-offset" => "7",
            _ => "0.25",
        }
    }

    #[test]
    fn what_is_chosen_is_what_is_saved() {
        let census = Census::new(vec![1000; 5]);
        for setting in SETTINGS {
            let text = other(setting);
            let mut choices = Choices::default();
            assert_eq!(setting.chosen(&choices), None, "{}", setting.name);
            setting.choose(&mut choices, text).unwrap();
            assert_eq!(setting.chosen(&choices).as_deref(), Some(text), "{}", setting.name);
            let settings = Settings::new(&choices, &census).unwrap();
            let saved = setting.saved(&settings);
            let has_text = setting.name != "class-weights";
            assert_eq!(saved.as_deref(), has_text.then_some(text), "{}", setting.name);
            assert_ne!(saved, setting.saved(&Settings::sample()).filter(|_| has_text).or(Some("?".into())));
        }
    }

    #[test]
    fn names_are_unique_and_values_are_listed() {
        for (place, setting) in SETTINGS.iter().enumerate() {
            assert!(SETTINGS[..place].iter().all(|before| before.name != setting.name), "{}", setting.name);
            assert!(!setting.help.is_empty() && !setting.name.contains('_'));
            assert!(!setting.help.contains("--"), "{} speaks of a program's flags", setting.name);
            for (value, _) in setting.values() {
                setting.choose(&mut Choices::default(), value).unwrap();
            }
            assert!(setting.group as usize >= SETTINGS[place.saturating_sub(1)].group as usize, "by groups");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let refused = |name, text| Choices::default().set(name, text).unwrap_err().to_string();
        assert_eq!(refused("image-size", "7"), "image-size can't be 7: a number from 16 to 1024 is wanted");
        assert_eq!(refused("seed", "-1"), "seed can't be -1: a whole number is wanted");
        for (name, text) in [
            ("dropout", "1"),
            ("learning-rate", "0"),
            ("learning-rate", "NaN"),
            ("weight-decay", "-1"),
            ("minutes", "0"),
            ("network", "huge"),
            ("sneed", "1"),
        ] {
            refused(name, text);
        }
    }
}
