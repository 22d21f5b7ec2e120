//! Photos whose labels may be wrong: the network answers confidently with another class.
//!
//! Of training photos that is a strong sign, since the network was told these labels again and again; of photos for
//! evaluation it may as well be its own mistake.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;

use floret::data::{Loader, Place};
use floret::files::write_atomically;
use floret::metrics::Evaluation;
use floret::recipe::{Answer, Answers, MOST_CONTRADICTIONS};

use super::photos::{Shown, thumbnail};
use crate::Result;
use crate::ui;

/// The photos of a split, and what the network says of them.
#[derive(Clone, Copy)]
pub struct Split<'a> {
    pub name: &'static str,
    pub photos: &'a Loader,
    pub answers: &'a Answers,
}

/// A photo whose label may be wrong.
pub struct LabelError {
    pub split: &'static str,
    /// Where its record stands.
    pub at: Place,
    /// With a picture if it stands on the page.
    pub photo: Shown,
}

/// The likely label errors of a run.
pub struct LabelErrors {
    pub tally: Tally,
    /// Of all splits, the highest loss first.
    pub listed: Vec<LabelError>,
}

/// How many there are.
#[derive(Clone)]
pub struct Tally {
    pub splits: Vec<SplitTally>,
    /// About so many of those listed are labeled right, if the network's probabilities are.
    pub right: f64,
    /// The network's accuracy, where it has not learned enough for its doubts to count: none are listed then.
    pub unlearned: Option<f64>,
    /// The file that lists them.
    pub list: PathBuf,
}

/// How many a split has.
#[derive(Clone)]
pub struct SplitTally {
    pub split: &'static str,
    pub errors: u64,
    /// All that were looked at.
    pub photos: u64,
}

/// Whether a network knows its classes so well that its doubts tell something: half of the way from guessing to being always right.
fn has_learned(evaluation: &Evaluation) -> bool {
    let classes = evaluation.per_class().iter().filter(|class| class.examples > 0).count();
    let guessing = 1.0 / classes.max(1) as f64;
    evaluation.examples == 0 || classes < 2 || evaluation.accuracy() >= f64::midpoint(guessing, 1.0)
}

/// How many stand on the page.
pub const ON_PAGE: usize = 24;

impl LabelErrors {
    /// Those of `splits`, to be listed in the file `list`. What their records say is looked up here.
    pub fn find(splits: &[Split], list: PathBuf) -> Self {
        let tally = |split: &Split| SplitTally {
            split: split.name,
            errors: split.answers.contradicting,
            photos: split.answers.evaluation.examples,
        };
        let mut tally =
            Tally { splits: splits.iter().map(tally).collect(), right: 0.0, unlearned: None, list };
        // Of photos that it has not learned from, if there are such.
        let judged = splits.last().map(|split| &split.answers.evaluation);
        tally.unlearned = judged.filter(|judged| !has_learned(judged)).map(Evaluation::accuracy);
        if tally.unlearned.is_some() {
            tally.splits.iter_mut().for_each(|split| split.errors = 0);
            return Self { tally, listed: Vec::new() };
        }
        let mut listed = ranked(splits);
        let right: f64 = listed.iter().map(|error| f64::from(error.photo.answer.own)).sum();
        tally.right = right * tally.errors() as f64 / listed.len().max(1) as f64;
        for split in splits {
            look_up(&mut listed, split);
        }
        Self { tally, listed }
    }

    /// Whether all of them are listed.
    pub fn is_complete(&self) -> bool {
        self.listed.len() as u64 == self.tally.errors()
    }

    /// Writes the list.
    pub fn save(&self, classes: &[String]) -> Result<()> {
        let csv = self.csv(classes)?;
        Ok(write_atomically(&self.tally.list, |file| file.write_all(&csv))?)
    }

    /// The list as comma-separated values (RFC 4180), with a line that names the columns.
    fn csv(&self, classes: &[String]) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(COLUMNS)?;
        for LabelError { split, at, photo: Shown { answer, filename, .. } } in &self.listed {
            let (class, probability) = answer.top[0];
            // Whoever reads the list may be elsewhere.
            let file = std::path::absolute(at.file()).unwrap_or_else(|_| at.file().into());
            csv.write_record([
                split,
                &*file.to_string_lossy(),
                &at.number().to_string(),
                filename.as_deref().unwrap_or_default(),
                &classes[answer.label],
                &classes[class],
                &*format!("{probability:.4}"),
                &*format!("{:.4}", answer.loss),
            ])?;
        }
        Ok(csv.into_inner().map_err(csv::IntoInnerError::into_error)?)
    }
}

const COLUMNS: [&str; 8] = ["split", "file", "record", "filename", "label", "answer", "probability", "loss"];

/// The contradictions of all splits, without what their records say.
fn ranked(splits: &[Split]) -> Vec<LabelError> {
    let of_split = |split: &Split| {
        let Split { name, photos, answers } = *split;
        let error = move |answer: &Answer| {
            let at = photos.place(answer.record)?;
            let photo = Shown { answer: answer.clone(), picture: None, filename: None };
            Some(LabelError { split: name, at, photo })
        };
        answers.contradictions.iter().filter_map(error).collect::<Vec<_>>()
    };
    let mut listed: Vec<_> = splits.iter().flat_map(of_split).collect();
    listed.sort_by(|a, b| b.photo.answer.loss.total_cmp(&a.photo.answer.loss));
    listed.truncate(MOST_CONTRADICTIONS);
    listed
}

/// Reads the records of a split's photos once, in the order of the shards: names of all, pictures of those on the page.
fn look_up(listed: &mut [LabelError], split: &Split) {
    let of_split = listed.iter_mut().enumerate().filter(|(_, error)| error.split == split.name);
    let mut photos: Vec<_> = of_split.map(|(place, error)| (place, &mut error.photo)).collect();
    photos.sort_by_key(|(_, photo)| photo.answer.record);
    let records: Vec<_> = photos.iter().map(|(_, photo)| photo.answer.record).collect();
    for ((place, photo), example) in photos.into_iter().zip(split.photos.each_example(&records)) {
        // One that can't be read any more is listed without.
        let Ok(example) = example else { continue };
        if place < ON_PAGE {
            photo.picture = thumbnail(&example.picture, split.photos);
        }
        photo.filename = example.filename;
    }
}

impl Tally {
    /// In all splits.
    pub fn errors(&self) -> u64 {
        self.splits.iter().map(|split| split.errors).sum()
    }

    /// How many of them are likely to be right after all.
    fn by_chance(&self) -> String {
        match self.right.round() as u64 {
            0 => String::new(),
            right => format!("; by its own probabilities about {right} of them right after all"),
        }
    }

    /// `3 of 90 in train, 1 of 10 in eval`
    pub fn told(&self) -> String {
        let told =
            |SplitTally { split, errors, photos }: &SplitTally| format!("{errors} of {photos} in {split}");
        self.splits.iter().map(told).collect::<Vec<_>>().join(", ") + &self.by_chance()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors() {
            0 if self.unlearned.is_some() => write!(
                f,
                "not doubted: with an accuracy of {} the network knows too little",
                ui::percent(self.unlearned)
            ),
            0 => f.write_str("none looks wrong"),
            1 => write!(f, "1 looks wrong ({}): see {}", self.told(), ui::path(&self.list)),
            errors => write!(f, "{errors} look wrong ({}): see {}", self.told(), ui::path(&self.list)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use floret::data::{LoaderOptions, Preprocess};
    use floret::metrics::Evaluation;
    use floret::network::{Network, NetworkError};
    use floret::nn::{Dense, Flatten};
    use floret::record::{Compression, ImageExample, ImageSchema, RecordWriter};

    use super::*;

    /// Two shards of three records each, named after split, shard and record.
    fn split_of(folder: &Path, name: &str) -> Loader {
        let shard = |number| {
            let path = folder.join(format!("{name}-{number}"));
            let mut writer = RecordWriter::create(&path, Compression::Plain).unwrap();
            for record in 0..3 {
                let filename = Some(format!("{name}, \"{number}\" {record}"));
                let example = ImageExample { label: 1, filename, ..ImageExample::default() };
                writer.write(&example.encode(&ImageSchema::default())).unwrap();
            }
            writer.commit().unwrap();
            path
        };
        Loader::open(&[shard(0), shard(1)], LoaderOptions::new(Preprocess::new(32), 3)).unwrap()
    }

    fn nothing() -> Evaluation {
        let network = Network::builder((1, 1, 3)).add(Flatten).add(Dense::new(3)).build().unwrap();
        network.evaluate(std::iter::empty::<std::result::Result<_, NetworkError>>()).unwrap()
    }

    /// Contradictions at these records, with these losses.
    fn answers<const N: usize>(contradictions: [(usize, f32); N]) -> Answers {
        let answer = |(record, loss)| Answer {
            record,
            label: 0,
            top: vec![(2, 0.91234), (1, 0.08), (0, 0.00766)],
            own: 0.00766,
            loss,
        };
        let contradicting = N as u64;
        let contradictions = contradictions.map(answer).into();
        let (mistakes, uncertain) = (Vec::new(), Vec::new());
        Answers { evaluation: nothing(), mistakes, uncertain, contradicting, contradictions }
    }

    #[test]
    fn both_splits_are_listed_by_loss_with_the_places_of_their_records() {
        let folder = tempfile::tempdir().unwrap();
        let [train, eval] = ["train", "eval"].map(|name| split_of(folder.path(), name));
        let (of_train, of_eval) = (answers([(5, 9.5), (0, 4.0)]), answers([(1, 4.87), (3, 4.0)]));
        let splits = [
            Split { name: "train", photos: &train, answers: &of_train },
            Split { name: "eval", photos: &eval, answers: &of_eval },
        ];
        let errors = LabelErrors::find(&splits, folder.path().join("list.csv"));
        assert_eq!((errors.tally.errors(), errors.is_complete()), (4, true));
        errors.save(&["a", "b,\"b\"", "c\nc"].map(String::from)).unwrap();
        let list = std::fs::read_to_string(folder.path().join("list.csv")).unwrap();
        let shown = list.replace(&format!("{}/", folder.path().display()), "");
        assert_eq!(
            shown,
            "split,file,record,filename,label,answer,probability,loss\n\
             train,train-1,2,\"train, \"\"1\"\" 2\",a,\"c\nc\",0.9123,9.5000\n\
             eval,eval-0,1,\"eval, \"\"0\"\" 1\",a,\"c\nc\",0.9123,4.8700\n\
             train,train-0,0,\"train, \"\"0\"\" 0\",a,\"c\nc\",0.9123,4.0000\n\
             eval,eval-1,0,\"eval, \"\"1\"\" 0\",a,\"c\nc\",0.9123,4.0000\n"
        );
        // A reader gets back what was written.
        let mut reader = csv::Reader::from_reader(list.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!((&rows[0][3], &rows[0][5]), ("train, \"1\" 2", "c\nc"));
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let train = split_of(folder.path(), "train");
        let mut many = answers([(1, 3.0)]);
        many.contradictions = vec![many.contradictions[0].clone(); MOST_CONTRADICTIONS];
        many.contradicting = MOST_CONTRADICTIONS as u64 + 7;
        let splits = ["train", "eval"].map(|name| Split { name, photos: &train, answers: &many });
        let errors = LabelErrors::find(&splits, "list.csv".into());
        assert_eq!((errors.listed.len(), errors.is_complete()), (MOST_CONTRADICTIONS, false));
        assert_eq!(
            errors.tally.to_string(),
            "20014 look wrong (10007 of 0 in train, 10007 of 0 in eval; by its own probabilities about 153 of them right after all): \
             see list.csv"
        );
    }

    #[test]
    fn without_any_there_is_a_list_of_no_lines() {
        let folder = tempfile::tempdir().unwrap();
        let train = split_of(folder.path(), "train");
        let splits = [Split { name: "train", photos: &train, answers: &answers([]) }];
        let errors = LabelErrors::find(&splits, folder.path().join("list.csv"));
        assert_eq!(errors.tally.to_string(), "none looks wrong");
        assert_eq!(errors.csv(&[]).unwrap(), format!("{}\n", COLUMNS.join(",")).into_bytes());
    }
}
