//! Who makes batches, and when: tasks of rayon's, a bounded number ahead of the one who takes them.
//!
//! Every batch is a task. A task first reads the records of the batch whose turn it is, under a lock, so that files are
//! read in the epoch's order whichever task comes first; then it decodes them, beside the other tasks.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::Duration;

use super::Batch;
use super::assemble::Fetched;
use super::shared::{Shared, lock};
use super::source::SourceReader;
use crate::data::BatchError;

/// How long a thread of a pool waits for a batch before it looks for work again.
const PATIENCE: Duration = Duration::from_micros(200);

/// The batches of one epoch, in order, each made ahead of its use.
///
/// Batches are made by the rayon pool that the iterator is used in; dropping it abandons those not taken yet. After an
/// error it is at its end.
#[derive(Debug)]
pub struct Epoch {
    shared: Arc<Shared>,
    epoch: u64,
    order: Vec<usize>,
    reading: Arc<Mutex<Reading>>,
    /// The first record of `order` that no batch was begun with.
    next: usize,
    /// Batches under way, the next one first.
    ahead: VecDeque<Arc<Slot>>,
    position: usize,
    /// Whether a batch or an error was given.
    given: bool,
    from_start: bool,
}

impl Epoch {
    /// Serves the records of `order` from batch `first_batch` on.
    pub(super) fn new(shared: Arc<Shared>, epoch: u64, order: Vec<usize>, first_batch: usize) -> Self {
        let next = first_batch.saturating_mul(shared.options.batch_size).min(order.len());
        Self {
            reading: Arc::new(Mutex::new(Reading::new(&shared, &order[next..]))),
            shared,
            epoch,
            order,
            next,
            ahead: VecDeque::new(),
            position: first_batch,
            given: false,
            from_start: first_batch == 0,
        }
    }

    /// The number, within the epoch, of the batch that comes next: where
    /// [`Loader::epoch_from`](super::Loader::epoch_from) goes on. Batches of which every record was skipped count.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Begins as many batches as may be under way.
    fn look_ahead(&mut self) {
        let options = &self.shared.options;
        while self.next < self.order.len() && self.ahead.len() < options.prefetch.max(1) {
            let end = self.next.saturating_add(options.batch_size).min(self.order.len());
            let records = self.order[self.next..end].to_vec();
            let number = self.next / options.batch_size;
            self.next = end;
            let slot = Arc::new(Slot::default());
            lock(&self.reading).pending.push_back(Pending { number, records, slot: Arc::downgrade(&slot) });
            self.ahead.push_back(slot);
            let (shared, reading, epoch) = (Arc::clone(&self.shared), Arc::clone(&self.reading), self.epoch);
            rayon::spawn(move || make_next(&shared, &reading, epoch));
        }
    }

    fn stop(&mut self) {
        self.ahead.clear();
        self.next = self.order.len();
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.look_ahead();
            let Some(slot) = self.ahead.pop_front() else {
                let nothing = self.from_start && !self.given && !self.order.is_empty();
                self.given = true;
                return nothing.then(|| Err(BatchError::AllSkipped(self.order.len())));
            };
            // The one waited for is no longer ahead.
            self.look_ahead();
            let made = slot.take();
            self.position += 1;
            if made.as_ref().is_ok_and(|batch| batch.labels.is_empty()) {
                continue;
            }
            self.given = true;
            if made.is_err() {
                self.stop();
            }
            return Some(made);
        }
    }
}

/// The reading side of an epoch.
#[derive(Debug)]
struct Reading {
    reader: SourceReader,
    /// By record: whether the epoch will still ask for it.
    unread: Vec<bool>,
    /// Batches begun whose records are not read yet, in order.
    pending: VecDeque<Pending>,
}

/// A batch to be made.
#[derive(Debug)]
struct Pending {
    number: usize,
    records: Vec<usize>,
    /// Where it goes; gone if nobody waits for it any more.
    slot: Weak<Slot>,
}

impl Reading {
    fn new(shared: &Shared, order: &[usize]) -> Self {
        let mut unread = vec![false; shared.source.len()];
        order.iter().for_each(|&record| unread[record] = true);
        Self { reader: SourceReader::new(&shared.source, &shared.options), unread, pending: VecDeque::new() }
    }

    /// Reads of an example what must be read in order, unless the cache has its photo.
    fn fetch(&mut self, shared: &Shared, record: usize) -> Fetched {
        let Self { reader, unread, .. } = self;
        unread[record] = false;
        if shared.cache.get(record).is_some() {
            return Ok(None);
        }
        reader.read(record, |passed| unread[passed] && shared.cache.get(passed).is_none())
    }
}

/// Makes the batch whose turn it is. There are as many calls as batches.
fn make_next(shared: &Shared, reading: &Mutex<Reading>, epoch: u64) {
    let mut reading = lock(reading);
    let Some(Pending { number, records, slot }) = reading.pending.pop_front() else { return };
    let Some(slot) = slot.upgrade() else { return };
    // A panic in a task of rayon's would abort the process; it is handed to the thread that waits instead.
    let made = catch_unwind(AssertUnwindSafe(|| {
        let fetched = records.iter().map(|&record| reading.fetch(shared, record)).collect();
        // Before any work that other threads share: one of them might take up the next batch, and wait for the lock.
        drop(reading);
        shared.batch(number, &records, fetched, epoch)
    }));
    slot.fill(made);
}

/// A batch on its way.
#[derive(Debug, Default)]
struct Slot {
    made: Mutex<Option<thread::Result<Result<Batch, BatchError>>>>,
    ready: Condvar,
}

impl Slot {
    fn fill(&self, made: thread::Result<Result<Batch, BatchError>>) {
        *lock(&self.made) = Some(made);
        self.ready.notify_one();
    }

    /// Waits for the batch. A thread of a rayon pool works meanwhile: it may be the one that has to make the batch.
    fn take(&self) -> Result<Batch, BatchError> {
        let in_pool = rayon::current_thread_index().is_some();
        loop {
            let made = lock(&self.made).take();
            if let Some(made) = made {
                return made.unwrap_or_else(|panic| resume_unwind(panic));
            }
            if in_pool && rayon::yield_now() == Some(rayon::Yield::Executed) {
                continue;
            }
            let made = lock(&self.made);
            if in_pool {
                drop(self.ready.wait_timeout_while(made, PATIENCE, |made| made.is_none()));
            } else {
                drop(self.ready.wait_while(made, |made| made.is_none()));
            }
        }
    }
}
