//! The Flux network: latents, a prompt and references in, a velocity out.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::{
    block::{DoubleBlock, EPS, Modulation, SharedModulation, SingleBlock, Streams},
    config::{FluxConfig, FluxVersion},
    embed::Embedding,
    reference::{Layout, usual},
};
use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        condition_inputs::ReferenceMethod,
        layers::Linear,
        patches::{Order, Patches},
        transformer_call::TransformerCall,
    },
    ops::{self, Rotary},
    weights::{ModelWeights, WeightBuilder},
};

/// A Flux network over weight handles.
///
/// Source: Black Forest Labs' flux and flux2, `model.py`; Labs et al. 2025 (FLUX.1 Kontext).
#[derive(Debug)]
pub struct Flux {
    config: FluxConfig,
    /// Where its weights come from; nothing in a survey.
    weights: Option<ModelWeights>,
    img_in: Linear,
    txt_in: Linear,
    embedding: Embedding,
    /// Flux.2's, of the image's stream, the text's, and the single blocks.
    shared: Option<[Linear; 3]>,
    double: Vec<DoubleBlock>,
    single: Vec<SingleBlock>,
    modulation: Linear,
    linear: Linear,
}

/// What an evaluation gets beside latent, level and prompt.
#[derive(Debug, Clone, Default)]
pub struct FluxInputs<'a> {
    /// Pooled text `[batch, width]`; zeros without.
    pub vector: Option<Tensor<2>>,
    /// Strength of guidance per batch item; its term is left out without.
    pub guidance: Option<Vec<f32>>,
    /// Latents of reference images, `[batch or 1, channels, h, w]` each, in the model's space.
    pub references: Vec<Tensor<4>>,
    /// How they are placed; the version's own way without.
    pub method: Option<ReferenceMethod>,
    /// Who looks at activations.
    pub tap: ActivationTap<'a>,
}

impl FluxConfig {
    /// Whether linear layers have biases.
    pub(super) fn bias(&self) -> bool {
        self.version == FluxVersion::One
    }

    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Flux, ModelError> {
        let network = WeightBuilder::build("Flux", weights, |wb| Flux::new(self, wb))?;
        Ok(Flux { weights: Some(weights.clone()), ..network })
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Flux::new(self, wb))
    }

    /// A latent as this network's rows of tokens, `[batch, tokens, features]`; for comparisons.
    pub fn tokens(&self, latent: Tensor<4>) -> Tensor<3> {
        self.patches().tokens(latent)
    }

    /// The positions of text, image and references, as many numbers per token as there are axes; for comparisons. Sizes
    /// are rows and columns of latents.
    pub fn positions(
        &self,
        text: usize,
        image: [usize; 2],
        references: &[[usize; 2]],
        method: Option<ReferenceMethod>,
    ) -> Vec<f32> {
        let method = method.unwrap_or_else(|| usual(self.version));
        Layout { version: self.version, patches: self.patches(), text, image, references, method }.positions()
    }

    fn patches(&self) -> Patches {
        Patches { side: self.version.patch(), order: Order::ChannelSlowest }
    }
}

impl Flux {
    fn new(config: &FluxConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let (hidden, bias) = (config.hidden, config.bias());
        let cells = config.version.patch() * config.version.patch();
        let linear = |name: &str, inputs, outputs| Linear::with_bias(wb, name, [inputs, outputs], bias);
        let shared = || {
            Ok::<_, ModelError>([
                linear("double_stream_modulation_img.lin", hidden, 6 * hidden)?,
                linear("double_stream_modulation_txt.lin", hidden, 6 * hidden)?,
                linear("single_stream_modulation.lin", hidden, 3 * hidden)?,
            ])
        };
        let double = |i| DoubleBlock::new(config, wb, &format!("double_blocks.{i}"));
        let single = |i| SingleBlock::new(config, wb, &format!("single_blocks.{i}"));
        Ok(Self {
            img_in: linear("img_in", config.in_channels * cells, hidden)?,
            embedding: Embedding::new(config, wb)?,
            txt_in: linear("txt_in", config.context, hidden)?,
            shared: (config.version == FluxVersion::Two).then(shared).transpose()?,
            double: (0..config.double).map(double).collect::<Result<_, _>>()?,
            single: (0..config.single).map(single).collect::<Result<_, _>>()?,
            modulation: linear("final_layer.adaLN_modulation.1", hidden, 2 * hidden)?,
            linear: linear("final_layer.linear", hidden, config.out_channels * cells)?,
            config: config.clone(),
            weights: None,
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &FluxConfig {
        &self.config
    }

    /// Where its weights come from.
    pub fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }

    /// The velocity at a noise level.
    ///
    /// # Shapes
    /// `x` `[batch, in_channels, h, w]`, `times` `[batch]` in 0..1, `context` `[batch, tokens, width]`; returns
    /// `[batch, out_channels, h, w]`.
    /// # Errors
    /// `ModelError::Input` naming the tensor that does not fit, or when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<4>,
        times: &[f32],
        context: Tensor<3>,
        inputs: &FluxInputs<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        self.check(&x, times, &context, inputs)?;
        let ([batch, _, height, width], patches) = (x.dims(), self.config.patches());
        let references = inputs.references.iter().map(|reference| spread(reference.clone(), batch));
        let latents: Vec<Tensor<4>> = std::iter::once(Ok(x)).chain(references).collect::<Result<_, _>>()?;
        let rotary = self.rotary(&latents, context.dims()[1], inputs)?;
        let device = latents[0].device();
        let vec = self.embedding.forward(times, inputs.guidance.as_deref(), inputs.vector.clone(), &device)?;
        let tokens = latents.into_iter().map(|latent| patches.tokens(latent)).collect();
        let img = self.img_in.forward(Tensor::cat(tokens, 1))?;
        inputs.tap.record("img_in", &img);
        let txt = self.txt_in.forward(context)?;
        inputs.tap.record("txt_in", &txt);
        let x = self.blocks(Streams { img, txt }, &vec, &rotary, inputs.tap)?;
        let [rows, columns] = patches.grid([height, width]);
        let x = self.last(x.narrow(1, 0, rows * columns), &vec)?;
        Ok(patches.latent(x, [height, width]))
    }

    /// All blocks; returns the tokens of image and references.
    fn blocks(
        &self,
        mut streams: Streams,
        vec: &Tensor<2>,
        rotary: &Rotary,
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<3>, ModelError> {
        let shared = self.shared.as_ref().map(|[img, txt, _]| {
            Ok::<_, ModelError>(SharedModulation {
                img: Modulation::branches(img, vec)?,
                txt: Modulation::branches(txt, vec)?,
            })
        });
        let shared = shared.transpose()?;
        for (i, block) in self.double.iter().enumerate() {
            streams = block.forward(streams, vec, shared.as_ref(), rotary)?;
            tap.record_part("double_blocks", &format!("{i}.img"), &streams.img);
            tap.record_part("double_blocks", &format!("{i}.txt"), &streams.txt);
        }
        let (words, tokens) = (streams.txt.dims()[1], streams.img.dims()[1]);
        let mut x = Tensor::cat(vec![streams.txt, streams.img], 1);
        let single = self.shared.as_ref().map(|[.., linear]| Modulation::branches::<1>(linear, vec));
        let single = single.transpose()?.map(|[modulation]| modulation);
        for (i, block) in self.single.iter().enumerate() {
            x = block.forward(x, vec, single.as_ref(), rotary)?;
            tap.record_part("single_blocks", &i.to_string(), &x);
        }
        Ok(x.narrow(1, words, tokens))
    }

    fn last(&self, x: Tensor<3>, vec: &Tensor<2>) -> Result<Tensor<3>, ModelError> {
        let both = self.modulation.forward2(vec.clone())?;
        let part = |i: usize| both.clone().narrow(1, i * self.config.hidden, self.config.hidden);
        self.linear.forward(ops::modulated_norm(x, part(0), part(1), EPS)?)
    }

    fn rotary(&self, latents: &[Tensor<4>], text: usize, inputs: &FluxInputs<'_>) -> Result<Rotary, ModelError> {
        let cells = |latent: &Tensor<4>| [latent.dims()[2], latent.dims()[3]];
        let references: Vec<[usize; 2]> = latents[1..].iter().map(cells).collect();
        let positions = self.config.positions(text, cells(&latents[0]), &references, inputs.method);
        Ok(Rotary::of_axes(&positions, &self.config.axes, self.config.theta)?)
    }

    fn check(
        &self,
        x: &Tensor<4>,
        times: &[f32],
        context: &Tensor<3>,
        inputs: &FluxInputs<'_>,
    ) -> Result<(), ModelError> {
        let (in_channels, batch) = (self.config.in_channels, x.dims()[0]);
        TransformerCall { network: "Flux", channels: in_channels, context: self.config.context }
            .check(x, times, context)?;
        if let Some(guidance) = inputs.guidance.as_ref().filter(|guidance| guidance.len() != batch) {
            return Err(wrong("guidance", format!("{batch} numbers"), &[guidance.len()]));
        }
        for reference in &inputs.references {
            let [_, channels, height, width] = reference.dims();
            if channels != in_channels || height == 0 || width == 0 {
                return Err(wrong("reference latent", format!("[batch, {in_channels}, h, w]"), &reference.dims()));
            }
        }
        Ok(())
    }
}

/// A single latent for the whole batch.
fn spread(reference: Tensor<4>, batch: usize) -> Result<Tensor<4>, ModelError> {
    match reference.dims()[0] {
        own if own == batch => Ok(reference),
        1 => Ok(reference.repeat_dim(0, batch)),
        own => Err(wrong("reference latent", format!("1 or {batch} of them"), &[own])),
    }
}

fn wrong(what: &'static str, expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "Flux", what, expected, found: found.to_vec() }
}
