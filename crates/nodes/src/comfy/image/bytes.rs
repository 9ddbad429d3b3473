//! Images as Pillow's bytes and back, for nodes whose numbers are Pillow's.

use burn::tensor::Device;
use kiln_exec::NodeError;
use kiln_models::image::Pixels;

use crate::payload::Image;

/// Each image of a batch, in bytes.
pub(in crate::comfy) fn split(image: &Image) -> Result<Vec<Pixels>, NodeError> {
    let [batch, height, width, channels] = image.dims();
    let bytes = image.to_bytes()?;
    if bytes.is_empty() {
        return Err(NodeError::new(format!("the batch holds nothing: {batch} images of {width}x{height}")));
    }
    let size = height * width * channels;
    bytes.chunks_exact(size).map(|one| Ok(Pixels::new([height, width, channels], one.to_vec())?)).collect()
}

/// A batch of images of one size.
pub(in crate::comfy) fn joined(images: &[Pixels], device: &Device) -> Result<Image, NodeError> {
    let [height, width, channels] = images.first().map(Pixels::dims).unwrap_or_default();
    let values = images.iter().flat_map(|image| image.bytes().iter().map(|v| f32::from(*v) / 255.0)).collect();
    Image::from_values(values, [images.len(), height, width, channels], device)
}

/// Each image changed, to one size.
pub(in crate::comfy) fn each(
    image: &Image,
    change: impl Fn(&Pixels) -> Result<Pixels, NodeError>,
) -> Result<Image, NodeError> {
    let changed: Vec<Pixels> = split(image)?.iter().map(change).collect::<Result<_, _>>()?;
    joined(&changed, &image.pixels().device())
}
