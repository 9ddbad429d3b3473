//! Samplers with options that KSampler doesn't have, on a model whose answers are constants.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::tensor::{Device, Tensor};
use kiln_models::LatentFormat;
use kiln_models::conditioning::Conditioning;
use kiln_models::image::Method;
use kiln_models::sampler::{Options, ProgressiveUpscale, SamplerKind};
use kiln_models::schedule::shifted::{self, LtxvShift};
use kiln_models::schedule::{ModelSampling, levels, searched};
use kiln_models::{
    sampler::SamplingError,
    sampling::{Guidance, Inputs, Outcome, Predictor, SamplingRun, StartLatent, noise_for},
};

/// Answers what the prompt says, a little less the more noise there is.
#[derive(Debug)]
struct Sayer {
    /// How much of the latent shines through.
    bend: f32,
}

const FADE: f32 = 0.01;

impl Predictor for Sayer {
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        let [items, ..] = x.dims();
        let says = inputs.context.slice([0..items, 0..1, 0..1]).reshape([items, 1, 1, 1]) - FADE * sigma;
        Ok(x.clone() * self.bend + says.expand(x.dims()))
    }

    fn channels(&self) -> usize {
        4
    }
}

fn says(value: f32) -> Conditioning {
    Conditioning::new(Tensor::full([1, 7, 8], value, &Device::flex()), None)
}

fn run(
    sampler: SamplerKind,
    options: Options,
    sigmas: &[f32],
    mask: bool,
    bend: f32,
) -> Result<Outcome, SamplingError> {
    let latent = Tensor::zeros([1, 4, 4, 6], &Device::flex());
    let run = SamplingRun {
        model: &Sayer { bend },
        sampling: &ModelSampling::eps(),
        format: &LatentFormat::SD1,
        guidance: &Guidance::Cfg { positive: says(0.5), negative: says(-0.25), scale: 1.0, rescale: None },
        sampler,
        options,
        sigmas,
        seed: 5,
        noise: noise_for(&latent, 5, None)?,
        mask: mask.then(|| Tensor::ones([1, 1, 4, 6], &Device::flex())),
        latent: StartLatent::new(latent, 4)?,
        max_batch: 2,
    };
    run.run(&mut |_| Ok(()))
}

fn named(name: &str, options: Options, sigmas: &[f32]) -> Vec<f32> {
    run(SamplerKind::named(name).unwrap(), options, sigmas, false, 0.05).unwrap().latent.try_to_vec_as::<f32>().unwrap()
}

fn close(a: &[f32], b: &[f32]) {
    // A handful of scalar roundings per step.
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4 * b.abs().max(1.0)), "{a:?}\n{b:?}");
}

const LEVELS: [f32; 5] = [6.0, 3.0, 1.5, 0.5, 0.0];

#[test]
fn er_sde_of_the_first_order_as_an_ode_is_eulers_method() {
    let options = Options { max_stage: 1, s_noise: 0.0, reverse_time: Some(0.0), ..Options::default() };
    close(&named("er_sde", options, &LEVELS), &named("euler", Options::default(), &LEVELS));
}

#[test]
fn the_scaling_of_noise_and_the_order_of_er_sde_count() {
    let with =
        |reverse_time, max_stage| named("er_sde", Options { reverse_time, max_stage, ..Options::default() }, &LEVELS);
    assert_ne!(with(None, 3), with(Some(1.0), 3));
    assert_ne!(with(Some(1.0), 3), with(Some(2.0), 3));
    assert_ne!(with(None, 1), with(None, 3));
}

#[test]
fn sa_solver_of_the_first_order_without_noise_is_eulers_method() {
    let options = Options { eta: 0.0, orders: (1, 0), ..Options::default() };
    close(&named("sa_solver", options, &LEVELS), &named("euler", Options::default(), &LEVELS));
}

#[test]
fn short_formulas_of_order_two_are_near_the_long_ones() {
    let with = |simple_order_2| {
        let options = Options { eta: 0.0, orders: (2, 2), simple_order_2, ..Options::default() };
        named("sa_solver", options, &[1.0, 0.97, 0.94, 0.91])
    };
    let (short, long) = (with(true), with(false));
    assert_ne!(short, long);
    assert!(short.iter().zip(&long).all(|(a, b)| (a - b).abs() < 1e-3), "{short:?} {long:?}");
}

#[test]
fn the_other_form_of_cfg_plus_plus_goes_from_the_negatives_place() {
    let sigmas = [4.0, 2.0, 1.0];
    let found = run(SamplerKind::EULER_ALTERNATIVE_CFG_PP, Options::default(), &sigmas, false, 0.0).unwrap().latent;
    let latent = Tensor::zeros([1, 4, 4, 6], &Device::flex());
    let noise = noise_for(&latent, 5, None).unwrap().try_to_vec_as::<f32>().unwrap();
    for (found, noise) in found.try_to_vec_as::<f32>().unwrap().iter().zip(noise) {
        let mut x = f64::from(noise) * 4.0;
        for pair in sigmas.windows(2) {
            let (s, t) = (f64::from(pair[0]), f64::from(pair[1]));
            let (cond, uncond) = (0.5 - 0.01 * s, -0.25 - 0.01 * s);
            x += (x - cond + uncond - cond) / s * (t - s);
        }
        assert!((f64::from(*found) - x / 0.18215).abs() < 1e-3, "{found} {}", x / 0.18215);
    }
}

fn growing(ratio: f64, steps: Option<usize>) -> Options {
    Options { upscale: ProgressiveUpscale { ratio, steps, method: Method::NearestExact }, ..Options::default() }
}

#[test]
fn a_latent_grows_to_its_ratio_and_arrives_where_the_model_says() {
    let outcome = run(SamplerKind::LCM_UPSCALE, growing(2.5, Some(2)), &[4.0, 2.0, 1.0, 0.0], false, 0.0).unwrap();
    assert_eq!(outcome.latent.dims(), [1, 4, 10, 15]);
    let values = outcome.latent.try_to_vec_as::<f32>().unwrap();
    assert!(values.iter().all(|v| (v * 0.18215 - 0.49).abs() < 1e-5), "{values:?}");
}

#[test]
fn a_latent_that_does_not_grow_ends_as_lcm_does() {
    let grown = run(SamplerKind::LCM_UPSCALE, growing(1.0, None), &[4.0, 0.0], false, 0.05).unwrap().latent;
    assert_eq!(grown.try_to_vec_as::<f32>().unwrap(), named("lcm", Options::default(), &[4.0, 0.0]));
}

#[test]
fn a_mask_over_a_latent_that_grows_is_told() {
    let error =
        run(SamplerKind::LCM_UPSCALE, growing(2.0, Some(1)), &[4.0, 2.0, 0.0], true, 0.0).unwrap_err().to_string();
    assert!(error.contains("[1, 4, 4, 6] throughout"), "{error}");
}

/// 1e-6 of each: a few operations in f32.
fn alike(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} {expected}");
    }
}

/// Numbers by numpy 2.2 from the tables of the papers.
#[test]
fn searched_levels_lie_between_those_of_their_tables() {
    let flux = |n, denoise| searched::optimal_steps("FLUX", n, denoise).unwrap();
    alike(&flux(4, 1.0), &[0.9968, 0.978_443_9, 0.9471, 0.675_854_6, 0.0]);
    alike(&flux(10, 0.55), &[0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.0]);
    let wan = searched::optimal_steps("Wan", 7, 0.5).unwrap();
    alike(&wan, &[0.977_139_7, 0.964_563_3, 0.919_787_3, 0.736_633_24, 0.0]);
    let gits = searched::gits(1.2, 24, 0.25).unwrap();
    let expected = [0.225_453_85, 0.203_139_65, 0.179_331_75, 0.153_240_25, 0.123_175_57, 0.080_243_5, 0.0];
    alike(&gits, &expected);
    assert!(searched::optimal_steps("SD1", 10, 1.0).is_err());
    assert!(searched::gits(0.83, 10, 1.0).unwrap_err().to_string().contains("0.85"));
    assert!(searched::gits(1.2, 1, 1.0).is_err());
    assert!(searched::gits(1.2, 10, 0.0).unwrap().is_empty());
}

/// Numbers by torch 2.6 from the formulas of the pipelines of LTX-Video and FLUX.2.
#[test]
fn shifted_levels_follow_the_size() {
    let shift = |max, base, terminal| LtxvShift { max, base, terminal };
    let found = shifted::ltxv(4, 4096, shift(2.05, 0.95, Some(0.1))).unwrap();
    alike(&found, &[1.0, 0.867_083_1, 0.631_568_85, 0.1, 0.0]);
    let found = shifted::ltxv(5, 96 * 64, shift(2.05, 0.95, None)).unwrap();
    alike(&found, &[1.0, 0.984_777_33, 0.960_410_6, 0.915_124, 0.801_713_65, 0.0]);
    let found = shifted::ltxv(3, 1200, shift(1.5, 0.5, Some(0.25))).unwrap();
    alike(&found, &[1.0, 0.687_273_8, 0.25, 0.0]);
    assert_eq!(shifted::ltxv(1, 4096, shift(2.05, 0.95, Some(0.1))).unwrap(), [1.0, 0.0]);
    assert!(shifted::ltxv(0, 4096, shift(2.05, 0.95, None)).is_err());
    alike(&shifted::flux2(4, 1024, 1024).unwrap(), &[1.0, 0.967_384_04, 0.908_143_9, 0.767_199_93, 0.0]);
    let found = shifted::flux2(5, 2048, 1024).unwrap();
    alike(&found, &[1.0, 0.961_933_85, 0.904_546_26, 0.808_123_23, 0.612_309_93, 0.0]);
    alike(&shifted::flux2(3, 200, 120).unwrap(), &[1.0, 0.934_166_4, 0.780_096_8, 0.0]);
}

#[test]
fn aligned_steps_are_the_papers_ten_and_lie_between_them_for_others() {
    let ten = levels::align_your_steps("SDXL", 10, 1.0).unwrap();
    assert_eq!((ten.len(), ten[1], ten[10]), (11, 6.318_448_5, 0.0));
    let twenty = levels::align_your_steps("SDXL", 20, 1.0).unwrap();
    for (i, level) in ten[..10].iter().enumerate() {
        assert!((twenty[2 * i] - level).abs() <= 1e-6 * level, "{i}");
        assert!(twenty[2 * i + 1] < *level && twenty[2 * i + 1] > ten[i + 1]);
    }
    assert_eq!(
        levels::align_your_steps("SD1", 10, 0.5).unwrap(),
        levels::align_your_steps("SD1", 10, 1.0).unwrap()[5..]
    );
    assert!(levels::align_your_steps("SD1", 10, 0.0).unwrap().is_empty());
    assert!(levels::align_your_steps("SD9", 10, 1.0).is_err());
}
