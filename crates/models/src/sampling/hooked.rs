//! The model under the hooks of its conditions: which weights at which noise level.
//!
//! Knows keyframes' clocks and keeps one model per group of hooks, at the strengths that hold now. A model is a view of the
//! same weights, so that another strength copies none; what was changed is made anew where it is used.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::predictor::Predictor;
use super::prepare::Prepared;
use crate::sampler::SamplingError;
use crate::schedule::ModelSampling;
use crate::weight_hooks::{HookGroup, KeyframeClock};

/// Models by the hooks of conditions.
pub(super) trait HookedModels {
    /// A condition with these hooks is evaluated at this noise level.
    fn tick(&self, hooks: &HookGroup, sigma: f32);

    /// The model under hooks at the strengths that hold now.
    fn model(&self, hooks: &Arc<HookGroup>) -> Result<Rc<dyn Predictor + '_>, SamplingError>;
}

/// The hooked models of one run.
pub(super) struct HookRun<'m> {
    model: &'m dyn Predictor,
    sampling: &'m ModelSampling,
    /// The run's highest noise level.
    highest: f32,
    state: RefCell<State<'m>>,
}

#[derive(Default)]
struct State<'m> {
    clocks: Vec<KeyframeClock>,
    models: Vec<Hooked<'m>>,
}

struct Hooked<'m> {
    hooks: Arc<HookGroup>,
    strengths: Vec<f64>,
    model: Rc<dyn Predictor + 'm>,
}

impl<'m> HookRun<'m> {
    /// For a run over these noise levels, with every group of the conditions tried once at its own strengths: what doesn't
    /// suit the model is found before anything is computed.
    pub(super) fn new<'p>(
        model: &'m dyn Predictor,
        sampling: &'m ModelSampling,
        sigmas: &[f32],
        conditions: impl Iterator<Item = &'p Prepared>,
    ) -> Result<Self, SamplingError> {
        let highest = sigmas.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let run = Self { model, sampling, highest, state: RefCell::default() };
        for hooks in conditions.filter_map(|condition| condition.hooks.as_ref()) {
            let known = run.state.borrow().models.iter().any(|hooked| hooked.hooks.is_same(hooks));
            if !known {
                run.build(hooks, vec![1.0; hooks.hooks().len()])?;
            }
        }
        Ok(run)
    }

    /// The model of a group at these strengths, in the place of the one that the group had.
    fn build(&self, hooks: &Arc<HookGroup>, strengths: Vec<f64>) -> Result<Rc<dyn Predictor + 'm>, SamplingError> {
        let model: Rc<dyn Predictor + 'm> = Rc::from(self.model.hooked(hooks, &strengths)?);
        let mut state = self.state.borrow_mut();
        state.models.retain(|hooked| !hooked.hooks.is_same(hooks));
        state.models.push(Hooked { hooks: hooks.clone(), strengths, model: model.clone() });
        Ok(model)
    }
}

impl HookedModels for HookRun<'_> {
    fn tick(&self, hooks: &HookGroup, sigma: f32) {
        let clocks = &mut self.state.borrow_mut().clocks;
        for hook in hooks.hooks() {
            let at = clocks.iter().position(|clock| clock.is_of(&hook.keyframes)).unwrap_or_else(|| {
                let level = |percent| self.sampling.levels.percent_to_sigma(percent) as f32;
                clocks.push(KeyframeClock::new(&hook.keyframes, self.highest, level));
                clocks.len() - 1
            });
            clocks[at].tick(sigma);
        }
    }

    fn model(&self, hooks: &Arc<HookGroup>) -> Result<Rc<dyn Predictor + '_>, SamplingError> {
        let strengths: Vec<f64> = {
            let clocks = &self.state.borrow().clocks;
            let clock = |keyframes| clocks.iter().find(|clock| clock.is_of(keyframes));
            let strength = |keyframes| clock(keyframes).map_or(1.0, KeyframeClock::strength);
            hooks.hooks().iter().map(|hook| strength(&hook.keyframes)).collect()
        };
        let known = |hooked: &&Hooked<'_>| hooked.hooks.is_same(hooks) && hooked.strengths == strengths;
        let found = self.state.borrow().models.iter().find(known).map(|hooked| hooked.model.clone());
        match found {
            Some(model) => Ok(model),
            None => Ok(self.build(hooks, strengths)?),
        }
    }
}
