//! `Yoloworld_ESAM_Zho`: boxes, their outlines, and a picture of both, in one node.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::image::Detection;

use super::draw::{Style, annotated};
use super::outline::{Outline, around, batch, outlines, union};
use super::query::{OWN_MOST, Query, pixels};
use crate::payload::{DetectorModel, Image, Mask, SegmenterModel};
use crate::runtime::environment::CxExt;

/// Finds what a list of classes names, outlines it, and shows both.
#[derive(Node)]
#[node(
    class = "Yoloworld_ESAM_Zho",
    display_name = "🔎Yoloworld ESAM",
    category = "🔎YOLOWORLD_ESAM",
    module = "custom_nodes.ComfyUI-YoloWorld-EfficientSAM"
)]
#[allow(clippy::struct_excessive_bools, reason = "they are the class's inputs")]
pub struct YoloworldEsam {
    /// The detector.
    #[input(uses)]
    yolo_world_model: DetectorModel,
    /// The segmenter.
    #[input(uses)]
    esam_model: SegmenterModel,
    /// The images.
    image: Image,
    /// What to look for, with commas between. An empty name takes part and finds nothing, which helps an only class.
    #[input(default = "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat", multiline)]
    categories: String,
    /// How sure the detector must be.
    #[input(default = 0.1, min = 0.0, max = 1.0, step = 0.01)]
    confidence_threshold: f64,
    /// From which overlap on the less sure of two boxes goes.
    #[input(default = 0.1, min = 0.0, max = 1.0, step = 0.01)]
    iou_threshold: f64,
    /// How thick boxes are drawn.
    #[input(default = 2, min = 1, max = 5)]
    box_thickness: u32,
    /// How thick letters are drawn.
    #[input(default = 2, min = 1, max = 5)]
    text_thickness: u32,
    /// How large letters are drawn.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    text_scale: f64,
    /// Whether labels say how sure the detector is.
    #[input(default = true)]
    with_confidence: bool,
    /// Whether boxes of other classes count as overlapping, too.
    #[input(default = false)]
    with_class_agnostic_nms: bool,
    /// Whether what is found is outlined, too.
    #[input(default = true)]
    with_segmentation: bool,
    /// One mask of everything found.
    #[input(default = true)]
    mask_combined: bool,
    /// One mask of the box that `mask_extracted_index` counts; all of them, one behind the other, otherwise.
    #[input(default = true)]
    mask_extracted: bool,
    /// Which box, from the best on.
    #[input(default = 0, min = 0, max = 1000)]
    mask_extracted_index: usize,
}

impl Execute for YoloworldEsam {
    type Output = (Image, Mask);

    fn execute(self, cx: &mut Cx) -> Result<(Image, Mask), NodeError> {
        let images = pixels(&self.image)?;
        let query = self.query(cx)?;
        let found = query.ask(cx, &self.yolo_world_model, &images)?;
        let device = cx.environment()?.device().clone();
        let [height, width, _] = images[0].dims();
        let mut bar = cx.progress(images.len() as f64);
        let (mut pictures, mut masks) = (Vec::new(), Vec::new());
        for (image, found) in images.iter().zip(&found) {
            let prompts: Vec<_> = found.iter().map(around).collect();
            let outlined =
                if self.with_segmentation { outlines(cx, &self.esam_model, image, &prompts)? } else { Vec::new() };
            let bytes = annotated(image, found, &outlined, &query.categories, &self.style());
            pictures.extend(bytes.into_iter().map(|byte| f32::from(byte) / 255.0));
            masks.extend(self.chosen(outlined, found, height * width));
            bar.step()?;
        }
        if masks.is_empty() {
            tracing::warn!("nothing was found in any image; the masks are empty");
            masks = vec![vec![false; height * width]; images.len()];
        }
        let picture = Image::from_values(pictures, [images.len(), height, width, 3], &device)?;
        Ok((picture, batch(&masks, [height, width], &device)?))
    }
}

impl YoloworldEsam {
    fn query(&self, cx: &Cx) -> Result<Query, NodeError> {
        let categories = Query::names(&self.categories);
        let background = categories.len() == 1 && cx.environment()?.background_class();
        Ok(Query {
            categories,
            background,
            confidence: self.confidence_threshold,
            overlap: self.iou_threshold,
            agnostic: self.with_class_agnostic_nms,
            most: OWN_MOST,
        })
    }

    fn style(&self) -> Style {
        Style {
            box_thickness: self.box_thickness as usize,
            text_thickness: self.text_thickness as usize,
            text_scale: self.text_scale,
            with_confidence: self.with_confidence,
        }
    }

    /// The masks of one image that go out. Where there is none the reference fails, here the mask is empty.
    fn chosen(&self, masks: Vec<Outline>, found: &[Detection], pixels: usize) -> Vec<Outline> {
        let empty = || vec![false; pixels];
        if !self.with_segmentation {
            return vec![empty()];
        }
        if self.mask_combined {
            return vec![union(&masks, pixels)];
        }
        if !self.mask_extracted {
            return masks;
        }
        let index = self.mask_extracted_index;
        if index >= masks.len() {
            tracing::warn!(
                index,
                found = found.len(),
                "`mask_extracted_index` counts beyond what was found; its mask is empty"
            );
        }
        vec![masks.into_iter().nth(index).unwrap_or_else(empty)]
    }
}
