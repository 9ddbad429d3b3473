//! Nodes on images: load, save, resize, batch, turn, cut, pad, blend. None of them knows a model, and only those that
//! load and save know files.

pub(in crate::comfy) mod batch;
mod blend;
mod colour;
pub(in crate::comfy) mod composite;
pub(in crate::comfy) mod filter;
pub(in crate::comfy) mod limits;
mod load;
mod make;
mod morphology;
pub(in crate::comfy) mod resize;
pub(in crate::comfy) mod save;
mod scale;
mod transform;
pub(in crate::comfy) mod turn;

pub use batch::{GetImageSize, ImageBatch, ImageFromBatch, RebatchImages, RepeatImageBatch};
pub use blend::{ImageBlend, ImageCompositeMasked};
pub use colour::{ImageAddNoise, ImageRGBToYUV, ImageYUVToRGB};
pub use filter::{ImageBlur, ImageInvert, ImageSharpen};
pub use load::{LoadImage, LoadImageMask, LoadImageOutput};
pub use make::EmptyImage;
pub use morphology::Morphology;
pub use save::{MaskPreview, PreviewImage, SaveImage};
pub use scale::{ImageScale, ImageScaleBy, ImageScaleToMaxDimension, ImageScaleToTotalPixels, ResizeAndPadImage};
pub use transform::{ImageCrop, ImageFlip, ImagePadForOutpaint, ImageRotate, ImageStitch};

crate::comfy::classes::classes! {
    LoadImage, LoadImageMask, LoadImageOutput, SaveImage, PreviewImage, MaskPreview, ImageScale, ImageScaleBy,
    ImageScaleToTotalPixels, ImageScaleToMaxDimension, ResizeAndPadImage, ImageCrop, ImageFlip, ImageRotate,
    ImageStitch, ImagePadForOutpaint, ImageBatch, ImageFromBatch, RepeatImageBatch, RebatchImages, GetImageSize,
    EmptyImage, ImageBlend, ImageCompositeMasked, ImageInvert, ImageBlur, ImageSharpen, ImageAddNoise,
    ImageRGBToYUV, ImageYUVToRGB, Morphology,
}
