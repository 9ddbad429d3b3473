//! The numbers of a whole node: detections after both suppressions, masks and their union. What a node draws is compared
//! by the nodes' own tests.

use kiln_models::{
    ActivationTap,
    detector::DetectOptions,
    image::{Detection, thinned},
    segmenter::Prompt,
};
use serde_json::Value;

use super::{boxes, compare, picture, weights};
use crate::case::{CaseResult, Folder, Tensors, Trouble};

const DETECTIONS: f64 = 1e-4;
/// Pixels of one case's masks that may differ.
const PIXELS: usize = 3;

/// `node_yoloworld_esam`.
pub fn node(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let (pixels, check) = picture::of(params.get("picture").unwrap_or(&Value::Null), "check")?;
    let detector = weights::detector(folder, &params)?;
    let keys = folder.json("keys_efficient_sam.json")?;
    let keys = keys.get("ti").ok_or("keys_efficient_sam.json has no `ti`")?;
    let segmenter = weights::segmenter(keys, weights::text(&params, "esam_prefix")?, &Value::Null)?;
    let embedding = segmenter.encode(&picture::planes(&pixels), ActivationTap::default())?;
    let classes = params.get("categories").and_then(Value::as_array).map_or(0, Vec::len);
    let text = weights::features(&params, classes)?;
    let side = weights::number(&params, "imgsz")? as usize;
    let mut results = vec![check];
    for (name, case) in params.get("cases").and_then(Value::as_object).ok_or("cases are an object")? {
        let input = |key: &str| case.get(key).or_else(|| params.get("defaults")?.get(key)).unwrap_or(&Value::Null);
        let confidence = input("confidence_threshold").as_f64().ok_or("a confidence")?;
        let options = DetectOptions { confidence, side, ..DetectOptions::default() };
        let found = detector.detect(&pixels, &text, &options)?;
        let found: Vec<Detection> = found.into_iter().map(Detection::through_centre).collect();
        let agnostic = input("with_class_agnostic_nms").as_bool().unwrap_or(false);
        let kept = thinned(&found, input("iou_threshold").as_f64().ok_or("an overlap")?, agnostic);
        let stored = format!("{name}.out.detections");
        results.push(compare::rows(&stored, &boxes::rows(&kept), &boxes::doubles(&tensors, &stored)?, DETECTIONS));
        let prompts = kept.iter().map(|found| Prompt::corners(found.corners.map(|v| v as f32))).collect::<Vec<_>>();
        let segments = input("with_segmentation").as_bool().unwrap_or(true);
        let masks = if segments && !prompts.is_empty() { segmenter.masks(&embedding, &prompts)? } else { Vec::new() };
        results.push(mask(&tensors, name, &masks, [input("mask_combined"), input("mask_extracted")], pixels.dims())?);
    }
    for name in tensors.names().into_iter().filter(|n| n.contains(".out.image") || n.starts_with("rectangle_")) {
        tensors.note(name);
    }
    Ok(results)
}

fn mask(
    tensors: &Tensors,
    name: &str,
    masks: &[Vec<bool>],
    [combined, extracted]: [&Value; 2],
    [height, width, _]: [usize; 3],
) -> Result<CaseResult, Trouble> {
    let stored = format!("{name}.out.mask_u8");
    let expected = tensors.bytes(&stored)?;
    let found: Vec<bool> = if combined.as_bool() == Some(true) {
        (0..height * width).map(|i| masks.iter().any(|mask| mask[i])).collect()
    } else if extracted.as_bool() == Some(true) {
        masks.first().cloned().unwrap_or_default()
    } else {
        masks.concat()
    };
    if expected.is_empty() {
        return Ok(CaseResult::exact(stored, masks.is_empty(), "masks without segmentation"));
    }
    let wrong = found.iter().zip(expected).filter(|(a, b)| **a != (**b > 127)).count();
    let right = found.len() == expected.len() && wrong <= PIXELS;
    let share = wrong as f64 / expected.len() as f64;
    let tolerance = PIXELS as f64 / expected.len() as f64;
    let share = if right { share } else { f64::INFINITY.min(share.max(1.0)) };
    Ok(CaseResult::verdict(format!("{stored}: {wrong} pixels"), share, share, tolerance))
}
