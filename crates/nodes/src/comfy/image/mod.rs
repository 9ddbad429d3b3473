//! Nodes on images: load, save, resize, batch, turn, cut, pad, blend. None of them knows a model, and only those that
//! load and save know files.

mod animate;
pub(in crate::comfy) mod batch;
mod blend;
pub(in crate::comfy) mod bytes;
mod canny;
mod colour;
pub(in crate::comfy) mod composite;
pub(in crate::comfy) mod filter;
pub(in crate::comfy) mod limits;
mod load;
mod make;
mod morphology;
mod quantize;
pub(in crate::comfy) mod resize;
pub(in crate::comfy) mod save;
mod scale;
mod send;
mod svg;
mod transform;
pub(in crate::comfy) mod turn;

pub use animate::{SaveAnimatedPNG, SaveAnimatedWEBP};
pub use batch::{GetImageSize, ImageBatch, ImageFromBatch, RebatchImages, RepeatImageBatch};
pub use blend::{ImageBlend, ImageCompositeMasked};
pub use canny::Canny;
pub use colour::{ImageAddNoise, ImageRGBToYUV, ImageYUVToRGB};
pub use filter::{ImageBlur, ImageInvert, ImageSharpen};
pub use load::{LoadImage, LoadImageMask, LoadImageOutput, WebcamCapture};
pub use make::EmptyImage;
pub use morphology::Morphology;
pub use quantize::ImageQuantize;
pub use save::{MaskPreview, PreviewImage, SaveImage, save_preview, texts};
pub use scale::{ImageScale, ImageScaleBy, ImageScaleToMaxDimension, ImageScaleToTotalPixels, ResizeAndPadImage};
pub use send::{SaveImageWebsocket, SentImage};
pub use svg::SaveSVGNode;
pub use transform::{ImageCrop, ImageFlip, ImagePadForOutpaint, ImageRotate, ImageStitch};

crate::comfy::classes::classes! {
    LoadImage, LoadImageMask, LoadImageOutput, SaveImage, PreviewImage, MaskPreview, ImageScale, ImageScaleBy,
    ImageScaleToTotalPixels, ImageScaleToMaxDimension, ResizeAndPadImage, ImageCrop, ImageFlip, ImageRotate,
    ImageStitch, ImagePadForOutpaint, ImageBatch, ImageFromBatch, RepeatImageBatch, RebatchImages, GetImageSize,
    EmptyImage, ImageBlend, ImageCompositeMasked, ImageInvert, ImageBlur, ImageSharpen, ImageAddNoise,
    ImageRGBToYUV, ImageYUVToRGB, Morphology, Canny, ImageQuantize, SaveAnimatedWEBP, SaveAnimatedPNG,
    SaveSVGNode, SaveImageWebsocket, WebcamCapture,
}
