//! A denoising network with what follows from its family: what its output means, how its latents are scaled.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, Rounding, TensorShapes, TensorSource};

use super::recognise::{not_there, recognised};
use crate::checkpoint::detect::{Detected, families};
use crate::{
    error::ModelError,
    latent::LatentFormat,
    nets::{
        Network,
        family::{Families, Family, FoundNetwork, Prediction},
    },
    weights::{ModelWeights, open, owner},
};

/// A denoising network with what follows from its family.
#[derive(Debug, Clone)]
pub struct DiffusionModel {
    /// The network.
    pub network: Arc<dyn Network>,
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
    /// Opens a network that lies alone in a file, or the one of a checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open).
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        Self::open_among(&families(), path, None, budget)
    }

    /// As [`open`](Self::open), with every weight rounded when it is loaded.
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open).
    pub fn open_rounded(path: &Path, rounding: Option<Rounding>, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        Self::open_among(&families(), path, rounding, budget)
    }

    /// As [`open_rounded`](Self::open_rounded), of one of `families`.
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open).
    pub fn open_among(
        families: &Families,
        path: &Path,
        rounding: Option<Rounding>,
        budget: &Arc<Budget>,
    ) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let detected = recognised(path, WANTED, &names, Detected::among(&names, families))?;
        let (Some(network), Some(family)) = (&detected.network, detected.family) else {
            return Err(not_there(path, WANTED, &names, &families.probes()));
        };
        Self::over(&source, network, family, rounding, budget)
    }

    pub(super) fn over(
        source: &Arc<dyn TensorSource>,
        found: &FoundNetwork,
        family: Family,
        rounding: Option<Rounding>,
        budget: &Arc<Budget>,
    ) -> Result<Self, ModelError> {
        let prediction = (family.prediction)(found, &**source)?;
        let weights = ModelWeights::new(source.clone(), found.map.clone(), &owner("unet", &**source), budget);
        let weights = weights.scoped("diffusion_model.");
        let weights = match rounding {
            Some(rounding) => weights.with_rounding(rounding),
            None => weights,
        };
        let network = found.config.init(&weights, (family.told)(prediction))?;
        Ok(Self { network, family, prediction, latent: (family.latent)(prediction), weights })
    }

    /// The network as a certain one, if it is.
    pub fn network_as<N: Network>(&self) -> Option<&N> {
        self.network.as_a()
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
        Ok(Self { network: self.network.over(&weights)?, weights, ..self.clone() })
    }
}

/// What a file is asked for, in the words of the loader.
const WANTED: &str = "UNet";
