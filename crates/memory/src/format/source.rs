//! Where tensors come from: names, shapes and bytes, from a file, from memory or from a rule.
//! Knows no budget and no residency.

use crate::{DecodeError, Dtype, FormatError, MissingTensor, Reading, SourceError, TensorInfo, decode_f32};
use bytes::Bytes;
use indexmap::IndexMap;
use std::{ops::Range, sync::Arc};

/// Names, shapes and bytes of tensors, wherever they come from.
///
/// A source may stand over others and change what they hold: rename it, scale it, put one before another. Such a
/// decorator says so in [`inner`](Self::inner), and nothing it leaves out can get lost: what it is told
/// ([`check`](Self::check), [`set_reading`](Self::set_reading), [`done_with`](Self::done_with)) goes on to every source
/// below, and what it is asked for ([`read_f32`](Self::read_f32), [`read_part`](Self::read_part)) is made of its own
/// [`slice`](Self::slice) and `read_f32`, never of a source's below, so that no value comes by unchanged.
pub trait TensorSource: Send + Sync {
    /// The sources that this one stands over; none for one that has its bytes from elsewhere.
    fn inner(&self) -> &[Arc<dyn TensorSource>];

    /// What to call this source in messages: a path, as a rule.
    fn label(&self) -> String;

    /// All names, in the source's own order.
    fn names(&self) -> Vec<&str>;

    /// Shape, storage type and place of a tensor.
    fn info(&self, name: &str) -> Option<&TensorInfo>;

    /// The bytes as stored, if they already lie in memory (or in a map); they are shared, not copied.
    fn slice(&self, name: &str) -> Option<Bytes>;

    /// Decodes a tensor into `out`, row-major.
    ///
    /// # Errors
    /// When there is no such tensor, when `out` has another number of elements, when its storage type has no f32
    /// form, or when the file below has changed.
    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        let info = self.info(name).ok_or_else(|| self.missing(name))?;
        self.check()?;
        let bytes = self.slice(name).ok_or_else(|| self.missing(name))?;
        decode_f32(info.dtype, &bytes, out).map_err(|error| SourceError::Decode { tensor: name.to_owned(), error })
    }

    /// Decodes some elements of a tensor, counted in row-major order, into `out`: whole blocks, for types that have
    /// them. Without a way to read a part alone, the whole is decoded.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32), and when the tensor has not so many elements.
    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let info = self.info(name).ok_or_else(|| self.missing(name))?;
        let fail = |error| SourceError::Decode { tensor: name.to_owned(), error };
        let (dtype, bytes) = (info.dtype, info.bytes());
        if elements.end > info.elements() || elements.len() != out.len() {
            return Err(fail(DecodeError::Length { dtype, elements: out.len(), bytes }));
        }
        let bounds = dtype.bytes_for(elements.start).zip(dtype.bytes_for(elements.end));
        if let (Some(stored), Some((start, end))) = (self.slice(name), bounds) {
            self.check()?;
            return decode_f32(dtype, &stored[start..end], out).map_err(fail);
        }
        let mut whole = vec![0.0; info.elements()];
        self.read_f32(name, &mut whole)?;
        out.copy_from_slice(&whole[elements]);
        Ok(())
    }

    /// Whether what was opened is still there unchanged. Cheap enough to ask before every use.
    ///
    /// # Errors
    /// [`Problem::Changed`](crate::Problem::Changed).
    fn check(&self) -> Result<(), FormatError> {
        self.inner().iter().try_for_each(|source| source.check())
    }

    /// Says how the bytes of tensors shall come from now on, where there is a choice.
    fn set_reading(&self, reading: Reading) {
        self.inner().iter().for_each(|source| source.set_reading(reading));
    }

    /// The bytes of a tensor won't be needed for a while: whatever holds them may let them go. A source that has other
    /// names than those below it says theirs.
    fn done_with(&self, name: &str) {
        self.inner().iter().for_each(|source| source.done_with(name));
    }

    /// The error for a name that isn't here.
    fn missing(&self, name: &str) -> MissingTensor {
        MissingTensor::new(name, self.label(), self.names().into_iter())
    }
}

/// Tensors held in memory by name. For merged or converted weights, and for tests.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    label: String,
    tensors: IndexMap<String, (TensorInfo, Bytes)>,
}

impl MemorySource {
    /// An empty source; `label` is what messages call it.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), tensors: IndexMap::new() }
    }

    /// Adds (or replaces) a tensor of f32.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when values and shape disagree.
    pub fn insert_f32(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        values: Vec<f32>,
    ) -> Result<(), DecodeError> {
        self.insert(name, Dtype::F32, shape, Bytes::from_owner(F32Bytes(values)))
    }

    /// Adds (or replaces) a tensor by its stored bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when bytes and shape disagree.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        dtype: Dtype,
        shape: &[usize],
        bytes: impl Into<Bytes>,
    ) -> Result<(), DecodeError> {
        let bytes = bytes.into();
        let elements: usize = shape.iter().product();
        if dtype.bytes_for(elements) != Some(bytes.len()) {
            return Err(DecodeError::Length { dtype, elements, bytes: bytes.len() });
        }
        let info = TensorInfo { dtype, shape: shape.to_vec(), range: 0..bytes.len() };
        self.tensors.insert(name.into(), (info, bytes));
        Ok(())
    }
}

impl TensorSource for MemorySource {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &[]
    }

    fn label(&self) -> String {
        self.label.clone()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|(info, _)| info)
    }

    fn slice(&self, name: &str) -> Option<Bytes> {
        self.tensors.get(name).map(|(_, bytes)| bytes.clone())
    }
}

/// f32 values seen as bytes, so that they can be shared.
pub(crate) struct F32Bytes(pub(crate) Vec<f32>);

impl AsRef<[u8]> for F32Bytes {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Fills a tensor by its name and shape.
type Rule = dyn Fn(&str, &[usize], &mut [f32]) + Send + Sync;

/// Tensors computed by a rule each time they are read: whole models for tests without a file.
pub struct ComputedSource {
    label: String,
    tensors: IndexMap<String, TensorInfo>,
    rule: Box<Rule>,
}

impl ComputedSource {
    /// Tensors of f32 with these names and shapes, filled by `rule(name, shape, out)`.
    pub fn new<N: Into<String>>(
        label: impl Into<String>,
        shapes: impl IntoIterator<Item = (N, Vec<usize>)>,
        rule: impl Fn(&str, &[usize], &mut [f32]) + Send + Sync + 'static,
    ) -> Self {
        let tensors = shapes.into_iter().map(|(name, shape)| {
            let bytes = shape.iter().product::<usize>() * 4;
            (name.into(), TensorInfo { dtype: Dtype::F32, shape, range: 0..bytes })
        });
        Self { label: label.into(), tensors: tensors.collect(), rule: Box::new(rule) }
    }

    /// Random weights that are a function of name and shape alone, see [`hash_uniform`].
    pub fn hash_uniform<N: Into<String>>(shapes: impl IntoIterator<Item = (N, Vec<usize>)>) -> Self {
        Self::new("hash-uniform weights", shapes, hash_uniform)
    }
}

impl TensorSource for ComputedSource {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &[]
    }

    fn label(&self) -> String {
        self.label.clone()
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    fn slice(&self, _: &str) -> Option<Bytes> {
        None
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        let info = self.info(name).ok_or_else(|| self.missing(name))?;
        if info.elements() != out.len() {
            let error = DecodeError::Length { dtype: info.dtype, elements: out.len(), bytes: info.bytes() };
            return Err(SourceError::Decode { tensor: name.to_owned(), error });
        }
        (self.rule)(name, &info.shape, out);
        Ok(())
    }
}

/// "Hash-uniform v1": weights of a plausible size for every layer, equal on every machine, without a file.
///
/// `w(i) = a * u(i) + base` with `u` uniform in [-1, 1) from a 64-bit mix of an FNV-1a hash of the name and the flat
/// index `i`; `base` and `a` depend on the kind of tensor, told by name and rank.
pub fn hash_uniform(name: &str, shape: &[usize], out: &mut [f32]) {
    if name.ends_with("position_ids") {
        out.iter_mut().enumerate().for_each(|(i, v)| *v = i as f32);
        return;
    }
    let (base, a) = spread(name, shape);
    fill_uniform(name, base, a, out);
}

/// `a * u(i) + base` over the stream that belongs to `name`, each step rounded to f32.
pub fn fill_uniform(name: &str, base: f32, a: f32, out: &mut [f32]) {
    let seed = fnv1a64(name.as_bytes()) ^ 0x005D_15C0_FFEE;
    for (i, v) in out.iter_mut().enumerate() {
        let h = mix(seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let u = (h >> 40) as f32 * (1.0 / 8_388_608.0) - 1.0;
        *v = a * u + base;
    }
}

fn spread(name: &str, shape: &[usize]) -> (f32, f32) {
    if name.ends_with("logit_scale") {
        (4.6052, 0.0)
    } else if name.ends_with("embedding.weight") || name.ends_with("positional_embedding") {
        (0.0, 0.035)
    } else if shape.len() == 1 && name.ends_with("weight") {
        (1.0, 0.1)
    } else if shape.len() <= 1 {
        (0.0, 0.05)
    } else {
        let fan_in: usize = shape[1..].iter().product();
        (0.0, (3.0 / fan_in as f64).sqrt() as f32)
    }
}

fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
