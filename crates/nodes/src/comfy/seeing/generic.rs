//! Detector and segmenter apart, with boxes as data between them: what a workflow is built of that belongs to no pack.

use std::sync::Arc;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_models::image::Detection;
use kiln_models::segmenter::{Label, Prompt};
use serde::Deserialize;

use super::find;
use super::outline::{batch, outlines, union};
use super::query::{Query, pixels};
use crate::comfy::loaders::fingerprint::file_fingerprint;
use crate::payload::{BoundingBox, BoundingBoxes, DetectorModel, Image, Mask, SegmenterModel};
use crate::runtime::environment::{CxExt, models};

fn detectors(host: &Host) -> Vec<String> {
    models(host, find::DETECTORS)
}

fn segmenters(host: &Host) -> Vec<String> {
    models(host, find::SEGMENTERS)
}

/// Opens a detector that finds what texts name (YOLO-World).
#[derive(Node)]
#[node(display_name = "Load Detector", category = "loaders", aliases("yolo world", "object detection"))]
pub struct KilnLoadDetector {
    /// A file of the folder `yolo_world`.
    #[input(choices = detectors, provides(YOLOWORLDMODEL = "clip", YOLOWORLDMODEL = "detector"))]
    detector_name: String,
}

impl Execute for KilnLoadDetector {
    type Output = DetectorModel;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, find::DETECTORS, &["detector_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<DetectorModel, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model(find::DETECTORS, &self.detector_name)?;
        find::open_detector(&environment, &path, &self.detector_name)
    }
}

/// Finds what a list of classes names; boxes come out as data.
#[derive(Node)]
#[node(display_name = "Detect", category = "image/detection", aliases("find", "boxes"), outputs("bboxes"))]
pub struct KilnDetect {
    /// The detector.
    #[input(uses)]
    detector: DetectorModel,
    /// The images.
    image: Image,
    /// What to look for, with commas between.
    #[input(default = "cat, dog", multiline)]
    categories: String,
    /// How sure the detector must be.
    #[input(default = 0.1, min = 0.0, max = 1.0, step = 0.01)]
    confidence: f64,
    /// From which overlap on the less sure of two boxes goes.
    #[input(default = 0.5, min = 0.0, max = 1.0, step = 0.01)]
    iou: f64,
    /// Whether boxes of other classes count as overlapping, too.
    #[input(default = false)]
    class_agnostic: bool,
    /// Most boxes of an image.
    #[input(default = 300, min = 1, max = 3000)]
    max_detections: usize,
    /// Whether an empty class is asked for as well, as in the detector's training: without one, short lists find little.
    #[input(default = true)]
    background: bool,
}

impl Execute for KilnDetect {
    type Output = BoundingBoxes;

    fn execute(self, cx: &mut Cx) -> Result<BoundingBoxes, NodeError> {
        let query = Query {
            categories: Query::names(&self.categories),
            background: self.background,
            confidence: self.confidence,
            overlap: self.iou,
            agnostic: self.class_agnostic,
            most: self.max_detections,
        };
        let found = query.ask(cx, &self.detector, &pixels(&self.image)?)?;
        if found.iter().all(Vec::is_empty) {
            tracing::warn!("nothing was found in any image; the list of boxes is empty");
        }
        let list = |found: &Vec<Detection>| found.iter().map(|found| bounding(found, &query.categories)).collect();
        Ok(BoundingBoxes::per_image(found.iter().map(list).collect()))
    }
}

fn bounding(found: &Detection, categories: &[String]) -> BoundingBox {
    let [left, top, right, bottom] = found.corners;
    let label = categories.get(found.class).cloned().unwrap_or_default();
    BoundingBox { x: left, y: top, width: right - left, height: bottom - top, label, score: found.score }
}

/// Opens a segmenter that outlines what is pointed at (EfficientSAM).
#[derive(Node)]
#[node(display_name = "Load Segmenter", category = "loaders", aliases("efficient sam", "segment anything"))]
pub struct KilnLoadSegmenter {
    /// A file of the folder `efficient_sam`.
    #[input(choices = segmenters, provides(ESAMMODEL = "segmenter"))]
    segmenter_name: String,
}

impl Execute for KilnLoadSegmenter {
    type Output = SegmenterModel;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, find::SEGMENTERS, &["segmenter_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<SegmenterModel, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model(find::SEGMENTERS, &self.segmenter_name)?;
        let network = find::open_segmenter(&environment, &path, &self.segmenter_name)?;
        Ok(SegmenterModel { network: Arc::new(network), device: environment.device().clone() })
    }
}

/// Outlines what is in each of some boxes.
#[derive(Node)]
#[node(display_name = "Segment Boxes", category = "image/detection", aliases("mask", "outline"))]
pub struct KilnSegmentBoxes {
    /// The segmenter.
    #[input(uses)]
    segmenter: SegmenterModel,
    /// The images.
    image: Image,
    /// Boxes of each image, or boxes for all of them.
    bboxes: BoundingBoxes,
    /// A mask for each box, those of all images one behind the other; one mask for each image otherwise.
    #[input(default = false)]
    individual_masks: bool,
}

impl Execute for KilnSegmentBoxes {
    type Output = Mask;

    fn execute(self, cx: &mut Cx) -> Result<Mask, NodeError> {
        let prompts = |i: usize, size: [usize; 2]| {
            let corners = self.bboxes.of(i).iter().map(BoundingBox::corners);
            corners.map(|corners| Ok(Prompt::corners(inside(corners, size)?))).collect()
        };
        segmented(cx, &self.segmenter, &self.image, self.individual_masks, prompts)
    }
}

/// Corners held to the image; a box of no numbers is refused.
fn inside(corners: [f64; 4], [height, width]: [usize; 2]) -> Result<[f32; 4], NodeError> {
    if !corners.iter().all(|v| v.is_finite()) {
        return Err(NodeError::new(format!("`bboxes` has a box with the corners {corners:?}, which are no places")));
    }
    let [left, top, right, bottom] = corners;
    let (across, down) = (|v: f64| v.clamp(0.0, width as f64) as f32, |v: f64| v.clamp(0.0, height as f64) as f32);
    Ok([across(left), down(top), across(right), down(bottom)])
}

/// Outlines what some points lie on.
#[derive(Node)]
#[node(display_name = "Segment Points", category = "image/detection", aliases("mask", "outline", "click"))]
pub struct KilnSegmentPoints {
    /// The segmenter.
    #[input(uses)]
    segmenter: SegmenterModel,
    /// The images.
    image: Image,
    /// Points on the thing, in pixels: `[{"x": 10, "y": 20}]`. At most six count.
    #[input(default = "[]", multiline)]
    positive_coords: String,
    /// Points beside it, in the same form. EfficientSAM has learned little from these.
    #[input(default = "[]", multiline, optional)]
    negative_coords: Option<String>,
}

/// A point as editors write it.
#[derive(Deserialize)]
struct Coordinates {
    x: f32,
    y: f32,
}

impl Execute for KilnSegmentPoints {
    type Output = Mask;

    fn execute(self, cx: &mut Cx) -> Result<Mask, NodeError> {
        let on = points("positive_coords", &self.positive_coords)?;
        let beside = points("negative_coords", self.negative_coords.as_deref().unwrap_or(""))?;
        if on.is_empty() {
            return Err(NodeError::new("`positive_coords` holds no point; write one like [{\"x\": 10, \"y\": 20}]"));
        }
        if !beside.is_empty() {
            tracing::warn!("EfficientSAM was not trained with points beside a thing; `negative_coords` do little");
        }
        let marked = |points: &[[f32; 2]], label| points.iter().map(|point| (*point, label)).collect::<Vec<_>>();
        let prompt = Prompt([marked(&on, Label::Inside), marked(&beside, Label::Outside)].concat());
        segmented(cx, &self.segmenter, &self.image, false, |_, _| Ok(vec![prompt.clone()]))
    }
}

/// Points of a JSON list.
fn points(input: &str, text: &str) -> Result<Vec<[f32; 2]>, NodeError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |why: String| {
        NodeError::new(format!(
            "`{input}` should be a list like [{{\"x\": 10, \"y\": 20}}], in pixels of the image: {why}"
        ))
    };
    let points: Vec<Coordinates> = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let places: Vec<[f32; 2]> = points.iter().map(|Coordinates { x, y }| [*x, *y]).collect();
    match places.iter().flatten().find(|v| !v.is_finite() || **v < 0.0) {
        Some(v) => Err(wrong(format!("{v} is no place in an image"))),
        None => Ok(places),
    }
}

/// The masks of each image's prompts: one for each of them, or one for each image.
fn segmented(
    cx: &Cx,
    segmenter: &SegmenterModel,
    image: &Image,
    individual: bool,
    prompts: impl Fn(usize, [usize; 2]) -> Result<Vec<Prompt>, NodeError>,
) -> Result<Mask, NodeError> {
    let images = pixels(image)?;
    let [height, width, _] = images[0].dims();
    let mut bar = cx.progress(images.len() as f64);
    let mut masks = Vec::new();
    for (i, image) in images.iter().enumerate() {
        let found = outlines(cx, segmenter, image, &prompts(i, [height, width])?)?;
        if individual {
            masks.extend(found);
        } else {
            masks.push(union(&found, height * width));
        }
        bar.step()?;
    }
    if masks.is_empty() {
        tracing::warn!("there is no box in any image; the masks are empty");
        masks = vec![vec![false; height * width]; images.len()];
    }
    batch(&masks, [height, width], cx.environment()?.device())
}
