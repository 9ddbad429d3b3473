//! Nodes on pictures: resize, batch, turn, cut, pad, blend. None of them knows a file or a model.

mod batch;
mod blend;
mod colour;
mod filter;
mod make;
mod morphology;
mod scale;
mod transform;

pub use batch::{GetImageSize, ImageBatch, ImageFromBatch, RebatchImages, RepeatImageBatch};
pub use blend::{ImageBlend, ImageCompositeMasked};
pub use colour::{ImageAddNoise, ImageRGBToYUV, ImageYUVToRGB};
pub use filter::{ImageBlur, ImageInvert, ImageSharpen};
pub(crate) use filter::{filtered, gaussian, sharpening};
pub use make::EmptyImage;
pub use morphology::Morphology;
pub use scale::{ImageScale, ImageScaleBy, ImageScaleToMaxDimension, ImageScaleToTotalPixels, ResizeAndPadImage};
pub use transform::{ImageCrop, ImageFlip, ImagePadForOutpaint, ImageRotate, ImageStitch};

/// Largest side of a picture.
pub(crate) const MAX: usize = 16384;
