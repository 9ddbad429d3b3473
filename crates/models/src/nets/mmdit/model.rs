//! The MMDiT: patches and prompt in, joint blocks, patches out.
//!
//! Knows names and order of its blocks. Knows nothing of noise levels: time steps come in, the raw output goes out.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::{
    block::{Block, EPS},
    config::MmditConfig,
    patch_embedder::PatchEmbedder,
    positions::Positions,
};
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        layers::{Embedder, Linear},
        patches::{Order, Patches},
        transformer_call::TransformerCall,
        unet::sinusoidal,
    },
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// Numbers that a time step is spread over.
const SINUSOIDS: usize = 256;

/// The network of Stable Diffusion 3 and 3.5 over weight handles.
///
/// Source: Esser et al. 2024; Stability AI, sd3.5, `mmditx.py`, `MMDiTX`.
#[derive(Debug)]
pub struct Mmdit {
    config: MmditConfig,
    weights: Option<ModelWeights>,
    patches: PatchEmbedder,
    positions: Positions,
    time: Embedder,
    vector: Embedder,
    context: Linear,
    blocks: Vec<Block>,
    modulation: Linear,
    output: Linear,
}

/// What a call gives the network beside latent, time step and prompt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pass<'a> {
    /// The pooled prompt, `[batch, vector]`.
    pub vector: Option<&'a Tensor<2>>,
    /// What ControlNets add to the image's tokens after each block, `[batch or 1, patches, width]`.
    pub control: &'a [Option<Tensor<3>>],
    /// Blocks that are left out.
    pub skipped: &'a [usize],
    /// Records named activations.
    pub tap: ActivationTap<'a>,
}

impl MmditConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Mmdit, ModelError> {
        let net = WeightBuilder::build("MMDiT", weights, |wb| Mmdit::new(self, wb))?;
        Ok(Mmdit { weights: Some(weights.clone()), ..net })
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Mmdit::new(self, wb))
    }
}

impl Mmdit {
    fn new(config: &MmditConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let (width, patch) = (config.width, config.patch);
        let embedder =
            |name: &str, inputs| Embedder::new(wb, [&format!("{name}.mlp.0"), &format!("{name}.mlp.2")], inputs, width);
        let last = config.blocks().saturating_sub(1);
        let features = patch * patch * config.out_channels;
        Ok(Self {
            positions: Positions::new(wb, config.positions, width)?,
            patches: PatchEmbedder::new(wb, config)?,
            time: embedder("t_embedder", SINUSOIDS)?,
            vector: embedder("y_embedder", config.vector)?,
            context: Linear::new(wb, "context_embedder", config.context, width)?,
            blocks: (0..=last).map(|i| Block::new(wb, config, i, i == last)).collect::<Result<_, _>>()?,
            modulation: Linear::new(wb, "final_layer.adaLN_modulation.1", width, 2 * width)?,
            output: Linear::new(wb, "final_layer.linear", width, features)?,
            config: config.clone(),
            weights: None,
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &MmditConfig {
        &self.config
    }

    /// Where its weights come from.
    pub fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }

    /// The network's output for a latent.
    ///
    /// # Shapes
    /// `x` `[batch, in_channels, h, w]` of any size up to the table's, one time step (0 to 1000) per batch item, `context`
    /// `[batch, tokens, context]`; returns `[batch, out_channels, h, w]`.
    /// # Errors
    /// `ModelError::Input` when a shape doesn't fit, or when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        pass: &Pass<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        self.check(&x, timesteps, &context, pass)?;
        let ([_, _, height, width], tap) = (x.dims(), pass.tap);
        let vector = self.conditioning(timesteps, &x, pass)?;
        let image = self.embed(x, tap)?;
        let context = self.context.forward(context)?;
        tap.record("context_embedder", &context);
        let image = self.run_blocks(context, image, &vector, pass)?;
        let tokens = self.finish(image, &vector, tap)?;
        let patches = Patches { side: self.config.patch, order: Order::ChannelFastest };
        Ok(patches.latent(tokens, [height, width]))
    }

    /// Time step and pooled prompt as one vector, after the SiLU that every modulation starts with.
    fn conditioning(&self, timesteps: &[f32], x: &Tensor<4>, pass: &Pass<'_>) -> Result<Tensor<2>, ModelError> {
        let tap = pass.tap;
        let waves = sinusoidal(timesteps, SINUSOIDS, &x.device()).cast(x.dtype());
        tap.record("t_embedder.waves", &waves);
        let mut vector = self.time.forward(waves)?;
        for name in ["t_embedder.mlp", "t_embedder"] {
            tap.record(name, &vector);
        }
        if let Some(y) = pass.vector {
            let y = self.vector.forward(y.clone().cast(x.dtype()))?;
            for name in ["y_embedder.mlp", "y_embedder"] {
                tap.record(name, &y);
            }
            vector = vector + y;
        }
        Ok(ops::silu(vector)?)
    }

    /// The latent's patches with their positions.
    fn embed(&self, x: Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<3>, ModelError> {
        let patches = Patches { side: self.config.patch, order: Order::ChannelSlowest };
        let [rows, columns] = patches.grid([x.dims()[2], x.dims()[3]]);
        let tokens = self.patches.forward(patches.tokens(x))?;
        if tap.is_on() {
            let [batch, _, width] = tokens.dims();
            let map = tokens.clone().swap_dims(1, 2).reshape([batch, width, rows, columns]);
            tap.record("x_embedder.proj", &map);
        }
        for name in ["x_embedder.norm", "x_embedder"] {
            tap.record(name, &tokens);
        }
        let positions = self.positions.of([rows, columns], &tokens.device())?.cast(tokens.dtype());
        tap.record("pos_embed", &positions);
        Ok(tokens + positions)
    }

    fn run_blocks(
        &self,
        context: Tensor<3>,
        mut image: Tensor<3>,
        vector: &Tensor<2>,
        pass: &Pass<'_>,
    ) -> Result<Tensor<3>, ModelError> {
        let mut context = Some(context);
        for (i, block) in self.blocks.iter().enumerate() {
            if !pass.skipped.contains(&i) {
                let Some(prompt) = context else { break };
                (context, image) = block.forward(prompt, image, vector, pass.tap)?;
            }
            if let Some(Some(residual)) = pass.control.get(i) {
                image = add(image, residual)?;
            }
        }
        Ok(image)
    }

    fn finish(&self, image: Tensor<3>, vector: &Tensor<2>, tap: ActivationTap<'_>) -> Result<Tensor<3>, ModelError> {
        let modulation = self.modulation.forward2(vector.clone())?;
        tap.record("final_layer.adaLN_modulation", &modulation);
        let width = self.config.width;
        let (shift, scale) = (modulation.clone().narrow(1, 0, width), modulation.narrow(1, width, width));
        if tap.is_on() {
            let nothing = Tensor::zeros(shift.dims(), &shift.device());
            let plain = ops::modulated_norm(image.clone(), nothing.clone(), nothing, EPS)?;
            tap.record("final_layer.norm_final", &plain);
        }
        let tokens = self.output.forward(ops::modulated_norm(image, shift, scale, EPS)?)?;
        for name in ["final_layer.linear", "final_layer"] {
            tap.record(name, &tokens);
        }
        Ok(tokens)
    }

    fn check(&self, x: &Tensor<4>, steps: &[f32], context: &Tensor<3>, pass: &Pass<'_>) -> Result<(), ModelError> {
        let (batch, config) = (x.dims()[0], &self.config);
        TransformerCall { network: "MMDiT", channels: config.in_channels, context: config.context }
            .check(x, steps, context)?;
        match pass.vector.map(Tensor::dims) {
            Some(found) if found != [batch, config.vector] => {
                Err(input("vector", format!("[{batch}, {}], the pooled prompt", config.vector), &found))
            }
            _ => Ok(()),
        }
    }
}

fn add(image: Tensor<3>, residual: &Tensor<3>) -> Result<Tensor<3>, ModelError> {
    let ([_, patches, width], found) = (image.dims(), residual.dims());
    if found != image.dims() && found != [1, patches, width] {
        return Err(input("control", format!("{:?}", image.dims()), &found));
    }
    Ok(image + residual.clone())
}

fn input(what: &'static str, expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "MMDiT", what, expected, found: found.to_vec() }
}
