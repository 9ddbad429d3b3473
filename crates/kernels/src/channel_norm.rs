//! Normalisation of each place of a map by the length of its vector of channels. Sums run in f32, channel by channel.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::simd::{Kernel, Simd};

/// Places whose sums one task keeps: 4 KiB, which stay in the first-level cache while channels pass by.
const PLACES: usize = 1024;
/// The least length of a vector, as torch's `normalize` has it.
const LEAST: f32 = 1e-12;

/// The sizes of a channel normalisation over `[batch, channels, pixels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelNorm {
    /// Channels of a sample.
    pub channels: usize,
    /// Pixels of a channel, height times width.
    pub pixels: usize,
}

/// `x / max(‖x‖, 1e-12) · sqrt(channels) · gamma`, the length over the channels of each place.
///
/// # Shapes
/// `x` and `out` `[batch, channels, pixels]`, `gamma` `[channels]`.
/// # Errors
/// [`KernelError`] when lengths do not fit.
pub fn channel_norm(
    isa: Isa,
    sizes: ChannelNorm,
    x: &[f32],
    gamma: &[f32],
    out: &mut [f32],
) -> Result<(), KernelError> {
    let check = Check("channel_norm");
    let ChannelNorm { channels, pixels } = sizes;
    check.len("gamma", gamma.len(), channels)?;
    check.len("out", out.len(), x.len())?;
    if x.is_empty() {
        return Ok(());
    }
    let sample = check.product("x", &[channels, pixels])?;
    check.divides("channels and pixels", sample, x.len())?;
    for (x, out) in x.chunks_exact(sample).zip(out.chunks_exact_mut(sample)) {
        let mut factors = vec![0.0f32; pixels];
        let tiles = factors.par_chunks_mut(PLACES).enumerate();
        tiles.for_each(|(tile, factors)| isa.run(Lengths { sizes, x, first: tile * PLACES, factors }));
        let factors = &factors;
        let planes = out.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).zip(gamma);
        planes.for_each(|((out, x), gamma)| isa.run(Scale { x, factors, gamma: *gamma, out }));
    }
    Ok(())
}

/// What each place of a tile is multiplied by, before `gamma`.
struct Lengths<'a> {
    sizes: ChannelNorm,
    x: &'a [f32],
    first: usize,
    factors: &'a mut [f32],
}

impl Kernel for Lengths<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { sizes: ChannelNorm { channels, pixels }, x, first, factors } = self;
        for plane in x.chunks_exact(pixels) {
            let values = &plane[first..first + factors.len()];
            factors.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * value);
        }
        let root = (channels as f32).sqrt();
        for sum in factors {
            *sum = root / sum.sqrt().max(LEAST);
        }
    }
}

/// One plane times its places' factors.
struct Scale<'a> {
    x: &'a [f32],
    factors: &'a [f32],
    gamma: f32,
    out: &'a mut [f32],
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { x, factors, gamma, out } = self;
        out.iter_mut().zip(x.iter().zip(factors)).for_each(|(out, (x, factor))| *out = x * factor * gamma);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_has_the_length_of_its_channels_root_afterwards() {
        let sizes = ChannelNorm { channels: 3, pixels: 1500 };
        let x: Vec<f32> = (0..2 * 3 * 1500).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
        let mut out = vec![0.0; x.len()];
        channel_norm(Isa::best(), sizes, &x, &[1.0, 2.0, 0.5], &mut out).unwrap();
        for (sample, place) in [(0, 0), (0, 1499), (1, 1023), (1, 1024)] {
            let at = |c: usize| (sample * 3 + c) * 1500 + place;
            let length: f32 = (0..3).map(|c| x[at(c)] * x[at(c)]).sum::<f32>().sqrt();
            for (c, gamma) in [1.0, 2.0, 0.5].into_iter().enumerate() {
                let expected = x[at(c)] / length * 3f32.sqrt() * gamma;
                assert!((out[at(c)] - expected).abs() < 1e-6, "{} instead of {expected}", out[at(c)]);
            }
        }
    }

    #[test]
    fn a_place_of_zeros_stays_one_and_wrong_lengths_are_refused() {
        let sizes = ChannelNorm { channels: 2, pixels: 2 };
        let mut out = [7.0; 4];
        channel_norm(Isa::best(), sizes, &[0.0; 4], &[1.0; 2], &mut out).unwrap();
        assert_eq!(out, [0.0; 4]);
        assert!(channel_norm(Isa::best(), sizes, &[0.0; 4], &[1.0; 3], &mut out).is_err());
        assert!(channel_norm(Isa::best(), sizes, &[0.0; 3], &[1.0; 2], &mut [0.0; 3]).is_err());
    }
}
