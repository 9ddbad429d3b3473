//! The networks at full size, over weights computed when they are read.

use std::{cell::RefCell, sync::Arc};

use burn::tensor::Tensor;
use kiln_memory::{Budget, Rounding, TensorSource};
use kiln_models::{
    ActivationTap, ModelWeights,
    detect::{Detected, Found},
    unet::{Extras, UNetConfig},
    vae::Tiles,
};

use super::recipe::{det, names, source, stored, values};
use crate::case::{CaseResult, Folder, Tensors, Trouble};

/// One pass through some 25 blocks.
const UNET: f64 = 1e-4;
/// Seventy transformer blocks.
const SDXL_UNET: f64 = 2e-4;
/// The five numbers of an activation: two of them are single elements.
const ACTIVATION: f64 = 1e-3;
const VAE: f64 = 1e-4;
/// What weights may take while a case runs; the rest is computed again at each use.
const ROOM: u64 = 4 << 30;

/// A checkpoint that exists as a list of keys and a recipe.
pub struct Recipe {
    pub detected: Detected,
    pub source: Arc<dyn TensorSource>,
}

impl Recipe {
    pub fn new(folder: &Folder, keys: &str, rounding: Option<Rounding>) -> Result<Self, Trouble> {
        let names = names(&folder.json(keys)?)?;
        Ok(Self { detected: Detected::in_checkpoint(&names)?, source: source(&names, rounding) })
    }

    pub fn weights<C>(&self, found: &Found<C>) -> ModelWeights {
        ModelWeights::new(self.source.clone(), found.map.clone(), "parity", &Budget::new("parity", ROOM))
    }

    fn unet(&self) -> Result<Found<UNetConfig>, Trouble> {
        Ok(self.detected.unet().ok_or("the keys hold no UNet")?)
    }
}

/// `unet_sd15`: the output for each stored input, and five numbers of every block.
pub fn unet_sd15(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let recipe = Recipe::new(folder, "keys_sd15.json", None)?;
    let unet = recipe.unet()?.config.init(&recipe.weights(&recipe.unet()?))?;
    let tensors = folder.tensors(file)?;
    let mut results = Vec::new();
    for case in tensors.names().into_iter().filter_map(|name| name.strip_suffix(".eps")) {
        let x: Tensor<4> = stored(&tensors, &format!("{case}.x"))?;
        let width = unet.config().context_dim.unwrap_or(0);
        let context = det(&format!("unet.ctx.{case}"), [x.dims()[0], 77, width], 1.7, 0.0);
        results.extend(row0(&tensors, &format!("{case}.context_row0"), &context)?);
        let seen = RefCell::new(Vec::new());
        let look = |name: &str, _: &[usize], x: Tensor<1>| {
            let name = format!("{case}.act5.{name}");
            if let (Ok(expected), Ok(found)) = (tensors.floats(&name), values(x)) {
                seen.borrow_mut().push(CaseResult::compare(name, &five(&found), &expected, ACTIVATION));
            }
        };
        let extras = Extras { tap: ActivationTap::new(&look), ..Extras::default() };
        let eps = unet.forward(x, &tensors.floats(&format!("{case}.t"))?, &context, &extras)?;
        results.extend(unseen(&tensors, &format!("{case}.act5."), &seen.borrow()));
        results.extend(seen.take());
        let name = format!("{case}.eps");
        results.push(CaseResult::compare(name.as_str(), &values(eps)?, &tensors.floats(&name)?, UNET));
    }
    Ok(results)
}

fn unseen(tensors: &Tensors, prefix: &str, seen: &[CaseResult]) -> Vec<CaseResult> {
    let names = tensors.names().into_iter().filter(|name| name.starts_with(prefix));
    let lost = names.filter(|name| !seen.iter().any(|result| result.name == *name));
    lost.map(|name| CaseResult::broken(name, "no module of this name ran")).collect()
}

fn row0(tensors: &Tensors, name: &str, context: &Tensor<3>) -> Result<Option<CaseResult>, Trouble> {
    if !tensors.has(name) {
        return Ok(None);
    }
    let [batch, _, width] = context.dims();
    let row = context.clone().slice([0..batch, 0..1, 0..width]);
    Ok(Some(CaseResult::compare(name, &values(row)?, &tensors.floats(name)?, 0.0)))
}

/// Mean, standard deviation (divisor n - 1), largest absolute value, first and last element.
pub fn five(x: &[f32]) -> [f32; 5] {
    let n = x.len() as f64;
    let mean = x.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = x.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let largest = x.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    let ends = |v: Option<&f32>| v.copied().unwrap_or_default();
    [mean as f32, variance.sqrt() as f32, largest, ends(x.first()), ends(x.last())]
}

/// `sdxl`: the UNet's output (the text cases are run with the prompts).
pub fn sdxl_unet(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let recipe = Recipe::new(folder, "keys_sdxl.json", Some(Rounding::F16))?;
    let unet = recipe.unet()?.config.init(&recipe.weights(&recipe.unet()?))?;
    let tensors = folder.tensors(file)?;
    let context = det("sdxl.ctx", [1, 77, unet.config().context_dim.unwrap_or(0)], 1.7, 0.0);
    let y = stored::<2>(&tensors, "adm_y")?;
    let extras = Extras { y: Some(&y), ..Extras::default() };
    let eps = unet.forward(stored(&tensors, "x")?, &tensors.floats("t")?, &context, &extras)?;
    let mut results: Vec<CaseResult> = row0(&tensors, "context_row0", &context)?.into_iter().collect();
    results.push(CaseResult::compare("eps", &values(eps)?, &tensors.floats("eps")?, SDXL_UNET));
    Ok(results)
}

/// `vae_sd15`: decode, encode, tiled decode. `decodeN...` decodes `zN`; `encodeN` encodes the image `vae.imgN` of that
/// side (of 256, when its name has no number).
pub fn vae_sd15(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let recipe = Recipe::new(folder, "keys_sd15.json", None)?;
    let found = recipe.detected.vae.as_ref().ok_or("the keys hold no VAE")?;
    let vae = found.config.init(&recipe.weights(found))?;
    let (entry, tensors) = (folder.entry(file), folder.tensors(file)?);
    let tile = |key: &str, usual: usize| entry.number(key).map_or(usual, |n| n as usize);
    let tiles = Tiles::square(tile("tile", 32), tile("overlap", 8));
    let mut decoded: Option<(String, Tensor<4>)> = None;
    let mut results = Vec::new();
    for name in tensors.names() {
        let number = |start: &str| -> Option<(String, String)> {
            let rest = name.strip_prefix(start)?;
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            (end > 0).then(|| (rest[..end].to_owned(), rest[end..].to_owned()))
        };
        let found = if let Some((n, what)) = number("decode_tiled") {
            let z = stored(&tensors, &format!("z{n}"))?;
            thinned(vae.decode_tiled(z, tiles)?, &what)
        } else if let Some((n, what)) = number("decode") {
            let whole = match decoded.take().filter(|(own, _)| *own == n) {
                Some((_, whole)) => whole,
                None => vae.decode_image(stored(&tensors, &format!("z{n}"))?)?,
            };
            decoded = Some((n, whole.clone()));
            thinned(whole, &what)
        } else if let Some((n, _)) = number("encode") {
            let side: usize = n.parse()?;
            let image = if side == 256 { "vae.img".to_owned() } else { format!("vae.img{n}") };
            values(vae.encode_image(det(&image, [1, side, side, 3], 0.5, 0.5))?)
        } else {
            continue;
        };
        results.push(CaseResult::compare(name, &found?, &tensors.floats(name)?, VAE));
    }
    Ok(results)
}

/// Five numbers of an image (`_summary`), every Nth row and column (`_everyN`), or all of it.
fn thinned(image: Tensor<4>, what: &str) -> Result<Vec<f32>, Trouble> {
    if what == "_summary" {
        return Ok(five(&values(image)?).to_vec());
    }
    match what.split_once("every").map(|(_, n)| n.parse::<usize>()) {
        Some(step) => values(every(image, step?.max(1))),
        None => values(image),
    }
}

/// Every `step`th row and column of images.
fn every(x: Tensor<4>, step: usize) -> Tensor<4> {
    let [_, height, width, _] = x.dims();
    let picks = |n: usize| {
        let picks: Vec<i64> = (0..n).step_by(step).map(|i| i as i64).collect();
        let count = picks.len();
        Tensor::<1, burn::tensor::Int>::from_data(burn::tensor::TensorData::new(picks, [count]), &x.device())
    };
    let (rows, columns) = (picks(height), picks(width));
    x.select(1, rows).select(2, columns)
}
