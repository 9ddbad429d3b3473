//! `CLIP_VISION`, `CLIP_VISION_OUTPUT`: an image encoder, and what it saw.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_exec::{NodeError, object};
use kiln_models::vision::{VisionModel, VisionOutput};

use super::part::{MissingPart, Part};
use super::tensor::tensor_bytes;

/// CLIP's image encoder.
#[derive(Clone, Debug)]
pub struct ClipVision(Part<VisionModel>);

object!(ClipVision, "CLIP_VISION");

impl ClipVision {
    /// An image encoder.
    pub fn new(network: impl Into<Arc<VisionModel>>) -> Self {
        Self(Part::There(network.into()))
    }

    /// An image encoder that a file lacks.
    pub fn missing(part: MissingPart) -> Self {
        Self(Part::Missing(Arc::new(part)))
    }

    /// The network.
    ///
    /// # Errors
    /// When the file has none.
    pub fn network(&self) -> Result<&Arc<VisionModel>, NodeError> {
        self.0.get()
    }
}

/// What it saw.
#[derive(Clone, Debug)]
pub struct ClipVisionOutput(pub Arc<VisionOutput>);

object!(ClipVisionOutput, "CLIP_VISION_OUTPUT", |seen| tensor_bytes(&seen.0.tokens)
    + tensor_bytes(&seen.0.penultimate));

impl ClipVisionOutput {
    /// What it saw as one vector for each image, `[images, width]`.
    ///
    /// # Errors
    /// When the image encoder has no projection.
    pub(crate) fn embeds(&self) -> Result<Tensor<2>, NodeError> {
        let embeds = self.0.embeds.clone();
        embeds.ok_or_else(|| {
            NodeError::new(
                "the image encoder has no projection (`visual_projection.weight`), which makes one vector of an image",
            )
        })
    }
}
