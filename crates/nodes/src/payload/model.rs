//! `MODEL`, `CLIP`, `VAE`: networks and how they are to be used. Weights lie in files and count against the budget of the
//! studio, not here.

use std::sync::Arc;

use burn::tensor::Device;
use kiln_exec::{NodeError, object};
use kiln_models::clip::Hidden;
use kiln_models::conditioning::Conditioning as Conditions;
use kiln_models::detect::{Prediction as Detected, Role};
use kiln_models::schedule::{Levels, ModelSampling, Prediction};
use kiln_models::text::{ClipEncoder, Prompt, encode, join};
use kiln_models::tokenizer::{CHUNK, Chunk, Embeddings, Encoder, Tokenizer, Vocabulary};
use kiln_models::{DiffusionModel, TextEncoders};

/// A diffusion model with its noise schedule.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network, its family and latent format.
    pub network: Arc<DiffusionModel>,
    /// Its noise schedule and what its output means.
    pub sampling: Arc<ModelSampling>,
    /// The multiplier of RescaleCFG, if it is on.
    pub rescale_cfg: Option<f64>,
}

object!(Model, "MODEL");

impl Model {
    /// A model as its file describes it.
    pub fn new(network: DiffusionModel) -> Self {
        let sampling = match network.prediction {
            Detected::Eps => ModelSampling::eps(),
            Detected::V { zero_terminal_snr } => ModelSampling::v_prediction(zero_terminal_snr),
            Detected::Edm => ModelSampling::edm(0.002, 80.0, 0.5),
            Detected::ContinuousV { sigma_min, sigma_max } => {
                ModelSampling::new(Prediction::V, Levels::continuous_edm(sigma_min.into(), sigma_max.into()))
            }
        };
        Self { network: Arc::new(network), sampling: Arc::new(sampling), rescale_cfg: None }
    }

    /// The same on another schedule.
    pub fn with_sampling(self, sampling: ModelSampling) -> Self {
        Self { sampling: Arc::new(sampling), ..self }
    }
}

/// The text encoders of a model.
#[derive(Clone, Debug)]
pub struct Clip {
    /// The networks.
    pub text: Arc<TextEncoders>,
    /// The layer to stop at, counted from the end; the family's own without.
    pub stop_at: Option<i32>,
}

object!(Clip, "CLIP");

/// What encoding a prompt needs besides the encoders.
pub struct Encoding<'a> {
    /// The words that tokens stand for.
    pub vocabulary: &'a Arc<Vocabulary>,
    /// Where `embedding:name` is looked up.
    pub embeddings: &'a dyn Embeddings,
    /// Where the networks run.
    pub device: &'a Device,
}

impl Clip {
    /// Text encoders as their family uses them.
    pub fn new(text: TextEncoders) -> Self {
        Self { text: Arc::new(text), stop_at: None }
    }

    /// Encodes one text with every encoder.
    ///
    /// # Errors
    /// When a network fails.
    pub fn encode(&self, text: &str, with: &Encoding<'_>) -> Result<Conditioning, NodeError> {
        self.encode_each(|_| text, with)
    }

    /// Encodes a text per encoder. The shorter ones are filled up with empty chunks.
    ///
    /// # Errors
    /// When a network fails.
    pub fn encode_each<'t>(
        &self,
        text: impl Fn(Role) -> &'t str,
        with: &Encoding<'_>,
    ) -> Result<Conditioning, NodeError> {
        let tokenizers = self.text.encoders.iter().map(|e| Tokenizer::new(with.vocabulary.clone(), tokens_of(e.role)));
        let tokenizers: Vec<Tokenizer> = tokenizers.collect();
        let mut chunks: Vec<Vec<Chunk>> = Vec::new();
        for (tokenizer, encoder) in tokenizers.iter().zip(&self.text.encoders) {
            chunks.push(tokenizer.tokenize(text(encoder.role), with.embeddings));
        }
        let longest = chunks.iter().map(Vec::len).max().unwrap_or(1);
        let mut joined: Option<Prompt> = None;
        for ((tokenizer, encoder), mut chunks) in tokenizers.iter().zip(&self.text.encoders).zip(chunks) {
            let empty = tokenizer.tokenize("", with.embeddings);
            chunks.extend(empty.iter().cycle().take(longest - chunks.len()).cloned());
            let network = ClipEncoder {
                model: &encoder.model,
                hidden: self.hidden(),
                projected: self.text.kind.projects_pooled(),
                device: with.device,
            };
            let prompt = encode(&network, &chunks, tokenizer.encoder().pad())?;
            joined = Some(match joined {
                Some(first) => join(first, prompt),
                None => prompt,
            });
        }
        let Prompt { context, pooled } =
            joined.ok_or_else(|| NodeError::new(format!("{} has no text encoder", self.text.kind)))?;
        Ok(Conditioning::new(Conditions::new(context, Some(pooled))))
    }

    /// How many tokens a chunk has.
    pub const CHUNK: usize = CHUNK;

    fn hidden(&self) -> Hidden {
        let own = self.text.kind.hidden();
        Hidden { layer: self.stop_at.unwrap_or(own.layer), ..own }
    }
}

fn tokens_of(role: Role) -> Encoder {
    match role {
        Role::L => Encoder::ClipL,
        Role::G => Encoder::ClipG,
        Role::H => Encoder::ClipH,
    }
}

/// An autoencoder between pictures and latents.
#[derive(Clone, Debug)]
pub struct Vae(pub Arc<kiln_models::vae::Vae>);

object!(Vae, "VAE");

/// What to draw, where, when, how strongly: the conditions that positive and negative inputs take.
#[derive(Clone, Debug)]
pub struct Conditioning(pub Arc<Conditions>);

object!(Conditioning, "CONDITIONING", |c| c.0.bytes() as u64, storage: |c| Some(Arc::as_ptr(&c.0).addr() as u64));

impl Conditioning {
    /// Wraps a list of conditions.
    pub fn new(conditions: Conditions) -> Self {
        Self(Arc::new(conditions))
    }
}
