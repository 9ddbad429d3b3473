//! Nodes on pictures: resize, batch, turn, cut, pad, blend. None of them knows a file or a model.

mod batch;
mod blend;
mod filter;
mod make;
mod scale;
mod transform;

pub use batch::{GetImageSize, ImageBatch, ImageFromBatch, RebatchImages, RepeatImageBatch};
pub use blend::{ImageBlend, ImageCompositeMasked};
pub use filter::{ImageBlur, ImageInvert, ImageSharpen};
pub use make::EmptyImage;
pub use scale::{ImageScale, ImageScaleBy, ImageScaleToMaxDimension, ImageScaleToTotalPixels, ResizeAndPadImage};
pub use transform::{ImageCrop, ImageFlip, ImagePadForOutpaint, ImageRotate, ImageStitch};

/// Largest side of a picture.
pub(crate) const MAX: usize = 16384;
