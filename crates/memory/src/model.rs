//! What stands behind a model's weights: its source, its range of addresses, its slots, and who brings them ahead.
//! Knows f32 and patches; knows no tensors of any library.

use crate::{
    Account, Ahead, ContentKey, Dtype, HostPager, HostVm, Lease, MemoryError, MissingTensor, OutOfMemory,
    ProviderError, Reading, Residency, Rounding, SourceError, TensorInfo, TensorSource, UnitId, Values, Vbar,
    decode::{round, rounding_changes},
    patch::Patches,
    staging::{self, Slots},
    values::Acquired,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A model's weights in use: what they are, which were asked for, and who brings them ahead.
pub(crate) struct Model {
    /// Before `core`, so that the worker is gone before what it works on.
    follower: Mutex<Follower>,
    pub(crate) core: Arc<Core>,
    pub(crate) slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// The weight that was used first: where passes begin.
    first: OnceLock<Arc<Slot>>,
}

/// Where a model's weights come from and where they may stay. Shared with the worker that brings them ahead.
pub(crate) struct Core {
    pub(crate) source: Arc<dyn TensorSource>,
    pub(crate) account: Account,
    pub(crate) staging: Arc<Slots>,
    pub(crate) pager: HostPager,
    pub(crate) rounding: Option<Rounding>,
    pub(crate) residency: Residency,
    /// Bytes of all its tensors as stored.
    stored: u64,
    /// Addresses for every tensor of the source as f32, made when the first one needs some.
    range: OnceLock<Option<Vbar<HostVm>>>,
    /// Weights that are being read now, and since when.
    reads: Mutex<Vec<(String, Instant)>>,
    /// Set once something had to be streamed: from then on passes are followed and brought ahead.
    short: AtomicBool,
}

/// One weight of one model: where it comes from and where it may stay.
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) info: TensorInfo,
    /// Its f32 bytes in place, if the file has them so: nothing is filled then, as long as it isn't patched.
    in_place: Option<Bytes>,
    unit: OnceLock<Option<UnitId>>,
}

/// Whether a weight is brought because the model uses it, or before.
#[derive(Clone, Copy)]
enum Use {
    Now,
    Later,
}

/// A weight in a certain state of patches: what is brought ahead.
#[derive(Clone)]
struct Job {
    slot: Arc<Slot>,
    patches: Option<Arc<Patches>>,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slot, &other.slot) && key(self.patches.as_ref()) == key(other.patches.as_ref())
    }
}

/// Bytes of a map that are given back to the system after use.
struct Lent {
    bytes: Bytes,
    name: String,
    source: Arc<dyn TensorSource>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.source.done_with(&self.name);
    }
}

/// Learns the order in which a model uses its weights, and has them brought ahead from its second pass on.
#[derive(Default)]
struct Follower {
    /// What this pass used so far; empty before the first pass begins.
    pass: Vec<Job>,
    /// What the worker was told.
    told: Arc<[Job]>,
    ahead: Option<Arc<Ahead<Job, Values>>>,
}

/// A read that takes longer is told.
const SLOW: Duration = Duration::from_secs(10);

/// Uses in a pass that are remembered.
const LONGEST_PASS: usize = 1 << 16;

fn key(patches: Option<&Arc<Patches>>) -> ContentKey {
    patches.map_or(ContentKey::UNPATCHED, |patches| patches.key)
}

impl Model {
    pub(crate) fn new(core: Core) -> Self {
        let (core, slots, first, follower) = (Arc::new(core), Mutex::default(), OnceLock::new(), Mutex::default());
        Self { follower, core, slots, first }
    }

    pub(crate) fn slot(&self, name: &str) -> Result<Arc<Slot>, MissingTensor> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            return Ok(slot.clone());
        }
        let info = self.core.source.info(name).ok_or_else(|| self.core.source.missing(name))?.clone();
        let in_place = self.core.in_place(name, &info);
        let slot = Arc::new(Slot { name: name.to_owned(), info, in_place, unit: OnceLock::new() });
        slots.insert(name.to_owned(), slot.clone());
        Ok(slot)
    }

    /// Brings a weight here, or finds it here.
    pub(crate) fn read(&self, slot: &Arc<Slot>, patches: Option<&Arc<Patches>>) -> Result<Values, MemoryError> {
        self.core.source.check().map_err(SourceError::from)?;
        if let (Some(bytes), None) = (&slot.in_place, patches) {
            return Ok(self.core.lend(slot, bytes.clone()));
        }
        let first = Arc::ptr_eq(self.first.get_or_init(|| slot.clone()), slot);
        if self.core.short.load(Relaxed)
            && let Some(values) = self.follow(slot, patches, first)
        {
            if let (Some(range), Some(Some(unit))) = (self.core.range(), slot.unit.get()) {
                range.note_use(*unit);
            }
            self.expect_again(first);
            return Ok(values);
        }
        let values = self.core.bring(slot, patches, Use::Now);
        self.expect_again(first);
        values
    }

    /// The model uses a weight, the first of a pass or another: what the worker has of it, if it has it.
    fn follow(&self, slot: &Arc<Slot>, patches: Option<&Arc<Patches>>, first: bool) -> Option<Values> {
        let job = Job { slot: slot.clone(), patches: patches.cloned() };
        let ahead = {
            let mut follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
            if first {
                self.begin_pass(&mut follower);
            }
            if (first || !follower.pass.is_empty()) && follower.pass.len() < LONGEST_PASS {
                follower.pass.push(job.clone());
            }
            follower.ahead.clone()
        };
        ahead?.arrive(&job)
    }

    /// After the first use of a pass: tells the worker whether another pass will follow.
    fn expect_again(&self, first: bool) {
        if !first || !self.core.short.load(Relaxed) {
            return;
        }
        let ahead = self.follower.lock().unwrap_or_else(PoisonError::into_inner).ahead.clone();
        if let (Some(ahead), Some(range)) = (ahead, self.core.range()) {
            ahead.set_again(range.loops());
        }
    }

    /// Tells the worker what the pass before was, if it doesn't know.
    fn begin_pass(&self, follower: &mut Follower) {
        let pass = std::mem::take(&mut follower.pass);
        if pass.is_empty() {
            return;
        }
        let slots = self.core.pager.slots() as usize;
        if follower.ahead.is_none() && slots > 0 {
            let core = self.core.clone();
            let load = move |job: &Job| core.load_ahead(job);
            follower.ahead = Ahead::new(slots, load).ok().map(Arc::new);
        }
        let Some(ahead) = &follower.ahead else { return };
        self.core.staging.keep(slots + 1); // one in use, the others ahead
        if follower.told[..] != pass[..] {
            follower.told = pass.into();
            ahead.set_order(follower.told.clone(), false);
        }
    }
}

impl Core {
    pub(crate) fn new(source: Arc<dyn TensorSource>, account: Account, staging: Arc<Slots>, pager: HostPager) -> Self {
        let (rounding, residency) = (None, Residency::default());
        let (range, short) = (OnceLock::new(), AtomicBool::new(false));
        match pager.reading() {
            Reading::Auto => {}
            chosen => source.set_reading(chosen),
        }
        let names = source.names();
        let stored = names.into_iter().filter_map(|name| source.info(name)).map(|info| info.bytes() as u64).sum();
        let reads = Mutex::default();
        Self { source, account, staging, pager, rounding, residency, stored, range, reads, short }
    }

    /// The same with nothing of it here yet.
    pub(crate) fn fresh(&self) -> Self {
        let fresh = Self::new(self.source.clone(), self.account.clone(), self.staging.clone(), self.pager.clone());
        Self { rounding: self.rounding, residency: self.residency, ..fresh }
    }

    /// The bytes themselves, if they are f32 already, aligned, and rounding leaves them alone.
    fn in_place(&self, name: &str, info: &TensorInfo) -> Option<Bytes> {
        let same = info.dtype == Dtype::F32 && !rounding_changes(info.dtype, self.rounding);
        let bytes = (same && cfg!(target_endian = "little")).then(|| self.source.slice(name)).flatten()?;
        bytes.as_ptr().addr().is_multiple_of(align_of::<f32>()).then_some(bytes)
    }

    fn range(&self) -> Option<&Vbar<HostVm>> {
        let reserve = || {
            let size = |name: &str| self.source.info(name).map_or(0, |info| info.elements().saturating_mul(4));
            let pages = |bytes: usize| bytes.checked_next_multiple_of(self.pager.page_size()).unwrap_or(usize::MAX);
            let total = self.source.names().into_iter().map(size).fold(0usize, |n, b| n.saturating_add(pages(b)));
            self.pager.register(self.account.clone(), total).ok()
        };
        self.range.get_or_init(reserve).as_ref()
    }

    /// Rows of a weight, for this use only: from the bytes that hold them where they can be told apart.
    pub(crate) fn read_rows(
        &self,
        slot: &Slot,
        patches: Option<&Arc<Patches>>,
        rows: Range<usize>,
    ) -> Result<Values, MemoryError> {
        self.source.check().map_err(SourceError::from)?;
        let row: usize = slot.info.shape.iter().skip(1).product();
        let elements = rows.start * row..rows.end * row;
        if let (Some(bytes), None) = (&slot.in_place, patches) {
            return Ok(self.lend(slot, bytes.slice(elements.start * 4..elements.end * 4)));
        }
        let mut staged = self.slot(slot, elements.len())?;
        if patches.is_some() {
            let whole = self.bring(slot, patches, Use::Later)?;
            staged.values_mut().copy_from_slice(&whole[elements]);
            return Ok(Values::staged(staged));
        }
        let dtype = slot.info.dtype;
        self.source.read_part(&slot.name, elements, staged.values_mut())?;
        if let Some(rounding) = self.rounding.filter(|r| rounding_changes(dtype, Some(*r))) {
            round(rounding, staged.values_mut());
        }
        Ok(Values::staged(staged))
    }

    /// A slot for one use of a weight.
    fn slot(&self, slot: &Slot, len: usize) -> Result<staging::Slot, MemoryError> {
        let no_slot = |error| MemoryError::NoSlot { weight: slot.name.clone(), error: Box::new(error) };
        self.staging.take(len).map_err(no_slot)
    }

    /// Bytes of the map, lent where they lie. Under a limit that the whole doesn't fit into, their pages leave this
    /// process again after each use; the system's cache may keep them.
    fn lend(&self, slot: &Slot, bytes: Bytes) -> Values {
        if self.stored <= self.account.budget().limit() {
            return Values::shared(bytes, Acquired::Hit);
        }
        let lent = Lent { bytes, name: slot.name.clone(), source: self.source.clone() };
        Values::shared(Bytes::from_owner(lent), Acquired::Hit)
    }

    /// Allocates the slots that streaming needs, for the largest weight, now: as many as the pager has, fewer if the
    /// system is short, one at least. Answers how many.
    pub(crate) fn reserve_slots(&self) -> Result<u64, OutOfMemory> {
        let names = self.source.names();
        let largest =
            names.into_iter().filter_map(|n| self.source.info(n)).map(TensorInfo::elements).max().unwrap_or(0);
        let wanted = self.pager.slots().max(1);
        self.staging.keep(wanted as usize);
        let mut slots = vec![self.staging.take(largest)?];
        slots.extend((1..wanted).map_while(|_| self.staging.take(largest).ok()));
        Ok(slots.len() as u64)
    }

    /// Asks for a place for a weight's values. Without one the answer is `Stream`.
    fn lease(&self, slot: &Slot, key: ContentKey, when: Use) -> Lease<HostVm> {
        let range = if self.residency == Residency::Never { None } else { self.range() };
        let Some(range) = range else { return Lease::Stream };
        match (slot.unit.get_or_init(|| range.add_unit(slot.info.elements() * 4).ok()), when) {
            (Some(unit), Use::Now) => range.acquire(*unit, key),
            (Some(unit), Use::Later) => range.acquire_ahead(*unit, key),
            (None, _) => Lease::Stream,
        }
    }

    /// Decodes, rounds and patches a weight into `values`.
    fn decode(&self, slot: &Slot, patches: Option<&Arc<Patches>>, values: &mut [f32]) -> Result<(), MemoryError> {
        self.timed(&slot.name, || self.source.read_f32(&slot.name, values))?;
        let round_if = |dtype, values: &mut [f32]| match self.rounding {
            Some(rounding) if rounding_changes(dtype, self.rounding) => round(rounding, values),
            _ => {}
        };
        round_if(slot.info.dtype, values);
        let Some(patches) = patches else { return Ok(()) };
        for patch in &patches.list {
            patch.apply(&slot.info.shape, values).map_err(|what| MemoryError::Patch {
                weight: slot.name.clone(),
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
    pub(crate) fn longest_read(&self) -> Option<(String, Duration)> {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.iter().min_by_key(|(_, since)| *since).map(|(name, since)| (name.clone(), since.elapsed()))
    }

    fn bring(&self, slot: &Slot, patches: Option<&Arc<Patches>>, when: Use) -> Result<Values, MemoryError> {
        match self.lease(slot, key(patches), when) {
            Lease::Hit(pin) => Ok(Values::pinned(pin, Acquired::Hit)),
            Lease::Fill(vacant) => {
                let mut failed = None;
                let filled = vacant.fill(&mut |to| self.write(slot, patches, to, &mut failed));
                if self.account.budget().limit() < u64::MAX {
                    self.source.done_with(&slot.name);
                }
                match (filled, failed) {
                    (Ok(pin), _) => Ok(Values::pinned(pin, Acquired::Fill)),
                    (Err(_), Some(error)) => Err(error),
                    (Err(ProviderError::Source(error)), None) => Err(error.into()),
                    (Err(error @ ProviderError::DeviceLost), None) => {
                        Err(MemoryError::Device { weight: slot.name.clone(), error })
                    }
                    (Err(_), None) => self.stream(slot, patches),
                }
            }
            Lease::Stream => self.stream(slot, patches),
        }
    }

    /// Decodes into a unit's bytes. What is no source's error goes out through `failed`.
    fn write(
        &self,
        slot: &Slot,
        patches: Option<&Arc<Patches>>,
        to: &mut [u8],
        failed: &mut Option<MemoryError>,
    ) -> Result<(), SourceError> {
        let fail = |what: &str| SourceError::Other { tensor: slot.name.clone(), what: what.to_owned() };
        let values = bytemuck::try_cast_slice_mut(to).map_err(|_| fail("its place is not aligned for f32"))?;
        self.decode(slot, patches, values).map_err(|error| match error {
            MemoryError::Source(error) => error,
            other => {
                *failed = Some(other);
                fail("see the patch's error")
            }
        })
    }

    fn stream(&self, slot: &Slot, patches: Option<&Arc<Patches>>) -> Result<Values, MemoryError> {
        self.short.store(true, Relaxed);
        let mut staged = self.slot(slot, slot.info.elements())?;
        self.decode(slot, patches, staged.values_mut())?;
        if slot.in_place.is_none() {
            self.source.done_with(&slot.name);
        }
        Ok(Values::staged(staged))
    }

    /// Brings a weight ahead of its use: to its place if it has one, else into a slot. An error is found again by the
    /// model itself.
    fn load_ahead(&self, job: &Job) -> Option<Values> {
        let values = self.bring(&job.slot, job.patches.as_ref(), Use::Later).ok()?;
        (values.how() == Acquired::Stream).then_some(values)
    }
}
