//! A model's weights by name: a source, an owner, a budget, and per weight what is kept of it.
//! Knows no tensors of any library; see [`WeightGuard`](crate::weights::WeightGuard) for burn's.

use super::{
    error::MemoryError,
    model::Model,
    page_lock::PageLock,
    patch::{PatchSet, Patches},
    residency::{Core, Residency, WeightRecord},
    staging::Slots,
    values::Values,
};
use crate::{
    budget::{Budget, Kind, OutOfMemory},
    format::{Dtype, FormatError, MissingTensor, Rounding, TensorInfo, TensorSource},
    pager::HostPager,
};
use std::{
    fmt,
    ops::Range,
    sync::{Arc, PoisonError},
    time::Duration,
};

/// The weights of one model: a source of tensors, bound to the name that holds them and the budget they draw on.
///
/// Several models may share one file: give each its own `Weights` over the same source.
///
/// ```
/// use kiln_memory::{Budget, MemorySource, Weights};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut source = MemorySource::new("example");
/// source.insert_f32("proj.weight", &[2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let weights = Weights::new(source, "unet", &Budget::unlimited("host"));
/// let weight = weights.weight("proj.weight")?;
/// assert_eq!(weight.shape(), [2, 2]);
/// assert_eq!(weight.read()?[3], 4.0);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Weights {
    model: Arc<Model>,
    patches: Option<Arc<PatchSet>>,
}

impl Weights {
    /// Binds a source to an owner's name and a budget. Reads nothing.
    pub fn new(source: impl TensorSource + 'static, owner: &str, budget: &Arc<Budget>) -> Self {
        Self::shared(Arc::new(source), owner, budget)
    }

    /// Same as [`new`](Self::new), over a source that others use too.
    pub fn shared(source: Arc<dyn TensorSource>, owner: &str, budget: &Arc<Budget>) -> Self {
        let (account, staging) = (budget.account(owner, Kind::Weights), budget.account(owner, Kind::Staging));
        let slots = Slots::new(staging, PageLock::NONE);
        let core = Core::new(source, account, slots, HostPager::of(budget));
        Self { model: Arc::new(Model::new(core)), patches: None }
    }

    /// The same weights, each rounded when it is loaded. To be said before the first [`weight`](Self::weight).
    #[must_use]
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        self.rebuilt(|core| core.rounding = Some(rounding))
    }

    /// The same weights under another residency. To be said before the first [`weight`](Self::weight).
    #[must_use]
    pub fn with_residency(self, residency: Residency) -> Self {
        self.rebuilt(|core| core.residency = residency)
    }

    /// The same weights, streamed through slots of which at most `bytes` are locked into place, as copies by a device want
    /// it. Where the system refuses that, they are ordinary memory. To be said before the first
    /// [`weight`](Self::weight).
    #[must_use]
    pub fn with_pinned_slots(self, bytes: u64) -> Self {
        self.rebuilt(|core| core.staging = Slots::new(core.staging.account().clone(), PageLock::up_to(bytes)))
    }

    /// Allocates the slots that streamed weights pass through now rather than at first use; they are kept from then on.
    /// Returns how many there are: as many as the pager says, or fewer.
    ///
    /// # Errors
    /// [`OutOfMemory`] when the system hasn't the memory for one slot of the largest weight. With one, streaming always
    /// succeeds; this is the only call that refuses a model.
    pub fn reserve_slots(&self) -> Result<u64, OutOfMemory> {
        self.model.core.reserve_slots()
    }

    /// Whether everything that was read so far came from the files that were opened: to be asked when a result is
    /// complete, because bytes that another program cut off read as zeros.
    ///
    /// # Errors
    /// [`FormatError`] with [`Problem::Changed`](crate::Problem::Changed).
    pub fn check(&self) -> Result<(), FormatError> {
        self.model.core.source.check()
    }

    /// The weight whose bytes have been waited for longest, if any are being read now: a disk or a network drive that stalls
    /// shows here while it does. A read that took more than ten seconds is also a warning in the log.
    pub fn longest_read(&self) -> Option<(String, Duration)> {
        self.model.core.longest_read()
    }

    fn rebuilt(self, change: impl FnOnce(&mut Core)) -> Self {
        let mut core = self.model.core.fresh();
        change(&mut core);
        Self { model: Arc::new(Model::new(core)), patches: self.patches }
    }

    /// A view of the same weights with changes. Both views share what they don't differ in: a weight that neither
    /// touches stays where it is, and only the touched ones are filled again.
    #[must_use]
    pub fn patched(&self, patches: PatchSet) -> Self {
        Self { model: self.model.clone(), patches: (!patches.is_empty()).then(|| Arc::new(patches)) }
    }

    /// The same weights without changes, as a model of its own that shares nothing with this one but source, owner and
    /// budget: for a change that needs a weight as its file has it, while the changed one is being made.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self { model: Arc::new(Model::new(self.model.core.fresh())), patches: None }
    }

    /// The weight of that name.
    ///
    /// # Errors
    /// [`MissingTensor`], with the closest name that exists.
    pub fn weight(&self, name: &str) -> Result<Weight, MissingTensor> {
        let record = self.model.record(name)?;
        let patches = self.patches.as_ref().and_then(|set| set.get(name)).cloned();
        Ok(Weight { model: self.model.clone(), record, patches })
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.info(name).is_some()
    }

    /// Shape and storage type of a tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.model.core.source.info(name)
    }

    /// All tensor names of the source, in its order.
    pub fn names(&self) -> Vec<&str> {
        self.model.core.source.names()
    }

    /// The names that were asked for so far. What is in [`names`](Self::names) and not here was never used.
    pub fn used_names(&self) -> Vec<String> {
        let records = self.model.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.keys().cloned().collect()
    }

    /// The source below.
    pub fn source(&self) -> &Arc<dyn TensorSource> {
        &self.model.core.source
    }

    /// The owner's name.
    pub fn owner(&self) -> &str {
        self.model.core.account.owner()
    }

    /// The pager that decides what of them stays; tell it the schedule.
    pub fn pager(&self) -> &HostPager {
        &self.model.core.pager
    }

    /// The budget these weights draw on.
    pub fn budget(&self) -> &Arc<Budget> {
        self.model.core.account.budget()
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weights({} from {})", self.owner(), self.model.core.source.label())
    }
}

/// One weight of a model. Cheap to clone; holds the source, not the bytes.
#[derive(Clone)]
pub struct Weight {
    model: Arc<Model>,
    record: Arc<WeightRecord>,
    patches: Option<Arc<Patches>>,
}

impl Weight {
    /// Its name in the file.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Its dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.record.info.shape
    }

    /// How it is stored. It is used as f32.
    pub fn dtype(&self) -> Dtype {
        self.record.info.dtype
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.record.info.elements()
    }

    /// Whether the view it came from changes it.
    pub fn is_patched(&self) -> bool {
        self.patches.is_some()
    }

    /// Brings the weight here as f32 and keeps it here while the result lives.
    ///
    /// # Errors
    /// When its bytes can't be read or decoded, or a patch doesn't fit. Never for lack of memory.
    pub fn read(&self) -> Result<Values, MemoryError> {
        self.model.read(&self.record, self.patches.as_ref())
    }
}

impl Weight {
    /// Some rows (along the first dimension) of the weight as f32, without bringing the others: one token's row of an
    /// embedding table, one head's part of a projection.
    ///
    /// # Errors
    /// [`MemoryError::Shape`] when there are not so many rows; otherwise as [`read`](Self::read).
    pub fn read_rows(&self, rows: Range<usize>) -> Result<Values, MemoryError> {
        let count = self.shape().first().copied().unwrap_or(0);
        if rows.start > rows.end || rows.end > count {
            let (weight, found) = (self.name().to_owned(), self.shape().to_vec());
            return Err(MemoryError::Shape { weight, found, wanted: format!("rows {rows:?}") });
        }
        self.model.core.read_rows(&self.record, self.patches.as_ref(), rows)
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weight({} {:?} {})", self.name(), self.shape(), self.dtype())
    }
}
