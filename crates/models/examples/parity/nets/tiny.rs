//! The tiny models: every activation of two UNets, an autoencoder, two text encoders.

use std::cell::RefCell;

use kiln_models::{
    ActivationTap,
    clip::{Activation, Hidden, TextConfig, Token},
    unet::{Extras, Heads, UNetConfig},
    vae::VaeConfig,
};
use serde_json::Value;

use super::recipe::{det, device, stored, tiny, values};
use crate::case::{CaseResult, Folder, Trouble};

/// Deep activations add up rounding; single blocks stay below a tenth of it.
const TOLERANCE: f64 = 1e-4;
/// Two layers of text.
const TEXT_TOLERANCE: f64 = 1e-5;

fn prefix(params: &Value, file: &str, start: &str) -> String {
    let named = params.get("prefix").and_then(Value::as_str).map(str::to_owned);
    named.unwrap_or_else(|| format!("{}.", file.trim_end_matches(".safetensors").trim_start_matches(start)))
}

/// `tiny_unet_*`: the output and every stored activation, named as the module.
pub fn unet(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let weights = tiny(folder, &prefix(&params, file, "tiny_"))?;
    let config = UNetConfig::from_names(&weights.map().names())?;
    let number = |key: &str| params.get(key).and_then(Value::as_i64).and_then(|n| usize::try_from(n).ok());
    let config = match (number("num_heads"), number("num_head_channels")) {
        (Some(heads), _) => config.with_heads(Heads::Count(heads)),
        (None, Some(width)) => config.with_heads(Heads::Width(width)),
        (None, None) => config,
    };
    let unet = config.init(&weights)?;
    let y = tensors.has("in.y").then(|| stored::<2>(&tensors, "in.y")).transpose()?;
    let results = RefCell::new(Vec::new());
    let look = |name: &str, _: &[usize], x: burn::tensor::Tensor<1>| {
        let name = format!("act.{name}");
        if let (Ok(expected), Ok(found)) = (tensors.floats(&name), values(x)) {
            results.borrow_mut().push(CaseResult::compare(name, &found, &expected, TOLERANCE));
        }
    };
    let extras = Extras { y: y.as_ref(), tap: ActivationTap::new(&look), ..Extras::default() };
    let (x, context) = (stored(&tensors, "in.x")?, stored(&tensors, "in.context")?);
    let eps = unet.forward(x, &tensors.floats("in.timesteps")?, &context, &extras)?;
    let mut results = results.take();
    for name in tensors.names().into_iter().filter(|name| name.starts_with("act.")) {
        if !results.iter().any(|result| result.name == name) {
            results.push(CaseResult::broken(name, "no module of this name ran"));
        }
    }
    results.push(CaseResult::compare("out.eps", &values(eps)?, &tensors.floats("out.eps")?, TOLERANCE));
    Ok(results)
}

/// `tiny_vae`: both directions, and the attention alone.
pub fn vae(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let weights = tiny(folder, &prefix(&params, file, "tiny_"))?;
    let vae = VaeConfig::from_names(&weights.map().names())?.init(&weights)?;
    let image = stored(&tensors, "in.img")?;
    let shape: [usize; 4] = tensors.shape("out.mid_attn")?.try_into().map_err(|_| "out.mid_attn has four sides")?;
    let found = [
        ("out.decode", vae.decode(stored(&tensors, "in.z")?)?),
        ("out.encoder", vae.encoder_output(image.clone())?),
        ("out.moments", vae.moments(image)?),
        ("out.mid_attn", vae.middle_attention(det("in.attn", shape, 1.0, 0.0))?),
    ];
    let compare = |(name, x)| Ok(CaseResult::compare(name, &values(x)?, &tensors.floats(name)?, TOLERANCE));
    found.into_iter().map(compare).collect()
}

/// `tiny_clip_*`: last layer, the one before, pooled.
pub fn clip(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let (params, tensors) = (folder.entry(file).params, folder.tensors(file)?);
    let weights = tiny(folder, &prefix(&params, file, "tiny_"))?;
    let activation = match params.get("act").and_then(Value::as_str) {
        Some("gelu") => Activation::Gelu,
        Some("quick_gelu") => Activation::QuickGelu,
        other => return Err(format!("an activation is named by `act`, found {other:?}").into()),
    };
    let config = TextConfig::from_names(&weights.map().names(), activation)?;
    let heads = params.get("heads").and_then(Value::as_u64).map_or(config.heads, |heads| heads as usize);
    let model = config.with_heads(heads).init(&weights)?;
    let length = tensors.shape("in.ids")?.last().copied().unwrap_or(1).max(1);
    let ids = tensors.integers("in.ids")?;
    let chunks: Vec<Vec<Token>> =
        ids.chunks(length).map(|row| row.iter().map(|id| Token::Id(*id as u32)).collect()).collect();
    let last = model.forward(&chunks, Hidden::LAST, &device())?;
    let before = model.forward(&chunks, Hidden { layer: -2, norm: false }, &device())?;
    let compare = |name: &str, found: Vec<f32>| {
        Ok::<_, Trouble>(CaseResult::compare(name, &found, &tensors.floats(name)?, TEXT_TOLERANCE))
    };
    Ok(vec![
        compare("out.last", values(last.hidden)?)?,
        compare("out.penultimate_noln", values(before.hidden)?)?,
        compare("out.pooled", values(last.pooled)?)?,
    ])
}
