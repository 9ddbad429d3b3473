//! Hooks on weights: keyframes against an independent table, conditions by their hooks, the rest of the image, and weights at
//! each step against a LoRA that is applied directly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp)]

mod conditions;
mod tables;
mod weights;

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kiln_memory::MemorySource;
use kiln_models::LatentFormat;
use kiln_models::conditioning::Conditioning;
use kiln_models::lora::LoraFile;
use kiln_models::sampler::{Options, SamplerKind, SamplingError};
use kiln_models::sampling::{Guidance, Predictor, SamplingRun, StartLatent, noise_for};
use kiln_models::schedule::ModelSampling;
use kiln_models::weight_hooks::{HookGroup, HookSource, HookWeights, Keyframe};

pub(crate) fn keyframe(start: f64, strength: f64) -> Keyframe {
    Keyframe { strength, start, guarantee_steps: 1 }
}

pub(crate) fn file(tensors: &[(&str, &[usize], f32)]) -> LoraFile {
    let mut source = MemorySource::new("test lora");
    for (name, shape, value) in tensors {
        let wave = (0..shape.iter().product::<usize>()).map(|i| value * (1.0 + (i as f32 * 0.7).sin()));
        source.insert_f32(*name, shape, wave.collect()).unwrap();
    }
    LoraFile::new(Arc::new(source))
}

pub(crate) fn hook(file: LoraFile, strength: f64) -> HookGroup {
    let weights = HookWeights { source: HookSource::Lora(file), strength_model: strength, strength_clip: strength };
    HookGroup::of(weights).unwrap()
}

pub(crate) fn any_hook() -> HookGroup {
    hook(file(&[("x", &[1], 0.0)]), 1.0)
}

pub(crate) fn run(
    model: &dyn Predictor,
    sigmas: &[f32],
    positive: Conditioning,
    negative: Conditioning,
    size: [usize; 2],
) -> Result<Vec<f32>, SamplingError> {
    let sampling = ModelSampling::eps();
    let latent = Tensor::zeros([1, 4, size[0], size[1]], &Device::flex());
    let guidance = Guidance::Cfg { positive, negative, scale: 2.0, rescale: None };
    let format = LatentFormat { scale: 1.0, ..LatentFormat::SD1 };
    let run = SamplingRun {
        model,
        sampling: &sampling,
        format: &format,
        guidance: &guidance,
        sampler: SamplerKind::named("euler").unwrap(),
        options: Options::default(),
        sigmas,
        seed: 1,
        noise: noise_for(&latent, 1, None)?,
        latent: StartLatent::new(latent, 4)?,
        mask: None,
        max_batch: usize::MAX,
    };
    let outcome = run.run(&mut |_| Ok(()))?;
    Ok(outcome.latent.try_to_vec_as::<f32>().unwrap())
}
