//! KSampler's levels: a scheduler's levels for so many steps, cut for partial denoising and step ranges.

use super::error::ScheduleError;
use super::scheduler::Scheduler;
use super::table::Levels;

/// More levels than any run can use; a tiny `denoise` asks for them.
const LIMIT: usize = 1_000_000;

/// Levels of a KSampler run. Empty when there is nothing to denoise.
///
/// `discard_penultimate` is true for the samplers that want a larger last step (dpm_2, uni_pc): they ask for one step
/// more and drop the level before the last.
///
/// # Errors
/// [`ScheduleError`] for no steps, too many, and what the scheduler refuses.
pub fn sigmas(
    model: &Levels,
    scheduler: Scheduler,
    steps: usize,
    denoise: f64,
    discard_penultimate: bool,
) -> Result<Vec<f32>, ScheduleError> {
    if steps == 0 {
        return Err(ScheduleError::NoSteps);
    }
    if denoise.is_nan() {
        return Err(ScheduleError::Range { what: "denoise", found: denoise, expected: "a number from 0 to 1" });
    }
    if denoise <= 0.0 {
        return Ok(Vec::new());
    }
    let whole = denoise > 0.9999;
    let total = if whole { steps as f64 } else { (steps as f64 / denoise).floor() };
    if total > LIMIT as f64 {
        return Err(ScheduleError::TooManySteps { steps, denoise, total, limit: LIMIT });
    }
    let mut sigmas = scheduler.sigmas(model, total as usize + usize::from(discard_penultimate))?;
    if discard_penultimate && sigmas.len() >= 2 {
        sigmas.remove(sigmas.len() - 2);
    }
    let kept = if whole { 0 } else { sigmas.len().saturating_sub(steps + 1) };
    Ok(sigmas.split_off(kept))
}

/// The part of a run from `start` to `last` (KSamplerAdvanced). `force_full` lets the cut run end without noise. Empty
/// when nothing is left to do.
pub fn range(mut sigmas: Vec<f32>, start: Option<usize>, last: Option<usize>, force_full: bool) -> Vec<f32> {
    if let Some(last) = last.filter(|&last| last + 1 < sigmas.len()) {
        sigmas.truncate(last + 1);
        if force_full && let Some(end) = sigmas.last_mut() {
            *end = 0.0;
        }
    }
    match start {
        Some(start) if start + 1 < sigmas.len() => sigmas.split_off(start),
        Some(_) => Vec::new(),
        None => sigmas,
    }
}

/// The BasicScheduler node: same as [`sigmas`], without a sampler's extra step.
///
/// # Errors
/// As [`sigmas`].
pub fn basic(model: &Levels, scheduler: Scheduler, steps: usize, denoise: f64) -> Result<Vec<f32>, ScheduleError> {
    let partial = denoise < 1.0;
    let total = if partial && denoise > 0.0 { steps as f64 / denoise } else { steps as f64 };
    if denoise.is_nan() || (partial && denoise <= 0.0) {
        return Ok(Vec::new());
    }
    if total > LIMIT as f64 {
        return Err(ScheduleError::TooManySteps { steps, denoise, total, limit: LIMIT });
    }
    let mut sigmas = scheduler.sigmas(model, total as usize)?;
    let kept = sigmas.len().saturating_sub(steps + 1);
    Ok(sigmas.split_off(kept))
}
