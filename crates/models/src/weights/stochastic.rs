//! Stochastic rounding: how a weight of eight bits is stored again after its changes.
//!
//! Knows numbers, and the scale beside them. Knows nothing of what changed them.
//!
//! Source: ComfyUI 0.3.75, `comfy/float.py` (`manual_stochastic_round_to_float8`), `comfy/ops.py` (`scaled_fp8_ops`), and
//! `comfy/model_patcher.py` for the seed. All of it is in f16, with what that costs: just below a power of two the
//! logarithm rounds up, and such a number may fall by an eighth.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use half::f16;
use kiln_memory::{Dtype, Patch, Rounding, TensorSource};
use rayon::prelude::*;

use crate::random::TorchGenerator;

/// So many numbers are drawn at once.
const STRETCH: usize = 1 << 18;

/// A kind of eight-bit numbers: bits of mantissa, bias and largest value of the exponent, the largest number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Narrow {
    mantissa: i32,
    bias: f32,
    exponents: f32,
    largest: f32,
}

impl Narrow {
    const E4M3: Self = Self { mantissa: 3, bias: 7.0, exponents: 15.0, largest: 448.0 };
    const E5M2: Self = Self { mantissa: 2, bias: 15.0, exponents: 31.0, largest: 57344.0 };

    /// One number with its draw from `[0, 1)`.
    fn rounded(self, value: f32, draw: f16) -> f32 {
        let half = |x: f32| f16::from_f32(x).to_f32();
        let (value, steps) = (half(value), 2f32.powi(self.mantissa));
        let size = value.abs();
        let sign = if size == 0.0 { 0.0 } else { value.signum() };
        let exponent = (half(size.log2()).floor() + self.bias).clamp(0.0, self.exponents);
        // Below the least exponent numbers lie evenly.
        let (unit, least) = (half((exponent - self.bias).exp2()), (1.0 - self.bias).exp2());
        let is_normal = exponent != 0.0;
        let mantissa =
            if is_normal { half(half(half(size / unit) - 1.0) * steps) } else { half(size / (least / steps)) };
        let mantissa = half(mantissa + draw.to_f32()).floor() / steps;
        let size = if is_normal { half(unit * half(1.0 + mantissa)) } else { half(least * mantissa) };
        half(sign * size).clamp(-self.largest, self.largest)
    }
}

/// The last of a weight's changes: back to what it is stored as.
pub(super) struct StochasticRounding {
    narrow: Narrow,
    /// The checksum of the weight's name in the reference.
    seed: u32,
    /// Where the scale of the stored weight is found. Without one nothing is rounded.
    scaled: Option<(Arc<dyn TensorSource>, String)>,
}

impl StochasticRounding {
    /// For the weight under `key` of `source`, which the reference calls `name`; `None` where a changed weight is kept as
    /// it is.
    ///
    /// Weights that are held in eight bits on demand are rounded, and stored ones with a scale. A file's own numbers of
    /// eight bits without a scale are widened when they are loaded, as in the reference on a processor with enough memory.
    pub(super) fn of(
        source: &Arc<dyn TensorSource>,
        key: &str,
        name: &str,
        rounding: Option<Rounding>,
    ) -> Option<Self> {
        let seed = crc32fast::hash(name.as_bytes());
        let scaled = || Some((source.clone(), key.to_owned()));
        match (rounding, source.info(key)?.dtype) {
            (Some(Rounding::F8E4M3), _) => Some(Self { narrow: Narrow::E4M3, seed, scaled: None }),
            (Some(Rounding::F8E5M2), _) => Some(Self { narrow: Narrow::E5M2, seed, scaled: None }),
            (_, Dtype::F8E4M3) => Some(Self { narrow: Narrow::E4M3, seed, scaled: scaled() }),
            (_, Dtype::F8E5M2) => Some(Self { narrow: Narrow::E5M2, seed, scaled: scaled() }),
            _ => None,
        }
    }

    fn round(&self, values: &mut [f32], scale: f32) {
        let mut generator = TorchGenerator::new(u64::from(self.seed));
        for stretch in values.chunks_mut(STRETCH) {
            let draws = generator.rand_f16(stretch.len());
            stretch.par_iter_mut().zip(draws).for_each(|(value, draw)| {
                *value = self.narrow.rounded(*value / scale, draw) * scale;
            });
        }
    }
}

impl Patch for StochasticRounding {
    fn name(&self) -> String {
        "rounding to eight bits".to_owned()
    }

    fn key(&self) -> u128 {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.narrow.mantissa, self.scaled.is_some()).hash(&mut hasher);
        u128::from(hasher.finish())
    }

    fn apply(&self, _: &[usize], values: &mut [f32]) -> Result<(), String> {
        match &self.scaled {
            None => self.round(values, 1.0),
            Some((source, key)) => {
                if let Some(scale) = source.scale(key).map_err(|error| error.to_string())? {
                    self.round(values, scale);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kiln_memory::{MemorySource, apply_scales};

    const NAME: &str = "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";

    fn uniform(i: usize) -> f64 {
        (i as u64 * 2_654_435_761 % (1 << 32)) as f64 / f64::from(1u32 << 31) - 1.0
    }

    /// FNV-1a over the bits, with one bit pattern for what is no number.
    fn checksum(values: &[f32]) -> u64 {
        let bits = values.iter().map(|v| if v.is_nan() { 0x7fc0_0000 } else { v.to_bits() });
        bits.fold(0xcbf2_9ce4_8422_2325, |h, bits| (h ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3))
    }

    fn rounding(narrow: Narrow) -> StochasticRounding {
        StochasticRounding { narrow, seed: crc32fast::hash(NAME.as_bytes()), scaled: None }
    }

    /// Checksums by torch 2.6: the reference's arithmetic on f16 tensors with `torch.rand` in f16 from that seed.
    #[test]
    fn numbers_of_every_size_fall_as_torch_lets_them_fall() {
        for (narrow, least, expected) in
            [(Narrow::E4M3, -14, 0x8de4_fb6d_199c_8ea5), (Narrow::E5M2, -20, 0x6995_85c9_6afc_8ea5)]
        {
            let mut values: Vec<f32> =
                (0..2400).map(|i| (uniform(i) * 2f64.powi(i as i32 % 26 + least)) as f32).collect();
            values[..8].copy_from_slice(&[0.0, -0.0, 255.9, -255.9, 0.01562, 1023.5, 1e9, -1e9]);
            rounding(narrow).round(&mut values, 1.0);
            assert_eq!(checksum(&values), expected, "{narrow:?}");
        }
    }

    #[test]
    fn a_large_weight_is_drawn_from_one_stream() {
        let mut values: Vec<f32> = (0..300_000).map(|i| (uniform(i) * 0.08) as f32).collect();
        rounding(Narrow::E4M3).round(&mut values, 1.0);
        assert_eq!(checksum(&values), 0x7442_cc67_9844_20a5);
    }

    fn stored(scale: Option<f32>) -> Arc<dyn TensorSource> {
        let mut source = MemorySource::new("stored");
        source.insert("a.weight", Dtype::F8E4M3, &[2, 2], vec![0x38, 0x40, 0xbc, 0x7e]).unwrap();
        if let Some(scale) = scale {
            source.insert_f32("a.scale_weight", &[1], vec![scale]).unwrap();
        }
        apply_scales(Arc::new(source))
    }

    #[test]
    fn a_scaled_weight_is_rounded_in_its_scale_and_one_without_scale_not_at_all() {
        let apply = |source: &Arc<dyn TensorSource>, rounding| {
            let mut values = vec![0.301, -0.302, 0.303, 0.304];
            let last = StochasticRounding::of(source, "a.weight", "a", rounding).unwrap();
            last.apply(&[2, 2], &mut values).unwrap();
            values
        };
        assert_eq!(apply(&stored(None), None), [0.301, -0.302, 0.303, 0.304]);
        let mut expected = [0.301, -0.302, 0.303, 0.304].map(|v: f32| v / 0.25).to_vec();
        StochasticRounding { seed: crc32fast::hash(b"a"), ..rounding(Narrow::E4M3) }.round(&mut expected, 1.0);
        let expected: Vec<f32> = expected.iter().map(|v| v * 0.25).collect();
        assert_eq!(apply(&stored(Some(0.25)), None), expected);
        assert_ne!(apply(&stored(None), Some(Rounding::F8E4M3)), [0.301, -0.302, 0.303, 0.304]);
    }
}
