//! Networks of narrow numbers with scales, in both forms of files.

use kiln_memory::Budget;
use kiln_models::{
    DiffusionModel,
    qwen_image::{Pass, QwenImage, QwenImageConfig},
};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Trouble};
use crate::families::common::sizes;
use crate::nets::recipe::{stored, values};

const NET: f64 = 2e-5;

fn open(folder: &Folder, file: &str) -> Result<QwenImage, Trouble> {
    let model = DiffusionModel::open(&folder.path().join(file), &Budget::unlimited("parity"))?;
    let axes = sizes(folder.entry(file).params.pointer("/config/axes_dims_rope").unwrap_or(&Value::Null));
    let axes = axes.try_into().map_err(|axes| format!("three axes, found {axes:?}"))?;
    let config: QwenImageConfig = model.network_as::<QwenImage>().ok_or("no network of Qwen-Image")?.config().clone();
    Ok(config.with_axes(axes)?.init(&model.weights)?)
}

/// `fp8_qwen`: what the networks of both files say. Biases are kept as stored; 0.3.75 rounds them.
pub fn outputs(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let t = params.get("t").and_then(Value::as_f64).ok_or("no t")? as f32;
    let mut results = Vec::new();
    for kind in ["scaled_fp8", "metadata"] {
        let (rounded, name) = (format!("net.{kind}.out"), format!("net.{kind}.out_dequantised_first"));
        tensors.note(&rounded);
        if !tensors.has(&name) {
            continue;
        }
        let net = open(folder, &format!("fp8_qwen_{kind}.safetensors"))?;
        let (x, context) = (stored(&tensors, "net.in.x")?, stored(&tensors, "net.in.context")?);
        let out = net.forward(x, &[t], context, &Pass::default())?;
        results.push(CaseResult::near(name.as_str(), &values(out)?, &tensors.floats(&name)?, NET));
    }
    // The text encoder's are compared with the prompts.
    Ok(results)
}

/// `fp8_qwen_*`: a file to load.
pub fn file(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    open(folder, file)?;
    Ok(vec![CaseResult::exact("opens", true, "")])
}
