//! The library's notes and errors of training in the words of the program, which name its flags.

use std::path::Path;

use floret::recipe::{Clash, Conflict, FEW_PHOTOS, FolderFault, LABELS, ModelFault, Note, RecipeError};
use indicatif::DecimalBytes;

use crate::Error;
use crate::files::EVAL;
use crate::ui::{self, note, say};

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

/// The same error in the words of the program. What comes from elsewhere in the library is unwrapped, for
/// [`messages`](crate::messages).
pub fn error(error: RecipeError) -> Error {
    match error {
        RecipeError::File(inner) => inner.into(),
        RecipeError::Shards(inner) => inner.into(),
        RecipeError::Batch(inner) => inner.into(),
        RecipeError::Network(inner) => inner.into(),
        RecipeError::Train(inner) => inner.into(),
        RecipeError::Checkpoint(inner) => inner.into(),
        RecipeError::Folder { path, fault } => folder(&path, fault).into(),
        RecipeError::Value { setting, value, reason } => format!("--{setting} {value}: {reason}").into(),
        RecipeError::Conflict(inner) => conflict(inner).into(),
        RecipeError::Clashes { clashes } => {
            let clashes: Vec<_> = clashes.iter().map(clash).collect();
            format!("--resume goes on with the settings saved; leave out {}", clashes.join(", ")).into()
        }
        RecipeError::TimeIsUp { minutes, seconds } => format!(
            "--minutes {minutes} are over: the run has taken {} already. Give it more, or leave --minutes out",
            ui::duration(seconds)
        )
        .into(),
        RecipeError::RunClasses { run, data } => format!(
            "the run knows the classes {}, but the data has {}: go on with the data it began with (--data), or begin a new run \
             in another folder (--out, without --resume)",
            ui::names(&run),
            ui::names(&data)
        )
        .into(),
        RecipeError::Model { path, reason } => model(&ui::path(&path), reason).into(),
        RecipeError::Memory { batch_size, image_size, needed, available } => format!(
            "--batch-size {batch_size} at --image-size {image_size} needs about {} of memory, and there are {} for this \
             program: use smaller ones",
            DecimalBytes(needed),
            DecimalBytes(available)
        )
        .into(),
        other => other.into(),
    }
}

fn folder(path: &Path, fault: FolderFault) -> String {
    let (shown, labels) = (path.display(), path.join(LABELS));
    match fault {
        FolderFault::NotAFolder => format!("{shown} is no folder"),
        FolderFault::Missing => format!(
            "{shown}: there is no such data folder; make one from photos with `flowers convert PHOTOS_DIR DATA_DIR`"
        ),
        FolderFault::Unfinished { labelled } => {
            // The next conversion replaces by itself what is without class names.
            let overwrite = if labelled { " with --overwrite" } else { "" };
            format!(
                "{shown}: the conversion that wrote this data did not come to its end, so a part of it may be missing: run \
                 `flowers convert PHOTOS_DIR {}` again{overwrite}",
                ui::shell(path)
            )
        }
        FolderFault::Unlabelled => format!(
            "{} is missing: write the names of the classes into it, one a line in the order of their labels (`flowers inspect \
             FILE` shows what the records say), or make the data from photos with `flowers convert PHOTOS_DIR DATA_DIR`",
            labels.display()
        ),
        FolderFault::Ambiguous { split, sets: [name, other] } => format!(
            "{} has no shards named {split}-*, and more than one set that could be meant: {}, {}: move all but one away",
            ui::path(path),
            ui::escaped(&name),
            ui::escaped(&other)
        ),
        FolderFault::Incomplete { count, missing, first } => format!(
            "{missing} of the {count} shards {} are missing, the first of them shard {first}",
            ui::path(path)
        ),
        other => format!("{shown}: {other}"),
    }
}

fn conflict(conflict: Conflict) -> String {
    match conflict {
        Conflict::Mix { mixup, cutmix } => format!(
            "--mixup {mixup} and --cutmix {cutmix} are shares of the photos, and over 1 together: lower one"
        ),
        Conflict::Decay => {
            "--weight-decay does nothing to this --optimizer: leave it out, or use momentum or adamw".into()
        }
        other => other.to_string(),
    }
}

fn clash(clash: &Clash) -> String {
    match clash {
        Clash::Minutes(minutes) => format!("--epochs (it trains for --minutes {minutes})"),
        Clash::Epochs(epochs) => format!("--minutes (it has --epochs {epochs})"),
        other => format!("--{other}"),
    }
}

fn model(path: &str, fault: ModelFault) -> String {
    match fault {
        ModelFault::Classes { model, data } => format!(
            "{path} knows the classes {}, but the data has {}: train on data of the model's classes, in their order",
            ui::names(&model),
            ui::names(&data)
        ),
        ModelFault::ImageSize { side, chosen } => {
            format!("{path} takes images of {side}x{side}: leave out --image-size {chosen}")
        }
        ModelFault::Untrainable { side, reason } => {
            format!("{path} takes images of {side}x{side}: {reason}")
        }
        other => format!("{path}: {other}"),
    }
}
