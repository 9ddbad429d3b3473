//! The UNet: way down, middle, way up.
//!
//! Knows names and order of its blocks. Knows nothing of noise levels: time steps come in, the raw output goes out.

use kiln_memory::TensorShapes;
use std::sync::Mutex;

use burn::tensor::Tensor;

use super::{
    block::Unit, builder::Builder, check::Call, config::UNetConfig, embed::Embedding, pass::Pass, variant::Variant,
};
use crate::nets::hooks::{ActiveHooks, BetweenAttentions, Hooks, MiddleAttention};
use crate::nets::residuals::Residuals;
use crate::nets::side_inputs::SideInputs;
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        layers::{Conv2d, GroupNorm, Linear},
    },
    ops,
    random::TorchGenerator,
    weights::{ModelWeights, WeightBuilder},
};

/// A Stable Diffusion UNet over weight handles.
///
/// Source: CompVis latent-diffusion, `openaimodel.py`, `UNetModel`.
#[derive(Debug)]
pub struct UNet {
    config: UNetConfig,
    embedding: Embedding,
    input: Vec<Vec<Unit>>,
    middle: Vec<Unit>,
    output: Vec<Vec<Unit>>,
    norm: GroupNorm,
    conv: Conv2d,
    /// Embedding and camera to context.
    projection: Option<Linear>,
    side_inputs: SideInputs,
    /// Where its weights come from; nothing in a survey.
    weights: Option<ModelWeights>,
}

/// What a call gives the UNet beside the latent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// The vector beside the time step, `[batch, adm]`; exactly the models with `adm_channels` take it.
    pub y: Option<&'a Tensor<2>>,
    /// What ControlNets add.
    pub control: Option<&'a Residuals>,
    /// Records named activations.
    pub tap: ActivationTap<'a>,
    /// What the model carries to change the pass.
    pub hooks: Option<&'a Hooks>,
    /// What the condition puts between the attentions of each transformer.
    pub between: Option<&'a dyn BetweenAttentions>,
    /// What the middle block's self-attention does.
    pub middle: MiddleAttention<'a>,
    /// The noise level, for changes that hold for a part of a run.
    pub sigma: f32,
    /// How many items of the batch, one after the other, are the frames of one clip; all of them without.
    pub frames: Option<usize>,
    /// The generator of changes that draw; without it they take the first choice.
    pub rng: Option<&'a Mutex<TorchGenerator>>,
}

impl<'a> Extras<'a> {
    /// The changes at work outside of the middle.
    fn active_hooks(&self, latent: [usize; 2]) -> ActiveHooks<'a> {
        let hooks = self.hooks.map_or(&[][..], Hooks::as_slice);
        let key_values = self.hooks.map_or(&[][..], Hooks::key_values);
        let (sigma, between, rng) = (self.sigma, self.between, self.rng);
        ActiveHooks { hooks, key_values, between, sigma, latent, middle: MiddleAttention::Plain, rng }
    }
}

impl UNetConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<UNet, ModelError> {
        let unet = WeightBuilder::build("UNet", weights, |wb| UNet::new(self, wb))?;
        Ok(UNet { weights: Some(weights.clone()), ..unet })
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other (an empty level list, heads that don't divide the width).
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| UNet::new(self, wb))
    }
}

impl UNet {
    fn new(config: &UNetConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let base = config.model_channels;
        let mut builder = Builder::new(config, wb);
        let projection = match (&config.variant, config.context_dim) {
            (Variant::Posed { inputs }, Some(context)) => Some(Linear::new(wb, "cc_projection", *inputs, context)?),
            _ => None,
        };
        Ok(Self {
            embedding: Embedding::new(config, wb)?,
            input: builder.input()?,
            middle: builder.middle()?,
            output: builder.output()?,
            norm: GroupNorm::new(wb, "out.0", 32, base, 1e-5)?,
            conv: Conv2d::new(wb, "out.2", base, config.out_channels, 3)?,
            projection,
            side_inputs: config.side_inputs(),
            config: config.clone(),
            weights: None,
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// This network, told something else beside latent, level and prompt than its shape says.
    #[must_use]
    pub fn with_side_inputs(self, side_inputs: SideInputs) -> Self {
        Self { side_inputs, ..self }
    }

    /// What it is told beside latent, level and prompt.
    pub fn side_inputs(&self) -> SideInputs {
        self.side_inputs
    }

    /// An image's embedding with a camera as context, where the network has a projection for them (Stable Zero123); any
    /// other context as it is.
    ///
    /// # Errors
    /// When weights can't be had.
    pub fn projected(&self, context: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        match (&self.projection, &self.config.variant) {
            (Some(projection), Variant::Posed { inputs }) if context.dims()[2] == *inputs => {
                projection.forward(context)
            }
            _ => Ok(context),
        }
    }

    /// Where its weights come from.
    pub(crate) fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }

    /// The network's output for a latent that is already scaled to its input range.
    ///
    /// # Shapes
    /// `x` `[batch, in_channels, h, w]` of any size, one time step per batch item (fractions allowed), `context`
    /// `[batch, tokens, context_dim]`; returns `[batch, out_channels, h, w]`.
    /// # Errors
    /// `ModelError::Input` when a shape doesn't fit, or when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: &Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        let frames = extras.frames.unwrap_or(x.dims()[0].max(1));
        Call { network: "UNet", x: &x, timesteps, context, y: extras.y, frames }.check(&self.config)?;
        let embed = self.embedding.forward(timesteps, extras.y, None, &x, extras.tap)?;
        let hooks = extras.active_hooks([x.dims()[2], x.dims()[3]]);
        let mut pass = Pass { embed, context, frames, tap: extras.tap, hooks };
        let (h, skips) = self.down(x, &pass, extras.control)?;
        pass.hooks.middle = extras.middle;
        let mut h = pass.through(&self.middle, h, None)?;
        pass.hooks = hooks;
        if let Some(residual) = extras.control.and_then(|control| control.middle.as_ref()) {
            h = add("control.middle", h, residual)?;
        }
        let h = self.up(h, skips, &pass, extras.control)?;
        self.finish(h, extras.tap)
    }

    fn down(
        &self,
        x: Tensor<4>,
        pass: &Pass<'_>,
        control: Option<&Residuals>,
    ) -> Result<(Tensor<4>, Vec<Tensor<4>>), ModelError> {
        let (mut h, mut skips) = (x, Vec::with_capacity(self.input.len()));
        for (n, block) in self.input.iter().enumerate() {
            h = pass.through(block, h, None)?;
            if let Some(Some(residual)) = control.and_then(|control| control.input.get(n)) {
                h = add("control.input", h, residual)?;
            }
            let (skip, next) = pass.hooks.after_input(n, h)?;
            skips.push(skip);
            h = next;
        }
        Ok((h, skips))
    }

    fn up(
        &self,
        mut h: Tensor<4>,
        mut skips: Vec<Tensor<4>>,
        pass: &Pass<'_>,
        control: Option<&Residuals>,
    ) -> Result<Tensor<4>, ModelError> {
        let mut residuals: &[Option<Tensor<4>>] = control.map_or(&[], |control| &control.output);
        for block in &self.output {
            let Some(mut skip) = skips.pop() else { break };
            if let [rest @ .., last] = residuals {
                residuals = rest;
                if let Some(residual) = last {
                    skip = add("control.output", skip, residual)?;
                }
            }
            let size = skips.last().map(|next| [next.dims()[2], next.dims()[3]]);
            let (joined, skip) = pass.hooks.before_output(h, skip)?;
            h = pass.through(block, Tensor::cat(vec![joined, skip], 1), size)?;
        }
        Ok(h)
    }

    fn finish(&self, h: Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<4>, ModelError> {
        let h = if tap.is_on() {
            let h = self.norm.forward(h)?;
            tap.record("out.0", &h);
            ops::silu(h)?
        } else {
            self.norm.forward_silu(h)?
        };
        tap.record("out.1", &h);
        let h = self.conv.forward(h)?;
        tap.record("out.2", &h);
        tap.record("out", &h);
        Ok(h)
    }
}

fn input(what: &'static str, expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "UNet", what, expected, found: found.to_vec() }
}

fn add(what: &'static str, h: Tensor<4>, residual: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
    let ([batch, channels, height, width], found) = (h.dims(), residual.dims());
    if found != h.dims() && found != [1, channels, height, width] {
        return Err(input(what, format!("[{batch}, {channels}, {height}, {width}]"), &found));
    }
    Ok(h + residual.clone())
}
