//! A model's weights in use: which were asked for, in which order, and who brings them ahead. Knows f32 and patches; what
//! stays where is decided by its `Core`.

use super::{
    error::MemoryError,
    patch::{Applying, Patches},
    prefetch::Prefetcher,
    read_ahead::ReadAhead,
    residency::{Core, Use, WeightRecord, key},
    values::Values,
};
use crate::{
    format::{MissingTensor, SourceError},
    pager::Vbar,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// A model's weights in use: what they are, which were asked for, and who brings them ahead.
pub(crate) struct Model {
    /// Before `core`, so that the worker is gone before what it works on.
    prefetcher: Prefetcher<Job, Values>,
    pub(crate) core: Arc<Core>,
    pub(crate) records: Mutex<HashMap<String, Arc<WeightRecord>>>,
    /// The weight that was used first: where passes begin.
    first: OnceLock<Arc<WeightRecord>>,
}

/// A weight in a certain state of patches: what is brought ahead.
#[derive(Clone)]
struct Job {
    record: Arc<WeightRecord>,
    patches: Option<Arc<Patches>>,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.record, &other.record) && key(self.patches.as_ref()) == key(other.patches.as_ref())
    }
}

impl Model {
    pub(crate) fn new(core: Core) -> Self {
        let (core, records, first) = (Arc::new(core), Mutex::default(), OnceLock::new());
        Self { prefetcher: Prefetcher::default(), core, records, first }
    }

    pub(crate) fn record(&self, name: &str) -> Result<Arc<WeightRecord>, MissingTensor> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = records.get(name) {
            return Ok(record.clone());
        }
        let info = self.core.source.info(name).ok_or_else(|| self.core.source.missing(name))?.clone();
        let in_place = self.core.in_place(name, &info);
        let record = Arc::new(WeightRecord {
            name: name.to_owned(),
            info,
            in_place,
            touched: AtomicBool::new(false),
            unit: OnceLock::new(),
        });
        records.insert(name.to_owned(), record.clone());
        Ok(record)
    }

    /// Brings a weight here, or finds it here.
    pub(crate) fn read(
        &self,
        record: &Arc<WeightRecord>,
        patches: Option<&Arc<Patches>>,
    ) -> Result<Values, MemoryError> {
        self.core.source.check().map_err(SourceError::from)?;
        if let (Some(bytes), None) = (&record.in_place, patches) {
            return self.core.borrow_mapped(record, bytes, 0..bytes.len());
        }
        if Applying::is_on() {
            // Another weight's patch reads this one, maybe on the worker's own thread: that is no use in the order of a pass,
            // and waiting for the worker would be waiting for oneself.
            return self.core.load(record, patches, Use::Now);
        }
        let first = Arc::ptr_eq(self.first.get_or_init(|| record.clone()), record);
        if self.core.short.load(Relaxed)
            && let Some(values) = self.prefetched(record, patches, first)
        {
            if let (Some(range), Some(Some(unit))) = (self.core.range(), record.unit.get()) {
                range.note_use(*unit);
            }
            self.expect_again(first);
            return Ok(values);
        }
        let values = self.core.load(record, patches, Use::Now);
        self.expect_again(first);
        values
    }

    /// The model uses a weight, the first of a pass or another: what the worker has of it, if it has it.
    fn prefetched(&self, record: &Arc<WeightRecord>, patches: Option<&Arc<Patches>>, first: bool) -> Option<Values> {
        let job = Job { record: record.clone(), patches: patches.cloned() };
        if first {
            // One slot in use, the others ahead.
            let slots = self.core.pager.slots() as usize;
            self.prefetcher.begin_pass(|| self.worker(slots), || self.core.staging.keep(slots + 1));
        }
        self.prefetcher.take(job, first)
    }

    /// A worker that brings weights into so many slots.
    fn worker(&self, slots: usize) -> Option<ReadAhead<Job, Values>> {
        let core = self.core.clone();
        let load = move |job: &Job| core.load_ahead(&job.record, job.patches.as_ref());
        if slots > 0 { ReadAhead::new(slots, load).ok() } else { None }
    }

    /// After the first use of a pass: says to the worker whether another pass will follow.
    fn expect_again(&self, first: bool) {
        if first && self.core.short.load(Relaxed) {
            self.prefetcher.expect_again(|| self.core.range().map(Vbar::loops));
        }
    }
}
