//! The trait of denoising networks, whatever their family, and what one evaluation takes.
//!
//! Knows tensors. Knows nothing of noise levels: input scaling and the meaning of the output belong to
//! [`ModelSampling`](crate::schedule::ModelSampling).

use std::any::Any;
use std::sync::{Arc, Mutex};

use burn::tensor::Tensor;

use super::{
    condition_inputs::ConditionInputs,
    hooks::{BetweenAttentions, Hooks, MiddleAttention, SkippedBlocks},
    residuals::Residuals,
    side_inputs::SideInputs,
};
use crate::error::ModelError;
use crate::lora::Prefixes;
use crate::random::TorchGenerator;
use crate::weights::ModelWeights;

/// A network that predicts something about the noise in a latent.
///
/// # Shapes
/// `x` is `[B, C, H, W]`, already scaled, with the channels of [`channels`](Network::channels) plus those of
/// `extras.concat`, which the caller has appended. Latents with frames, `[B, C, F, H, W]`, come as `[B, C·F, H, W]`: the
/// same values in the same order, with `F` in `extras.latent_frames`. `timesteps` has `B` entries (they may be
/// fractional), `context` is `[B, T, D]`. Returns `[B, C_out·F, H, W]` in f32.
pub trait Network: Any + std::fmt::Debug + Send + Sync {
    /// One evaluation.
    ///
    /// # Errors
    /// Whatever the network finds wrong with its inputs, naming the tensor.
    fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError>;

    /// Channels of the latent that the network denoises (4 for Stable Diffusion, also where the input has 9).
    fn channels(&self) -> usize;

    /// About how many bytes a pass holds beside its weights, for a latent of `[batch, height, width]` cells.
    fn activations(&self, latent: [usize; 3]) -> u64;

    /// Width of a UNet's first level, which some changes of its pass go by; none for other networks.
    fn model_channels(&self) -> Option<usize> {
        None
    }

    /// The guidance that a distilled network is told where a condition doesn't say; none for networks that take none.
    fn default_guidance(&self) -> Option<f32> {
        None
    }

    /// Where its latents have an axis of frames, also for one image.
    fn has_frames(&self) -> bool {
        false
    }

    /// Whether prompts of different lengths go through together, the shorter one repeated (Stable Diffusion). Networks
    /// that attend to prompt and image alike see a repeated prompt as another one.
    fn repeats_prompts(&self) -> bool {
        true
    }

    /// What a checkpoint calls a weight.
    fn name_in_checkpoint(&self, key: &str) -> String {
        format!("model.diffusion_model.{key}")
    }

    /// Channels beyond [`channels`](Network::channels) that the network's input takes (5 for inpainting, 4 for
    /// instruct-pix2pix).
    fn extra_channels(&self) -> usize {
        0
    }

    /// Width of the vector beside the time embedding (2816 for SDXL), none for networks that take none.
    fn vector_width(&self) -> Option<usize> {
        None
    }

    /// What it is told beside latent, level and prompt.
    fn side_inputs(&self) -> SideInputs {
        SideInputs::Usual
    }

    /// An encoded prompt as the network's attention takes it, `[B, T, D]`.
    ///
    /// # Errors
    /// When weights can't be had.
    fn context(&self, prompt: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        Ok(prompt)
    }

    /// Where its weights come from: control-LoRAs stand on them, and hooks change them.
    fn weights(&self) -> Option<&ModelWeights> {
        None
    }

    /// Which weights the prefixes of LoRA files mean, by model keys (`diffusion_model.` before the network's own).
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        Ok(Prefixes::new())
    }

    /// The same network over other weights of the same keys and shapes.
    ///
    /// # Errors
    /// When it can't be built over them.
    fn over(&self, weights: &ModelWeights) -> Result<Arc<dyn Network>, ModelError> {
        let what = format!("the weights of {} can't be changed for a condition", weights.weights().owner());
        Err(ModelError::Hook(what.into()))
    }
}

/// What an evaluation gets beside latent, time step and context.
#[derive(Debug, Clone)]
pub struct Extras<'a> {
    /// Vector `[B, adm]` beside the time embedding: pooled text and sizes (SDXL).
    pub vector: Option<Tensor<2>>,
    /// What a ControlNet adds to the network's skips.
    pub control: Option<Residuals>,
    /// For each batch item: whether it belongs to the negative conditioning. Attention patches look at it.
    pub negative: Vec<bool>,
    /// The noise level, for patches that depend on it.
    pub sigma: f32,
    /// How many items of the batch, one after the other, are the frames of one clip; all of them without. Networks for
    /// single images don't look at it.
    pub frames: Option<usize>,
    /// How many frames each latent has, folded into its channels; 1 for images.
    pub latent_frames: usize,
    /// What the condition gives beside the prompt: its mask, guidance, references.
    pub given: ConditionInputs,
    /// What changes the pass itself.
    pub modifiers: PassModifiers<'a>,
}

impl Default for Extras<'_> {
    fn default() -> Self {
        Self {
            vector: None,
            control: None,
            negative: Vec::new(),
            sigma: 0.0,
            frames: None,
            latent_frames: 1,
            given: ConditionInputs::default(),
            modifiers: PassModifiers::default(),
        }
    }
}

impl dyn Network {
    /// This network as a certain one, if it is.
    pub fn as_a<N: Network>(&self) -> Option<&N> {
        (self as &dyn Any).downcast_ref()
    }
}

/// What the model and the question carry to change a network's pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct PassModifiers<'a> {
    /// The model's changes.
    pub hooks: Option<&'a Hooks>,
    /// What the condition puts between the attentions.
    pub between: Option<&'a dyn BetweenAttentions>,
    /// What the middle does.
    pub middle: MiddleAttention<'a>,
    /// Blocks that are left out, by their numbers.
    pub skipped: Option<&'a SkippedBlocks>,
    /// The run's RNG.
    pub rng: Option<&'a Mutex<TorchGenerator>>,
}
