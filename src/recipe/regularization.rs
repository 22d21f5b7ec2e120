//! What keeps a network from learning its photos by heart.

use serde::{Deserialize, Serialize};

use super::{Choices, Rule};
use crate::data::Mix;

/// The weight decay of AdamW, whose learning rate is so much lower.
const ADAMW_DECAY: f32 = 0.05;

/// What keeps the network from learning its photos by heart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Regularization {
    /// Share of the features dropped before the last layer (of the reference network, before its second dense one).
    pub dropout: f32,
    /// Share of each target spread over all classes.
    pub label_smoothing: f32,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Photos mixed with others.
    pub mix: Option<Mix>,
    /// Decay of the average of the weights that is evaluated and saved.
    pub average: Option<f32>,
    /// Whether answers are the means of a photo's and its mirror image's.
    pub test_time_flip: bool,
}

impl Regularization {
    /// The script's: its dropout alone.
    pub const SCRIPT: Self = Self {
        dropout: 0.5,
        label_smoothing: 0.0,
        weight_decay: 0.0,
        mix: None,
        average: None,
        test_time_flip: false,
    };

    /// What suits few photos, or enough of them.
    pub fn for_photos(few: bool) -> Self {
        Self {
            dropout: if few { 0.5 } else { 0.2 },
            label_smoothing: 0.1,
            weight_decay: if few { 1e-3 } else { 5e-4 },
            mix: Some(Mix::new(0.0, if few { 0.8 } else { 0.5 })),
            average: Some(0.998),
            test_time_flip: true,
        }
    }

    /// Passes over a photo for an answer.
    pub(super) fn passes(&self) -> f64 {
        if self.test_time_flip { 2.0 } else { 1.0 }
    }

    /// The same with the weight decay that suits this rule.
    pub fn for_rule(self, rule: Rule) -> Self {
        let weight_decay = match rule {
            Rule::Momentum => self.weight_decay,
            Rule::Adamw => ADAMW_DECAY,
            Rule::Sgd | Rule::Adam => 0.0,
        };
        Self { weight_decay, ..self }
    }

    /// The same with what was chosen.
    pub fn with(self, chosen: &Choices) -> Self {
        let mix = self.mix.unwrap_or(Mix::new(0.0, 0.0));
        // What was chosen goes first.
        let mixup = chosen.mixup.unwrap_or(mix.mixup.min(1.0 - chosen.cutmix.unwrap_or(0.0)));
        let cutmix = chosen.cutmix.unwrap_or(mix.cutmix.min(1.0 - mixup));
        Self {
            dropout: chosen.dropout.unwrap_or(self.dropout),
            label_smoothing: chosen.label_smoothing.unwrap_or(self.label_smoothing),
            weight_decay: chosen.weight_decay.unwrap_or(self.weight_decay),
            mix: (mixup + cutmix > 0.0).then_some(Mix { mixup, cutmix, ..mix }),
            average: chosen.average.or(self.average).filter(|decay| *decay > 0.0),
            test_time_flip: chosen.test_time_flip.unwrap_or(self.test_time_flip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_takes_the_place_of_what_is_usual() {
        let usual = Regularization::for_photos(false);
        assert_eq!(usual.with(&Choices::default()), usual);
        let mixup = |share| Choices { mixup: Some(share), ..Choices::default() };
        let mixed = |chosen: &Choices| usual.with(chosen).mix.map(|mix| (mix.mixup, mix.cutmix));
        assert_eq!(mixed(&mixup(0.2)), Some((0.2, 0.5)));
        assert_eq!(mixed(&mixup(0.75)), Some((0.75, 0.25)), "the usual cutmix makes room");
        assert_eq!(mixed(&Choices { cutmix: Some(0.0), ..Choices::default() }), None);
        let decay = Choices { weight_decay: Some(0.1), ..Choices::default() };
        assert_eq!(usual.for_rule(Rule::Adamw).with(&decay).weight_decay, 0.1);
        assert_eq!(
            [Rule::Adamw, Rule::Adam].map(|rule| usual.for_rule(rule).weight_decay),
            [ADAMW_DECAY, 0.0]
        );
    }
}
