//! The nodes of ComfyUI-YOLOWorld: classes belong to the loader, detections are data.

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Node, NodeError};

use super::draw::{Style, annotated};
use super::find;
use super::loaders::detector_fingerprint;
use super::query::{OWN_MOST, Query, pixels};
use crate::payload::{Detections, DetectorModel, Image};
use crate::runtime::environment::CxExt;

/// The names of COCO's 80 classes.
const COCO: &str = "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, \
    stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella, \
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, \
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, \
    carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, \
    keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, \
    toothbrush";

/// Opens a YOLO-World detector for a list of classes.
#[derive(Node)]
#[node(
    class = "YOLOWorld_ModelLoader",
    display_name = "YOLO-World Model Loader",
    category = "YOLO-World",
    module = "custom_nodes.ComfyUI-YOLOWorld",
    outputs("model")
)]
pub struct YoloWorldModelLoader {
    /// Version and size; names without a version mean the first.
    #[input(
        combo = [
            "yolo_world/l", "yolo_world/m", "yolo_world/s", "yolo_world/x",
            "yolo_world/v2-s", "yolo_world/v2-m", "yolo_world/v2-l", "yolo_world/v2-x"
        ],
        provides(YOLOWORLDMODEL = "clip", YOLOWORLDMODEL = "detector")
    )]
    model_id: String,
    /// What to look for, with commas between.
    #[input(default = COCO)]
    categories: String,
}

impl Execute for YoloWorldModelLoader {
    type Output = DetectorModel;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        detector_fingerprint(known, "model_id")
    }

    fn execute(self, cx: &mut Cx) -> Result<DetectorModel, NodeError> {
        let environment = cx.environment()?;
        let path = find::detector(environment.folders(), &self.model_id)?;
        let model = find::open_detector(&environment, &path, &self.model_id)?;
        Ok(model.with_categories(Query::names(&self.categories.to_lowercase())))
    }
}

/// Finds what the loader's classes name.
#[derive(Node)]
#[node(
    class = "YOLOWorld",
    display_name = "YOLO-World",
    category = "YOLO-World",
    module = "custom_nodes.ComfyUI-YOLOWorld",
    outputs("detections")
)]
pub struct YoloWorld {
    /// The detector with its classes.
    #[input(uses)]
    model: DetectorModel,
    /// The images.
    images: Image,
    /// How sure the detector must be.
    #[input(default = 0.05, min = 0.0, max = 1.0, step = 0.01)]
    confidence_threshold: f64,
    /// From which overlap on the less sure of two boxes goes.
    #[input(default = 0.3, min = 0.0, max = 1.0, step = 0.01)]
    nms_iou_threshold: f64,
    /// Whether boxes of other classes count as overlapping, too.
    #[input(default = false)]
    with_class_agnostic_nms: bool,
}

impl Execute for YoloWorld {
    type Output = Detections;

    fn execute(self, cx: &mut Cx) -> Result<Detections, NodeError> {
        let categories = self.model.categories.clone().ok_or_else(|| {
            NodeError::new("`model` was loaded without classes; load it with YOLOWorld_ModelLoader, which names them")
        })?;
        let query = Query {
            categories: categories.to_vec(),
            background: false,
            confidence: self.confidence_threshold,
            overlap: self.nms_iou_threshold,
            agnostic: self.with_class_agnostic_nms,
            most: OWN_MOST,
        };
        let images = query.ask(cx, &self.model, &pixels(&self.images)?)?;
        Ok(Detections { images: images.into(), categories })
    }
}

/// Shows detections as boxes with labels.
#[derive(Node)]
#[node(
    class = "YOLOWorld_Display",
    display_name = "YOLO-World Display",
    category = "YOLO-World",
    module = "custom_nodes.ComfyUI-YOLOWorld",
    outputs("images")
)]
pub struct YoloWorldDisplay {
    /// The images that were looked at.
    images: Image,
    /// What was found in them.
    detections: Detections,
    /// Whether labels say how sure the detector is.
    #[input(default = true)]
    with_confidence: bool,
    /// How thick boxes are drawn.
    #[input(default = 2, min = 1, max = 10)]
    thickness: u32,
    /// How thick letters are drawn.
    #[input(default = 2, min = 1, max = 10)]
    text_thickness: u32,
    /// How large letters are drawn.
    #[input(default = 1.0, min = 0.1, max = 2.0, step = 0.1)]
    text_scale: f64,
}

impl Execute for YoloWorldDisplay {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        let images = pixels(&self.images)?;
        let Detections { images: found, categories } = self.detections;
        if found.len() != images.len() {
            let (found, images) = (found.len(), images.len());
            return Err(NodeError::new(format!(
                "`detections` are of {found} images, `images` are {images}; link the images that were looked at"
            )));
        }
        let style = Style {
            box_thickness: self.thickness as usize,
            text_thickness: self.text_thickness as usize,
            text_scale: self.text_scale,
            with_confidence: self.with_confidence,
        };
        let [height, width, _] = images[0].dims();
        let drawn =
            images.iter().zip(found.iter()).flat_map(|(i, found)| annotated(i, found, &[], &categories, &style));
        let values = drawn.map(|byte| f32::from(byte) / 255.0).collect();
        Image::from_values(values, [images.len(), height, width, 3], cx.environment()?.device())
    }
}
