//! Cases of detectors and segmenters: names, class texts, letterboxes, boxes, networks, and a whole node's numbers.

mod boxes;
mod compare;
mod detector;
mod keys;
mod picture;
mod segmenter;
mod weights;
mod whole;

use crate::case::Run;

/// Who runs a file of the folder, if it is one of ours.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "keys_yolo_world.json" => keys::detectors,
        "letterbox.safetensors" => boxes::letterboxes,
        "decode_nms.safetensors" => boxes::decoding,
        "clip_b32_text.safetensors" => detector::texts,
        "yolo_bn_stats.safetensors" => weights::statistics,
        "yolo_world_big.safetensors" => detector::many,
        "node_yoloworld_esam.safetensors" => whole::node,
        _ if file.starts_with("yolo_world_") => detector::one,
        _ if file.starts_with("keys_efficient_sam") => keys::segmenters,
        _ if file.starts_with("efficient_sam_") => segmenter::one,
        _ => return None,
    })
}
