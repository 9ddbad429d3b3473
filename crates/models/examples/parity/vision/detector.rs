//! Detectors on the reference's pictures, layer by layer, and the class texts.

use std::cell::RefCell;

use kiln_memory::{Budget, TensorShapes};
use kiln_models::{
    ActivationTap, ModelWeights,
    clip::{self, Activation, TextConfig},
    detector::Detector,
    image::{Letterbox, Pixels, Suppression, suppressed},
    text::{class_features, class_tokens},
    tokenizer::Vocabulary,
};
use serde_json::Value;

use super::{boxes, compare, picture, weights};
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{device, source, values};

/// `yolo_world_v1_s` and the like.
pub fn one(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let tolerance = if params.get("scale").and_then(Value::as_str) == Some("n") { 5e-5 } else { 1e-4 };
    model(folder, &params, &tensors, "", tolerance)
}

/// `yolo_world_big`: several models, fewer numbers of each.
pub fn many(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let models = params.get("models").and_then(Value::as_object).ok_or("models are an object")?;
    let mut results = Vec::new();
    for (name, params) in models {
        results.extend(model(folder, params, &tensors, &format!("{name}."), 2e-4)?);
    }
    Ok(results)
}

fn model(
    folder: &Folder,
    params: &Value,
    tensors: &Tensors,
    prefix: &str,
    tolerance: f64,
) -> Result<Vec<CaseResult>, Trouble> {
    let detector = weights::detector(folder, params)?;
    let classes = weights::number(params, "classes")? as usize;
    let text = weights::features(params, classes)?;
    let mut results = Vec::new();
    let stored = format!("{prefix}in.text");
    if tensors.has(&stored) {
        results.push(compare::close(&stored, &values(text.clone())?, &tensors.floats(&stored)?, 1e-6));
    }
    for case in params.get("pictures").and_then(Value::as_array).ok_or("pictures are a list")? {
        let name = format!("{prefix}{}.", weights::text(case, "name")?);
        let (pixels, check) = picture::of(case, "check")?;
        results.push(CaseResult { name: format!("{name}picture"), ..check });
        let case = Case { detector: &detector, text: &text, params, tensors, name: &name, tolerance };
        results.extend(case.judge(&pixels)?);
    }
    Ok(results)
}

struct Case<'a> {
    detector: &'a Detector,
    text: &'a burn::tensor::Tensor<2>,
    params: &'a Value,
    tensors: &'a Tensors,
    name: &'a str,
    tolerance: f64,
}

impl Case<'_> {
    fn judge(&self, pixels: &Pixels) -> Result<Vec<CaseResult>, Trouble> {
        let Self { tensors, name, tolerance, .. } = *self;
        let [height, width, _] = pixels.dims();
        let letterbox = Letterbox::new([height, width], weights::number(self.params, "size")? as usize);
        let (results, broken) = (RefCell::new(Vec::new()), RefCell::new(None));
        let look = |path: &str, _: &[usize], x: burn::tensor::Tensor<1>| {
            let found = values(x).and_then(|x| compare::activation(tensors, name, path, &x, tolerance));
            match found {
                Ok(found) => results.borrow_mut().extend(found),
                Err(trouble) => *broken.borrow_mut() = Some(trouble),
            }
        };
        let input = picture::planes(&letterbox.put(pixels)?);
        let scored = self.detector.scores(input, self.text, ActivationTap::new(&look))?;
        if let Some(trouble) = broken.take() {
            return Err(trouble);
        }
        let mut results = results.take();
        results.extend(self.outputs(&scored)?);
        let rule = Suppression { overlap: weights::number(self.params, "iou")?, agnostic: false, most: 300 };
        let kept = suppressed(scored.candidates(weights::number(self.params, "conf")?), rule);
        let expected = |end: &str| {
            tensors.floats(&format!("{name}out.{end}")).map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>())
        };
        results.push(compare::rows(format!("{name}nms"), &boxes::rows(&kept), &expected("nms")?, tolerance));
        let back: Vec<_> = kept
            .into_iter()
            .map(|found| kiln_models::image::Detection { corners: letterbox.back(found.corners), ..found })
            .collect();
        let found = boxes::rows(&back);
        results.push(compare::rows(format!("{name}detections"), &found, &expected("detections")?, tolerance));
        Ok(results)
    }

    /// Every box and score, or every so manieth.
    fn outputs(&self, scored: &kiln_models::detector::Scored) -> Result<Vec<CaseResult>, Trouble> {
        let Self { tensors, name, tolerance, .. } = *self;
        let mut results = compare::activation(tensors, name, "out.y", &scored.values, tolerance)?;
        for stored in tensors.names().into_iter().filter(|n| n.starts_with(&format!("{name}out.y"))) {
            let step = stored.rsplit_once("_every").map_or(Ok(1), |(_, step)| step.parse())?;
            let found: Vec<f32> = scored
                .values
                .chunks_exact(scored.places.max(1))
                .flat_map(|row| row.iter().step_by(step).copied())
                .collect();
            results.push(compare::close(stored, &found, &tensors.floats(stored)?, tolerance));
        }
        Ok(results)
    }
}

/// `clip_b32_text`: ids and features of class names.
pub fn texts(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let prompts = params.get("prompts").and_then(Value::as_array).ok_or("prompts are a list")?;
    let prompts: Vec<String> = prompts.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect();
    let (rows, _) = class_tokens(&prompts, &Vocabulary::bundled()?, 77)?;
    let padded =
        |row: &Vec<u32>| row.iter().copied().chain(std::iter::repeat(0)).take(77).map(i64::from).collect::<Vec<_>>();
    let ids: Vec<i64> = rows.iter().flat_map(padded).collect();
    let same = ids == tensors.integers("in.ids")?;
    let model = text_model(&params)?;
    let features = values(class_features(&model, &rows, &device())?)?;
    let lengths: Vec<f32> = tensors.floats("out.text_embeds")?.chunks_exact(512).map(length).collect();
    let embeds: Vec<f32> =
        features.chunks_exact(512).zip(lengths).flat_map(|(row, l)| row.iter().map(move |v| v * l)).collect();
    let compare =
        |name: &str, found: &[f32]| Ok::<_, Trouble>(compare::close(name, found, &tensors.floats(name)?, 1e-5));
    Ok(vec![
        CaseResult::exact("in.ids", same, "other ids"),
        compare("out.text_embeds", &embeds)?,
        compare("out.text_features_normalised", &features)?,
    ])
}

fn length(row: &[f32]) -> f32 {
    row.iter().map(|v| v * v).sum::<f32>().sqrt()
}

fn text_model(params: &Value) -> Result<clip::TextModel, Trouble> {
    let size = |key: &str| weights::number(params, key).map(|n| n as usize);
    let config = TextConfig {
        vocabulary: 49408,
        positions: 77,
        width: size("width")?,
        layers: size("layers")?,
        dropped: 0,
        heads: size("heads")?,
        mlp: size("width")? * 4,
        activation: Activation::QuickGelu,
        projection: Some(size("projection")?),
        pad: 0,
    };
    let prefix = weights::text(params, "prefix")?;
    let needed = config.tensors()?;
    let names: TensorShapes = needed.iter().map(|(name, shape)| (format!("{prefix}{name}"), shape)).collect();
    let map = clip::hugging_face(&names, prefix);
    let weights = ModelWeights::new(source(&names, None), map, "clip", &Budget::unlimited("parity"));
    Ok(config.init(&weights)?)
}
