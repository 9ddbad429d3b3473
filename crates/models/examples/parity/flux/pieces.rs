//! `embed`: positions, embeddings, patches, normalisations.

use kiln_memory::TensorShapes;
use kiln_models::{
    LatentFormat, ReferenceMethod,
    flux::{FluxConfig, FluxVersion},
    image::{Planes, linear_preview},
    ops::{self, Pairs, Rotary},
    unet::sinusoidal,
};
use serde_json::Value;

use super::common::numbers;
use crate::case::{CaseResult, Folder, Tensors, Trouble};
use crate::nets::recipe::{stored, values};

const TOLERANCE: f64 = 1e-6;

pub fn all(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (tensors, params) = (folder.tensors(file)?, folder.entry(file).params);
    let mut results = Vec::new();
    for name in tensors.names() {
        if name.ends_with(".rgb_u8") {
            results.push(previews(&tensors, name)?);
            continue;
        }
        match one(&tensors, &params, name) {
            Ok(None) => {}
            Ok(Some(found)) => results.push(CaseResult::near(name, &found, &tensors.floats(name)?, TOLERANCE)),
            Err(trouble) => results.push(CaseResult::broken(name, trouble)),
        }
    }
    Ok(results)
}

/// What a name stands for; nothing for inputs.
fn one(tensors: &Tensors, params: &Value, name: &str) -> Result<Option<Vec<f32>>, Trouble> {
    if let Some(rest) = name.strip_prefix("rope.dim") {
        return rotations(tensors, rest).map(Some);
    }
    if let Some(rest) = name.strip_prefix("llama.dim") {
        return language(rest, tensors.shape(name)?[0]).map(Some);
    }
    let rms = |eps: f64, factor: f64| {
        let x = stored::<2>(tensors, "rms.x")? * factor;
        values(ops::rms_norm(x, stored(tensors, "rms.w")?, eps)?)
    };
    Ok(Some(match name {
        "temb.factor1000" => waves(&tensors.floats("temb.t")?, |t| 1000.0 * t)?,
        "temb.zimage" => waves(&tensors.floats("temb.zimage_t")?, |t| (1.0 - t) * 1000.0)?,
        "apply.pe" => {
            let rotary = applied(tensors, params)?;
            matrices(&rotary)
        }
        "apply.out" => turned(tensors, params)?,
        "patch.flux1_tokens" => values(config()?.tokens(stored(tensors, "patch.x")?))?,
        "patch.flux1_ids" => config()?.positions(0, sides(tensors)?, &[], None),
        "patch.flux1_ref_ids" => reference(tensors, params)?,
        "rms.eps_none" => rms(f64::from(f32::EPSILON), params["rms_eps_none_input_scale"].as_f64().unwrap_or(1.0))?,
        "latent.flux1.in" => values(LatentFormat::FLUX.process_in(stored(tensors, "latent.flux1.z")?))?,
        "latent.flux1.out" => values(LatentFormat::FLUX.process_out(stored(tensors, "latent.flux1.z")?))?,
        _ if name.starts_with("rms.eps") => rms(name.trim_start_matches("rms.eps").parse()?, 1.0)?,
        _ => {
            // Inputs of the others, and what other cases look at.
            let inputs = [
                "rope.pos",
                "temb.t",
                "temb.zimage_t",
                "apply.q",
                "apply.ids",
                "patch.x",
                "rms.x",
                "rms.w",
                "latent.flux1.z",
            ];
            if inputs.contains(&name) {
                tensors.note(name);
            }
            return Ok(None);
        }
    }))
}

fn waves(numbers: &[f32], scaled: impl Fn(f32) -> f32) -> Result<Vec<f32>, Trouble> {
    let numbers: Vec<f32> = numbers.iter().map(|number| scaled(*number)).collect();
    values(sinusoidal(&numbers, 256, &crate::nets::recipe::device()))
}

/// `[cos, -sin, sin, cos]` of every angle.
fn matrices(rotary: &Rotary) -> Vec<f32> {
    let (cos, sin) = rotary.table();
    cos.iter().zip(sin).flat_map(|(cos, sin)| [*cos, -sin, *sin, *cos]).collect()
}

/// `DIM.thetaTHETA`.
fn rotations(tensors: &Tensors, rest: &str) -> Result<Vec<f32>, Trouble> {
    let (dim, theta) = rest.split_once(".theta").ok_or("no theta in the name")?;
    Ok(matrices(&Rotary::of_axes(&tensors.floats("rope.pos")?, &[dim.parse()?], theta.parse()?)?))
}

/// `DIM.thetaTHETA.{cos,sin}_everySTEP`.
fn language(rest: &str, rows: usize) -> Result<Vec<f32>, Trouble> {
    let (dim, rest) = rest.split_once(".theta").ok_or("no theta in the name")?;
    let (theta, rest) = rest.split_once('.').ok_or("no function in the name")?;
    let (which, step) = rest.split_once("_every").ok_or("no step in the name")?;
    let (dim, step): (usize, usize) = (dim.parse()?, step.parse()?);
    let positions: Vec<f32> = (0..rows).map(|row| (row * step) as f32).collect();
    let rotary = Rotary::of_row(&positions, dim, theta.parse()?);
    let (cos, sin) = rotary.table();
    let half = if which == "cos" { cos } else { sin };
    Ok(half.chunks(dim / 2).flat_map(|row| row.iter().chain(row)).copied().collect())
}

fn applied(tensors: &Tensors, params: &Value) -> Result<Rotary, Trouble> {
    let apply = &params["apply"];
    let axes = numbers(apply, "axes").ok_or("no axes")?;
    let theta = apply["theta"].as_f64().ok_or("no theta")?;
    Ok(Rotary::of_axes(&tensors.floats("apply.ids")?, &axes, theta)?)
}

/// Heads come before tokens in the reference.
fn turned(tensors: &Tensors, params: &Value) -> Result<Vec<f32>, Trouble> {
    let q = stored::<4>(tensors, "apply.q")?;
    let [batch, heads, tokens, width] = q.dims();
    let rows = q.swap_dims(1, 2).reshape([batch, tokens, heads * width]);
    let turned = applied(tensors, params)?.turn(rows, Pairs::Neighbours)?;
    values(turned.reshape([batch, tokens, heads, width]).swap_dims(1, 2))
}

/// Any network of Flux.1: the order of patches depends on the version alone.
fn config() -> Result<FluxConfig, Trouble> {
    let shapes: TensorShapes = [
        ("img_in.weight", vec![64, 64]),
        ("txt_in.weight", vec![64, 64]),
        ("final_layer.linear.weight", vec![64, 64]),
        ("double_blocks.0.img_mlp.2.weight", vec![64, 256]),
        ("double_blocks.0.img_attn.norm.key_norm.scale", vec![32]),
    ]
    .into_iter()
    .collect();
    let config = FluxConfig::from_names(&shapes)?;
    assert_eq!(config.version, FluxVersion::One);
    Ok(config)
}

fn sides(tensors: &Tensors) -> Result<[usize; 2], Trouble> {
    let shape = tensors.shape("patch.x")?;
    Ok([shape[2], shape[3]])
}

/// The last of some references that bring it to the wanted place.
fn reference(tensors: &Tensors, params: &Value) -> Result<Vec<f32>, Trouble> {
    let [height, width] = sides(tensors)?;
    let number = |key: &str| params["patch_ref"][key].as_u64().unwrap_or_default() as usize;
    let (index, down, right) = (number("index"), number("h_offset"), number("w_offset"));
    let far = 1000;
    let (before, method) = match (index, down, right) {
        (1, down, 0) if down > 0 => (vec![[down, far]], ReferenceMethod::Offset),
        (1, 0, right) if right > 0 => (vec![[far, right]], ReferenceMethod::Offset),
        (index, 0, 0) if index > 0 => (vec![[2, 2]; index - 1], ReferenceMethod::Index),
        _ => return Err("a place where no method puts a reference".into()),
    };
    let all: Vec<[usize; 2]> = before.into_iter().chain([[height, width]]).collect();
    let positions = config()?.positions(0, [height, width], &all, Some(method));
    let tokens = height.div_ceil(2) * width.div_ceil(2);
    Ok(positions[positions.len() - 3 * tokens..].to_vec())
}

/// `latent_rgb`: the colours of each channel.
pub fn colours(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let expected = folder.json(file)?;
    let rows = |value: &Value| -> Vec<f32> {
        let flat = value.as_array().into_iter().flatten().flat_map(|row| match row.as_array() {
            Some(row) => row.clone(),
            None => vec![row.clone()],
        });
        flat.filter_map(|number| number.as_f64()).map(|number| number as f32).collect()
    };
    let one = |(name, format): (&str, LatentFormat)| {
        let expected = &expected[name];
        let right = rows(&expected["factors"]) == format.rgb.concat() && rows(&expected["bias"]) == format.rgb_bias;
        CaseResult::exact(name, right, "other colours")
    };
    Ok([("flux1", LatentFormat::FLUX), ("flux2", LatentFormat::FLUX2)].map(one).into())
}

/// Colours in eight bits, of which the last may be rounded the other way.
fn previews(tensors: &Tensors, name: &str) -> Result<CaseResult, Trouble> {
    let model = name.trim_start_matches("preview.").trim_end_matches(".rgb_u8");
    let format = if model == "flux2" { LatentFormat::FLUX2 } else { LatentFormat::FLUX };
    let latent = stored::<4>(tensors, &format!("preview.{model}.z"))?;
    let planes = Planes::from_tensor(&latent)?;
    let found = linear_preview(&planes, &format).ok_or("no preview of such a latent")?;
    let expected = tensors.bytes(name)?;
    let same = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 1);
    Ok(CaseResult::exact(name, same, "other colours"))
}
