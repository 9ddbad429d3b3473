//! Which keyframe holds, while a run goes from noise level to noise level.

use std::sync::Arc;

use super::keyframes::Keyframes;

/// The keyframes of one run, and which of them holds.
#[derive(Debug, Clone)]
pub struct KeyframeClock {
    keyframes: Arc<Keyframes>,
    /// The noise level at which each starts.
    starts: Vec<f32>,
    /// The run's highest noise level.
    highest: f32,
    current: usize,
    /// Noise levels that the current one was used at.
    used: usize,
    last: Option<f32>,
}

impl KeyframeClock {
    /// For a run from the noise level `highest` down. `level` is the noise level at a part of the run.
    pub fn new(keyframes: &Arc<Keyframes>, highest: f32, level: impl Fn(f64) -> f32) -> Self {
        let starts = keyframes.list().iter().map(|keyframe| level(keyframe.start)).collect();
        Self { keyframes: keyframes.clone(), starts, highest, current: 0, used: 0, last: None }
    }

    /// Whether it is the clock of these very keyframes: hooks that share keyframes share their clock.
    pub fn is_of(&self, keyframes: &Arc<Keyframes>) -> bool {
        Arc::ptr_eq(&self.keyframes, keyframes)
    }

    /// The run is at this noise level. The same one once more counts for nothing.
    pub fn tick(&mut self, sigma: f32) {
        if self.starts.is_empty() || self.last == Some(sigma) {
            return;
        }
        if self.used >= self.guaranteed(self.current) {
            self.advance(sigma);
        }
        self.used += 1;
        self.last = Some(sigma);
    }

    /// On to the last keyframe that has started, or to the first of those that is guaranteed steps.
    fn advance(&mut self, sigma: f32) {
        for next in self.current + 1..self.starts.len() {
            if self.starts[next] < sigma {
                return;
            }
            (self.current, self.used) = (next, 0);
            if self.guaranteed(next) > 0 {
                return;
            }
        }
    }

    /// Steps that a keyframe is guaranteed; none if it starts before the run does.
    fn guaranteed(&self, keyframe: usize) -> usize {
        if self.starts[keyframe] > self.highest { 0 } else { self.keyframes.list()[keyframe].guarantee_steps }
    }

    /// The strength that holds: 1 without keyframes.
    pub fn strength(&self) -> f64 {
        self.keyframes.list().get(self.current).map_or(1.0, |keyframe| keyframe.strength)
    }
}
