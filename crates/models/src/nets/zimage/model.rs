//! The Z-Image network: latents and a caption in, a velocity out.

use burn::tensor::Tensor;
use kiln_memory::{TensorShapes, Weight};

use super::{
    block::Block,
    config::{SIDE, ZImageConfig},
};
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        layers::{Embedder, Linear, RmsNorm},
        patches::{Order, Patches},
        transformer_call::TransformerCall,
        unet::sinusoidal,
    },
    ops::{self, Rotary},
    weights::{ModelWeights, WeightBuilder},
};

/// Waves that a noise level becomes.
const WAVES: usize = 256;
/// Cleanness, 1 minus the noise level, is multiplied by this.
const FACTOR: f32 = 1000.0;
/// Of the caption's normalisation.
const CAPTION_EPS: f64 = 1e-5;
/// Of the last normalisation.
const LAST_EPS: f64 = 1e-6;
const PATCHES: Patches = Patches { side: SIDE, order: Order::ChannelFastest };

/// A Z-Image network over weight handles.
///
/// Source: Tongyi's Z-Image, `transformer.py`; Lumina-Image 2.0 (Qin et al. 2025).
#[derive(Debug)]
pub struct ZImage {
    config: ZImageConfig,
    /// Where its weights come from; nothing in a survey.
    weights: Option<ModelWeights>,
    image: Linear,
    caption_norm: RmsNorm,
    caption: Linear,
    time: Embedder,
    /// Learned tokens that fill up the rows of image and caption.
    pads: Option<[Weight; 2]>,
    context_refiner: Vec<Block>,
    noise_refiner: Vec<Block>,
    layers: Vec<Block>,
    modulation: Linear,
    linear: Linear,
}

impl ZImageConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<ZImage, ModelError> {
        let network = WeightBuilder::build("Z-Image", weights, |wb| ZImage::new(self, wb))?;
        Ok(ZImage { weights: Some(weights.clone()), ..network })
    }

    /// Name and shape of every tensor that this network takes, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| ZImage::new(self, wb))
    }
}

impl ZImage {
    fn new(config: &ZImageConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let ZImageConfig { dim, caption, channels, time: [inside, out], .. } = *config;
        let cells = channels * SIDE * SIDE;
        let blocks = |name: &str, count, modulated| {
            (0..count).map(|i| Block::new(config, wb, &format!("{name}.{i}"), modulated)).collect::<Result<_, _>>()
        };
        let pads = || Ok::<_, ModelError>([wb.get("x_pad_token", &[1, dim])?, wb.get("cap_pad_token", &[1, dim])?]);
        Ok(Self {
            time: Embedder::of(
                Linear::new(wb, "t_embedder.mlp.0", WAVES, inside)?,
                Linear::new(wb, "t_embedder.mlp.2", inside, out)?,
            ),
            caption_norm: RmsNorm::new(wb, "cap_embedder.0.weight", caption, CAPTION_EPS)?,
            caption: Linear::new(wb, "cap_embedder.1", caption, dim)?,
            image: Linear::new(wb, "x_embedder", cells, dim)?,
            pads: config.padding.is_some().then(pads).transpose()?,
            context_refiner: blocks("context_refiner", config.context_refiners, false)?,
            noise_refiner: blocks("noise_refiner", config.noise_refiners, true)?,
            layers: blocks("layers", config.layers, true)?,
            modulation: Linear::new(wb, "final_layer.adaLN_modulation.1", out, dim)?,
            linear: Linear::new(wb, "final_layer.linear", dim, cells)?,
            config: config.clone(),
            weights: None,
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &ZImageConfig {
        &self.config
    }

    /// Where its weights come from.
    pub fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }

    /// The velocity at a noise level, as flow sampling has it: towards noise.
    ///
    /// # Shapes
    /// `x` `[batch, channels, h, w]`, `times` `[batch]` in 0..1, `context` `[batch, tokens, width]`; returns the shape
    /// of `x`.
    /// # Errors
    /// `ModelError::Input` naming the tensor that does not fit, or when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<4>,
        times: &[f32],
        context: Tensor<3>,
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        self.check(&x, times, &context)?;
        let [_, _, height, width] = x.dims();
        let time = self.time(times, &x)?;
        let caption = self.caption.forward(self.caption_norm.forward(context)?)?;
        let caption = self.filled(caption, 1)?;
        let image = self.image.forward(PATCHES.tokens(x))?;
        tap.record("x_embedder", &image);
        let image = self.filled(image, 0)?;
        let (words, tokens) = (caption.dims()[1], image.dims()[1]);
        let [caption_at, image_at] = positions(words, tokens, PATCHES.grid([height, width]));
        let caption = self.run(&self.context_refiner, "context_refiner", caption, &time, &caption_at, tap)?;
        let image = self.run(&self.noise_refiner, "noise_refiner", image, &time, &image_at, tap)?;
        let all = [caption_at, image_at].concat();
        let x = self.run(&self.layers, "layers", Tensor::cat(vec![caption, image], 1), &time, &all, tap)?;
        let [rows, columns] = PATCHES.grid([height, width]);
        let x = self.last(x.narrow(1, words, rows * columns), time)?;
        Ok(PATCHES.latent(x, [height, width]).neg())
    }

    fn time(&self, times: &[f32], like: &Tensor<4>) -> Result<Tensor<2>, ModelError> {
        let clean: Vec<f32> = times.iter().map(|time| (1.0 - time) * FACTOR).collect();
        self.time.forward(sinusoidal(&clean, WAVES, &like.device()))
    }

    /// `x` with pads behind it, as many as its row of tokens lacks. `which` is 0 for the image's, 1 for the caption's.
    fn filled(&self, x: Tensor<3>, which: usize) -> Result<Tensor<3>, ModelError> {
        let [batch, tokens, dim] = x.dims();
        let missing = self.config.padding.map_or(0, |multiple| tokens.next_multiple_of(multiple) - tokens);
        let Some(pads) = self.pads.as_ref().filter(|_| missing > 0) else { return Ok(x) };
        let pad = pads[which].acquire::<2>(&x.device())?;
        let pads = pad.tensor().reshape([1, 1, dim]).repeat(&[batch, missing, 1]);
        Ok(Tensor::cat(vec![x, pads], 1))
    }

    fn run(
        &self,
        blocks: &[Block],
        name: &str,
        mut x: Tensor<3>,
        time: &Tensor<2>,
        positions: &[f32],
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<3>, ModelError> {
        let rotary = Rotary::of_axes(positions, &self.config.axes, self.config.theta)?;
        for (i, block) in blocks.iter().enumerate() {
            x = block.forward(x, time, &rotary)?;
            tap.record_part(name, &i.to_string(), &x);
        }
        Ok(x)
    }

    fn last(&self, x: Tensor<3>, time: Tensor<2>) -> Result<Tensor<3>, ModelError> {
        let scale = self.modulation.forward2(ops::silu(time)?)?;
        let shift = scale.zeros_like();
        self.linear.forward(ops::modulated_norm(x, shift, scale, LAST_EPS)?)
    }

    fn check(&self, x: &Tensor<4>, times: &[f32], context: &Tensor<3>) -> Result<(), ModelError> {
        let ZImageConfig { channels, caption, .. } = self.config;
        TransformerCall { network: "Z-Image", channels, context: caption }.check(x, times, context)
    }
}

/// The positions of a caption's tokens, pads counted, and of an image's behind it; the image's pads are at the origin.
fn positions(words: usize, tokens: usize, [rows, columns]: [usize; 2]) -> [Vec<f32>; 2] {
    let caption = (0..words).flat_map(|i| [(i + 1) as f32, 0.0, 0.0]);
    let level = (words + 1) as f32;
    let cells = (0..rows).flat_map(|y| (0..columns).flat_map(move |x| [level, y as f32, x as f32]));
    let mut image: Vec<f32> = cells.collect();
    image.resize(3 * tokens, 0.0);
    [caption.collect(), image]
}
