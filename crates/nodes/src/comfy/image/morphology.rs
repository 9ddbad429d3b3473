//! Bright and dark parts of images grown and shrunk.

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::Image;

/// Grows, shrinks, opens or closes the bright parts of images, channel by channel.
#[derive(Node)]
#[node(display_name = "ImageMorphology", category = "image/postprocessing", module = "comfy_extras.nodes_morphology")]
pub struct Morphology {
    /// The images.
    image: Image,
    /// What to do.
    #[input(
        options = ["erode", "dilate", "open", "close", "gradient", "bottom_hat", "top_hat"],
        option("multiselect" = false)
    )]
    operation: String,
    /// Side of the square that is looked at, in pixels.
    #[input(default = 3, min = 3, max = 999, step = 1)]
    kernel_size: usize,
}

impl Execute for Morphology {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let erode = |image: &Image| spread(image, self.kernel_size, f32::min);
        let dilate = |image: &Image| spread(image, self.kernel_size, f32::max);
        let image = &self.image;
        let less = |a: &Image, b: &Image| Image::new(a.pixels() - b.pixels());
        Ok(match self.operation.as_str() {
            "erode" => erode(image)?,
            "dilate" => dilate(image)?,
            "open" => dilate(&erode(image)?)?,
            "close" => erode(&dilate(image)?)?,
            "gradient" => less(&dilate(image)?, &erode(image)?),
            "top_hat" => less(image, &dilate(&erode(image)?)?),
            "bottom_hat" => less(&erode(&dilate(image)?)?, image),
            other => return Err(NodeError::new(format!("`operation` is `{other}`, which does not exist"))),
        })
    }
}

/// Each value becomes the `pick` of its square, which ends at the border. Along one axis, then the other.
fn spread(image: &Image, size: usize, pick: fn(f32, f32) -> f32) -> Result<Image, NodeError> {
    let dims @ [_, rows, columns, channels] = image.dims();
    let values = image.values()?;
    let across = along(&values, columns, channels, size, pick);
    let down = along(&across, rows, columns * channels, size, pick);
    Image::from_values(down, dims, &image.pixels().device())
}

/// The `pick` over windows along an axis of `length` places that lie `stride` values apart.
fn along(values: &[f32], length: usize, stride: usize, size: usize, pick: fn(f32, f32) -> f32) -> Vec<f32> {
    let (before, after) = (size / 2, size - size / 2 - 1);
    let mut out = values.to_vec();
    for (block, source) in out.chunks_exact_mut(length * stride).zip(values.chunks_exact(length * stride)) {
        for at in 0..length {
            let window = at.saturating_sub(before)..(at + after + 1).min(length);
            for lane in 0..stride {
                let picked = window.clone().map(|place| source[place * stride + lane]).reduce(pick);
                block[at * stride + lane] = picked.unwrap_or_default();
            }
        }
    }
    out
}
