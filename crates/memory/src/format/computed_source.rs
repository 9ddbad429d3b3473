//! Tensors computed by a rule each time they are read: whole models without a file. Knows names and shapes.

use super::{decode::DecodeError, dtype::Dtype, error::SourceError, info::TensorInfo, source::TensorSource};
use bytes::Bytes;
use indexmap::IndexMap;
use std::sync::Arc;

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
/// index `i`; `base` and `a` depend on the kind of tensor, known by name and rank.
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
    } else if shape.len() == 1 && ["norm.scale", "weight", "running_var"].iter().any(|end| name.ends_with(end)) {
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
