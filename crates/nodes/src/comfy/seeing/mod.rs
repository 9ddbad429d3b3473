//! Nodes that see: detectors that find what a text names, and segmenters that find the outline of what is pointed at.
//!
//! `pack` has the classes of ComfyUI-YoloWorld-EfficientSAM, `second` those of ComfyUI-YOLOWorld, `provider` what hands a
//! detector to other packs, `generic` Kiln's own with boxes as data between them. All of them stand on `query` (an image
//! and classes to boxes), `outline` (boxes to masks), `canvas`, `draw` and `label` (what people see of it), and `find` (which file a
//! name means).

mod canvas;
mod draw;
mod find;
mod generic;
mod label;
mod loaders;
mod outline;
mod pack;
mod provider;
mod query;
mod second;

pub use generic::{KilnDetect, KilnLoadDetector, KilnLoadSegmenter, KilnSegmentBoxes, KilnSegmentPoints};
pub use loaders::{EsamModelLoader, YoloworldModelLoader};
pub use pack::YoloworldEsam;
pub use provider::{
    BoxDetector, CutOut, ObjectDetector, OutlineDetector, Segment, Segments, YoloworldEsamDetectorProvider,
};
pub use second::{YoloWorld, YoloWorldDisplay, YoloWorldModelLoader};

crate::comfy::classes::classes! {
    YoloworldModelLoader, EsamModelLoader, YoloworldEsam, YoloworldEsamDetectorProvider,
    YoloWorldModelLoader, YoloWorld, YoloWorldDisplay,
    KilnLoadDetector, KilnDetect, KilnLoadSegmenter, KilnSegmentBoxes, KilnSegmentPoints,
}
