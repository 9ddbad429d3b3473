//! Conditions that carry what an image encoder saw.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::ImagePrompt;

use crate::payload::{ClipVisionOutput, Conditioning};

/// Gives an image as a prompt to a model that takes CLIP's embeddings (Stable Diffusion unCLIP, SDXL).
#[derive(Node)]
#[node(class = "unCLIPConditioning", category = "conditioning")]
pub struct UnClipConditioning {
    /// The condition.
    conditioning: Conditioning,
    /// What CLIP saw in the image.
    clip_vision_output: ClipVisionOutput,
    /// How strongly it counts.
    #[input(default = 1.0, min = -10.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// How much noise it is taken with: more noise, more freedom.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.01)]
    noise_augmentation: f64,
}

impl Execute for UnClipConditioning {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let Self { conditioning, clip_vision_output, strength, noise_augmentation: noise } = self;
        if strength == 0.0 {
            return Ok(conditioning);
        }
        let images = ImagePrompt { embeds: clip_vision_output.embeds()?, strength, noise };
        Ok(Conditioning::new(conditioning.0.add_images(&images)))
    }
}
