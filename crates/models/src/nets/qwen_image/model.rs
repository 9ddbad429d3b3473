//! Qwen-Image's network: patches of latent and references, and a prompt, in; blocks; patches of the latent out.
//!
//! Knows names and order of its blocks. Knows nothing of noise levels: time steps come in, the raw output goes out.

use burn::tensor::{Tensor, TensorData};
use kiln_memory::TensorShapes;

use super::{
    block::{Block, EPS, Embeddings},
    config::{AREA, PATCHES, QwenImageConfig},
    positions,
};
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        condition_inputs::ReferenceMethod,
        layers::{Embedder, Linear, RmsNorm},
        transformer_call::TransformerCall,
        unet::frequency,
    },
    ops::{self, Rotary},
    weights::{ModelWeights, WeightBuilder},
};

/// Numbers that a time step is spread over.
const SINUSOIDS: usize = 256;

/// The network of Qwen-Image and Qwen-Image-Edit over weight handles.
///
/// Source: Wu et al. 2025 (Qwen-Image); diffusers, `transformer_qwenimage.py`, `QwenImageTransformer2DModel`.
#[derive(Debug)]
pub struct QwenImage {
    config: QwenImageConfig,
    weights: Option<ModelWeights>,
    image_in: Linear,
    prompt_norm: RmsNorm,
    prompt_in: Linear,
    time: Embedder,
    blocks: Vec<Block>,
    modulation: Linear,
    output: Linear,
}

/// What a call gives the network beside latent, time step and prompt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pass<'a> {
    /// Latents of the images that the prompt speaks of, `[batch or 1, in_channels, h, w]` each.
    pub references: &'a [Tensor<4>],
    /// How they are told apart; without it each lies in a plane of its own.
    pub method: Option<ReferenceMethod>,
    /// What ControlNets add to the image's first tokens after each block, `[batch or 1, patches, width]`.
    pub control: &'a [Option<Tensor<3>>],
    /// Records named activations.
    pub tap: ActivationTap<'a>,
}

impl QwenImageConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<QwenImage, ModelError> {
        let net = WeightBuilder::build("Qwen-Image", weights, |wb| QwenImage::new(self, wb))?;
        Ok(QwenImage { weights: Some(weights.clone()), ..net })
    }

    /// Name and shape of every tensor of this network, without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| QwenImage::new(self, wb))
    }
}

impl QwenImage {
    fn new(config: &QwenImageConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let width = config.width;
        let time = "time_text_embed.timestep_embedder.linear_";
        Ok(Self {
            image_in: Linear::new(wb, "img_in", config.in_channels * AREA, width)?,
            prompt_norm: RmsNorm::new(wb, "txt_norm.weight", config.context, EPS)?,
            prompt_in: Linear::new(wb, "txt_in", config.context, width)?,
            time: Embedder::new(wb, [&format!("{time}1"), &format!("{time}2")], SINUSOIDS, width)?,
            blocks: (0..config.blocks).map(|i| Block::new(wb, config, i)).collect::<Result<_, _>>()?,
            modulation: Linear::new(wb, "norm_out.linear", width, 2 * width)?,
            output: Linear::new(wb, "proj_out", width, config.out_channels * AREA)?,
            config: config.clone(),
            weights: None,
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &QwenImageConfig {
        &self.config
    }

    /// Where its weights come from.
    pub fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }

    /// The network's output for a latent.
    ///
    /// # Shapes
    /// `x` `[batch, in_channels, h, w]` of any size, one time step (0 to 1) per batch item, `context`
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
        let ([batch, _, height, width], tap) = (x.dims(), pass.tap);
        let rotary = self.rotary(&x, context.dims()[1], pass)?;
        let time = self.time(timesteps, &x, tap)?;
        let clean = self.is_clean(pass).then(|| self.time(&vec![0.0; batch], &x, ActivationTap::default()));
        let clean = clean.transpose()?;
        let latent = PATCHES.tokens(x);
        tap.record("patches", &latent);
        let own = latent.dims()[1];
        let references = pass.references.iter().map(|reference| PATCHES.tokens(repeated(reference, batch)));
        let image = self.image_in.forward(Tensor::cat(std::iter::once(latent).chain(references).collect(), 1))?;
        tap.record("img_in", &image);
        let prompt = self.prompt(context, tap)?;
        let embeddings = Embeddings { time: &time, clean: clean.as_ref().map(|vector| (own, vector)) };
        let image = self.run_blocks(prompt, image, &embeddings, &rotary, pass)?;
        let tokens = self.finish(image.narrow(1, 0, own), &time, tap)?;
        Ok(PATCHES.latent(tokens, [height, width]))
    }

    fn prompt(&self, context: Tensor<3>, tap: ActivationTap<'_>) -> Result<Tensor<3>, ModelError> {
        let prompt = self.prompt_norm.forward(context)?;
        tap.record("txt_norm", &prompt);
        let prompt = self.prompt_in.forward(prompt)?;
        tap.record("txt_in", &prompt);
        Ok(prompt)
    }

    /// Whether references are clean at every time step: the condition says so, or the file does and the condition nothing.
    fn is_clean(&self, pass: &Pass<'_>) -> bool {
        let method = pass.method.or(self.config.clean_references.then_some(ReferenceMethod::IndexTimestepZero));
        !pass.references.is_empty() && method == Some(ReferenceMethod::IndexTimestepZero)
    }

    fn rotary(&self, x: &Tensor<4>, prompt: usize, pass: &Pass<'_>) -> Result<Rotary, ModelError> {
        let latent = [x.dims()[2], x.dims()[3]];
        let sizes: Vec<[usize; 2]> = pass.references.iter().map(|x| [x.dims()[2], x.dims()[3]]).collect();
        let method = pass.method.unwrap_or(ReferenceMethod::Index);
        let rotary = positions::rotary(prompt, latent, &sizes, method, self.config.axes)?;
        if pass.tap.is_on() {
            let (cos, sin) = rotary.table();
            let turns: Vec<f32> = cos.iter().zip(sin).flat_map(|(cos, sin)| [*cos, -sin, *sin, *cos]).collect();
            let shape = [1, 1, rotary.tokens(), self.config.head / 2, 2, 2];
            let turns = Tensor::<6>::from_data(TensorData::new(turns, shape), &x.device());
            pass.tap.record("pe_embedder", &turns);
        }
        Ok(rotary)
    }

    /// The time step as a vector, after the SiLU that every modulation starts with.
    fn time(&self, timesteps: &[f32], x: &Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<2>, ModelError> {
        let waves = Tensor::from_data(TensorData::new(waves(timesteps), [timesteps.len(), SINUSOIDS]), &x.device());
        tap.record("time_text_embed.time_proj", &waves);
        let time = self.time.forward(waves.cast(x.dtype()))?;
        for name in ["time_text_embed.timestep_embedder", "time_text_embed"] {
            tap.record(name, &time);
        }
        Ok(ops::silu(time)?)
    }

    fn run_blocks(
        &self,
        mut prompt: Tensor<3>,
        mut image: Tensor<3>,
        embeddings: &Embeddings<'_>,
        rotary: &Rotary,
        pass: &Pass<'_>,
    ) -> Result<Tensor<3>, ModelError> {
        for (i, block) in self.blocks.iter().enumerate() {
            (prompt, image) = block.forward(prompt, image, embeddings, rotary, pass.tap)?;
            if let Some(Some(residual)) = pass.control.get(i) {
                image = add_first(image, residual)?;
            }
        }
        Ok(image)
    }

    fn finish(&self, image: Tensor<3>, time: &Tensor<2>, tap: ActivationTap<'_>) -> Result<Tensor<3>, ModelError> {
        tap.record("norm_out.silu", time);
        let modulation = self.modulation.forward2(time.clone())?;
        tap.record("norm_out.linear", &modulation);
        let width = self.config.width;
        let (scale, shift) = (modulation.clone().narrow(1, 0, width), modulation.narrow(1, width, width));
        if tap.is_on() {
            let nothing = Tensor::zeros(shift.dims(), &shift.device());
            tap.record("norm_out.norm", &ops::modulated_norm(image.clone(), nothing.clone(), nothing, EPS)?);
        }
        let image = ops::modulated_norm(image, shift, scale, EPS)?;
        tap.record("norm_out", &image);
        let tokens = self.output.forward(image)?;
        tap.record("proj_out", &tokens);
        Ok(tokens)
    }

    fn check(&self, x: &Tensor<4>, steps: &[f32], context: &Tensor<3>, pass: &Pass<'_>) -> Result<(), ModelError> {
        let ([batch, channels, ..], config) = (x.dims(), &self.config);
        TransformerCall { network: "Qwen-Image", channels: config.in_channels, context: config.context }
            .check(x, steps, context)?;
        for reference in pass.references {
            let [items, own, height, width] = reference.dims();
            if (items != 1 && items != batch) || own != channels || height == 0 || width == 0 {
                let expected = format!("[1 or {batch}, {channels}, height, width], one image's latent");
                return Err(input("reference_latents", expected, &reference.dims()));
            }
        }
        Ok(())
    }
}

/// Cosines, then sines, of each time step times each frequency, times 1000: in this order, which the last digits of angles
/// near 1000 show.
fn waves(timesteps: &[f32]) -> Vec<f32> {
    let half = SINUSOIDS / 2;
    let frequencies: Vec<f32> = (0..half).map(|j| frequency(j, half)).collect();
    let wave = |t: f32, f: fn(f64) -> f64| frequencies.iter().map(move |w| f(f64::from(t * w * 1000.0)) as f32);
    timesteps.iter().flat_map(|t| wave(*t, f64::cos).chain(wave(*t, f64::sin))).collect()
}

fn repeated(reference: &Tensor<4>, batch: usize) -> Tensor<4> {
    if reference.dims()[0] == batch { reference.clone() } else { reference.clone().repeat_dim(0, batch) }
}

fn add_first(image: Tensor<3>, residual: &Tensor<3>) -> Result<Tensor<3>, ModelError> {
    let ([batch, tokens, width], [items, first, own]) = (image.dims(), residual.dims());
    if (items != batch && items != 1) || first > tokens || own != width {
        return Err(input("control", format!("[{batch}, up to {tokens}, {width}]"), &residual.dims()));
    }
    let head = image.clone().narrow(1, 0, first) + residual.clone();
    Ok(if first == tokens { head } else { Tensor::cat(vec![head, image.narrow(1, first, tokens - first)], 1) })
}

fn input(what: &'static str, expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "Qwen-Image", what, expected, found: found.to_vec() }
}
