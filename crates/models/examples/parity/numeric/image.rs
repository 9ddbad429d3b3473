//! Image operations: sizes and methods are in the names.

use kiln_models::image::{Crop, Method, Planes, common_upscale, grown};

use super::numbers::numbers;
use crate::case::{CaseResult, Folder, Tensors, Trouble};

/// `imageops`.
pub fn operations(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let tensors = folder.tensors(file)?;
    let names = tensors.names().into_iter().filter(|name| !name.starts_with("in."));
    Ok(names.map(|name| judge(&tensors, name).unwrap_or_else(|t| CaseResult::broken(name, t))).collect())
}

fn judge(tensors: &Tensors, name: &str) -> Result<CaseResult, Trouble> {
    let expected = tensors.floats(name)?;
    let method = Method::ALL.into_iter().find(|m| name.split('.').any(|part| part == m.name()));
    let size = numbers(name.rsplit('.').find(|part| part.contains('x')).unwrap_or(""));
    let found = if let (true, Some(method)) = (name.starts_with("imagescale."), method) {
        let shape = axes(&tensors.shape("in.image_bhwc")?)?;
        let image = Planes::from_pixels(shape, &tensors.floats("in.image_bhwc")?)?;
        let crop = if name.ends_with(".center") { Crop::Center } else { Crop::Disabled };
        let size = numbers(name.trim_end_matches(".center").rsplit('.').next().unwrap_or(""));
        let [width, height] = two(&size)?;
        common_upscale(&image, width, height, method, crop)?.to_pixels()
    } else if let (true, Some(method)) = (name.starts_with("latentupscaleby"), method) {
        let latent = stored(tensors, "in.latent")?;
        let factor: f64 =
            name["latentupscaleby".len()..].split(&format!(".{}", method.name())).next().unwrap_or("").parse()?;
        let [_, _, h, w] = latent.shape();
        let scaled = |side: usize| (side as f64 * factor).round_ties_even() as usize;
        common_upscale(&latent, scaled(w), scaled(h), method, Crop::Disabled)?.into_values()
    } else if let (true, Some(method)) = (name.starts_with("latentupscale."), method) {
        let [width, height] = two(&size)?;
        common_upscale(&stored(tensors, "in.latent")?, width / 8, height / 8, method, Crop::Disabled)?.into_values()
    } else if let Some(degrees) = name.strip_prefix("latentrotate") {
        stored(tensors, "in.latent")?.rotated(degrees.parse::<usize>()? / 90).into_values()
    } else if let Some(grow) = name.strip_prefix("vaeinpaint.noise_mask_grow") {
        grown(&mask(tensors)?, grow.parse()?).into_values()
    } else if name.starts_with("prepare_mask") {
        let [_, _, height, width] = axes(&tensors.shape(name)?)?;
        common_upscale(&mask(tensors)?, width, height, Method::Bilinear, Crop::Disabled)?.into_values()
    } else {
        return Ok(CaseResult::unknown(name));
    };
    Ok(CaseResult::compare(name, &found, &expected, tolerance(method, name)))
}

fn tolerance(method: Option<Method>, name: &str) -> f64 {
    let method = if name.starts_with("prepare_mask") { Some(Method::Bilinear) } else { method };
    match method {
        None | Some(Method::NearestExact | Method::Nearest | Method::Lanczos) => 0.0,
        Some(Method::Bilinear) => 5e-6,
        Some(Method::Area) => 1e-6,
        Some(Method::Bicubic) => 1e-5,
        Some(Method::Bislerp) => 1e-4,
    }
}

fn stored(tensors: &Tensors, name: &str) -> Result<Planes, Trouble> {
    Ok(Planes::new(axes(&tensors.shape(name)?)?, tensors.floats(name)?)?)
}

fn mask(tensors: &Tensors) -> Result<Planes, Trouble> {
    let shape = tensors.shape("in.vaeinpaint.mask")?;
    let [batch, height, width] = shape[..] else { return Err("the mask hasn't three axes".into()) };
    Ok(Planes::new([batch, 1, height, width], tensors.floats("in.vaeinpaint.mask")?)?)
}

fn axes(shape: &[usize]) -> Result<[usize; 4], Trouble> {
    shape.try_into().map_err(|_| format!("{shape:?} hasn't four axes").into())
}

fn two(size: &[f64]) -> Result<[usize; 2], Trouble> {
    match *size {
        [width, height] => Ok([width as usize, height as usize]),
        _ => Err("no size in the name".into()),
    }
}
