//! Keyframes: how strongly hooks act from which part of a run on.

use super::{error::HookError, interpolation::Interpolation};
use crate::schedule::linspace;

/// A strength from a part of the run on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keyframe {
    /// A factor on the hooks' own strengths.
    pub strength: f64,
    /// Where it starts: 0 is the start of the run, 1 its end.
    pub start: f64,
    /// For so many noise levels at least it holds before a later one may, unless the run begins after its start.
    pub guarantee_steps: usize,
}

/// Keyframes by their start; those that start together in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keyframes {
    list: Vec<Keyframe>,
}

impl Keyframes {
    /// These and one more.
    ///
    /// # Errors
    /// [`HookError::Number`] for a start or a strength that isn't finite.
    pub fn with(&self, keyframe: Keyframe) -> Result<Self, HookError> {
        for (what, found) in [("strength_mult", keyframe.strength), ("start_percent", keyframe.start)] {
            if !found.is_finite() {
                return Err(HookError::Number { what, found });
            }
        }
        let mut list = self.list.clone();
        let at = list.partition_point(|other| other.start <= keyframe.start);
        list.insert(at, keyframe);
        Ok(Self { list })
    }

    /// These and one for each of `strengths`, spread evenly from `start` to `end` as torch's `linspace` does it in f32. The
    /// first of them is guaranteed one step.
    ///
    /// # Errors
    /// [`HookError::Empty`] without strengths, [`HookError::Number`] for what isn't finite.
    pub fn spread(&self, strengths: &[f64], start: f64, end: f64) -> Result<Self, HookError> {
        if strengths.is_empty() {
            return Err(HookError::Empty { what: "floats_strength" });
        }
        let starts = linspace(start as f32, end as f32, strengths.len());
        let frames = strengths.iter().zip(starts).enumerate().map(|(i, (strength, start))| Keyframe {
            strength: *strength,
            start: f64::from(start),
            guarantee_steps: usize::from(i == 0),
        });
        frames.into_iter().try_fold(self.clone(), |all, keyframe| all.with(keyframe))
    }

    /// As [`spread`](Self::spread), over `count` strengths between two.
    ///
    /// # Errors
    /// As [`spread`](Self::spread).
    pub fn interpolated(
        &self,
        way: Interpolation,
        strengths: (f64, f64),
        starts: (f64, f64),
        count: usize,
    ) -> Result<Self, HookError> {
        let strengths = way.between(strengths.0, strengths.1, count);
        let strengths: Vec<f64> = strengths.into_iter().map(f64::from).collect();
        self.spread(&strengths, starts.0, starts.1)
    }

    /// All of them.
    pub fn list(&self) -> &[Keyframe] {
        &self.list
    }
}
