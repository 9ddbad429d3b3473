//! `MODEL`, `VAE`: networks and how they are to be used. Weights lie in files and count against the budget of the
//! environment, not here.

use std::sync::Arc;

use kiln_exec::{NodeError, object};
use kiln_models::DiffusionModel;
use kiln_models::conditioning::Conditioning as Conditions;
use kiln_models::sampling::{FrameCourse, Guidance, ModelPatches};
use kiln_models::schedule::ModelSampling;
use kiln_models::upscale::Upscaler;
use kiln_models::vae::Autoencoder;

use super::part::{MissingPart, Part};

/// A diffusion model with its noise schedule.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network, its family and latent format.
    pub network: Arc<DiffusionModel>,
    /// Its noise schedule and what its output means.
    pub sampling: Arc<ModelSampling>,
    /// The multiplier of RescaleCFG, if it is on.
    pub rescale_cfg: Option<f64>,
    /// What the PerpNeg node left, if it was there.
    pub perp_negative: Option<PerpNegative>,
    /// The least scale of a video's frames and its course over them, if a node set one.
    pub frame_scale: Option<(f64, FrameCourse)>,
    /// What else changes how it is sampled.
    pub patches: Arc<ModelPatches>,
}

/// A rule for the negative: only what of it is at right angles to the positive counts.
#[derive(Clone, Debug)]
pub struct PerpNegative {
    /// An empty prompt, from which both are measured.
    pub empty: Conditioning,
    /// The negative's share.
    pub scale: f64,
}

object!(Model, "MODEL");

impl Model {
    /// A model as its file describes it.
    pub fn new(network: DiffusionModel) -> Self {
        let sampling = network.prediction.sampling();
        Self {
            network: Arc::new(network),
            sampling: Arc::new(sampling),
            rescale_cfg: None,
            perp_negative: None,
            frame_scale: None,
            patches: Arc::default(),
        }
    }

    /// The same on another schedule.
    pub fn with_sampling(self, sampling: ModelSampling) -> Self {
        Self { sampling: Arc::new(sampling), ..self }
    }

    /// The same with more changes.
    pub(crate) fn patched(self, change: impl FnOnce(&mut ModelPatches)) -> Self {
        let mut patches = (*self.patches).clone();
        change(&mut patches);
        Self { patches: Arc::new(patches), ..self }
    }

    /// Classifier-free guidance as this model wants it.
    pub(crate) fn guidance(&self, positive: &Conditioning, negative: &Conditioning, scale: f64) -> Guidance {
        let (positive, negative) = ((*positive.0).clone(), (*negative.0).clone());
        if let Some((least, course)) = self.frame_scale {
            return Guidance::Frames { positive, negative, scale, least, course };
        }
        match &self.perp_negative {
            Some(PerpNegative { empty, scale: negative_scale }) => Guidance::PerpNeg {
                positive,
                negative,
                empty: (*empty.0).clone(),
                scale,
                negative_scale: *negative_scale,
            },
            None => Guidance::Cfg { positive, negative, scale, rescale: self.rescale_cfg },
        }
    }
}

/// An autoencoder between images and latents.
#[derive(Clone, Debug)]
pub struct Vae(Part<dyn Autoencoder>);

object!(Vae, "VAE");

impl Vae {
    /// An autoencoder.
    pub fn new(network: Arc<impl Autoencoder + 'static>) -> Self {
        Self(Part::There(network))
    }

    /// An autoencoder that a file lacks.
    pub fn missing(part: MissingPart) -> Self {
        Self(Part::Missing(Arc::new(part)))
    }

    /// The network.
    ///
    /// # Errors
    /// When the file has none.
    pub fn network(&self) -> Result<&dyn Autoencoder, NodeError> {
        Ok(&**self.0.get()?)
    }
}

/// A network that enlarges images.
#[derive(Clone, Debug)]
pub struct UpscaleModel(pub Arc<Upscaler>);

object!(UpscaleModel, "UPSCALE_MODEL");

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
