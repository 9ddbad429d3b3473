//! Segmenters on the reference's pictures and prompts, layer by layer.

use std::cell::RefCell;

use burn::tensor::Tensor;
use kiln_models::{
    ActivationTap,
    segmenter::{ImageEmbedding, Label, MaskScores, Prompt, Segmenter},
};
use serde_json::Value;

use super::{compare, picture, weights};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::values;

/// Share of a mask's pixels that may differ.
const PIXELS: f64 = 1e-3;

/// Tolerances of encoder and decoder.
#[derive(Clone, Copy)]
struct Tolerances {
    encoder: f64,
    decoder: f64,
}

/// `efficient_sam_ti` and the like.
pub fn one(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let stem = file.trim_end_matches(".safetensors");
    let (keys, tolerances) = if stem.ends_with("_tiny") {
        (folder.json(&format!("keys_{stem}.json"))?, Tolerances { encoder: 5e-6, decoder: 1e-5 })
    } else {
        let size = stem.trim_start_matches("efficient_sam_");
        let all = folder.json("keys_efficient_sam.json")?;
        (all.get(size).cloned().unwrap_or_default(), Tolerances { encoder: 1e-4, decoder: 1e-4 })
    };
    let sizes = params.get("config").unwrap_or(&Value::Null);
    let segmenter = weights::segmenter(&keys, weights::text(&params, "prefix")?, sizes)?;
    let mut results = Vec::new();
    for case in params.get("pictures").and_then(Value::as_array).ok_or("pictures are a list")? {
        let name = format!("{}.", weights::text(case, "name")?);
        let (pixels, check) = picture::of(case, "check")?;
        results.push(CaseResult { name: format!("{name}picture"), ..check });
        results.extend(image(&segmenter, &picture::planes(&pixels), &tensors, &name, tolerances)?);
    }
    Ok(results)
}

/// Runs `pass` and compares what it shows with what the file holds under any of `paths`.
fn tapped<R>(
    tensors: &Tensors,
    paths: &[&str],
    tolerance: f64,
    pass: impl FnOnce(ActivationTap<'_>) -> Result<R, Trouble>,
) -> Result<(R, Vec<CaseResult>), Trouble> {
    let (results, broken) = (RefCell::new(Vec::new()), RefCell::new(None));
    let look = |name: &str, _: &[usize], x: Tensor<1>| {
        let found = values(x).and_then(|x| {
            let found = paths.iter().map(|path| compare::activation(tensors, path, name, &x, tolerance));
            found.collect::<Result<Vec<_>, Trouble>>()
        });
        match found {
            Ok(found) => results.borrow_mut().extend(found.into_iter().flatten()),
            Err(trouble) => *broken.borrow_mut() = Some(trouble),
        }
    };
    let result = pass(ActivationTap::new(&look))?;
    broken.take().map_or(Ok(()), Err)?;
    Ok((result, results.take()))
}

fn image(
    segmenter: &Segmenter,
    planes: &Tensor<4>,
    tensors: &Tensors,
    path: &str,
    tolerances: Tolerances,
) -> Result<Vec<CaseResult>, Trouble> {
    let (embedding, mut results) =
        tapped(tensors, &[path], tolerances.encoder, |tap| Ok(segmenter.encode(planes, tap)?))?;
    for stored in tensors.names().into_iter().filter(|n| n.starts_with(&format!("{path}out.image_embeddings"))) {
        let found = every(stored, embedding.features.clone(), true)?;
        results.push(compare::close(stored, &found, &tensors.floats(stored)?, tolerances.encoder));
    }
    let prompts: Vec<String> = tensors
        .names()
        .into_iter()
        .filter_map(|n| Some(n.strip_prefix(path)?.strip_suffix(".in.points")?.to_owned()))
        .collect();
    for prompt in prompts {
        let at = format!("{path}{prompt}.");
        results.extend(prompted(segmenter, &embedding, tensors, [path, &at], tolerances.decoder)?);
    }
    let dense = format!("{path}act.dense_pe");
    let mut seen = std::collections::HashSet::new();
    results.retain(|result| !result.name.contains("dense_pe") || seen.insert(result.name.clone()));
    tensors.note(&dense);
    Ok(results)
}

/// Every eighth of rows and columns where the name says so, of channels too in an embedding.
fn every(name: &str, x: Tensor<4>, channels: bool) -> Result<Vec<f32>, Trouble> {
    let step: usize = name.rsplit_once("_every").map_or(Ok(1), |(_, step)| step.parse())?;
    let [count, depth, height, width] = x.dims();
    let (all, deep) = (values(x)?, if channels { step } else { 1 });
    let mut found = Vec::new();
    for plane in (0..count).flat_map(|i| (0..depth).step_by(deep).map(move |c| i * depth + c)) {
        for y in (0..height).step_by(step) {
            let row = &all[(plane * height + y) * width..][..width];
            found.extend(row.iter().step_by(step));
        }
    }
    Ok(found)
}

fn prompted(
    segmenter: &Segmenter,
    embedding: &ImageEmbedding,
    tensors: &Tensors,
    [image, path]: [&str; 2],
    tolerance: f64,
) -> Result<Vec<CaseResult>, Trouble> {
    let prompts = prompts(tensors, path)?;
    let predict = |tap: ActivationTap<'_>| Ok(segmenter.predict(embedding, &prompts, tap)?);
    let (scores, mut results) = tapped(tensors, &[image, path], tolerance, predict)?;
    let name = |end: &str| format!("{path}out.{end}");
    let quality = values(scores.quality.clone())?;
    results.push(compare::close(name("iou"), &quality, &tensors.floats(&name("iou"))?, tolerance));
    let full = full(&scores)?;
    results.extend(compare::activation(tensors, path, "full", &values(full.clone())?, tolerance)?);
    for (start, maps) in [("low_res", &scores.masks), ("full", &full)] {
        for stored in tensors.names().into_iter().filter(|n| n.starts_with(&name(start))) {
            let found = every(stored, maps.clone(), false)?;
            results.push(compare::close(stored, &found, &tensors.floats(stored)?, tolerance));
        }
    }
    let best = scores.best()?;
    let expected = tensors.integers(&name("best"))?;
    let same = best.iter().map(|b| *b as i64).eq(expected.iter().copied());
    results.push(CaseResult::exact(name("best"), same, format!("{best:?} instead of {expected:?}")));
    results.extend(masks(segmenter, embedding, &prompts, tensors, path)?);
    Ok(results)
}

/// The masks that users get against the reference's bits and counts.
fn masks(
    segmenter: &Segmenter,
    embedding: &ImageEmbedding,
    prompts: &[Prompt],
    tensors: &Tensors,
    path: &str,
) -> Result<Vec<CaseResult>, Trouble> {
    let packed = tensors.bytes(&format!("{path}out.best_mask_packed"))?;
    let counts = tensors.integers(&format!("{path}out.best_mask_pixels"))?;
    let row = packed.len() / prompts.len().max(1);
    let mut results = Vec::new();
    for (i, mask) in segmenter.masks(embedding, prompts)?.into_iter().enumerate() {
        let bit = |at: usize| packed[i * row + at / 8] >> (7 - at % 8) & 1 == 1;
        let wrong = mask.iter().enumerate().filter(|(at, on)| bit(*at) != **on).count();
        let share = wrong as f64 / mask.len() as f64;
        results.push(CaseResult::verdict(format!("{path}mask {i}: {wrong} pixels"), share, share, PIXELS));
        let (found, expected) = (mask.iter().filter(|on| **on).count() as f64, counts[i] as f64);
        let share = (found - expected).abs() / mask.len() as f64;
        results.push(CaseResult::verdict(format!("{path}mask {i}: count"), share, share, PIXELS));
    }
    Ok(results)
}

/// All masks at the picture's size, `[prompts, masks, h, w]`.
fn full(scores: &MaskScores) -> Result<Tensor<4>, Trouble> {
    let ([prompts, masks, ..], [height, width]) = (scores.masks.dims(), scores.size);
    let mut all = Vec::new();
    for at in 0..prompts * masks {
        all.extend(scores.enlarged(at / masks, at % masks)?.into_values());
    }
    let data = burn::tensor::TensorData::new(all, [prompts, masks, height, width]);
    Ok(Tensor::from_data(data, &crate::nets::recipe::device()))
}

fn prompts(tensors: &Tensors, path: &str) -> Result<Vec<Prompt>, Trouble> {
    let points = tensors.floats(&format!("{path}in.points"))?;
    let labels = tensors.integers(&format!("{path}in.labels"))?;
    let slots = tensors.shape(&format!("{path}in.labels"))?.last().copied().unwrap_or(1).max(1);
    let label = |n: i64| match n {
        0 => Label::Outside,
        1 => Label::Inside,
        2 => Label::TopLeft,
        3 => Label::BottomRight,
        _ => Label::Unused,
    };
    let points: Vec<_> = points.chunks_exact(2).zip(labels).map(|(p, n)| ([p[0], p[1]], label(n))).collect();
    Ok(points.chunks(slots).map(|slots| Prompt(slots.to_vec())).collect())
}
