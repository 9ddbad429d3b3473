//! Batches of images: join, take, repeat, cut into equal parts.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, List, Node, NodeError, UniqueId};

use crate::comfy::image::resize::{Crop, Method, fit};
use crate::payload::Image;

/// Joins two batches of images; the second is resized and cut to the first one's size if need be.
#[derive(Node)]
#[node(display_name = "Batch Images", category = "image", aliases("join", "append"))]
pub struct ImageBatch {
    /// First in the result.
    image1: Image,
    /// Last in the result.
    image2: Image,
}

impl Execute for ImageBatch {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let (first, second) = same_channels(&self.image1, &self.image2);
        let [_, height, width, _] = first.dims();
        let second = Image::from_planes(fit(second.planes(), [height, width], Method::Bilinear, Crop::Center)?);
        Ok(Image::new(Tensor::cat(vec![first.pixels(), second.pixels()], 0)))
    }
}

/// Both with as many channels as the richer one: missing opacity is full.
pub(super) fn same_channels(first: &Image, second: &Image) -> (Image, Image) {
    let channels = first.dims()[3].max(second.dims()[3]);
    (with_channels(first, channels), with_channels(second, channels))
}

fn with_channels(image: &Image, channels: usize) -> Image {
    let [batch, height, width, found] = image.dims();
    if found >= channels {
        return image.clone();
    }
    let opacity = Tensor::ones([batch, height, width, channels - found], &image.pixels().device());
    Image::new(Tensor::cat(vec![image.pixels(), opacity], 3))
}

/// Takes some images of a batch.
#[derive(Node)]
#[node(category = "image/batch", module = "comfy_extras.nodes_images")]
pub struct ImageFromBatch {
    /// The batch.
    image: Image,
    /// The first one to take, from 0.
    #[input(default = 0, min = 0, max = 4095)]
    batch_index: usize,
    /// How many.
    #[input(default = 1, min = 1, max = 4096)]
    length: usize,
}

impl Execute for ImageFromBatch {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let count = self.image.dims()[0];
        let start = self.batch_index.min(count.saturating_sub(1));
        Ok(Image::new(self.image.pixels().narrow(0, start, self.length.min(count - start))))
    }
}

/// Repeats a whole batch.
#[derive(Node)]
#[node(category = "image/batch", module = "comfy_extras.nodes_images")]
pub struct RepeatImageBatch {
    /// The batch.
    image: Image,
    /// How often it stands in the result.
    #[input(default = 1, min = 1, max = 4096)]
    amount: usize,
}

impl Execute for RepeatImageBatch {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::new(self.image.pixels().repeat_dim(0, self.amount)))
    }
}

/// Cuts all images of all lists into batches of one size.
#[derive(Node)]
#[node(display_name = "Rebatch Images", category = "image/batch", module = "comfy_extras.nodes_rebatch")]
pub struct RebatchImages {
    /// The images.
    images: List<Image>,
    /// Size of each batch; the last one may be smaller.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for RebatchImages {
    type Output = List<Image>;

    fn execute(self, _: &mut Cx) -> Result<List<Image>, NodeError> {
        let one = |image: &Image| -> Vec<Tensor<4>> {
            (0..image.dims()[0]).map(|i| image.pixels().narrow(0, i, 1)).collect()
        };
        let images: Vec<Tensor<4>> = self.images.iter().flat_map(one).collect();
        if let Some(odd) = images.iter().find(|p| p.dims() != images[0].dims()) {
            let (first, odd) = (images[0].dims(), odd.dims());
            return Err(NodeError::new(format!(
                "images of {}x{} and {}x{} cannot share a batch; resize them with ImageScale first",
                first[2], first[1], odd[2], odd[1]
            )));
        }
        let size = self.batch_size.max(1);
        Ok(images.chunks(size).map(|batch| Image::new(Tensor::cat(batch.to_vec(), 0))).collect())
    }
}

/// The size of images and how many there are.
#[derive(Node)]
#[node(
    display_name = "Get Image Size",
    category = "image",
    module = "comfy_extras.nodes_images",
    outputs("width", "height", "batch_size")
)]
pub struct GetImageSize {
    /// The images.
    image: Image,
    #[allow(dead_code, reason = "declared as ComfyUI declares it")]
    unique_id: UniqueId,
}

impl Execute for GetImageSize {
    type Output = (usize, usize, usize);

    fn execute(self, _: &mut Cx) -> Result<(usize, usize, usize), NodeError> {
        let [batch, height, width, _] = self.image.dims();
        Ok((width, height, batch))
    }
}
