//! A condition's boxes with their GLIGEN, and what they put between the attentions of a pass.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::model::Gligen;
use crate::{error::ModelError, nets::hooks::BetweenAttentions};

/// A text and where it belongs.
#[derive(Debug, Clone)]
pub struct GroundedBox {
    /// The pooled encoding before its projection, `[1, text]`.
    pub text: Tensor<2>,
    /// Height, width, top and left in latent cells.
    pub cells: [usize; 4],
}

/// Boxes, and the network that puts them into the image.
#[derive(Debug, Clone)]
pub struct Grounding {
    /// The network.
    pub net: Arc<Gligen>,
    /// In the order of the nodes.
    pub boxes: Vec<GroundedBox>,
}

impl Grounding {
    /// What it puts between the attentions of a pass over a latent of `[height, width]` cells.
    ///
    /// # Errors
    /// As [`Gligen::placed`].
    pub fn at(
        &self,
        [height, width]: [usize; 2],
        device: &Device,
    ) -> Result<impl BetweenAttentions + use<>, ModelError> {
        let part = |at: usize, whole: usize| (at as f64 / whole.max(1) as f64) as f32;
        let sides = |found: &GroundedBox| {
            let [h, w, y, x] = found.cells;
            [part(x, width), part(y, height), part(x + w, width), part(y + h, height)]
        };
        let boxes: Vec<[f32; 4]> = self.boxes.iter().map(sides).collect();
        let texts = self.boxes.iter().map(|found| found.text.clone()).collect();
        Ok(Placed { net: self.net.clone(), texts: self.net.placed(&boxes, texts, device)? })
    }
}

/// Texts at their places, for one pass.
#[derive(Debug)]
struct Placed {
    net: Arc<Gligen>,
    texts: Tensor<3>,
}

impl BetweenAttentions for Placed {
    fn changed(&self, transformer: usize, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        self.net.fused(transformer, x, &self.texts)
    }
}
