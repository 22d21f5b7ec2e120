//! Examples as batches.

use std::path::PathBuf;
use std::sync::Arc;

use super::assemble::Fetched;
use super::cache::Cache;
use super::epoch::Epoch;
use super::order::order;
use super::shard_part::ShardPart;
use super::shared::{Shared, Skipped};
use super::source::{Source, SourceReader};
use super::{Fingerprint, LoaderOptions, OnBadRecord, Preprocess};
use crate::data::{BatchError, Dataset, Example, LoaderOptionsError, Place, Subset};
use crate::record::ShardIndex;

/// Labeled pictures, of shards or of any [`Dataset`], served as batches, epoch by epoch.
///
/// The same options give the same batches, whatever the number of threads and whatever the cache holds. Clones share
/// the cache.
///
/// ```no_run
/// use floret::data::{Loader, LoaderOptions, Preprocess};
/// use floret::record::find_shards;
///
/// let options = LoaderOptions::new(Preprocess::new(64), 5);
/// let loader = Loader::open(&find_shards(&["data/train"])?, options)?;
/// for epoch in 0..10 {
///     for batch in loader.epoch(epoch) {
///         let batch = batch?;
///         println!("{:?} {:?}", batch.images.dim(), batch.labels);
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    shared: Arc<Shared>,
}

impl Loader {
    /// Opens the shards and finds every record in them, so that a missing or damaged file fails here.
    ///
    /// # Errors
    /// A shard that can't be opened, or whose framing is damaged (with [`OnBadRecord::Skip`] all records that are whole are
    /// used); no record at all; options that make no sense.
    pub fn open(shards: &[PathBuf], options: LoaderOptions) -> Result<Self, BatchError> {
        options.check()?;
        let (index, damages) = match options.on_bad_record {
            OnBadRecord::Error => (ShardIndex::open(shards, &options.reader)?, Vec::new()),
            OnBadRecord::Skip => ShardIndex::open_skipping_damage(shards, &options.reader)?,
        };
        if index.is_empty() {
            return Err(BatchError::Empty(shards.to_vec()));
        }
        let mut skipped = Skipped::default();
        damages.into_iter().for_each(|damage| skipped.add(damage.into()));
        Self::new(Source::Shards(ShardPart::whole(Arc::new(index))), options, skipped)
    }

    /// The examples of a data set. Its labels are classes from 0, whatever [`LoaderOptions::label_offset`] says.
    ///
    /// # Errors
    /// A data set without an example, or of another number of classes than the options'; options that make no sense.
    pub fn of(set: impl Dataset + 'static, options: LoaderOptions) -> Result<Self, BatchError> {
        Self::of_shared(Arc::new(set), options)
    }

    /// The same of a data set that others hold, too.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_shared(set: Arc<dyn Dataset>, mut options: LoaderOptions) -> Result<Self, BatchError> {
        options.label_offset = 0;
        options.check()?;
        if set.is_empty() {
            return Err(BatchError::NoExample);
        }
        if set.classes().len() != options.classes {
            return Err(LoaderOptionsError::OtherClasses {
                set: set.classes().len(),
                options: options.classes,
            }
            .into());
        }
        Self::new(Source::Set(set), options, Skipped::default())
    }

    /// The examples of these numbers, ascending, served by `options`. Shards are not searched anew; their damage counts as skipped
    /// by the part that has the first record.
    pub(crate) fn part(&self, records: &[usize], options: LoaderOptions) -> Result<Self, BatchError> {
        let part = match &self.shared.source {
            Source::Set(set) => {
                return Self::of_shared(Arc::new(Subset::new(Arc::clone(set), records.to_vec())), options);
            }
            Source::Shards(shards) => shards.part(records),
        };
        options.check()?;
        let has_first = records.first() == Some(&0);
        let skipped = if has_first { self.skipped() } else { Skipped::default() };
        Self::new(Source::Shards(part), options, skipped)
    }

    fn new(source: Source, options: LoaderOptions, skipped: Skipped) -> Result<Self, BatchError> {
        if options.drop_last && source.len() < options.batch_size {
            let (records, batch_size) = (source.len(), options.batch_size);
            return Err(LoaderOptionsError::NoFullBatch { records, batch_size }.into());
        }
        Ok(Self { shared: Arc::new(Shared::new(source, options, skipped)) })
    }

    /// The same batches with images of another size, for training on [small images first](crate::train::Stage). Photos are
    /// still fitted to (and cached at) this loader's source size: both share the cache.
    ///
    /// # Errors
    /// A size of 0 or, with augmentation, over the source size; without augmentation, any other size than this loader's, since
    /// it is the one that photos are cached at.
    pub fn at_size(&self, image_size: usize) -> Result<Self, BatchError> {
        let mut options = self.options().clone();
        if options.augment.is_none() && image_size != options.preprocess.image_size {
            return Err(LoaderOptionsError::OtherSize(image_size).into());
        }
        options.preprocess.image_size = image_size;
        self.with(options, Arc::clone(&self.shared.cache))
    }

    /// The same examples as evaluation by `preprocess` sees them: in the order of the shards, without augmentation or mixing
    /// (see [`LoaderOptions::for_evaluation`]). The shards are not searched anew. Where both fit photos alike they share the cache;
    /// else nothing is cached.
    ///
    /// # Errors
    /// An image size of 0.
    pub fn for_evaluation(&self, preprocess: Preprocess) -> Result<Self, BatchError> {
        let options = LoaderOptions { preprocess, ..self.options().clone() }.for_evaluation();
        let (asked, ours) = (options.fitting(), self.options().fitting());
        // What is done to fitted photos makes no difference.
        let ours = ours.normalize(asked.normalize).channel_order(asked.channel_order);
        if asked == ours {
            return self.with(options, Arc::clone(&self.shared.cache));
        }
        self.uncached(options)
    }

    /// The same examples as evaluation by `preprocess` sees them, in batches of this size. No photo is cached, since each is to come
    /// once.
    pub(crate) fn once(&self, preprocess: Preprocess, batch_size: usize) -> Result<Self, BatchError> {
        let options = LoaderOptions { preprocess, batch_size, ..self.options().clone() };
        self.uncached(options.for_evaluation())
    }

    fn uncached(&self, mut options: LoaderOptions) -> Result<Self, BatchError> {
        options.cache_bytes = 0;
        self.with(options, Arc::new(Cache::new(self.len(), 0)))
    }

    /// The same shards, served in another way.
    fn with(&self, options: LoaderOptions, cache: Arc<Cache>) -> Result<Self, BatchError> {
        options.check()?;
        Ok(Self { shared: Arc::new(self.shared.with(options, cache)) })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.shared.source.len()
    }

    /// Whether there is no record; never so, since [`open`](Self::open) refuses that.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How batches are made.
    pub fn options(&self) -> &LoaderOptions {
        &self.shared.options
    }

    /// Batches of an epoch; fewer come if every record of one is skipped.
    pub fn batches(&self) -> usize {
        let LoaderOptions { batch_size, drop_last, .. } = self.shared.options;
        if drop_last { self.len() / batch_size } else { self.len().div_ceil(batch_size) }
    }

    /// The batches of epoch `epoch`, from 0.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        self.epoch_from(epoch, 0)
    }

    /// The batches of epoch `epoch` from batch `first_batch` on, to resume one that was interrupted at this
    /// [position](Epoch::position).
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> Epoch {
        let LoaderOptions { batch_size, shuffle, seed, .. } = self.shared.options;
        let mut order = order(&self.shared.source.parts(), shuffle, seed, epoch);
        order.truncate(self.batches().saturating_mul(batch_size));
        Epoch::new(Arc::clone(&self.shared), epoch, order, first_batch)
    }

    /// The examples of these numbers of [`Batch::records`](super::Batch::records), read anew: their pictures as they were, the names of
    /// their files. Of compressed shards ascending numbers are the fastest to read.
    ///
    /// # Errors
    /// An example that there is not, or that can't be read.
    pub fn examples(&self, records: &[usize]) -> Result<Vec<Example>, BatchError> {
        self.each_example(records).collect()
    }

    /// [`examples`](Self::examples) one after the other, so that few are held at a time, and one that can't be read stands in
    /// the way of no other.
    pub fn each_example<'a>(
        &'a self,
        records: &'a [usize],
    ) -> impl Iterator<Item = Result<Example, BatchError>> + 'a {
        let Shared { source, options, .. } = &*self.shared;
        self.each_payload(records).map(|(record, payload)| source.example(record, payload?, options))
    }

    /// The label of each example, without reading the pictures of a data set that knows it otherwise; in records with the name of the
    /// class, where they have it.
    pub(crate) fn each_label<'a>(
        &'a self,
        records: &'a [usize],
    ) -> impl Iterator<Item = Result<(i64, Option<String>), BatchError>> + 'a {
        let Shared { source, options, .. } = &*self.shared;
        self.each_payload(records).map(|(record, payload)| source.label(record, payload?, options))
    }

    /// What [`SourceReader`] reads of each, with its number.
    fn each_payload<'a>(&'a self, records: &'a [usize]) -> impl Iterator<Item = (usize, Fetched)> + 'a {
        let Shared { source, options, .. } = &*self.shared;
        let mut asked_for = vec![false; source.len()];
        let there = records.iter().filter(|&&record| record < source.len());
        there.for_each(|&record| asked_for[record] = true);
        let mut reader = SourceReader::new(source, options);
        records.iter().map(move |&record| {
            let payload = match record < source.len() {
                true => reader.read(record, |passed| asked_for[passed]),
                false => Err(BatchError::NoSuchExample { index: record, examples: source.len() }),
            };
            (record, payload)
        })
    }

    /// How many records there are of each class, found by reading [their labels](Dataset::label). Records that are bad are left out,
    /// whatever the options say: they are told of when they are met in an epoch.
    pub fn class_counts(&self) -> Vec<u64> {
        let records: Vec<usize> = (0..self.len()).collect();
        let mut counts = vec![0; self.shared.options.classes];
        for (&record, label) in records.iter().zip(self.each_label(&records)) {
            let class = label.ok().and_then(|(label, _)| self.class(record, label));
            if let Some(class) = class {
                counts[class] += 1;
            }
        }
        counts
    }

    /// The class of a record with this label, from 0; `None` for a label of no class.
    pub fn class(&self, record: usize, label: i64) -> Option<usize> {
        self.shared.class(record, label).ok()
    }

    /// Where an example of [`Batch::records`](super::Batch::records) is; `None` beyond the last.
    pub fn place(&self, record: usize) -> Option<Place> {
        self.shared.source.place(record)
    }

    /// What tells these examples from others.
    pub fn fingerprint(&self) -> Fingerprint {
        self.shared.source.fingerprint()
    }

    /// The bad records left out so far.
    pub fn skipped(&self) -> Skipped {
        self.shared.skipped()
    }
}
