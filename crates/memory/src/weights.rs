//! A model's weights by name: a source, a holder, a budget, and per weight what is kept of it.
//! Knows no tensors of any library; see [`WeightGuard`](crate::WeightGuard) for burn's.

use crate::{
    Account, Budget, ContentKey, Dtype, HostPager, HostVm, Kind, Lease, MemoryError, MissingTensor, PatchSet, Pin,
    ProviderError, Reservation, Rounding, SourceError, TensorInfo, TensorSource, UnitId, Vbar,
    decode::{round, rounding_changes},
    patch::Patches,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// How a weight came to be where it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Acquired {
    /// It was there.
    Hit,
    /// It was brought there and stays.
    Fill,
    /// There is no room for it to stay: it was brought for this use only.
    Stream,
}

/// What happens to a weight after its use, where it can't be used straight from the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Residency {
    /// It stays as long as the budget has room.
    #[default]
    WhileRoom,
    /// It never stays.
    Never,
}

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

struct Model {
    source: Arc<dyn TensorSource>,
    account: Account,
    staging: Account,
    pager: HostPager,
    rounding: Option<Rounding>,
    residency: Residency,
    /// Addresses for every tensor of the source as f32, made when the first one needs some.
    range: OnceLock<Option<Vbar<HostVm>>>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One weight of one model: where it comes from and where it may stay.
struct Slot {
    name: String,
    info: TensorInfo,
    /// Its f32 bytes in place, if the file has them so: nothing is filled then, as long as it isn't patched.
    in_place: Option<Bytes>,
    unit: OnceLock<Option<UnitId>>,
}

impl Weights {
    /// Binds a source to a holder's name and a budget. Reads nothing.
    pub fn new(source: impl TensorSource + 'static, holder: &str, budget: &Arc<Budget>) -> Self {
        Self::shared(Arc::new(source), holder, budget)
    }

    /// As [`new`](Self::new), over a source that others use too.
    pub fn shared(source: Arc<dyn TensorSource>, holder: &str, budget: &Arc<Budget>) -> Self {
        let model = Model {
            source,
            account: budget.account(holder, Kind::Weights),
            staging: budget.account(holder, Kind::Staging),
            pager: HostPager::of(budget),
            rounding: None,
            residency: Residency::default(),
            range: OnceLock::new(),
            slots: Mutex::default(),
        };
        Self { model: Arc::new(model), patches: None }
    }

    /// The same weights, each rounded when it is loaded. To be said before the first [`weight`](Self::weight).
    #[must_use]
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        self.rebuilt(|model| model.rounding = Some(rounding))
    }

    /// The same weights under another residency. To be said before the first [`weight`](Self::weight).
    #[must_use]
    pub fn with_residency(self, residency: Residency) -> Self {
        self.rebuilt(|model| model.residency = residency)
    }

    fn rebuilt(self, change: impl FnOnce(&mut Model)) -> Self {
        let old = &self.model;
        let mut model = Model {
            source: old.source.clone(),
            account: old.account.clone(),
            staging: old.staging.clone(),
            pager: old.pager.clone(),
            rounding: old.rounding,
            residency: old.residency,
            range: OnceLock::new(),
            slots: Mutex::default(),
        };
        change(&mut model);
        Self { model: Arc::new(model), patches: self.patches }
    }

    /// A view of the same weights with changes. Both views share what they don't differ in: a weight that neither
    /// touches stays where it is, and only the touched ones are filled again.
    #[must_use]
    pub fn patched(&self, patches: PatchSet) -> Self {
        Self { model: self.model.clone(), patches: (!patches.is_empty()).then(|| Arc::new(patches)) }
    }

    /// The weight of that name.
    ///
    /// # Errors
    /// [`MissingTensor`], with the closest name that exists.
    pub fn weight(&self, name: &str) -> Result<Weight, MissingTensor> {
        let slot = self.model.slot(name)?;
        let patches = self.patches.as_ref().and_then(|set| set.get(name)).cloned();
        Ok(Weight { model: self.model.clone(), slot, patches })
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.info(name).is_some()
    }

    /// Shape and storage type of a tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.model.source.info(name)
    }

    /// All tensor names of the source, in its order.
    pub fn names(&self) -> Vec<&str> {
        self.model.source.names()
    }

    /// The names that were asked for so far. What is in [`names`](Self::names) and not here was never used.
    pub fn used_names(&self) -> Vec<String> {
        let slots = self.model.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.keys().cloned().collect()
    }

    /// The source below.
    pub fn source(&self) -> &Arc<dyn TensorSource> {
        &self.model.source
    }

    /// The holder's name.
    pub fn holder(&self) -> &str {
        self.model.account.holder()
    }

    /// The pager that decides what of them stays; tell it the schedule.
    pub fn pager(&self) -> &HostPager {
        &self.model.pager
    }

    /// The budget these weights draw on.
    pub fn budget(&self) -> &Arc<Budget> {
        self.model.account.budget()
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weights({} from {})", self.holder(), self.model.source.label())
    }
}

impl Model {
    fn slot(&self, name: &str) -> Result<Arc<Slot>, MissingTensor> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            return Ok(slot.clone());
        }
        let info = self.source.info(name).ok_or_else(|| self.source.missing(name))?.clone();
        let in_place = self.in_place(name, &info);
        let slot = Arc::new(Slot { name: name.to_owned(), info, in_place, unit: OnceLock::new() });
        slots.insert(name.to_owned(), slot.clone());
        Ok(slot)
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

    /// Asks for a place for a weight's values. Without one the answer is `Stream`.
    fn lease(&self, slot: &Slot, key: ContentKey) -> Lease<HostVm> {
        let range = if self.residency == Residency::Never { None } else { self.range() };
        let Some(range) = range else { return Lease::Stream };
        match slot.unit.get_or_init(|| range.add_unit(slot.info.elements() * 4).ok()) {
            Some(unit) => range.acquire(*unit, key),
            None => Lease::Stream,
        }
    }

    /// Decodes, rounds and patches a weight into `values`.
    fn decode(&self, slot: &Slot, patches: Option<&Patches>, values: &mut [f32]) -> Result<(), MemoryError> {
        self.source.read_f32(&slot.name, values)?;
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
}

/// One weight of a model. Cheap to clone; holds the source, not the bytes.
#[derive(Clone)]
pub struct Weight {
    model: Arc<Model>,
    slot: Arc<Slot>,
    patches: Option<Patches>,
}

impl Weight {
    /// Its name in the file.
    pub fn name(&self) -> &str {
        &self.slot.name
    }

    /// Its dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.slot.info.shape
    }

    /// How it is stored. It is used as f32.
    pub fn dtype(&self) -> Dtype {
        self.slot.info.dtype
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.slot.info.elements()
    }

    /// Whether the view it came from changes it.
    pub fn is_patched(&self) -> bool {
        self.patches.is_some()
    }

    /// Brings the weight here as f32 and keeps it here while the answer lives.
    ///
    /// # Errors
    /// When its bytes can't be read or decoded, or a patch doesn't fit. Never for lack of memory.
    pub fn read(&self) -> Result<Values, MemoryError> {
        self.model.source.check().map_err(SourceError::from)?;
        if let (Some(bytes), None) = (&self.slot.in_place, &self.patches) {
            return Ok(Values { held: Held::Shared(bytes.clone()), how: Acquired::Hit });
        }
        let key = self.patches.as_ref().map_or(ContentKey::UNPATCHED, |patches| patches.key);
        match self.model.lease(&self.slot, key) {
            Lease::Hit(pin) => Ok(Values { held: Held::Pinned(pin), how: Acquired::Hit }),
            Lease::Fill(vacant) => {
                let mut failed = None;
                let filled = vacant.fill(&mut |to| self.write(to, &mut failed));
                match (filled, failed) {
                    (Ok(pin), _) => Ok(Values { held: Held::Pinned(pin), how: Acquired::Fill }),
                    (Err(_), Some(error)) => Err(error),
                    (Err(ProviderError::Source(error)), None) => Err(error.into()),
                    (Err(_), None) => self.stream(),
                }
            }
            Lease::Stream => self.stream(),
        }
    }

    /// Decodes into a unit's bytes. What is no source's error goes out through `failed`.
    fn write(&self, to: &mut [u8], failed: &mut Option<MemoryError>) -> Result<(), SourceError> {
        let fail = |what: &str| SourceError::Other { tensor: self.slot.name.clone(), what: what.to_owned() };
        let values = bytemuck::try_cast_slice_mut(to).map_err(|_| fail("its place is not aligned for f32"))?;
        self.model.decode(&self.slot, self.patches.as_ref(), values).map_err(|error| match error {
            MemoryError::Source(error) => error,
            other => {
                *failed = Some(other);
                fail("see the patch's error")
            }
        })
    }

    fn stream(&self) -> Result<Values, MemoryError> {
        let staging = self.model.staging.take(self.elements() as u64 * 4);
        let mut values = vec![0.0; self.elements()];
        self.model.decode(&self.slot, self.patches.as_ref(), &mut values)?;
        let bytes = Bytes::from_owner(Staged { values, _staging: staging });
        Ok(Values { held: Held::Shared(bytes), how: Acquired::Stream })
    }
}

/// Values that are here for one use, counted while they are.
struct Staged {
    values: Vec<f32>,
    _staging: Reservation,
}

impl AsRef<[u8]> for Staged {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.values)
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Weight({} {:?} {})", self.name(), self.shape(), self.dtype())
    }
}

/// A weight's numbers, in place for as long as this lives. Dereferences to `[f32]`, row-major.
#[derive(Debug)]
pub struct Values {
    held: Held,
    how: Acquired,
}

#[derive(Debug)]
enum Held {
    Shared(Bytes),
    Pinned(Pin<HostVm>),
}

impl Values {
    /// Whether it was there, was filled, or is here for this use only.
    pub fn how(&self) -> Acquired {
        self.how
    }

    /// The bytes as a shared owner: the weight stays pinned until the last clone is dropped.
    pub fn into_shared(self) -> Bytes {
        match self.held {
            Held::Shared(bytes) => bytes,
            Held::Pinned(pin) => Bytes::from_owner(pin),
        }
    }
}

impl Deref for Values {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let bytes: &[u8] = match &self.held {
            Held::Shared(bytes) => bytes,
            Held::Pinned(pin) => pin,
        };
        // Found aligned, page-aligned, or a `Vec<f32>`: the empty slice is an answer that is never given.
        bytemuck::try_cast_slice(bytes).unwrap_or(&[])
    }
}
