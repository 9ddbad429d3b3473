//! `BBOX_DETECTOR`, `SEGM_DETECTOR`: a detector with its question, for the nodes of other packs that ask it.

use kiln_exec::{Cx, Execute, Node, NodeError, object};
use kiln_models::image::Pixels;

use super::outline::{Outline, around, outlines};
use super::query::{OWN_MOST, Query, pixels};
use crate::payload::{DetectorModel, Image, SegmenterModel};

/// A detector, what it looks for, and a segmenter if outlines are wanted.
#[derive(Clone, Debug)]
pub struct ObjectDetector {
    model: DetectorModel,
    categories: Vec<String>,
    overlap: f64,
    agnostic: bool,
    segmenter: Option<SegmenterModel>,
}

/// A detector of boxes.
#[derive(Clone, Debug)]
pub struct BoxDetector(pub ObjectDetector);

/// A detector of outlines.
#[derive(Clone, Debug)]
pub struct OutlineDetector(pub ObjectDetector);

object!(BoxDetector, "BBOX_DETECTOR");
object!(OutlineDetector, "SEGM_DETECTOR");

/// Everything found in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Segments {
    /// Height and width of the image.
    pub size: [usize; 2],
    /// What was found, the best first.
    pub found: Vec<Segment>,
}

/// One thing, cut out of its image.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The part of the image, `[height, width, 3]` bytes.
    pub image: Pixels,
    /// The same part of its mask, row after row.
    pub mask: Vec<bool>,
    /// How sure the detector is.
    pub confidence: f64,
    /// Left, top, right, bottom of the part.
    pub region: [usize; 4],
    /// Left, top, right, bottom of the box.
    pub corners: [f64; 4],
    /// The name of its class.
    pub label: String,
}

/// How what is found is cut out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CutOut {
    /// How sure the detector must be.
    pub threshold: f64,
    /// Side of the square by which masks grow; none up to 0.
    pub dilation: i64,
    /// How much larger than the box the part is.
    pub crop_factor: f64,
    /// Boxes with a side up to this are left out.
    pub drop_size: f64,
}

impl ObjectDetector {
    /// What is found in the first of some images.
    ///
    /// # Errors
    /// When there is no image, or weights can't be had.
    pub fn detect(&self, cx: &Cx, image: &Image, cut: CutOut) -> Result<Segments, NodeError> {
        let images = pixels(image)?;
        let image = &images[0];
        let query = Query {
            categories: self.categories.clone(),
            background: false,
            confidence: cut.threshold,
            overlap: self.overlap,
            agnostic: self.agnostic,
            most: OWN_MOST,
        };
        let mut found = query.ask(cx, &self.model, &images[..1])?.pop().unwrap_or_default();
        let small = cut.drop_size.max(1.0);
        found.retain(|found| {
            let [left, top, right, bottom] = found.corners;
            right - left > small && bottom - top > small
        });
        let [height, width, _] = image.dims();
        let masks = match &self.segmenter {
            Some(segmenter) => outlines(cx, segmenter, image, &found.iter().map(around).collect::<Vec<_>>())?,
            None => found.iter().map(|found| filled(found.corners, [height, width])).collect(),
        };
        let segment = |(found, mask): (&kiln_models::image::Detection, Outline)| {
            let mask = grown(mask, [height, width], cut.dilation);
            let region = region(found.corners, cut.crop_factor, [height, width]);
            let label = self.categories.get(found.class).cloned().unwrap_or_default();
            let (image, mask) = cropped(image, &mask, region)?;
            Ok(Segment { image, mask, confidence: found.score, region, corners: found.corners, label })
        };
        let found = found.iter().zip(masks).map(segment).collect::<Result<Vec<_>, NodeError>>()?;
        Ok(Segments { size: [height, width], found })
    }
}

/// A box as a mask: corners cut to whole pixels, both ends included.
fn filled(corners: [f64; 4], [height, width]: [usize; 2]) -> Outline {
    let [left, top, right, bottom] = corners.map(|v| v as usize);
    let inside = |i: usize| (left..=right).contains(&(i % width)) && (top..=bottom).contains(&(i / width));
    (0..height * width).map(inside).collect()
}

/// A mask grown by a square of that side.
fn grown(mask: Outline, [height, width]: [usize; 2], side: i64) -> Outline {
    if side <= 1 {
        return mask;
    }
    // The square's anchor is its middle; an even one reaches one pixel further before it.
    let (before, after) = ((side / 2) as usize, ((side - 1) / 2) as usize);
    let along = |mask: &Outline, step: usize, len: usize, place: fn(usize, usize) -> usize| {
        let near = |i: usize| {
            let at = place(i, width);
            let (first, last) = (at.saturating_sub(before), (at + after).min(len - 1));
            (first..=last).any(|other| mask[i + other * step - at * step])
        };
        (0..mask.len()).map(near).collect::<Outline>()
    };
    let rows = along(&mask, 1, width, |i, width| i % width);
    along(&rows, width, height, |i, width| i / width)
}

/// A box scaled about its middle, shifted into the image.
fn region([left, top, right, bottom]: [f64; 4], factor: f64, [height, width]: [usize; 2]) -> [usize; 4] {
    let side = |low: f64, high: f64, len: usize| {
        let size = ((high - low) * factor.max(0.0)).clamp(1.0, len as f64);
        let start = (f64::midpoint(low, high) - size / 2.0).clamp(0.0, len as f64 - size);
        let (start, end) = (start as usize, (start + size).ceil() as usize);
        (start.min(len - 1), end.clamp(start.min(len - 1) + 1, len))
    };
    let ((left, right), (top, bottom)) = (side(left, right, width), side(top, bottom, height));
    [left, top, right, bottom]
}

fn cropped(
    image: &Pixels,
    mask: &[bool],
    [left, top, right, bottom]: [usize; 4],
) -> Result<(Pixels, Outline), NodeError> {
    let width = image.dims()[1];
    let rows = || (top..bottom).map(|y| y * width + left..y * width + right);
    let bytes = rows().flat_map(|row| image.bytes()[row.start * 3..row.end * 3].to_vec()).collect();
    let mask = rows().flat_map(|row| mask[row].to_vec()).collect();
    Ok((Pixels::new([bottom - top, right - left, 3], bytes)?, mask))
}

/// Hands a detector with its classes to nodes of other packs; with a segmenter also one of outlines.
#[derive(Node)]
#[node(
    class = "Yoloworld_ESAM_DetectorProvider_Zho",
    display_name = "🔎Yoloworld ESAM Detector Provider",
    category = "🔎YOLOWORLD_ESAM",
    module = "custom_nodes.ComfyUI-YoloWorld-EfficientSAM"
)]
pub struct YoloworldEsamDetectorProvider {
    /// The detector.
    #[input(carries)]
    yolo_world_model: DetectorModel,
    /// What to look for, with commas between.
    #[input(default = "", multiline)]
    categories: String,
    /// From which overlap on the less sure of two boxes goes.
    #[input(default = 0.1, min = 0.0, max = 1.0, step = 0.01)]
    iou_threshold: f64,
    /// Whether boxes of other classes count as overlapping, too.
    #[input(default = false)]
    with_class_agnostic_nms: bool,
    /// The segmenter, where outlines are wanted.
    #[input(optional, carries)]
    esam_model_opt: Option<SegmenterModel>,
}

impl Execute for YoloworldEsamDetectorProvider {
    type Output = (BoxDetector, Option<OutlineDetector>);

    fn execute(self, _: &mut Cx) -> Result<(BoxDetector, Option<OutlineDetector>), NodeError> {
        let detector = ObjectDetector {
            model: self.yolo_world_model,
            categories: Query::names(&self.categories),
            overlap: self.iou_threshold,
            agnostic: self.with_class_agnostic_nms,
            segmenter: self.esam_model_opt,
        };
        let outlines = detector.segmenter.is_some().then(|| OutlineDetector(detector.clone()));
        Ok((BoxDetector(detector), outlines))
    }
}
