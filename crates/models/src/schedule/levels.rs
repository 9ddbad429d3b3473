//! Levels from formulas alone: what the scheduler nodes (KarrasScheduler, VPScheduler, ...) make.
//!
//! Sources: Karras et al. 2022; k-diffusion `sampling.py`. Powers and exponentials are evaluated in f64 and rounded.

use super::error::{ScheduleError, positive};
use super::linspace::linspace;

/// Karras et al. 2022, eq. 5: `n` levels from `max` to `min`, then 0.
///
/// # Errors
/// Unless both ends and `rho` are above 0.
pub fn karras(n: usize, min: f64, max: f64, rho: f64) -> Result<Vec<f32>, ScheduleError> {
    check(n, min, max)?;
    positive("rho", rho)?;
    let (low, high) = (min.powf(1.0 / rho), max.powf(1.0 / rho));
    let ramp = linspace(0.0, 1.0, n).into_iter();
    let level = |r: f32| f64::from(high as f32 + r * (low - high) as f32).powf(rho) as f32;
    Ok(ramp.map(level).chain([0.0]).collect())
}

/// Levels spread evenly in their logarithm, then 0.
///
/// # Errors
/// Unless both ends are above 0.
pub fn exponential(n: usize, min: f64, max: f64) -> Result<Vec<f32>, ScheduleError> {
    check(n, min, max)?;
    let logs = linspace(max.ln() as f32, min.ln() as f32, n).into_iter();
    Ok(logs.map(exp).chain([0.0]).collect())
}

/// A power of the way in their logarithm, then 0.
///
/// # Errors
/// Unless both ends are above 0.
pub fn polyexponential(n: usize, min: f64, max: f64, rho: f64) -> Result<Vec<f32>, ScheduleError> {
    check(n, min, max)?;
    let (span, low) = ((max.ln() - min.ln()) as f32, min.ln() as f32);
    let ramp = linspace(1.0, 0.0, n).into_iter().map(|r| f64::from(r).powf(rho) as f32);
    Ok(ramp.map(|r| exp(r * span + low)).chain([0.0]).collect())
}

/// The variance-preserving schedule of Song et al. 2021, then 0.
///
/// # Errors
/// For no steps.
pub fn vp(n: usize, beta_d: f64, beta_min: f64, eps: f64) -> Result<Vec<f32>, ScheduleError> {
    check(n, 1.0, 1.0)?;
    let level = |t: f32| {
        let exponent = beta_d as f32 * (t * t) / 2.0 + beta_min as f32 * t;
        (f64::from(exponent).exp_m1() as f32).sqrt()
    };
    Ok(linspace(1.0, eps as f32, n).into_iter().map(level).chain([0.0]).collect())
}

/// A Laplace distribution of the logarithm (arXiv 2407.03297); no 0 at the end.
///
/// # Errors
/// Unless both ends are above 0.
pub fn laplace(n: usize, min: f64, max: f64, mu: f64, beta: f64) -> Result<Vec<f32>, ScheduleError> {
    check(n, min, max)?;
    let level = |x: f32| {
        let side = 0.5 - x;
        let sign = if side == 0.0 { 0.0 } else { side.signum() };
        let log = f64::from(1.0 - 2.0 * side.abs() + 1e-5).ln() as f32;
        exp(mu as f32 - beta as f32 * sign * log).clamp(min.min(max) as f32, max as f32)
    };
    Ok(linspace(0.0, 1.0, n).into_iter().map(level).collect())
}

/// Levels of a model at the quantiles of a beta distribution (arXiv 2407.12173), then 0: BetaSamplingScheduler. Equal
/// neighbours count once, so there may be fewer than `n` steps.
///
/// # Errors
/// Unless `alpha` and `beta` are above 0.
pub fn beta(model: &super::table::Levels, n: usize, alpha: f64, beta: f64) -> Result<Vec<f32>, ScheduleError> {
    check(n, 1.0, 1.0)?;
    positive("alpha", alpha)?;
    positive("beta", beta)?;
    Ok(super::beta::sigmas(model, n, alpha, beta))
}

/// SD Turbo's steps: every hundredth time step from 999 down, beginning `10 - int(10 * denoise)` in, then 0.
///
/// # Errors
/// Unless `n` is 1 to 10.
pub fn sd_turbo(model: &super::table::Levels, n: usize, denoise: f64) -> Result<Vec<f32>, ScheduleError> {
    check(n, 1.0, 1.0)?;
    let start = 10usize.saturating_sub((10.0 * denoise) as usize);
    let times = (0..10).map(|k| 999 - 100 * k).skip(start).take(n);
    Ok(times.map(|t| model.sigma(t as f32)).chain([0.0]).collect())
}

fn check(n: usize, min: f64, max: f64) -> Result<(), ScheduleError> {
    if n == 0 {
        return Err(ScheduleError::NoSteps);
    }
    positive("sigma_min", min)?;
    positive("sigma_max", max)
}

fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

/// Noise levels of "Align Your Steps" (Sabour et al. 2024) for ten steps.
const ALIGNED: [(&str, [f64; 11]); 3] = [
    (
        "SD1",
        [
            14.6146412293,
            6.4745760956,
            3.8636745985,
            2.6946151520,
            1.8841921177,
            1.3943805092,
            0.9642583904,
            0.6523686016,
            0.3977456272,
            0.1515232662,
            0.0291671582,
        ],
    ),
    (
        "SDXL",
        [
            14.6146412293,
            6.3184485287,
            3.7681790315,
            2.1811480769,
            1.3405244945,
            0.8620721141,
            0.5550693289,
            0.3798540708,
            0.2332364134,
            0.1114188177,
            0.0291671582,
        ],
    ),
    ("SVD", [700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002]),
];

/// "Align Your Steps" for a family, the last `denoise` of `n` steps, between the ten by the logarithm of the level.
///
/// # Shapes
/// Returns one level more than there are steps, the last one 0; none for `denoise` 0.
/// # Errors
/// For no steps, or a family that the paper hasn't.
pub fn align_your_steps(family: &str, n: usize, denoise: f64) -> Result<Vec<f32>, ScheduleError> {
    let table = ALIGNED.iter().find(|(name, _)| *name == family).map(|(_, table)| table);
    let known = || ALIGNED.iter().map(|(name, _)| *name).collect();
    let unknown = || ScheduleError::UnknownScheduler { name: family.to_owned(), known: known() };
    let table = table.ok_or_else(unknown)?;
    super::searched::from_table(table, n, denoise)
}
