//! Samplers with options that KSampler doesn't have, on a model whose answers are constants.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::tensor::{Device, Tensor};
use kiln_models::LatentFormat;
use kiln_models::conditioning::Conditioning;
use kiln_models::image::Method;
use kiln_models::sampler::{Options, ProgressiveUpscale, SamplerKind};
use kiln_models::schedule::{ModelSampling, levels};
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
