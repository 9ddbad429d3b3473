//! Files to networks and back: what a checkpoint holds, recognised from names and shapes ([`detect`]), opened by pointer, with
//! LoRA files on its weights, and as a file again ([`save`]). Opening reads the header and little else.

pub mod detect;
mod diffusion;
mod inventory;
mod lora;
mod open;
mod random;
mod recognise;
pub mod save;
mod text;

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes};

use crate::checkpoint::detect::Detected;
use crate::{
    error::ModelError,
    nets::{family::Families, vae::Vae, vision::VisionModel},
    weights,
};
use recognise::{not_there, recognised};

pub use crate::checkpoint::lora::text_keys;
pub use diffusion::DiffusionModel;
pub use inventory::{Component, Inventory};
pub use random::RandomCheckpoint;
pub use text::{Encoder, TextEncoders};

/// What a checkpoint file holds.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The diffusion model.
    pub model: DiffusionModel,
    /// The text encoders, if all of its family's are in the file.
    pub text: Option<TextEncoders>,
    /// The autoencoder, if it is in the file.
    pub vae: Option<Arc<Vae>>,
    /// The image encoder, if the file has one for its model.
    pub vision: Option<Arc<VisionModel>>,
}

impl Checkpoint {
    /// Opens a full checkpoint. Its weights are held in `budget` under the names that [`component_label`](weights::component_label) gives to the parts `unet`,
    /// `clip`, `vae` and `vision`.
    ///
    /// # Errors
    /// Of the file (missing, truncated, broken header), `ModelError::NotThere` when it holds no network of a family that is known,
    /// `ModelError::Weights` with every missing tensor and every wrong shape.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        Self::open_among(&detect::families(), path, budget)
    }

    /// As [`open`](Self::open), of one of `families`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_among(families: &Families, path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = weights::open(path)?;
        let names = TensorShapes::of(&*source);
        let detected = recognised(path, "checkpoint", &names, Detected::among(&names, families))?;
        let (Some(network), Some(family)) = (&detected.network, detected.family) else {
            return Err(not_there(path, "Stable Diffusion checkpoint", &names, &families.probes()));
        };
        for tensor in detected.unused_tensors(&names) {
            tracing::debug!(tensor, file = %path.display(), "a tensor that nothing uses");
        }
        Ok(Self {
            model: DiffusionModel::over(&source, network, family, None, budget)?,
            text: TextEncoders::over(&source, family.text, &detected.text, budget)?,
            vae: detected.vae.as_ref().map(|vae| open::vae::over(&source, vae, budget)).transpose()?,
            vision: detected.vision.as_ref().map(|found| open::vision::over(&source, found, budget)).transpose()?,
        })
    }
}
