//! Levels of flow models, shifted by the size of what is drawn: LTXVScheduler and Flux2Scheduler.
//!
//! Sources: Esser et al. 2024, section 5.3.2 (the shift); LTX-Video's and FLUX.2's own pipelines (how it follows size).

use super::error::ScheduleError;
use super::linspace::linspace;

/// How LTX-Video's levels follow the number of tokens, and where they end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LtxvShift {
    /// The shift for 4096 tokens, as an exponent.
    pub max: f64,
    /// The shift for 1024 tokens, as an exponent.
    pub base: f64,
    /// The lowest level but 0 is moved here, and the others with it.
    pub terminal: Option<f64>,
}

/// `n` steps from 1 to 0, shifted for so many tokens.
///
/// # Shapes
/// Returns `n + 1` levels, the last one 0.
/// # Errors
/// For no steps.
pub fn ltxv(n: usize, tokens: usize, shift: LtxvShift) -> Result<Vec<f32>, ScheduleError> {
    let slope = (shift.max - shift.base) / (4096.0 - 1024.0);
    let mut levels = shifted(n, tokens as f64 * slope + shift.base - slope * 1024.0)?;
    let lowest = 1.0 - levels[n - 1];
    if let Some(terminal) = shift.terminal
        && lowest > 0.0
    {
        let scale = lowest / (1.0 - terminal) as f32;
        levels[..n].iter_mut().for_each(|level| *level = 1.0 - (1.0 - *level) / scale);
    }
    Ok(levels)
}

/// `n` steps from 1 to 0, shifted for an image of so many pixels as FLUX.2 does.
///
/// # Shapes
/// Returns `n + 1` levels, the last one 0.
/// # Errors
/// For no steps.
pub fn flux2(n: usize, width: usize, height: usize) -> Result<Vec<f32>, ScheduleError> {
    let tokens = ((width * height) as f64 / 256.0).round_ties_even();
    shifted(n, flux2_shift(tokens, n as f64))
}

/// The exponent of Flux.1's shift for an image of so many pixels: a line in the number of tokens, `base` at 256 and `max`
/// at 4096, which goes on beyond both.
pub fn flux_shift(max: f64, base: f64, width: usize, height: usize) -> f64 {
    let slope = (max - base) / (4096.0 - 256.0);
    (width * height) as f64 / 256.0 * slope + base - slope * 256.0
}

/// The exponent of FLUX.2's shift: a line in the number of tokens for 200 steps, another for 10, a line in the number
/// of steps between and beyond.
fn flux2_shift(tokens: f64, steps: f64) -> f64 {
    let for_200 = 0.000_169_27 * tokens + 0.456_666_66;
    if tokens > 4300.0 {
        return for_200;
    }
    let for_10 = 8.738_095_24e-5 * tokens + 1.898_333_33;
    let slope = (for_200 - for_10) / 190.0;
    slope * steps + for_200 - 200.0 * slope
}

/// `n` steps from 1 to 0, each level `t` as `e^s / (e^s + 1/t - 1)`.
fn shifted(n: usize, shift: f64) -> Result<Vec<f32>, ScheduleError> {
    if n == 0 {
        return Err(ScheduleError::NoSteps);
    }
    let factor = shift.exp() as f32;
    let level = |t: f32| if t == 0.0 { 0.0 } else { factor / (factor + (t.recip() - 1.0)) };
    Ok(linspace(1.0, 0.0, n + 1).into_iter().map(level).collect())
}
