//! Images in few colours.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::image::{Dither, quantized};

use super::bytes::each;
use crate::payload::Image;

/// Draws images in few colours.
#[derive(Node)]
#[node(unnamed, category = "image/postprocessing", module = "comfy_extras.nodes_post_processing")]
pub struct ImageQuantize {
    /// The images.
    image: Image,
    /// How many colours each of them has at most.
    #[input(default = 256, min = 1, max = 256, step = 1)]
    colors: usize,
    /// How colours in between are made of neighbouring pixels.
    #[input(
        options = ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"],
        option("multiselect" = false)
    )]
    dither: String,
}

impl Execute for ImageQuantize {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        let dither = Dither::named(&self.dither)
            .ok_or_else(|| NodeError::new(format!("`dither` is `{}`, which is no way to dither", self.dither)))?;
        each(&self.image.rgb(), |pixels| {
            cx.checkpoint()?;
            Ok(quantized(pixels, self.colors, dither)?)
        })
    }
}
