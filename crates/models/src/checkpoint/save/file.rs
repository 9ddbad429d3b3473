//! A file of models in the making: which tensors of which networks it gets, under which names.

use std::io::{self, Write};

use indexmap::IndexMap;
use kiln_memory::{Dtype, Outgoing, write_safetensors};

use super::tensor::{Numbers, Tensor};
use crate::checkpoint::{
    diffusion::DiffusionModel,
    text::{Encoder, TextEncoders},
};
use crate::{
    latent::LatentFormat,
    nets::{family::TextRecipe, vae::Autoencoder, vision::VisionModel},
    schedule::{Levels, ModelSampling, Prediction},
    weights::ModelWeights,
};

/// A file in the making.
#[derive(Debug, Default)]
pub struct ModelFile {
    tensors: Vec<Tensor>,
}

impl ModelFile {
    /// Adds a diffusion model under `model.diffusion_model.`, with the marks of what it predicts.
    #[must_use]
    pub fn with_model(mut self, model: &DiffusionModel, sampling: &ModelSampling) -> Self {
        for (key, _) in model.weights.map().iter() {
            let name = model.network.name_in_checkpoint(key);
            self.tensors.extend(Tensor::of(&model.weights, key, name, Dtype::F32));
        }
        self.mark(model, sampling);
        self
    }

    /// Adds text encoders where their family's checkpoints have them.
    #[must_use]
    pub fn with_text(mut self, text: &TextEncoders) -> Self {
        for encoder in &text.encoders {
            self.encoder(encoder, text.recipe);
        }
        self
    }

    /// Adds a text encoder alone, in Hugging Face's names without prefix.
    #[must_use]
    pub fn with_encoder(mut self, encoder: &Encoder) -> Self {
        self.add_weights(&encoder.weights, "", Dtype::F16);
        self
    }

    /// Adds an autoencoder below `prefix`: `first_stage_model.` in checkpoints, nothing in a file of its own. One without
    /// [weights](Autoencoder::weights) for that adds nothing.
    #[must_use]
    pub fn with_vae(mut self, vae: &dyn Autoencoder, prefix: &str) -> Self {
        if let Some(weights) = vae.weights() {
            self.add_weights(weights, prefix, Dtype::F32);
        }
        self
    }

    /// Adds an image encoder below `prefix`, in Hugging Face's names.
    #[must_use]
    pub fn with_vision(mut self, vision: &VisionModel, prefix: &str) -> Self {
        if let Some(weights) = vision.weights() {
            self.add_weights(weights, prefix, Dtype::F32);
        }
        self
    }

    /// Adds f16 values, rounded to nearest.
    #[must_use]
    pub fn with_halves(mut self, name: String, shape: Vec<usize>, values: Vec<f32>) -> Self {
        self.tensors.push(Tensor { name, shape, dtype: Dtype::F16, numbers: Numbers::Values(values) });
        self
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Writes the file. Holds one tensor at a time.
    ///
    /// # Errors
    /// Of the writer, and of weights that can't be read.
    pub fn write(&self, out: &mut dyn Write, metadata: &IndexMap<String, String>) -> io::Result<()> {
        // Wide types first keep every tensor at a multiple of its width.
        let mut tensors: Vec<&Tensor> = self.tensors.iter().collect();
        tensors.sort_by(|a, b| b.dtype.alignment().cmp(&a.dtype.alignment()).then_with(|| a.name.cmp(&b.name)));
        let outgoing = tensors.iter().map(|tensor| Outgoing {
            name: tensor.name.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
        });
        let outgoing: Vec<Outgoing> = outgoing.collect();
        write_safetensors(out, metadata, &outgoing, |i, out| tensors[i].write(out))
    }

    fn add_weights(&mut self, weights: &ModelWeights, prefix: &str, changed: Dtype) {
        for (key, _) in weights.map().iter() {
            self.tensors.extend(Tensor::of(weights, key, format!("{prefix}{key}"), changed));
        }
    }

    fn encoder(&mut self, encoder: &Encoder, recipe: &TextRecipe) {
        let Some((_, place)) = recipe.places.iter().find(|(role, _)| *role == encoder.role) else { return };
        if !place.ends_with("model.") {
            return self.add_weights(&encoder.weights, place, Dtype::F16);
        }
        for fused in super::names::open_clip(&encoder.weights) {
            self.tensors.extend(Tensor::fused(&encoder.weights, &fused, format!("{place}{}", fused.name), Dtype::F16));
        }
    }

    /// Empty or scalar tensors by which a loader recognises prediction and schedule.
    fn mark(&mut self, model: &DiffusionModel, sampling: &ModelSampling) {
        use crate::checkpoint::detect::Prediction as Detected;
        match model.prediction {
            Detected::V { .. } | Detected::VLowRes => self.marker("v_pred", Vec::new(), vec![0]),
            Detected::ContinuousV { .. } if sampling.prediction == Prediction::V => {
                let levels = &sampling.levels;
                self.marker("edm_vpred.sigma_max", vec![levels.sigma_max()], Vec::new());
                self.marker("edm_vpred.sigma_min", vec![levels.sigma_min()], Vec::new());
            }
            Detected::Edm => {
                let (mean, std) = LatentFormat::PLAYGROUND.statistics.unwrap_or_default();
                self.marker("edm_mean", mean.to_vec(), vec![1, 4, 1, 1]);
                self.marker("edm_std", std.to_vec(), vec![1, 4, 1, 1]);
            }
            Detected::Eps
            | Detected::Image
            | Detected::ContinuousV { .. }
            | Detected::Flow { .. }
            | Detected::Flux { .. } => {}
        }
        let is_v = matches!(model.prediction, Detected::V { .. });
        if is_v && sampling.levels == Levels::zero_terminal_snr() {
            self.marker("ztsnr", Vec::new(), vec![0]);
        }
    }

    fn marker(&mut self, name: &str, values: Vec<f32>, shape: Vec<usize>) {
        let numbers = Numbers::Values(values);
        self.tensors.push(Tensor { name: name.to_owned(), shape, dtype: Dtype::F32, numbers });
    }
}
