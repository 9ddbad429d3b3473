//! The UNet: way down, middle, way up.
//!
//! Knows names and order of its blocks. Knows nothing of noise levels: time steps come in, the raw output goes out.

use kiln_memory::TensorShapes;
use std::sync::Mutex;

use burn::tensor::Tensor;

use super::{
    block::{Pass, Unit},
    builder::Builder,
    check::Call,
    config::UNetConfig,
    embed::Embedding,
    hooks::{ActiveHooks, Hooks, MiddleAttention},
};
use crate::{
    ModelError, ModelWeights,
    layers::{Conv2d, GroupNorm},
    ops,
    random::TorchGenerator,
    shelf::WeightBuilder,
    watch::ActivationTap,
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
    /// What the middle block's self-attention does.
    pub middle: MiddleAttention<'a>,
    /// The noise level, for changes that hold for a part of a run.
    pub sigma: f32,
    /// The generator of changes that draw; without it they take the first choice.
    pub rng: Option<&'a Mutex<TorchGenerator>>,
}

impl<'a> Extras<'a> {
    /// The changes at work outside of the middle.
    fn active_hooks(&self, latent: [usize; 2]) -> ActiveHooks<'a> {
        let hooks = self.hooks.map_or(&[][..], Hooks::as_slice);
        ActiveHooks { hooks, sigma: self.sigma, latent, middle: MiddleAttention::Plain, rng: self.rng }
    }
}

/// What a ControlNet or T2I-Adapter adds to the activations.
#[derive(Debug, Clone, Default)]
pub struct Residuals {
    /// Added to the result of each input block, in order; shorter lists leave the rest alone.
    pub input: Vec<Option<Tensor<4>>>,
    /// Added after the middle block.
    pub middle: Option<Tensor<4>>,
    /// Added to the skips, in order of the input blocks: the last one meets the first output block.
    pub output: Vec<Option<Tensor<4>>>,
}

impl Residuals {
    /// Every residual times `strength`.
    #[must_use]
    pub fn scaled(self, strength: f32) -> Self {
        let scale = |residual: Option<Tensor<4>>| residual.map(|residual| residual * strength);
        let each = |list: Vec<Option<Tensor<4>>>| list.into_iter().map(scale).collect();
        Self { input: each(self.input), middle: scale(self.middle), output: each(self.output) }
    }

    /// Repeated as a whole and cut to so many latents.
    #[must_use]
    pub fn for_batch(self, batch: usize) -> Self {
        let repeat = |residual: Tensor<4>| match residual.dims()[0] {
            own if own == batch || own == 0 => residual,
            own => residual.repeat_dim(0, batch.div_ceil(own)).narrow(0, 0, batch),
        };
        let each = |list: Vec<Option<Tensor<4>>>| list.into_iter().map(|residual| residual.map(repeat)).collect();
        Self { input: each(self.input), middle: self.middle.map(repeat), output: each(self.output) }
    }

    /// The sum with another network's residuals, place by place.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: Option<Tensor<4>>, b: Option<Tensor<4>>| match (a, b) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        let each = |a: Vec<Option<Tensor<4>>>, b: Vec<Option<Tensor<4>>>| {
            let (mut a, mut b) = (a.into_iter(), b.into_iter());
            (0..a.len().max(b.len())).map(|_| sum(a.next().flatten(), b.next().flatten())).collect()
        };
        Self {
            input: each(self.input, other.input),
            middle: sum(self.middle, other.middle),
            output: each(self.output, other.output),
        }
    }
}

impl UNetConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, keyed: &ModelWeights) -> Result<UNet, ModelError> {
        WeightBuilder::build("UNet", keyed, |shelf| UNet::new(self, shelf))
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other (an empty level list, heads that don't divide the width).
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::survey(|shelf| UNet::new(self, shelf))
    }
}

impl UNet {
    fn new(config: &UNetConfig, shelf: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let base = config.model_channels;
        let mut builder = Builder::new(config, shelf);
        Ok(Self {
            embedding: Embedding::new(config, shelf)?,
            input: builder.input()?,
            middle: builder.middle()?,
            output: builder.output()?,
            norm: GroupNorm::new(shelf, "out.0", 32, base, 1e-5)?,
            conv: Conv2d::new(shelf, "out.2", base, config.out_channels, 3)?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &UNetConfig {
        &self.config
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
        Call { network: "UNet", x: &x, timesteps, context, y: extras.y }.check(&self.config)?;
        let embed = self.embedding.forward(timesteps, extras.y, &x, extras.tap)?;
        let hooks = extras.active_hooks([x.dims()[2], x.dims()[3]]);
        let mut pass = Pass { embed, context, tap: extras.tap, hooks };
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
