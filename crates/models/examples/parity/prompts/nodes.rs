//! `nodes_qwen`: sizes, pixels and texts of Qwen-Image-Edit's nodes.

use kiln_models::image::Planes;
use kiln_models::text::{GLANCE, MEGAPIXEL, edit_picture, edit_prompt};
use serde_json::Value;

use super::images::picture;
use crate::case::{CaseResult, Folder, Tensors, Trouble};

const PIXELS: f64 = 1e-5;

/// Every picture through both nodes.
pub fn pictures(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let mut results = Vec::new();
    for (name, of) in params.as_object().into_iter().flatten() {
        let Some(nth) = name.strip_prefix("image") else { continue };
        let image = picture(of)?;
        for (kind, glance, step) in [("edit", MEGAPIXEL, 1), ("plus", GLANCE, 8)] {
            let (case, expected) = (format!("{kind}.{nth}"), &params[format!("{kind}.{nth}").as_str()]);
            results.extend(samples(&tensors, &case, "vl", &edit_picture(&image, glance, 1)?, expected)?);
            results.extend(samples(&tensors, &case, "vae", &edit_picture(&image, MEGAPIXEL, step)?, expected)?);
            let prompt = expected["text"].as_str().unwrap_or("");
            let text = if kind == "plus" { edit_prompt(&[2], "do it") } else { "do it".to_owned() };
            results.push(CaseResult::exact(format!("{case}.text"), text == prompt, text));
        }
    }
    let both = params["plus_1_and_3"]["text"].as_str().unwrap_or("");
    results.push(CaseResult::exact("plus_1_and_3.text", edit_prompt(&[1, 3], "x") == both, "another text"));
    Ok(results)
}

/// The size of a picture, and every so many of its pixels.
fn samples(
    tensors: &Tensors,
    case: &str,
    what: &str,
    found: &Planes,
    expected: &Value,
) -> Result<Vec<CaseResult>, Trouble> {
    let [_, channels, height, width] = found.shape();
    let name = format!("{case}.{what}");
    let right = expected[format!("{what}_size").as_str()] == Value::from(vec![height, width]);
    let size = CaseResult::exact(format!("{name}: size"), right, format!("{height} x {width}"));
    let step = |n: usize| expected[format!("{what}_step").as_str()][n].as_u64().unwrap_or(1).max(1) as usize;
    let pixels = found.to_pixels();
    let places = (0..height).step_by(step(0)).flat_map(|y| (0..width).step_by(step(1)).map(move |x| y * width + x));
    let values: Vec<f32> = places.flat_map(|at| pixels[at * channels..(at + 1) * channels].iter().copied()).collect();
    Ok(vec![size, CaseResult::compare(name.as_str(), &values, &tensors.floats(&name)?, PIXELS)])
}
