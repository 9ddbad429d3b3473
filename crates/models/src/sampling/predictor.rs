//! A model that returns denoised latents, and the one made of a network and its noise schedule.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::patches::ModelPatches;
use super::reuse::{StepCall, StepMemory};
use crate::error::ModelError;
use crate::nets::ControlCall;
use crate::nets::ControlSource;
use crate::nets::{ConditionInputs, Extras, Network, PassModifiers, SideInputs};
use crate::sampler::SamplingError;
use crate::schedule::ModelSampling;
use crate::schedule::scaling;
use crate::weight_hooks::{HookGroup, HookTarget, HookedPart};

/// Anything that denoises a batch of latents under a condition.
pub trait Predictor {
    /// Denoised latents for a batch at one noise level.
    ///
    /// # Shapes
    /// `x` and the result are `[B, C, h, w]` in f32.
    /// # Errors
    /// Of the network.
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError>;

    /// Channels of the latents.
    fn channels(&self) -> usize;

    /// Channels that the network takes beside the latent's.
    fn extra_channels(&self) -> usize {
        0
    }

    /// Width of the vector beside the time embedding, if it takes one.
    fn vector_width(&self) -> Option<usize> {
        None
    }

    /// What it is told beside latent, level and prompt.
    fn side_inputs(&self) -> SideInputs {
        SideInputs::Usual
    }

    /// The guidance that a distilled network is told where a condition doesn't say.
    fn default_guidance(&self) -> Option<f32> {
        None
    }

    /// Whether prompts of different lengths go through together, the shorter one repeated.
    fn repeats_prompts(&self) -> bool {
        true
    }

    /// An encoded prompt as the network takes it, `[B, T, D]`.
    ///
    /// # Errors
    /// Of the network.
    fn context(&self, prompt: Tensor<3>) -> Result<Tensor<3>, SamplingError> {
        Ok(prompt)
    }

    /// What the model carries to change how it is sampled.
    fn patches(&self) -> Option<&ModelPatches> {
        None
    }

    /// The model with its weights under hooks, where `strengths` has a factor for each: what its keyframes say.
    ///
    /// # Errors
    /// When a hook doesn't suit the model.
    fn hooked(&self, _hooks: &HookGroup, _strengths: &[f64]) -> Result<Box<dyn Predictor + '_>, SamplingError> {
        Err(ModelError::Hook("the weights of this model can't be changed for a condition".into()).into())
    }
}

/// What an evaluation is conditioned on.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Encoded prompts, `[B, T, D]`.
    pub context: Tensor<3>,
    /// What the control network reads in their place, `[B, T', D]`.
    pub control_context: Option<Tensor<3>>,
    /// Vector beside the time embedding, `[B, adm]`.
    pub vector: Option<Tensor<2>>,
    /// Channels appended to the latent's, `[B, extra, h, w]`.
    pub concat: Option<Tensor<4>>,
    /// The control network, if one holds.
    pub control: Option<&'a dyn ControlSource>,
    /// How many conditions share the batch, one after the other, each with as many latents.
    pub conditions: usize,
    /// Per batch item: whether it is of the negative conditioning.
    pub negative: Vec<bool>,
    /// How many frames each latent has, folded into its channels; 1 for images.
    pub latent_frames: usize,
    /// What the conditions give beside their prompts.
    pub given: ConditionInputs,
    /// What changes the network's pass.
    pub modifiers: PassModifiers<'a>,
    /// Where the network's outputs may be guessed from those of earlier steps.
    pub(super) steps: Option<StepInputs<'a>>,
}

impl Inputs<'_> {
    /// One condition of encoded prompts `[B, T, D]`, and nothing beside it.
    pub fn new(context: Tensor<3>) -> Self {
        Self {
            context,
            control_context: None,
            vector: None,
            concat: None,
            control: None,
            conditions: 1,
            negative: Vec::new(),
            latent_frames: 1,
            given: ConditionInputs::default(),
            modifiers: PassModifiers::default(),
            steps: None,
        }
    }
}

/// What a run remembers of its steps, and whose outputs are wanted.
#[derive(Debug)]
pub(super) struct StepInputs<'a> {
    pub(super) memory: &'a StepMemory,
    /// Which conditions share the batch.
    pub(super) conditions: Vec<usize>,
}

/// A network with the meaning of its time steps and outputs.
#[derive(Debug, Clone, Copy)]
pub struct NetworkPredictor<'a> {
    /// The network.
    pub network: &'a dyn Network,
    /// Its noise schedule and prediction type.
    pub sampling: &'a ModelSampling,
    /// What the model carries to change how it is sampled.
    pub patches: Option<&'a ModelPatches>,
}

impl Predictor for NetworkPredictor<'_> {
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        let call = ControlCall {
            x: &x,
            sigma,
            sampling: self.sampling,
            context: inputs.control_context.as_ref().unwrap_or(&inputs.context),
            vector: inputs.vector.as_ref(),
            conditions: inputs.conditions,
            base: self.network.weights(),
        };
        let control = inputs.control.map(|control| control.residuals(&call)).transpose()?.flatten();
        let scaled = scaling::network_input(self.sampling, x.clone(), sigma);
        let input = match inputs.concat {
            Some(concat) => Tensor::cat(vec![scaled, concat], 1),
            None => scaled,
        };
        let frames = Some((x.dims()[0] / inputs.conditions.max(1)).max(1));
        let timesteps = vec![self.sampling.levels.timestep(sigma); x.dims()[0]];
        let extras = Extras {
            vector: inputs.vector,
            control,
            negative: inputs.negative,
            sigma,
            frames,
            latent_frames: inputs.latent_frames,
            given: inputs.given,
            modifiers: inputs.modifiers,
        };
        let seen = inputs.steps.as_ref().map(|steps| (steps, input.clone().narrow(1, 0, x.dims()[1])));
        let compute = || Ok(self.network.forward(input, &timesteps, inputs.context, &extras)?);
        let output = match seen {
            Some((StepInputs { memory, conditions }, x)) => {
                memory.output(StepCall { x, sigma, conditions }, compute)?
            }
            None => compute()?,
        };
        Ok(scaling::denoised(self.sampling, x, output, sigma))
    }

    fn channels(&self) -> usize {
        self.network.channels()
    }

    fn extra_channels(&self) -> usize {
        self.network.extra_channels()
    }

    fn vector_width(&self) -> Option<usize> {
        self.network.vector_width()
    }

    fn side_inputs(&self) -> SideInputs {
        self.network.side_inputs()
    }

    fn default_guidance(&self) -> Option<f32> {
        self.network.default_guidance()
    }

    fn repeats_prompts(&self) -> bool {
        self.network.repeats_prompts()
    }

    fn context(&self, prompt: Tensor<3>) -> Result<Tensor<3>, SamplingError> {
        Ok(self.network.context(prompt)?)
    }

    fn patches(&self) -> Option<&ModelPatches> {
        self.patches
    }

    fn hooked(&self, hooks: &HookGroup, strengths: &[f64]) -> Result<Box<dyn Predictor + '_>, SamplingError> {
        let Some(weights) = self.network.weights() else {
            return Err(ModelError::Hook("this network has no weights to change".into()).into());
        };
        let prefixes = self.network.lora_keys()?;
        let target = HookTarget { part: HookedPart::Model, prefixes: &prefixes, scope: "diffusion_model.", weights };
        let patches = hooks.patches(strengths, &target).map_err(ModelError::from)?;
        if patches.is_empty() {
            return Ok(Box::new(*self));
        }
        let network = self.network.over(&weights.patched(&patches))?;
        Ok(Box::new(HookedPredictor { network, sampling: self.sampling, patches: self.patches }))
    }
}

/// A network over weights of its own, with the meaning of its time steps and outputs.
struct HookedPredictor<'a> {
    network: Arc<dyn Network>,
    sampling: &'a ModelSampling,
    patches: Option<&'a ModelPatches>,
}

impl HookedPredictor<'_> {
    fn plain(&self) -> NetworkPredictor<'_> {
        NetworkPredictor { network: &*self.network, sampling: self.sampling, patches: self.patches }
    }
}

impl Predictor for HookedPredictor<'_> {
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        self.plain().denoised(x, sigma, inputs)
    }

    fn channels(&self) -> usize {
        self.plain().channels()
    }

    fn extra_channels(&self) -> usize {
        self.plain().extra_channels()
    }

    fn vector_width(&self) -> Option<usize> {
        self.plain().vector_width()
    }

    fn side_inputs(&self) -> SideInputs {
        self.plain().side_inputs()
    }

    fn default_guidance(&self) -> Option<f32> {
        self.plain().default_guidance()
    }

    fn repeats_prompts(&self) -> bool {
        self.plain().repeats_prompts()
    }

    fn context(&self, prompt: Tensor<3>) -> Result<Tensor<3>, SamplingError> {
        self.plain().context(prompt)
    }

    fn patches(&self) -> Option<&ModelPatches> {
        self.patches
    }
}
