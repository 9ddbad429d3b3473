//! The autoencoder of clips, by the folder of Wan 2.1.

use std::cell::RefCell;

use burn::tensor::Tensor;
use indexmap::IndexMap;
use kiln_memory::{Budget, TensorShapes};
use kiln_models::{
    ActivationTap, ModelWeights,
    vae::Autoencoder,
    vae3d::{self, VideoVae, VideoVaeConfig},
};
use serde_json::Value;

use super::common::{sizes, text, tiny};
use crate::case::{CaseResult, Folder, Run, Tensors, Trouble};
use crate::nets::full::five;
use crate::nets::recipe::{det, names, source, stored, values};

/// Some thirty layers.
const VAE: f64 = 2e-5;
const FIVE: f64 = 1e-4;

/// Who runs a file of the folder, if it is one of ours.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "vae21.safetensors" => tiny_vae,
        "full_wan_2.1_vae.safetensors" => full_vae,
        _ => return None,
    })
}

/// `X_from: [name, scale, base]`.
fn made<const D: usize>(params: &Value, key: &str, shape: &[usize]) -> Result<Tensor<D>, Trouble> {
    let from = params.get(key).ok_or_else(|| format!("`{key}` is missing"))?;
    let name = from.get(0).and_then(Value::as_str).ok_or("a name")?;
    let number = |i: usize| from.get(i).and_then(Value::as_f64).unwrap_or_default() as f32;
    let shape: [usize; D] = shape.try_into().map_err(|_| format!("{shape:?} hasn't {D} sides"))?;
    Ok(det(name, shape, number(1), number(2)))
}

/// `[1, C, F, h, w]` to `[F, C, h, w]`.
fn frames(x: Tensor<5>) -> Tensor<4> {
    let [_, channels, frames, height, width] = x.dims();
    x.reshape([channels, frames, height, width]).swap_dims(0, 1)
}

/// Channels first, as the reference stores clips.
fn clip(x: Tensor<4>) -> Result<Vec<f32>, Trouble> {
    values(x.swap_dims(0, 1))
}

/// An image of the reference as the network takes it: channels first, -1..1.
fn pixels(image: Tensor<4>) -> Tensor<4> {
    image.permute([0, 3, 1, 2]) * 2.0 - 1.0
}

/// `vae21`: clips of 1, 5 and 9 frames in both directions, five numbers of every module for each chunk.
fn tiny_vae(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let weights = tiny(folder, "tiny_keys_wan.json", text(&params, "prefix")?, vae3d::keys)?;
    let vae = VideoVaeConfig::from_names(&weights.map().names())?.init(&weights)?;
    let mut results = Vec::new();
    for (case, given) in params.get("cases").and_then(Value::as_object).ok_or("no cases")? {
        let image = || made::<4>(given, "image_from", &sizes(given.get("image_thwc").unwrap_or(&Value::Null)));
        match case.as_str() {
            "tiled" => {
                for name in tensors.names().into_iter().filter(|name| name.starts_with("tile.")) {
                    tensors.note(name);
                    results.push(CaseResult::skipped(name, "tiles over frames are not there yet"));
                }
            }
            "encode_crop" => {
                let found = (&vae as &dyn Autoencoder).encode_image(image()?)?;
                results.push(CaseResult::near(case.as_str(), &values(found)?, &tensors.floats(case)?, VAE));
            }
            frames => results.extend(both_ways(&vae, &tensors, frames, image()?)?),
        }
    }
    results.extend(batch(&vae, &tensors)?);
    Ok(results)
}

/// One direction of the autoencoder.
type Way<'a> = dyn Fn(ActivationTap<'_>) -> Result<Tensor<4>, Trouble> + 'a;

fn both_ways(vae: &VideoVae, tensors: &Tensors, n: &str, image: Tensor<4>) -> Result<Vec<CaseResult>, Trouble> {
    let (z, mut results) = (frames(stored(tensors, &format!("z{n}"))?), Vec::new());
    let ways: [(&str, &str, &Way<'_>); 2] = [
        ("dec", "decode", &|tap| Ok(vae.decode_clip(z.clone(), tap)?)),
        ("enc", "encode", &|tap| Ok(vae.encode_clip(pixels(image.clone()), tap)?)),
    ];
    for (short, name, run) in ways {
        let chunks = RefCell::new(IndexMap::<String, Vec<f32>>::new());
        let look = |module: &str, _: &[usize], x: Tensor<1>| {
            let found = values(x).map_or([f32::NAN; 5], |found| five(&found));
            chunks.borrow_mut().entry(format!("{short}{n}.act5.{module}")).or_default().extend(found);
        };
        let output = run(ActivationTap::new(&look))?;
        for (module, found) in chunks.into_inner() {
            if tensors.has(&module) {
                results.push(CaseResult::near(module.as_str(), &found, &tensors.floats(&module)?, FIVE));
            }
        }
        let name = format!("{name}{n}");
        results.push(CaseResult::near(name.as_str(), &clip(output)?, &tensors.floats(&name)?, VAE));
    }
    // Every 8th pixel of the made image, which `det` cases prove.
    tensors.note(&format!("im{n}_thwc_every8"));
    Ok(results)
}

/// Two clips in one batch, as images.
fn batch(vae: &VideoVae, tensors: &Tensors) -> Result<Option<CaseResult>, Trouble> {
    let name = "decode_batch2_thwc";
    if !tensors.has(name) {
        return Ok(None);
    }
    let z: Tensor<5> = stored(tensors, "zb")?;
    let [clips, channels, frames, height, width] = z.dims();
    let found = (vae as &dyn Autoencoder).decode_image(z.reshape([clips, channels * frames, height, width]))?;
    Ok(Some(CaseResult::near(name, &values(found)?, &tensors.floats(name)?, VAE)))
}

/// `full_wan_2.1_vae`: the network at full size.
fn full_vae(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let prefix = text(&params, "prefix")?;
    let lists = folder.json("keys_wan.json.gz")?;
    let keys = names(lists.get(prefix.trim_end_matches('.')).ok_or("no list of this model")?)?;
    let hashed: TensorShapes = keys.iter().map(|(key, shape)| (format!("{prefix}{key}"), shape)).collect();
    let map = vae3d::keys(&hashed, prefix);
    let weights = ModelWeights::new(source(&hashed, None), map, "parity", &Budget::unlimited("parity"));
    let vae = VideoVaeConfig::from_names(&weights.map().names())?.init(&weights)?;
    let decoded = vae.decode_clip(frames(stored(&tensors, "z")?), ActivationTap::default())?;
    let image = made::<5>(&params, "image_from", &sizes(params.get("image").unwrap_or(&Value::Null)))?;
    let encoded = clip(vae.encode_clip(frames(image), ActivationTap::default())?)?;
    let whole = clip(decoded.clone())?;
    let every = |x: Tensor<4>, axis: usize| {
        let rows = (0..x.dims()[axis]).step_by(2).map(|i| x.clone().narrow(axis, i, 1)).collect();
        Tensor::cat(rows, axis)
    };
    let compare = |name: &str, found: &[f32], tolerance| {
        Ok::<_, Trouble>(CaseResult::near(name, found, &tensors.floats(name)?, tolerance))
    };
    Ok(vec![
        compare("decode_every2", &clip(every(every(decoded, 2), 3))?, VAE)?,
        compare("decode_act5", &five(&whole), FIVE)?,
        compare("encode", &encoded, VAE)?,
        compare("encode_act5", &five(&encoded), FIVE)?,
    ])
}
