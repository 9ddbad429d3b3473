//! The loaders of ComfyUI-YoloWorld-EfficientSAM: a size in place of a file, a device in place of either.

use std::sync::Arc;

use burn::tensor::Device;
use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Node, NodeError};

use super::find;
use crate::comfy::loaders::fingerprint::stamps;
use crate::payload::{DetectorModel, SegmenterModel};
use crate::runtime::environment::{CxExt, Environment};

/// Opens a YOLO-World detector by its size; the file is found in the folder `yolo_world`.
#[derive(Node)]
#[node(
    class = "Yoloworld_ModelLoader_Zho",
    display_name = "🔎Yoloworld Model Loader",
    category = "🔎YOLOWORLD_ESAM",
    module = "custom_nodes.ComfyUI-YoloWorld-EfficientSAM",
    outputs("yolo_world_model")
)]
pub struct YoloworldModelLoader {
    /// Version and size; names without a version mean the first.
    #[input(
        combo = [
            "yolo_world/l", "yolo_world/m", "yolo_world/s", "yolo_world/x",
            "yolo_world/v2-s", "yolo_world/v2-m", "yolo_world/v2-l", "yolo_world/v2-x"
        ],
        provides(YOLOWORLDMODEL = "clip", YOLOWORLDMODEL = "detector")
    )]
    yolo_world_model: String,
}

impl Execute for YoloworldModelLoader {
    type Output = DetectorModel;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        detector_fingerprint(known, "yolo_world_model")
    }

    fn execute(self, cx: &mut Cx) -> Result<DetectorModel, NodeError> {
        let environment = cx.environment()?;
        let path = find::detector(environment.folders(), &self.yolo_world_model)?;
        find::open_detector(&environment, &path, &self.yolo_world_model)
    }
}

/// What tells one state of the file that an input means from another.
pub(super) fn detector_fingerprint(known: &ConstantInputs<'_>, input: &str) -> Result<Fingerprint, NodeError> {
    let environment = known.host::<Environment>()?;
    let name = known.get_as::<String>(input).unwrap_or_default();
    stamps(&[find::detector(environment.folders(), &name)?])
}

/// Opens the EfficientSAM segmenter that lies in the folder `efficient_sam`.
#[derive(Node)]
#[node(
    class = "ESAM_ModelLoader_Zho",
    display_name = "🔎ESAM Model Loader",
    category = "🔎YOLOWORLD_ESAM",
    module = "custom_nodes.ComfyUI-YoloWorld-EfficientSAM",
    outputs("esam_model")
)]
pub struct EsamModelLoader {
    /// CUDA means the device that everything runs on.
    #[input(combo = ["CUDA", "CPU"])]
    device: String,
}

impl Execute for EsamModelLoader {
    type Output = SegmenterModel;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        stamps(&[find::segmenter(known.host::<Environment>()?.folders())?])
    }

    fn execute(self, cx: &mut Cx) -> Result<SegmenterModel, NodeError> {
        let environment = cx.environment()?;
        let path = find::segmenter(environment.folders())?;
        let network = find::open_segmenter(&environment, &path, &path.to_string_lossy())?;
        let device = if self.device == "CPU" { Device::flex() } else { environment.device().clone() };
        Ok(SegmenterModel { network: Arc::new(network), device })
    }
}
