//! Steps that are not computed: what changes too little from step to step is guessed from the last one that was.
//!
//! EasyCache (Zhou et al. 2025, arXiv 2507.02860) as ComfyUI has it: after two steps it is known how much the output
//! changes for a change of the input. While the changes that follow from that add up to less than a threshold, the
//! output is the input plus what the network added last time. Knows tensors and levels; what computes is a closure.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Int, Tensor, TensorData};

use crate::sampler::SamplingError;
use crate::schedule::ModelSampling;

/// Changes are looked at in every so many-th cell.
const EVERY: usize = 8;
/// Stands for all conditions together.
pub(super) const WHOLE: usize = 0;

/// What is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReuseOf {
    /// The network's output, per condition (EasyCache).
    Network,
    /// The guided prediction (LazyCache).
    Prediction,
}

/// When steps may be guessed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReuse {
    /// What is guessed.
    pub of: ReuseOf,
    /// Relative changes may add up to this.
    pub threshold: f32,
    /// From this part of the way on, 0 to 1.
    pub start: f64,
    /// Up to this part of the way.
    pub end: f64,
}

/// What one run remembers of its last computed step.
#[derive(Debug)]
pub(super) struct StepMemory {
    settings: StepReuse,
    from: f32,
    until: f32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The condition whose changes count.
    first: Option<usize>,
    /// Shape of the input without its batch.
    shape: Option<[usize; 3]>,
    /// This step is guessed, for every condition.
    skips: bool,
    input: Option<Tensor<4>>,
    output: Option<Tensor<4>>,
    /// Mean size of the output.
    size: f32,
    /// Change of the output per change of the input.
    rate: Option<f32>,
    sum: f32,
    /// What was added to the input, per condition.
    added: HashMap<usize, Tensor<4>>,
}

/// One call of the network, or of everything.
pub(super) struct StepCall<'a> {
    /// `[B, C, h, w]`, as many latents for each condition, one condition after the other.
    pub(super) x: Tensor<4>,
    pub(super) sigma: f32,
    /// Which conditions these are.
    pub(super) conditions: &'a [usize],
}

impl StepMemory {
    pub(super) fn new(settings: StepReuse, sampling: &ModelSampling) -> Self {
        let level = |percent| sampling.levels.percent_to_sigma(percent) as f32;
        let state = Mutex::new(State::new(settings.of));
        Self { settings, from: level(settings.start), until: level(settings.end), state }
    }

    /// What is guessed.
    pub(super) fn of(&self) -> ReuseOf {
        self.settings.of
    }

    /// Another evaluation of all conditions begins.
    pub(super) fn begin(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).skips = false;
    }

    /// The output for `call.x`: guessed, or what `compute` returns, of the same shape.
    pub(super) fn output(
        &self,
        call: StepCall<'_>,
        compute: impl FnOnce() -> Result<Tensor<4>, SamplingError>,
    ) -> Result<Tensor<4>, SamplingError> {
        // Also where the level is no number.
        if call.sigma.partial_cmp(&self.until) != Some(std::cmp::Ordering::Greater) {
            return compute();
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut input_change = None;
        if call.sigma <= self.from {
            state.note_shape(&call.x, self.settings.of);
            let known = call.conditions.iter().all(|id| state.added.contains_key(id));
            if state.skips && known {
                return Ok(state.guessed(call));
            }
            let first = *state.first.get_or_insert(call.conditions.first().copied().unwrap_or_default());
            if call.conditions.contains(&first) {
                let last = state.input.as_ref();
                input_change = last.map(|last| change(&state.sampled(&call, &call.x), last)).transpose()?;
                if state.may_skip(input_change, self.settings.threshold, known) {
                    state.skips = true;
                    return Ok(state.guessed(call));
                }
            }
        }
        let output = compute()?;
        state.learn(&call, &output, input_change)?;
        Ok(output)
    }
}

impl State {
    fn new(of: ReuseOf) -> Self {
        let first = (of == ReuseOf::Prediction).then_some(WHOLE);
        Self { first, ..Self::default() }
    }

    /// An input of another shape has nothing to do with what was learnt.
    fn note_shape(&mut self, x: &Tensor<4>, of: ReuseOf) {
        let [_, c, h, w] = x.dims();
        if self.shape.is_some_and(|shape| shape != [c, h, w]) {
            *self = Self::new(of);
        }
        self.shape = Some([c, h, w]);
    }

    /// Adds this step's change to the sum; returns whether that is still little and all that is added is `known`.
    /// Otherwise the sum begins anew.
    fn may_skip(&mut self, input_change: Option<f32>, threshold: f32, known: bool) -> bool {
        let (Some(change), Some(rate), Some(_)) = (input_change, self.rate, &self.output) else { return false };
        self.sum += rate * change / self.size;
        let skips = self.sum < threshold && known;
        if !skips {
            self.sum = 0.0;
        }
        skips
    }

    fn guessed(&self, call: StepCall<'_>) -> Tensor<4> {
        let added = call.conditions.iter().filter_map(|id| self.added.get(id)).cloned().collect();
        call.x + Tensor::cat(added, 0)
    }

    /// Every so many-th cell of the latents of the condition that counts.
    fn sampled(&self, call: &StepCall<'_>, of: &Tensor<4>) -> Tensor<4> {
        let place = call.conditions.iter().position(|id| Some(*id) == self.first).unwrap_or_default();
        let each = of.dims()[0] / call.conditions.len().max(1);
        let own = of.clone().narrow(0, place * each, each);
        every(every(own, 2), 3)
    }

    fn learn(
        &mut self,
        call: &StepCall<'_>,
        output: &Tensor<4>,
        input_change: Option<f32>,
    ) -> Result<(), SamplingError> {
        let counts = self.first.is_some_and(|first| call.conditions.contains(&first));
        if let (true, Some(last), Some(input)) = (counts, &self.output, input_change) {
            self.rate = Some(change(&self.sampled(call, output), last)? / input);
        }
        let added = output.clone() - call.x.clone();
        let each = added.dims()[0] / call.conditions.len().max(1);
        for (place, id) in call.conditions.iter().enumerate() {
            self.added.insert(*id, added.clone().narrow(0, place * each, each));
        }
        if counts {
            self.input = Some(self.sampled(call, &call.x));
            self.output = Some(self.sampled(call, output));
            self.size = mean_size(output.clone())?;
        }
        Ok(())
    }
}

fn every(x: Tensor<4>, dim: usize) -> Tensor<4> {
    let places: Vec<i64> = (0..x.dims()[dim] as i64).step_by(EVERY).collect();
    let count = places.len();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &x.device());
    x.select(dim, places)
}

/// The mean size of the difference.
fn change(now: &Tensor<4>, before: &Tensor<4>) -> Result<f32, SamplingError> {
    mean_size(now.clone() - before.clone())
}

fn mean_size(x: Tensor<4>) -> Result<f32, SamplingError> {
    x.abs().mean().try_into_scalar::<f32>().map_err(|error| SamplingError::Read(error.to_string()))
}

#[cfg(test)]
mod tests;
