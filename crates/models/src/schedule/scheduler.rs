//! The schedulers by ComfyUI's names: which levels of a model a run of `n` steps visits.
//!
//! Source: ComfyUI `comfy/samplers.py`. All end in 0.

use super::beta;
use super::error::ScheduleError;
use super::levels;
use super::linspace::linspace;
use super::table::Levels;

/// How a run's levels are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the documentation: ComfyUI's, explained at `Scheduler::sigmas`")]
pub enum Scheduler {
    Simple,
    SgmUniform,
    Karras,
    Exponential,
    DdimUniform,
    Beta,
    Normal,
    LinearQuadratic,
    KlOptimal,
}

impl Scheduler {
    /// All of them in ComfyUI's order.
    pub const ALL: [Self; 9] = [
        Self::Simple,
        Self::SgmUniform,
        Self::Karras,
        Self::Exponential,
        Self::DdimUniform,
        Self::Beta,
        Self::Normal,
        Self::LinearQuadratic,
        Self::KlOptimal,
    ];

    /// ComfyUI's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::SgmUniform => "sgm_uniform",
            Self::Karras => "karras",
            Self::Exponential => "exponential",
            Self::DdimUniform => "ddim_uniform",
            Self::Beta => "beta",
            Self::Normal => "normal",
            Self::LinearQuadratic => "linear_quadratic",
            Self::KlOptimal => "kl_optimal",
        }
    }

    /// The levels of a run of `n` steps, falling, the last one 0. Usually `n + 1` values, but `ddim_uniform` may make
    /// more steps and `beta` fewer.
    ///
    /// # Errors
    /// [`ScheduleError`] for no steps, and for `kl_optimal` with a single one.
    pub fn sigmas(self, model: &Levels, n: usize) -> Result<Vec<f32>, ScheduleError> {
        if n == 0 {
            return Err(ScheduleError::NoSteps);
        }
        let (min, max) = (f64::from(model.sigma_min()), f64::from(model.sigma_max()));
        match self {
            Self::Simple => Ok(simple(model, n)),
            Self::SgmUniform => Ok(by_time(model, n, true)),
            Self::Normal => Ok(by_time(model, n, false)),
            Self::Karras => levels::karras(n, min, max, 7.0),
            Self::Exponential => levels::exponential(n, min, max),
            Self::DdimUniform => Ok(ddim_uniform(model, n)),
            Self::Beta => Ok(beta::sigmas(model, n, 0.6, 0.6)),
            Self::LinearQuadratic => Ok(linear_quadratic(model, n)),
            Self::KlOptimal => kl_optimal(n, min, max),
        }
    }
}

impl std::str::FromStr for Scheduler {
    type Err = ScheduleError;

    fn from_str(name: &str) -> Result<Self, ScheduleError> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| ScheduleError::UnknownScheduler {
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).to_vec(),
        })
    }
}

impl std::fmt::Display for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a level counts as no noise at all.
fn is_zero(sigma: f32) -> bool {
    sigma.abs() <= 1e-5
}

fn simple(model: &Levels, n: usize) -> Vec<f32> {
    let table = model.sigmas();
    let stride = table.len() as f64 / n as f64;
    let picked = (0..n).map(|i| table[table.len() - 1 - (i as f64 * stride) as usize]);
    picked.chain([0.0]).collect()
}

/// Evenly spaced time steps; `without_last` leaves out the smallest level (sgm).
fn by_time(model: &Levels, n: usize, without_last: bool) -> Vec<f32> {
    let (start, end) = (model.timestep(model.sigma_max()), model.timestep(model.sigma_min()));
    let (times, append_zero) = if without_last {
        (linspace(start, end, n + 1)[..n].to_vec(), true)
    } else if is_zero(model.sigma(end)) {
        (linspace(start, end, n + 1), false)
    } else {
        (linspace(start, end, n), true)
    };
    times.into_iter().map(|t| model.sigma(t)).chain(append_zero.then_some(0.0)).collect()
}

fn ddim_uniform(model: &Levels, n: usize) -> Vec<f32> {
    let table = model.sigmas();
    let zero = table.get(1).is_some_and(|&s| is_zero(s));
    let steps = if zero { n + 1 } else { n };
    let stride = (table.len() / steps).max(1);
    let mut sigmas: Vec<f32> = (!zero).then_some(0.0).into_iter().collect();
    sigmas.extend(table.iter().skip(1).step_by(stride));
    sigmas.reverse();
    sigmas
}

fn linear_quadratic(model: &Levels, n: usize) -> Vec<f32> {
    const THRESHOLD: f64 = 0.025;
    let max = model.sigma_max();
    if n == 1 {
        return vec![max, 0.0];
    }
    let linear = (n / 2) as f64;
    let quadratic = (n - n / 2) as f64;
    let difference = linear - THRESHOLD * n as f64;
    let square = difference / (linear * quadratic * quadratic);
    let slope = THRESHOLD / linear - 2.0 * difference / (quadratic * quadratic);
    let constant = square * linear * linear;
    let level = |i: usize| {
        let x = i as f64;
        if i < n / 2 { x * THRESHOLD / linear } else { square * (x * x) + slope * x + constant }
    };
    (0..n).map(level).chain([1.0]).map(|v| (1.0 - v) as f32 * max).collect()
}

/// Align Your Steps, eq. 5 (the KL-optimal schedule).
fn kl_optimal(n: usize, min: f64, max: f64) -> Result<Vec<f32>, ScheduleError> {
    if n == 1 {
        return Err(ScheduleError::KlOptimal);
    }
    let (low, high) = (min.atan() as f32, max.atan() as f32);
    let level = |i: usize| {
        let u = i as f32 / (n - 1) as f32;
        f64::from(u * low + (1.0 - u) * high).tan() as f32
    };
    Ok((0..n).map(level).chain([0.0]).collect())
}
