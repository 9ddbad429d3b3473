//! A model's weights by name: a source, a holder, a budget, and per weight what is kept of it.
//! Knows no tensors of any library; see [`WeightGuard`](crate::WeightGuard) for burn's.

use crate::{
    Account, Budget, Dtype, Kind, MemoryError, MissingTensor, Reservation, Rounding, SourceError, TensorInfo,
    TensorSource,
    decode::{round, rounding_changes},
    source::F32Bytes,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
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
}

struct Model {
    source: Arc<dyn TensorSource>,
    account: Account,
    staging: Account,
    rounding: Option<Rounding>,
    residency: Residency,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One weight of one model: where it comes from and what is kept of it.
struct Slot {
    name: String,
    info: TensorInfo,
    /// Its f32 bytes in place, if the file has them so: nothing is ever filled then.
    in_place: Option<Bytes>,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    values: Bytes,
    _bytes: Reservation,
}

impl Weights {
    /// Binds a source to a holder's name and a budget. Reads nothing.
    pub fn new(source: impl TensorSource + 'static, holder: &str, budget: &Arc<Budget>) -> Self {
        Self::shared(Arc::new(source), holder, budget)
    }

    /// As [`new`](Self::new), over a source that others use too.
    pub fn shared(source: Arc<dyn TensorSource>, holder: &str, budget: &Arc<Budget>) -> Self {
        let account = budget.account(holder, Kind::Weights);
        let staging = budget.account(holder, Kind::Staging);
        let model = Model {
            source,
            account,
            staging,
            rounding: None,
            residency: Residency::default(),
            slots: Mutex::default(),
        };
        Self { model: Arc::new(model) }
    }

    /// The same weights, each rounded when it is loaded. To be said before the first [`weight`](Self::weight).
    pub fn with_rounding(self, rounding: Rounding) -> Self {
        self.rebuilt(|model| model.rounding = Some(rounding))
    }

    /// The same weights under another residency. To be said before the first [`weight`](Self::weight).
    pub fn with_residency(self, residency: Residency) -> Self {
        self.rebuilt(|model| model.residency = residency)
    }

    fn rebuilt(self, change: impl FnOnce(&mut Model)) -> Self {
        let old = &self.model;
        let mut model = Model {
            source: old.source.clone(),
            account: old.account.clone(),
            staging: old.staging.clone(),
            rounding: old.rounding,
            residency: old.residency,
            slots: Mutex::default(),
        };
        change(&mut model);
        Self { model: Arc::new(model) }
    }

    /// The weight of that name.
    ///
    /// # Errors
    /// [`MissingTensor`], with the closest name that exists.
    pub fn weight(&self, name: &str) -> Result<Weight, MissingTensor> {
        let mut slots = self.model.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            return Ok(Weight { model: self.model.clone(), slot: slot.clone() });
        }
        let info = self.model.source.info(name).ok_or_else(|| self.model.source.missing(name))?.clone();
        let in_place = self.model.in_place(name, &info);
        let slot = Arc::new(Slot { name: name.to_owned(), info, in_place, kept: Mutex::default() });
        slots.insert(name.to_owned(), slot.clone());
        Ok(Weight { model: self.model.clone(), slot })
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
    /// The bytes themselves, if they are f32 already, aligned, and rounding leaves them alone.
    fn in_place(&self, name: &str, info: &TensorInfo) -> Option<Bytes> {
        let usable =
            cfg!(target_endian = "little") && info.dtype == Dtype::F32 && !rounding_changes(info.dtype, self.rounding);
        let bytes = usable.then(|| self.source.slice(name)).flatten()?;
        bytes.as_ptr().addr().is_multiple_of(align_of::<f32>()).then_some(bytes)
    }

    fn decode(&self, slot: &Slot) -> Result<Vec<f32>, SourceError> {
        let mut values = vec![0.0; slot.info.elements()];
        self.source.read_f32(&slot.name, &mut values)?;
        if let Some(rounding) = self.rounding
            && rounding_changes(slot.info.dtype, self.rounding)
        {
            round(rounding, &mut values);
        }
        Ok(values)
    }
}

/// One weight of a model. Cheap to clone; holds the source, not the bytes.
#[derive(Clone)]
pub struct Weight {
    model: Arc<Model>,
    slot: Arc<Slot>,
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

    /// Brings the weight here as f32 and keeps it here while the answer lives.
    ///
    /// # Errors
    /// When its bytes can't be read or decoded. Never for lack of memory.
    pub fn read(&self) -> Result<Values, MemoryError> {
        self.model.source.check().map_err(SourceError::from)?;
        if let Some(bytes) = &self.slot.in_place {
            return Ok(Values { bytes: bytes.clone(), how: Acquired::Hit, _staging: None });
        }
        let mut kept = self.slot.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept {
            return Ok(Values { bytes: kept.values.clone(), how: Acquired::Hit, _staging: None });
        }
        let size = self.elements() as u64 * 4;
        let room = match self.model.residency {
            Residency::WhileRoom => self.model.account.try_reserve(size),
            Residency::Never => None,
        };
        if let Some(reservation) = room {
            let bytes = Bytes::from_owner(F32Bytes(self.model.decode(&self.slot)?));
            *kept = Some(Kept { values: bytes.clone(), _bytes: reservation });
            return Ok(Values { bytes, how: Acquired::Fill, _staging: None });
        }
        drop(kept);
        let staging = self.model.staging.take(size);
        let bytes = Bytes::from_owner(F32Bytes(self.model.decode(&self.slot)?));
        Ok(Values { bytes, how: Acquired::Stream, _staging: Some(staging) })
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
    bytes: Bytes,
    how: Acquired,
    _staging: Option<Reservation>,
}

impl Values {
    /// Whether it was there, was filled, or is here for this use only.
    pub fn how(&self) -> Acquired {
        self.how
    }

    /// The bytes below, shared.
    pub fn shared(&self) -> &Bytes {
        &self.bytes
    }
}

impl Deref for Values {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // The bytes come from a `Vec<f32>` or were found aligned; an empty slice is the answer that can't be reached.
        bytemuck::try_cast_slice(&self.bytes).unwrap_or(&[])
    }
}
