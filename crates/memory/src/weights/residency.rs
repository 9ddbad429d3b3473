//! Where one model's weights come from and where they may stay: its source, its range of addresses, its slots. Knows f32
//! and patches; knows no order of use and no tensors of any library.

use super::{
    error::MemoryError,
    patch::{Applying, Patches},
    staging::{Slot, Slots},
    values::{Acquired, Values},
};
use crate::{
    budget::{Account, OutOfMemory},
    format::{Dtype, Reading, Rounding, SourceError, TensorInfo, TensorSource, round, rounding_changes},
    pager::{Acquisition, ContentKey, HostPager, UnitId, Vbar},
    provider::{HostVm, ProviderError},
};
use bytes::Bytes;
use std::{
    ops::Range,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What happens to a weight after its use, where it can't be used straight from the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Residency {
    /// It stays as long as the budget has room.
    #[default]
    WhileRoom,
    /// It never stays.
    Never,
}

/// Where a model's weights come from and where they may stay. Shared with the worker that brings them ahead.
pub(super) struct Core {
    pub(super) source: Arc<dyn TensorSource>,
    pub(super) account: Account,
    pub(super) staging: Arc<Slots>,
    pub(super) pager: HostPager,
    pub(super) rounding: Option<Rounding>,
    pub(super) residency: Residency,
    /// Bytes of all its tensors as stored.
    stored: u64,
    /// Addresses for every tensor of the source as f32, made when the first one needs some.
    range: OnceLock<Option<Vbar<HostVm>>>,
    /// Weights that are being read now, and since when.
    reads: Mutex<Vec<(String, Instant)>>,
    /// Set once something had to be streamed: from then on passes are followed and brought ahead.
    pub(super) short: AtomicBool,
}

/// One weight of one model: where it comes from and where it may stay.
pub(super) struct WeightRecord {
    pub(super) name: String,
    pub(super) info: TensorInfo,
    /// Its f32 bytes in place, if the file has them so: nothing is filled then, as long as it isn't patched.
    pub(super) in_place: Option<Bytes>,
    /// Whether the disk has given all of those once.
    pub(super) touched: AtomicBool,
    pub(super) unit: OnceLock<Option<UnitId>>,
}

/// Whether a weight is brought because the model uses it, or before.
#[derive(Clone, Copy)]
pub(super) enum Use {
    Now,
    Later,
}

/// Bytes of a map that are given back to the system after use.
struct MappedSlice {
    bytes: Bytes,
    name: String,
    source: Arc<dyn TensorSource>,
}

impl AsRef<[u8]> for MappedSlice {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for MappedSlice {
    fn drop(&mut self) {
        self.source.done_with(&self.name);
    }
}

/// A read that takes longer is reported.
const SLOW: Duration = Duration::from_secs(10);

pub(super) fn key(patches: Option<&Arc<Patches>>) -> ContentKey {
    patches.map_or(ContentKey::UNPATCHED, |patches| patches.key)
}

impl Core {
    pub(super) fn new(source: Arc<dyn TensorSource>, account: Account, staging: Arc<Slots>, pager: HostPager) -> Self {
        let (rounding, residency) = (None, Residency::default());
        let (range, short) = (OnceLock::new(), AtomicBool::new(false));
        match pager.reading() {
            Reading::Auto => {}
            chosen => source.set_reading(chosen),
        }
        source.set_read_timeout(pager.read_timeout());
        let names = source.names();
        let stored = names.into_iter().filter_map(|name| source.info(name)).map(|info| info.bytes() as u64).sum();
        let reads = Mutex::default();
        Self { source, account, staging, pager, rounding, residency, stored, range, reads, short }
    }

    /// A copy of it with nothing here yet.
    pub(super) fn fresh(&self) -> Self {
        let fresh = Self::new(self.source.clone(), self.account.clone(), self.staging.clone(), self.pager.clone());
        Self { rounding: self.rounding, residency: self.residency, ..fresh }
    }

    /// The bytes themselves, if they are f32 already, aligned, and rounding leaves them alone.
    pub(super) fn in_place(&self, name: &str, info: &TensorInfo) -> Option<Bytes> {
        let same = info.dtype == Dtype::F32 && !rounding_changes(info.dtype, self.rounding);
        let bytes = (same && cfg!(target_endian = "little")).then(|| self.source.slice(name)).flatten()?;
        bytes.as_ptr().addr().is_multiple_of(align_of::<f32>()).then_some(bytes)
    }

    pub(super) fn range(&self) -> Option<&Vbar<HostVm>> {
        let reserve = || {
            let size = |name: &str| self.source.info(name).map_or(0, |info| info.elements().saturating_mul(4));
            let pages = |bytes: usize| bytes.checked_next_multiple_of(self.pager.page_size()).unwrap_or(usize::MAX);
            let total = self.source.names().into_iter().map(size).fold(0usize, |n, b| n.saturating_add(pages(b)));
            self.pager.register(self.account.clone(), total).ok()
        };
        self.range.get_or_init(reserve).as_ref()
    }

    /// Rows of a weight, for this use only: from the bytes that hold them where they can be told apart.
    pub(super) fn read_rows(
        &self,
        record: &WeightRecord,
        patches: Option<&Arc<Patches>>,
        rows: Range<usize>,
    ) -> Result<Values, MemoryError> {
        self.source.check().map_err(SourceError::from)?;
        let row: usize = record.info.shape.iter().skip(1).product();
        let elements = rows.start * row..rows.end * row;
        if let (Some(bytes), None) = (&record.in_place, patches) {
            return self.borrow_mapped(record, bytes, elements.start * 4..elements.end * 4);
        }
        let mut staged = self.slot(record, elements.len())?;
        if patches.is_some() {
            let whole = self.load(record, patches, Use::Later)?;
            staged.values_mut().copy_from_slice(&whole[elements]);
            return Ok(Values::staged(staged));
        }
        let dtype = record.info.dtype;
        self.timed(&record.name, || self.source.read_part(&record.name, elements, staged.values_mut()))?;
        if let Some(rounding) = self.rounding.filter(|r| rounding_changes(dtype, Some(*r))) {
            round(rounding, staged.values_mut());
        }
        Ok(Values::staged(staged))
    }

    /// A slot for one use of a weight.
    fn slot(&self, record: &WeightRecord, len: usize) -> Result<Slot, MemoryError> {
        let no_slot = |error| MemoryError::NoSlot { weight: record.name.clone(), error: Box::new(error) };
        self.staging.take(len).map_err(no_slot)
    }

    /// Some bytes of a weight in the map, used where they lie, once the disk has given them. Under a limit that the whole
    /// doesn't fit into, their pages leave this process again after each use; the system's cache may keep them.
    pub(super) fn borrow_mapped(
        &self,
        record: &WeightRecord,
        whole: &Bytes,
        part: Range<usize>,
    ) -> Result<Values, MemoryError> {
        let fits = self.stored <= self.account.budget().limit();
        if !fits || !record.touched.load(Relaxed) {
            self.timed(&record.name, || self.source.touch(&record.name, part.clone()))?;
            record.touched.store(part.len() == whole.len(), Relaxed);
        }
        let bytes = whole.slice(part);
        if fits {
            return Ok(Values::shared(bytes, Acquired::Hit));
        }
        let mapped = MappedSlice { bytes, name: record.name.clone(), source: self.source.clone() };
        Ok(Values::shared(Bytes::from_owner(mapped), Acquired::Hit))
    }

    /// Allocates the slots that streaming needs, for the largest weight, now: as many as the pager has, fewer if the
    /// system is short, one at least. Returns how many.
    pub(super) fn reserve_slots(&self) -> Result<u64, OutOfMemory> {
        let names = self.source.names();
        let largest =
            names.into_iter().filter_map(|n| self.source.info(n)).map(TensorInfo::elements).max().unwrap_or(0);
        let wanted = self.pager.slots().max(1);
        self.staging.keep(wanted as usize);
        let mut slots = vec![self.staging.take(largest)?];
        slots.extend((1..wanted).map_while(|_| self.staging.take(largest).ok()));
        Ok(slots.len() as u64)
    }

    /// Asks for a place for a weight's values. Returns `Stream` without one.
    fn acquire(&self, record: &WeightRecord, key: ContentKey, when: Use) -> Acquisition<HostVm> {
        let range = if self.residency == Residency::Never { None } else { self.range() };
        let Some(range) = range else { return Acquisition::Stream };
        match (record.unit.get_or_init(|| range.add_unit(record.info.elements() * 4).ok()), when) {
            (Some(unit), Use::Now) => range.acquire(*unit, key),
            (Some(unit), Use::Later) => range.acquire_ahead(*unit, key),
            (None, _) => Acquisition::Stream,
        }
    }

    /// Decodes, rounds and patches a weight into `values`.
    fn decode(
        &self,
        record: &WeightRecord,
        patches: Option<&Arc<Patches>>,
        values: &mut [f32],
    ) -> Result<(), MemoryError> {
        self.timed(&record.name, || self.source.read_f32(&record.name, values))?;
        let round_if = |dtype, values: &mut [f32]| match self.rounding {
            Some(rounding) if rounding_changes(dtype, self.rounding) => round(rounding, values),
            _ => {}
        };
        round_if(record.info.dtype, values);
        let Some(patches) = patches else { return Ok(()) };
        for patch in &patches.list {
            let _applying = Applying::begin();
            patch.apply(&record.info.shape, values).map_err(|what| MemoryError::Patch {
                weight: record.name.clone(),
                patch: patch.name(),
                what,
            })?;
        }
        round_if(Dtype::F32, values);
        Ok(())
    }

    /// Reads a weight's bytes where others can see how long that takes, and says so when it took too long.
    fn timed(&self, name: &str, read: impl FnOnce() -> Result<(), SourceError>) -> Result<(), SourceError> {
        let started = Instant::now();
        let reads = || self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads().push((name.to_owned(), started));
        let done = read();
        reads().retain(|(other, since)| other != name || *since != started);
        if started.elapsed() > SLOW {
            tracing::warn!(
                weight = name,
                seconds = started.elapsed().as_secs(),
                "a slow disk: {}",
                self.source.label()
            );
        }
        done
    }

    /// The read that has been under way for longest.
    pub(super) fn longest_read(&self) -> Option<(String, Duration)> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.iter().min_by_key(|(_, since)| *since).map(|(name, since)| (name.clone(), since.elapsed()))
    }

    pub(super) fn load(
        &self,
        record: &WeightRecord,
        patches: Option<&Arc<Patches>>,
        when: Use,
    ) -> Result<Values, MemoryError> {
        match self.acquire(record, key(patches), when) {
            Acquisition::Hit(pin) => Ok(Values::pinned(pin, Acquired::Hit)),
            Acquisition::Fill(vacant) => {
                let mut failed = None;
                let filled = vacant.fill(&mut |to| self.write(record, patches, to, &mut failed));
                if self.account.budget().limit() < u64::MAX {
                    self.source.done_with(&record.name);
                }
                match (filled, failed) {
                    (Ok(pin), _) => Ok(Values::pinned(pin, Acquired::Fill)),
                    (Err(_), Some(error)) => Err(error),
                    (Err(ProviderError::Source(error)), None) => Err(error.into()),
                    (Err(error @ ProviderError::DeviceLost), None) => {
                        Err(MemoryError::Device { weight: record.name.clone(), error })
                    }
                    (Err(_), None) => self.stream(record, patches),
                }
            }
            Acquisition::Stream => self.stream(record, patches),
        }
    }

    /// Decodes into a unit's bytes. What is no source's error goes out through `failed`.
    fn write(
        &self,
        record: &WeightRecord,
        patches: Option<&Arc<Patches>>,
        to: &mut [u8],
        failed: &mut Option<MemoryError>,
    ) -> Result<(), SourceError> {
        let fail = |what: &str| SourceError::Other { tensor: record.name.clone(), what: what.to_owned() };
        let values = bytemuck::try_cast_slice_mut(to).map_err(|_| fail("its place is not aligned for f32"))?;
        self.decode(record, patches, values).map_err(|error| match error {
            MemoryError::Source(error) => error,
            other => {
                *failed = Some(other);
                fail("see the patch's error")
            }
        })
    }

    fn stream(&self, record: &WeightRecord, patches: Option<&Arc<Patches>>) -> Result<Values, MemoryError> {
        self.short.store(true, Relaxed);
        let mut staged = self.slot(record, record.info.elements())?;
        self.decode(record, patches, staged.values_mut())?;
        if record.in_place.is_none() {
            self.source.done_with(&record.name);
        }
        Ok(Values::staged(staged))
    }

    /// Brings a weight ahead of its use: to its place if it has one, else into a slot. An error is found again by the
    /// model itself.
    pub(super) fn load_ahead(&self, record: &WeightRecord, patches: Option<&Arc<Patches>>) -> Option<Values> {
        let values = self.load(record, patches, Use::Later).ok()?;
        (values.how() == Acquired::Stream).then_some(values)
    }
}
