//! Edges of images.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::image::{Planes, canny};

use crate::payload::Image;

/// Finds edges: white lines on black.
#[derive(Node)]
#[node(unnamed, category = "image/preprocessors", module = "comfy_extras.nodes_canny")]
pub struct Canny {
    /// The images.
    image: Image,
    /// How strong an edge is that goes on from a strong one.
    #[input(default = 0.4, min = 0.01, max = 0.99, step = 0.01)]
    low_threshold: f32,
    /// How strong an edge is by itself.
    #[input(default = 0.8, min = 0.01, max = 0.99, step = 0.01)]
    high_threshold: f32,
}

impl Execute for Canny {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let planes = Planes::from_tensor(&self.image.planes())?;
        let edges = canny(&planes, self.low_threshold, self.high_threshold)?;
        Ok(Image::from_planes(edges.to_tensor(&self.image.pixels().device()).repeat_dim(1, 3)))
    }
}
