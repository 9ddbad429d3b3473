//! Nodes on masks: make, convert, combine, grow. None of them knows a file or a model.

mod alpha;
mod combine;
mod convert;
mod grow;
mod porter_duff;

pub use alpha::{JoinImageWithAlpha, SplitImageWithAlpha};
pub use combine::{CropMask, InvertMask, MaskComposite};
pub use convert::{ImageColorToMask, ImageToMask, MaskToImage, SolidMask};
pub use grow::{FeatherMask, GrowMask, ThresholdMask};
pub use porter_duff::PorterDuffImageComposite;

crate::comfy::classes::classes! {
    SolidMask, InvertMask, CropMask, MaskComposite, FeatherMask, GrowMask, ThresholdMask, MaskToImage, ImageToMask,
    ImageColorToMask, JoinImageWithAlpha, SplitImageWithAlpha, PorterDuffImageComposite,
}
