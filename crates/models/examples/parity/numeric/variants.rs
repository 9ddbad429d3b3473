//! KSampler's other ways on the analytic model: partial denoising, masks, step ranges, cfg 1, batches.

use kiln_models::sampling::Guidance;

use super::numbers::numbers;
use super::samplers;
use super::setup::{Job1, Setup};
use super::tensors::tensor;
use crate::case::{CaseResult, Folder, Tensors, Trouble};

/// `samplers_variants`: `VARIANT.SAMPLER`.
pub fn variants(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let params = folder.entry(file).params;
    let setup = Setup::new(&params)?;
    let batch_steps = params["batch2_steps"].as_u64().map_or(setup.steps, |n| n as usize);
    let batched = Setup { steps: batch_steps, ..Setup::new(&params)? };
    let tensors = folder.tensors(file)?;
    let names = tensors.names().into_iter().filter(|name| !name.starts_with("in."));
    let judge = |name: &str| -> Result<CaseResult, Trouble> {
        let (variant, sampler) = name.rsplit_once('.').ok_or("no sampler in the name")?;
        let setup = if variant.starts_with("batch") { &batched } else { &setup };
        let shape = tensors.shape(name)?;
        let Some(job) = prepared(setup, &tensors, variant, sampler, &shape)? else {
            return Ok(CaseResult::unknown(name));
        };
        let trace = job.trace()?;
        Ok(CaseResult::compare(name, &trace.latent, &tensors.floats(name)?, samplers::tolerance(sampler)))
    };
    Ok(names.map(|name| judge(name).unwrap_or_else(|trouble| CaseResult::broken(name, trouble))).collect())
}

fn prepared<'a>(
    setup: &'a Setup,
    tensors: &Tensors,
    variant: &str,
    sampler: &str,
    shape: &[usize],
) -> Result<Option<Job1<'a>>, Trouble> {
    let stored = |name: &str| tensor::<4>(tensors.floats(name)?, &tensors.shape(name)?);
    let plain = Job1 { latent: tensor(vec![0.0; shape.iter().product()], shape)?, ..setup.run(sampler)? };
    let on_latent = |job: Job1<'a>| Ok::<_, Trouble>(Job1 { latent: stored("in.latent")?, ..job });
    Ok(Some(if variant.starts_with("img2img_denoise") {
        Job1 { denoise: numbers(variant).last().copied().unwrap_or(1.0), ..on_latent(plain)? }
    } else if variant == "inpaint" {
        Job1 { mask: Some(stored("in.mask")?), ..on_latent(plain)? }
    } else if variant.starts_with("advanced_start") {
        let steps = numbers(variant);
        let at = |k: usize| steps.get(k).map(|n| *n as usize);
        let range = Some((at(0), at(1), variant.ends_with("_force")));
        Job1 { range, no_noise: variant.ends_with("_nonoise"), ..on_latent(plain)? }
    } else if variant == "cfg1" {
        let guidance = match plain.guidance.clone() {
            Guidance::Cfg { positive, negative, rescale, .. } => {
                Guidance::Cfg { positive, negative, rescale, scale: 1.0 }
            }
            other => other,
        };
        Job1 { guidance, ..plain }
    } else if variant.starts_with("batch") {
        plain
    } else {
        return Ok(None);
    }))
}
