//! A UNet with what follows from its family: what its output means, how its latents are scaled.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, Rounding, TensorShapes, TensorSource};

use super::{
    detect,
    recognise::{not_there, recognised},
};
use crate::checkpoint::detect::{Detected, Family, Found, Prediction, TextEncoderKind};
use crate::{
    error::ModelError,
    latent::LatentFormat,
    nets::{
        SideInputs,
        unet::{UNet, UNetConfig},
    },
    weights::{ModelWeights, open, owner},
};

/// What a file without a UNet lacks.
pub(super) const UNET: &str =
    "a UNet (`model.diffusion_model.input_blocks.0.0.weight`, or `conv_in.weight` and `down_blocks.*`)";

/// A UNet with what follows from its family.
#[derive(Debug, Clone)]
pub struct DiffusionModel {
    /// The network.
    pub unet: Arc<UNet>,
    /// The family.
    pub family: Family,
    /// What its output means.
    pub prediction: Prediction,
    /// How its latents are scaled.
    pub latent: LatentFormat,
    /// Where its weights come from.
    pub weights: ModelWeights,
}

impl DiffusionModel {
    /// Opens a UNet that lies alone in a file, or the one of a checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open).
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        Self::open_rounded(path, None, budget)
    }

    /// As [`open`](Self::open), with every weight rounded when it is loaded.
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open).
    pub fn open_rounded(path: &Path, rounding: Option<Rounding>, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "UNet", &names, detect::unet(&names))?;
        let unet = found.ok_or_else(|| not_there(path, "UNet", &names, UNET))?;
        let text = Detected::in_checkpoint(&names).map(|detected| detected.text).unwrap_or_default();
        let roles: Vec<TextEncoderKind> = text.iter().map(|(role, _)| *role).collect();
        Self::over(&source, &unet, Family::of(&unet.config, &roles), rounding, budget)
    }

    pub(super) fn over(
        source: &Arc<dyn TensorSource>,
        unet: &Found<UNetConfig>,
        family: Family,
        rounding: Option<Rounding>,
        budget: &Arc<Budget>,
    ) -> Result<Self, ModelError> {
        let prediction = Prediction::of(family, unet, &**source)?;
        let latent = if prediction == Prediction::Edm { LatentFormat::PLAYGROUND } else { family.latent() };
        let weights = ModelWeights::new(source.clone(), unet.map.clone(), &owner("unet", &**source), budget);
        let weights = weights.scoped("diffusion_model.");
        let weights = match rounding {
            Some(rounding) => weights.with_rounding(rounding),
            None => weights,
        };
        let network = unet.config.init(&weights)?;
        let network = match (family, prediction) {
            (Family::Unclip, _) => network.with_side_inputs(SideInputs::Embeddings),
            (Family::Sdxl, Prediction::ContinuousV { .. }) => network.with_side_inputs(SideInputs::ScaledImage),
            _ => network,
        };
        Ok(Self { unet: Arc::new(network), family, prediction, latent, weights })
    }

    /// This model with each weight mixed with another model's: `own · W + others · W2` where `share` returns
    /// `(own, others)` for a key in original names (`input_blocks.1.0...`). Prediction and schedule stay this model's.
    ///
    /// # Errors
    /// When the network can't be built again.
    pub fn merged(&self, other: &Self, share: impl Fn(&str) -> (f32, f32)) -> Result<Self, ModelError> {
        self.with_weights(self.weights.merged(&other.weights, share))
    }

    pub(super) fn with_weights(&self, weights: ModelWeights) -> Result<Self, ModelError> {
        let unet = self.unet.config().init(&weights)?.with_side_inputs(self.unet.side_inputs());
        Ok(Self { unet: Arc::new(unet), weights, ..self.clone() })
    }
}
