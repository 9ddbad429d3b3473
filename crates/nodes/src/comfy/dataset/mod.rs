//! Nodes on data sets: lists of images and of texts, read from folders, changed one by one or together, written to folders.

mod arrange;
mod change;
mod load;
mod save;
mod text;

pub use arrange::{ImageDeduplication, ImageGrid, MergeImageLists, ShuffleDataset, ShuffleImageTextDataset};
pub use change::{
    AdjustBrightness, AdjustContrast, CenterCropImages, NormalizeImages, RandomCropImages, ResizeImagesByLongerEdge,
    ResizeImagesByShorterEdge,
};
pub use load::{LoadImageDataSetFromFolder, LoadImageTextDataSetFromFolder};
pub use save::{SaveImageDataSetToFolder, SaveImageTextDataSetToFolder};
pub use text::{
    AddTextPrefix, AddTextSuffix, MergeTextLists, ReplaceText, StripWhitespace, TextToLowercase, TextToUppercase,
    TruncateText,
};

crate::comfy::classes::classes! {
    LoadImageDataSetFromFolder, LoadImageTextDataSetFromFolder, SaveImageDataSetToFolder, SaveImageTextDataSetToFolder,
    ResizeImagesByShorterEdge, ResizeImagesByLongerEdge, CenterCropImages, RandomCropImages, NormalizeImages,
    AdjustBrightness, AdjustContrast, ShuffleDataset, ShuffleImageTextDataset, ImageDeduplication, ImageGrid,
    MergeImageLists, TextToLowercase, TextToUppercase, TruncateText, AddTextPrefix, AddTextSuffix, ReplaceText,
    StripWhitespace, MergeTextLists,
}
