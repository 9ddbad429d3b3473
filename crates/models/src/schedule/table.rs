//! Tables of noise levels and the four functions on them: level of a time step, time step of a level, level of a
//! percentage.
//!
//! Source: ComfyUI `comfy/model_sampling.py`; DDPM; Karras et al. 2022 (EDM); Lin et al. 2023 (zero terminal SNR).

use super::linspace::{linspace, linspace64};

/// A noise level above all: what "from the very start" means to schedules without an upper end.
const ABOVE_ALL: f64 = 999_999_999.9;
/// The last cumulative alpha under zero terminal SNR.
const TERMINAL_ALPHA: f64 = 4.897_345_189_085_343_5e-8;
/// Steps a distilled model was trained on.
const DISTILLED: usize = 50;

/// A family's noise levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    kind: Kind,
    sigmas: Vec<f32>,
    log_sigmas: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// Time steps are indices; `skip` of them per entry, of which the last is meant.
    Discrete {
        skip: usize,
    },
    Flow {
        shift: f64,
        multiplier: f64,
    },
    Flux {
        mu: f64,
    },
    ContinuousEdm,
    ContinuousV,
}

impl Levels {
    /// Stable Diffusion's 1000 levels (scaled linear betas from 0.00085 to 0.012).
    pub fn discrete() -> Self {
        Self::scaled_linear(0.000_85, 0.012)
    }

    /// 1000 levels of betas whose roots are spread evenly from the root of `start` to that of `end`.
    pub fn scaled_linear(start: f64, end: f64) -> Self {
        Self::from_sigmas(&scaled_linear(start, end), 1)
    }

    /// The same, stretched so that the last level is all but pure noise.
    pub fn zero_terminal_snr() -> Self {
        Self::from_sigmas(&without_terminal_signal(&scaled_linear(0.000_85, 0.012)), 1)
    }

    /// The 50 levels that a latent consistency model knows; `zsnr` picks from the stretched table.
    pub fn distilled(zsnr: bool) -> Self {
        let all = if zsnr { Self::zero_terminal_snr() } else { Self::discrete() }.sigmas;
        let skip = all.len() / DISTILLED;
        let picked: Vec<f64> =
            (0..DISTILLED).map(|k| f64::from(all[all.len() - 1 - (DISTILLED - 1 - k) * skip])).collect();
        Self::from_sigmas(&picked, skip)
    }

    /// Flow matching (SD3): 1000 levels shifted towards noise; time steps are level times `multiplier`.
    pub fn flow(shift: f64, multiplier: f64) -> Self {
        let mut levels = Self::with_kind(Kind::Flow { shift, multiplier }, Vec::new());
        let times = (1..=1000).map(|i| i as f32 / 1000.0 * multiplier as f32);
        levels.sigmas = times.map(|t| levels.sigma(t)).collect();
        levels
    }

    /// Flux: 10000 levels shifted by `mu`; time steps are the levels themselves.
    pub fn flux(mu: f64) -> Self {
        let mut levels = Self::with_kind(Kind::Flux { mu }, Vec::new());
        levels.sigmas = (1..=10_000).map(|i| levels.sigma(i as f32 / 10_000.0)).collect();
        levels
    }

    /// EDM: levels spread evenly in their logarithm.
    pub fn continuous_edm(min: f64, max: f64) -> Self {
        Self::with_kind(Kind::ContinuousEdm, log_spread(min, max))
    }

    /// Velocity prediction on continuous levels.
    pub fn continuous_v(min: f64, max: f64) -> Self {
        Self::with_kind(Kind::ContinuousV, log_spread(min, max))
    }

    fn from_sigmas(sigmas: &[f64], skip: usize) -> Self {
        let log_sigmas = sigmas.iter().map(|s| s.ln() as f32).collect();
        let sigmas = sigmas.iter().map(|&s| s as f32).collect();
        Self { kind: Kind::Discrete { skip }, sigmas, log_sigmas }
    }

    fn with_kind(kind: Kind, sigmas: Vec<f32>) -> Self {
        let log_sigmas = sigmas.iter().map(|&s| f64::from(s).ln() as f32).collect();
        Self { kind, sigmas, log_sigmas }
    }

    /// The table, rising.
    pub fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }

    /// Logarithms of the table (empty for flow models).
    pub fn log_sigmas(&self) -> &[f32] {
        &self.log_sigmas
    }

    /// The smallest level of the table.
    pub fn sigma_min(&self) -> f32 {
        self.sigmas.first().copied().unwrap_or(0.0)
    }

    /// The largest level of the table.
    pub fn sigma_max(&self) -> f32 {
        self.sigmas.last().copied().unwrap_or(0.0)
    }

    /// The time step that the network takes for a level.
    ///
    /// Discrete tables return the nearest entry's index, which is whole.
    pub fn timestep(&self, sigma: f32) -> f32 {
        let wide = f64::from(sigma);
        match self.kind {
            Kind::Discrete { skip } => {
                // Half of the way between two entries of a sparse table is a usual level (four steps of sgm_uniform). There the
                // last bits of torch's logarithms decide, and the first entry wins as a rule; all but equal counts as equal.
                let tie = if skip > 1 { 16.0 * f32::EPSILON } else { 0.0 };
                let index = nearest_index(&self.log_sigmas, wide.ln() as f32, tie);
                (index * skip + (skip - 1)) as f32
            }
            Kind::Flow { multiplier, .. } => sigma * multiplier as f32,
            Kind::Flux { .. } => sigma,
            Kind::ContinuousEdm => 0.25 * wide.ln() as f32,
            Kind::ContinuousV => wide.atan() as f32 / std::f32::consts::PI * 2.0,
        }
    }

    /// The level of a time step, which may lie between entries.
    pub fn sigma(&self, timestep: f32) -> f32 {
        match self.kind {
            Kind::Discrete { skip } => self.interpolated((timestep - (skip - 1) as f32) / skip as f32),
            Kind::Flow { shift, multiplier } => {
                let (t, shift) = (timestep / multiplier as f32, shift);
                if shift == 1.0 { t } else { shift as f32 * t / (1.0 + (shift - 1.0) as f32 * t) }
            }
            Kind::Flux { mu } => {
                let e = mu.exp() as f32;
                // torch divides a number by a tensor as reciprocal times number.
                (1.0 / (e + (1.0 / timestep - 1.0))) * e
            }
            Kind::ContinuousEdm => f64::from(timestep / 0.25).exp() as f32,
            Kind::ContinuousV => f64::from(timestep * std::f32::consts::PI / 2.0).tan() as f32,
        }
    }

    /// The level after a part of the way from noise (0) to image (1).
    pub fn percent_to_sigma(&self, percent: f64) -> f64 {
        let flow = matches!(self.kind, Kind::Flow { .. } | Kind::Flux { .. });
        if percent <= 0.0 {
            return if flow { 1.0 } else { ABOVE_ALL };
        }
        if percent >= 1.0 {
            return 0.0;
        }
        let left = 1.0 - percent;
        match self.kind {
            Kind::Discrete { .. } => f64::from(self.sigma((left * 999.0) as f32)),
            Kind::Flow { shift: 1.0, .. } => left,
            Kind::Flow { shift, .. } => shift * left / (1.0 + (shift - 1.0) * left),
            Kind::Flux { mu } => mu.exp() / (mu.exp() + (1.0 / left - 1.0)),
            Kind::ContinuousEdm | Kind::ContinuousV => {
                let (min, max) = (f64::from(self.sigma_min()).ln(), f64::from(self.sigma_max()).ln());
                ((max - min) * left + min).exp()
            }
        }
    }

    fn interpolated(&self, position: f32) -> f32 {
        let position = position.clamp(0.0, (self.sigmas.len() - 1) as f32);
        let (low, high, w) = (position.floor(), position.ceil(), position - position.floor());
        let log = (1.0 - w) * self.log_sigmas[low as usize] + w * self.log_sigmas[high as usize];
        f64::from(log).exp() as f32
    }
}

/// Index of the entry nearest to `value`, the first of those whose distances differ by no more than `tie`.
fn nearest_index(table: &[f32], value: f32, tie: f32) -> usize {
    let distances = || table.iter().map(|entry| (value - entry).abs());
    let least = distances().fold(f32::INFINITY, f32::min);
    distances().position(|distance| distance <= least + tie).unwrap_or(0)
}

/// The 1000 betas whose roots are spread evenly from the root of `start` to that of `end`.
pub(crate) fn scaled_linear_betas(start: f64, end: f64) -> impl Iterator<Item = f64> {
    linspace64(start.sqrt(), end.sqrt(), 1000).into_iter().map(|root| root * root)
}

fn scaled_linear(start: f64, end: f64) -> Vec<f64> {
    let mut alpha = 1.0;
    scaled_linear_betas(start, end)
        .map(|beta| {
            alpha *= 1.0 - beta;
            ((1.0 - alpha) / alpha).sqrt()
        })
        .collect()
}

/// Lin et al. 2023, algorithm 1, on levels instead of betas.
fn without_terminal_signal(sigmas: &[f64]) -> Vec<f64> {
    let signal: Vec<f64> = sigmas.iter().map(|s| (1.0 / (s * s + 1.0)).sqrt()).collect();
    let (first, last) = (signal[0], signal[signal.len() - 1]);
    let mut alphas: Vec<f64> = signal.iter().map(|s| ((s - last) * first / (first - last)).powi(2)).collect();
    if let Some(end) = alphas.last_mut() {
        *end = TERMINAL_ALPHA;
    }
    alphas.iter().map(|a| ((1.0 - a) / a).sqrt()).collect()
}

fn log_spread(min: f64, max: f64) -> Vec<f32> {
    linspace(min.ln() as f32, max.ln() as f32, 1000).into_iter().map(|l| f64::from(l).exp() as f32).collect()
}
