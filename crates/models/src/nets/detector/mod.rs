//! Open-vocabulary detectors: YOLO-World, versions 1 and 2, in every width and depth.
//!
//! An image in, and for each class named by a text the boxes of what looks like it. The text comes in as features of CLIP
//! ViT-B/32 ([`class_features`](crate::text::class_features)).
//!
//! Source: Cheng et al. 2024 (YOLO-World); layers and names as in ultralytics' `yolov8-world.yaml` and
//! `yolov8-worldv2.yaml`. Grounding DINO is recognised and refused by name: its folder would stand beside this one.

mod attention;
mod block;
mod config;
mod conv_norm;
mod decode;
mod detect;
mod head;
mod keys;
mod model;
mod text_update;

pub use config::{DetectorConfig, Version};
pub use decode::{LevelMaps, Scored, decoded};
pub use detect::DetectOptions;
pub(crate) use keys::canonical;
pub use model::Detector;
