//! Small pieces: sinusoids, positions, patches, latent formats and their previews.

use burn::tensor::Tensor;
use kiln_memory::{Budget, ComputedSource, TensorShapes, hash_uniform};
use kiln_models::{
    ActivationTap, LatentFormat, ModelWeights,
    image::{Planes, linear_preview},
    mmdit::{self, Mmdit, MmditConfig},
    qwen_image::{self, Placement, QwenImageConfig, image_positions},
};
use serde_json::Value;

use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::families::common::sizes;
use crate::nets::recipe::{device, stored, values};

const PIECE: f64 = 1e-6;

/// `embed`: what belongs to the networks and latents; pieces of text and vision are compared with the prompts.
pub fn embed(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let mut results = sinusoids(&tensors)?;
    results.extend(ids(&params, &tensors)?);
    results.extend(tables(&params, &tensors)?);
    results.extend(latents(&tensors)?);
    Ok(results)
}

/// The activation `name` that `forward` records.
fn recorded(
    name: &str,
    forward: impl FnOnce(ActivationTap<'_>) -> Result<Tensor<4>, Trouble>,
) -> Result<Vec<f32>, Trouble> {
    let seen = std::cell::RefCell::new(None);
    let look = |found: &str, _: &[usize], x: Tensor<1>| {
        if found == name {
            *seen.borrow_mut() = values(x).ok();
        }
    };
    forward(ActivationTap::new(&look))?;
    seen.into_inner().ok_or_else(|| format!("no module recorded `{name}`").into())
}

fn weights(tensors: &TensorShapes, table: Option<usize>) -> ModelWeights {
    let shapes: Vec<(String, Vec<usize>)> =
        tensors.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    // A table of positions whose rows hold their own numbers says which rows were taken.
    let rule = move |name: &str, shape: &[usize], out: &mut [f32]| match (name, table) {
        ("pos_embed", Some(width)) => out.iter_mut().enumerate().for_each(|(i, v)| *v = (i / width) as f32),
        _ => hash_uniform(name, shape, out),
    };
    ModelWeights::plain(ComputedSource::new("pieces", shapes, rule), "pieces", &Budget::unlimited("parity"))
}

fn mmdit(positions: Option<usize>) -> Result<Mmdit, Trouble> {
    let config = MmditConfig {
        in_channels: 16,
        out_channels: 16,
        patch: 2,
        width: 64,
        hidden: 64,
        vector: 8,
        context: 8,
        positions,
        qk_norm: false,
        second_attention: vec![false],
    };
    Ok(config.init(&weights(&config.tensors()?, positions.map(|_| 64)))?)
}

fn sinusoids(tensors: &Tensors) -> Result<Vec<CaseResult>, Trouble> {
    let t = tensors.floats("temb.t")?;
    let zeros = |channels: usize| Tensor::<4>::zeros([t.len(), channels, 2, 2], &device());
    let context = || Tensor::<3>::zeros([t.len(), 1, 8], &device());
    let thousands: Vec<f32> = t.iter().map(|t| t * 1000.0).collect();
    let net = mmdit(None)?;
    let sd3 = recorded("t_embedder.waves", |tap| {
        Ok(net.forward(zeros(16), &thousands, context(), &mmdit::Pass { tap, ..mmdit::Pass::default() })?)
    })?;
    let net = qwen()?;
    let qwen = recorded("time_text_embed.time_proj", |tap| {
        Ok(net.forward(zeros(16), &t, context(), &qwen_image::Pass { tap, ..qwen_image::Pass::default() })?)
    })?;
    let x: Tensor<4> = stored(tensors, "qwen_patch.x")?;
    let patches = recorded("patches", |tap| {
        let context = Tensor::<3>::zeros([1, 1, 8], &device());
        Ok(net.forward(x, &[0.5], context, &qwen_image::Pass { tap, ..qwen_image::Pass::default() })?)
    })?;
    Ok(vec![
        CaseResult::near("temb.sd3", &sd3, &tensors.floats("temb.sd3")?, PIECE),
        CaseResult::near("temb.qwen", &qwen, &tensors.floats("temb.qwen")?, PIECE),
        CaseResult::near("qwen_patch.tokens", &patches, &tensors.floats("qwen_patch.tokens")?, 0.0),
    ])
}

fn qwen() -> Result<qwen_image::QwenImage, Trouble> {
    let config = QwenImageConfig {
        in_channels: 16,
        out_channels: 16,
        width: 32,
        hidden: 32,
        context: 8,
        blocks: 1,
        head: 32,
        axes: [8, 12, 12],
        clean_references: false,
    };
    Ok(config.init(&weights(&config.tensors()?, None))?)
}

fn ids(params: &Value, tensors: &Tensors) -> Result<Vec<CaseResult>, Trouble> {
    let given = params.get("qwen_ids").and_then(Value::as_array).into_iter().flatten().enumerate();
    let one = |(i, entry): (usize, &Value)| {
        let number = |key: &str| entry.get(key).and_then(Value::as_u64).unwrap_or_default() as usize;
        let at = Placement { index: number("index"), top: number("h_offset"), left: number("w_offset") };
        let name = format!("qwen_ids.{i}");
        let found = image_positions([number("h"), number("w")], at);
        Ok(CaseResult::near(name.as_str(), &found, &tensors.floats(&name)?, 0.0))
    };
    given.map(one).collect()
}

/// Which rows of a table a picture takes, and the computed ones.
fn tables(params: &Value, tensors: &Tensors) -> Result<Vec<CaseResult>, Trouble> {
    let side = params.get("pos_side").and_then(Value::as_u64).ok_or("no pos_side")? as usize;
    let mut results = Vec::new();
    for (list, net) in [("pos_crop", mmdit(Some(side))?), ("sincos", mmdit(None)?)] {
        for (i, size) in params.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
            let [height, width] = sizes(size)[..] else { return Err("a size is two numbers".into()) };
            let found = recorded("pos_embed", |tap| {
                let x = Tensor::<4>::zeros([1, 16, height, width], &device());
                let context = Tensor::<3>::zeros([1, 1, 8], &device());
                Ok(net.forward(x, &[1.0], context, &mmdit::Pass { tap, ..mmdit::Pass::default() })?)
            })?;
            let name = format!("{list}.{i}");
            results.push(if list == "sincos" {
                CaseResult::near(name.as_str(), &found, &tensors.floats(&name)?, PIECE)
            } else {
                let rows = found.iter().step_by(64).map(|row| *row as i64);
                CaseResult::exact(name.as_str(), rows.eq(tensors.integers(&name)?), "other rows")
            });
        }
    }
    Ok(results)
}

fn latents(tensors: &Tensors) -> Result<Vec<CaseResult>, Trouble> {
    let mut results = Vec::new();
    for (kind, format) in [("qwen", LatentFormat::WAN), ("sd3", LatentFormat::SD3)] {
        let name = format!("preview.{kind}.z");
        let shape = tensors.shape(&name)?;
        let [height, width] = shape[shape.len() - 2..] else { return Err("a latent has sides".into()) };
        let z = Tensor::<1>::from_floats(tensors.floats(&name)?.as_slice(), &device()).reshape([1, 16, height, width]);
        for (end, found) in [("in", format.process_in(z.clone())), ("out", format.process_out(z.clone()))] {
            let name = format!("latent.{kind}.{end}");
            results.push(CaseResult::near(name.as_str(), &values(found)?, &tensors.floats(&name)?, PIECE));
        }
        let name = format!("preview.{kind}.rgb_u8");
        let planes = Planes::from_tensor(&z).map_err(|error| error.to_string())?;
        let found = linear_preview(&planes, &format).ok_or("no preview")?;
        let close = found.iter().zip(tensors.bytes(&name)?).all(|(a, b)| a.abs_diff(*b) <= 1);
        results.push(CaseResult::exact(name.as_str(), close, "more than a level apart"));
    }
    Ok(results)
}
