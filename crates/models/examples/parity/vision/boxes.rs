//! Letterboxes, decoding of boxes, and both suppressions.

use kiln_models::{
    detector::{LevelMaps, decoded},
    image::{Detection, Letterbox, Suppression, suppressed, thinned},
};
use serde_json::Value;

use super::{compare, picture};
use crate::case::{CaseResult, Folder, Tensors, Trouble};

const TOLERANCE: f64 = 1e-5;

/// `letterbox`: every byte, by sums and by a grid of places.
pub fn letterboxes(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let cases = params.get("cases").and_then(Value::as_array).ok_or("cases are a list")?;
    let mut results = Vec::new();
    for case in cases {
        let name = case.get("name").and_then(Value::as_str).ok_or("a case has a name")?;
        let side = case.get("size").and_then(Value::as_u64).ok_or("a case has a size")? as usize;
        let (pixels, input) = picture::of(case, "in_check")?;
        let [height, width, _] = pixels.dims();
        let fitted = Letterbox::new([height, width], side).put(&pixels)?;
        let [rows, columns, _] = fitted.dims();
        let sums = picture::sums(&fitted, case.get("out_check").unwrap_or(&Value::Null));
        let (stored, step) = if tensors.has(&format!("{name}.full")) { ("full", 1) } else { ("every9", 9) };
        let places =
            (0..rows).step_by(step).flat_map(|y| (0..columns).step_by(step).map(move |x| (y * columns + x) * 3));
        let grid: Vec<u8> = places.flat_map(|at| fitted.bytes()[at..at + 3].to_vec()).collect();
        let same = grid == tensors.bytes(&format!("{name}.{stored}"))?;
        results.push(CaseResult { name: format!("{name}.input"), ..input });
        results.push(CaseResult { name: format!("{name}.sums"), ..sums });
        results.push(CaseResult::exact(format!("{name}.{stored}"), same, format!("{rows} x {columns}, other bytes")));
    }
    Ok(results)
}

/// `decode_nms`.
pub fn decoding(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let classes = params.get("classes").and_then(Value::as_u64).ok_or("a number of classes")? as usize;
    let mut results = Vec::new();
    let heads: Vec<String> =
        tensors.names().iter().filter_map(|n| Some(n.strip_prefix("in.")?.strip_suffix(".0")?.to_owned())).collect();
    for head in heads {
        let scored = decoded(&levels(&params, &tensors, &head, classes)?, classes);
        let stored = format!("out.{head}.y");
        results.push(compare::close(&stored, &scored.values, &tensors.floats(&stored)?, TOLERANCE));
        for case in params.get("nms").and_then(Value::as_array).ok_or("suppressions are a list")? {
            if case.get("name").and_then(Value::as_str) == Some(&head) {
                results.push(suppression(&tensors, &head, case, &scored)?);
            }
        }
        let rule = Suppression { overlap: 0.7, agnostic: false, most: 300 };
        let kept = suppressed(scored.candidates(0.25), rule);
        let size = outer(&head)?;
        for name in tensors.names().into_iter().filter(|n| n.starts_with(&format!("out.{head}.scaled_to_"))) {
            let target = outer(name.rsplit('_').next().unwrap_or_default())?;
            let letterbox = Letterbox::new(target, size[0].max(size[1]));
            if letterbox.size() != size {
                results.push(scaled_freely(name, &kept, size, target, &tensors)?);
                continue;
            }
            let back = |found: &Detection| Detection { corners: letterbox.back(found.corners), ..*found };
            results.push(compared(name, &kept.iter().map(back).collect::<Vec<_>>(), &tensors)?);
        }
    }
    results.extend(second(&tensors)?);
    Ok(results)
}

/// A head's size that is no letterbox of the image: the formula of the specification, without a letterbox.
fn scaled_freely(
    name: &str,
    kept: &[Detection],
    size: [usize; 2],
    image: [usize; 2],
    tensors: &Tensors,
) -> Result<CaseResult, Trouble> {
    let ([rows, columns], [height, width]) = (size.map(|n| n as f64), image.map(|n| n as f64));
    let gain = (rows / height).min(columns / width);
    let bar = |outer: f64, inner: f64| ((outer - inner * gain) / 2.0 - 0.1).round_ties_even();
    let (x, y) = (bar(columns, width), bar(rows, height));
    let back = |found: &Detection| {
        let [left, top, right, bottom] = found.corners;
        let across = |v: f64| ((v - x) / gain).clamp(0.0, width);
        let down = |v: f64| ((v - y) / gain).clamp(0.0, height);
        Detection { corners: [across(left), down(top), across(right), down(bottom)], ..*found }
    };
    compared(name, &kept.iter().map(back).collect::<Vec<_>>(), tensors)
}

fn levels(params: &Value, tensors: &Tensors, head: &str, classes: usize) -> Result<Vec<LevelMaps>, Trouble> {
    let strides = params.get("strides").and_then(Value::as_array).ok_or("strides are a list")?;
    let level = |(i, stride): (usize, &Value)| {
        let name = format!("in.{head}.{i}");
        let shape = tensors.shape(&name)?;
        let [1, channels, rows, columns] = shape[..] else { return Err("a head's map has four sides".into()) };
        if channels != 64 + classes {
            return Err(format!("{channels} channels for {classes} classes").into());
        }
        let values = tensors.floats(&name)?;
        let (boxes, logits) = values.split_at(64 * rows * columns);
        let stride = stride.as_u64().unwrap_or(0) as usize;
        Ok(LevelMaps { stride, size: [rows, columns], boxes: boxes.to_vec(), logits: logits.to_vec() })
    };
    strides.iter().enumerate().map(level).collect()
}

fn suppression(
    tensors: &Tensors,
    head: &str,
    case: &Value,
    scored: &kiln_models::detector::Scored,
) -> Result<CaseResult, Trouble> {
    let number = |key: &str| case.get(key).and_then(Value::as_f64).ok_or("a suppression has conf and iou");
    let agnostic = case.get("agnostic").and_then(Value::as_bool).unwrap_or(false);
    let rule = Suppression { overlap: number("iou")?, agnostic, most: 300 };
    let kept = suppressed(scored.candidates(number("conf")?), rule);
    let kind = if agnostic { "agnostic" } else { "class" };
    let (conf, iou) = (number("conf")?, number("iou")?);
    compared(&format!("out.{head}.nms_conf{conf:?}_iou{iou:?}_{kind}"), &kept, tensors)
}

fn compared(name: &str, found: &[Detection], tensors: &Tensors) -> Result<CaseResult, Trouble> {
    let expected: Vec<f64> = tensors.floats(name)?.into_iter().map(f64::from).collect();
    Ok(compare::rows(name, &rows(found), &expected, TOLERANCE))
}

/// Rows of `[x1, y1, x2, y2, score, class]`.
pub fn rows(found: &[Detection]) -> Vec<[f64; 6]> {
    let row = |found: &Detection| {
        let [left, top, right, bottom] = found.corners;
        [left, top, right, bottom, found.score, found.class as f64]
    };
    found.iter().map(row).collect()
}

/// `sv.*`: the second suppression.
fn second(tensors: &Tensors) -> Result<Vec<CaseResult>, Trouble> {
    let mut results = Vec::new();
    let inputs: Vec<String> = tensors
        .names()
        .iter()
        .filter(|n| n.strip_prefix("sv.").is_some_and(|n| n.split('.').next_back() == Some("in")))
        .map(|n| (*n).to_owned())
        .collect();
    for input in inputs {
        let prefix = input.trim_end_matches("in");
        let given: Vec<Detection> = doubles(tensors, &input)?.chunks_exact(6).map(detection).collect();
        for name in tensors.names().into_iter().filter(|n| n.starts_with(prefix) && **n != input) {
            let Some((overlap, kind)) = name[prefix.len()..].trim_start_matches("iou").split_once('_') else {
                continue;
            };
            let kept = thinned(&given, overlap.parse()?, kind == "agnostic");
            results.push(compare::close64(name, &rows(&kept).concat(), &doubles(tensors, name)?, TOLERANCE));
        }
    }
    Ok(results)
}

fn detection(row: &[f64]) -> Detection {
    Detection { corners: [row[0], row[1], row[2], row[3]], score: row[4], class: row[5] as usize }
}

/// The values of a tensor of doubles.
pub fn doubles(tensors: &Tensors, name: &str) -> Result<Vec<f64>, Trouble> {
    let parse = |chunk: &[u8]| chunk.try_into().map_or(f64::NAN, f64::from_le_bytes);
    Ok(tensors.bytes(name)?.chunks_exact(8).map(parse).collect())
}

/// `64x96` as height and width.
fn outer(text: &str) -> Result<[usize; 2], Trouble> {
    let (height, width) = text.split_once('x').ok_or("a size is `height x width`")?;
    Ok([height.parse()?, width.parse()?])
}
