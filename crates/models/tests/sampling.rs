//! Sampling runs on a denoiser that needs no network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::Cell;

use burn::tensor::{Device, Tensor};
use kiln_models::LatentFormat;
use kiln_models::conditioning::Conditioning;
use kiln_models::sampler::{Options, SamplerKind, Step, StepFn};
use kiln_models::schedule::{ModelSampling, Prediction, Scheduler, steps};
use kiln_models::{
    sampler::SamplingError,
    sampling::{Guidance, Inputs, Outcome, Predictor, SamplingRun, StartLatent, noise_for},
};

/// Knows the finished latent: the number in the context, everywhere.
#[derive(Debug, Default)]
struct Oracle {
    batches: Cell<usize>,
    latents: Cell<usize>,
}

impl Predictor for Oracle {
    fn denoised(&self, x: Tensor<4>, _sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        let [items, ..] = x.dims();
        self.batches.set(self.batches.get() + 1);
        self.latents.set(self.latents.get() + items);
        let answer = inputs.context.slice([0..items, 0..1, 0..1]).reshape([items, 1, 1, 1]);
        Ok(x.zeros_like() + answer.expand(x.dims()))
    }

    fn channels(&self) -> usize {
        4
    }
}

struct Bench {
    sampling: ModelSampling,
    guidance: Guidance,
    sigmas: Vec<f32>,
    latent: Tensor<4>,
    mask: Option<Tensor<4>>,
    sampler: SamplerKind,
}

impl Bench {
    fn new(sampler: &str) -> Self {
        let sampling = ModelSampling::eps();
        let sampler = SamplerKind::named(sampler).unwrap();
        let sigmas =
            steps::sigmas(&sampling.levels, Scheduler::Karras, 6, 1.0, sampler.discards_penultimate()).unwrap();
        let guidance = Guidance::Cfg { positive: says(0.5), negative: says(-0.5), scale: 1.0, rescale: None };
        let latent = Tensor::zeros([1, 4, 4, 4], &Device::flex());
        Self { sampling, guidance, sigmas, latent, mask: None, sampler }
    }

    fn scaled(mut self, scale: f64) -> Self {
        self.guidance = Guidance::Cfg { positive: says(0.5), negative: says(-0.5), scale, rescale: None };
        self
    }

    fn run(&self, model: &Oracle, on_step: &mut StepFn<'_>) -> Result<Outcome, SamplingError> {
        let run = SamplingRun {
            model,
            sampling: &self.sampling,
            format: &LatentFormat::SD1,
            guidance: &self.guidance,
            sampler: self.sampler,
            options: Options::default(),
            sigmas: &self.sigmas,
            seed: 5,
            noise: noise_for(&self.latent, 5, None)?,
            latent: StartLatent::new(self.latent.clone(), model.channels())?,
            mask: self.mask.clone(),
            max_batch: usize::MAX,
        };
        run.run(on_step)
    }
}

fn says(value: f32) -> Conditioning {
    Conditioning::new(Tensor::full([1, 77, 8], value, &Device::flex()), None)
}

fn values(tensor: &Tensor<4>) -> Vec<f32> {
    tensor.try_to_vec_as::<f32>().unwrap()
}

#[test]
fn every_sampler_arrives_where_the_model_says() {
    for kind in SamplerKind::all() {
        let outcome = Bench::new(kind.name()).run(&Oracle::default(), &mut |_| Ok(())).unwrap();
        for value in values(&outcome.latent) {
            // dpm_fast and dpm_adaptive stop at the smallest level, 0.029, and keep that much noise.
            assert!((value * 0.18215 - 0.5).abs() < 0.15, "{}: {value}", kind.name());
        }
    }
}

#[test]
fn every_sampler_evaluates_the_model_as_often_as_it_says_beforehand() {
    for kind in SamplerKind::all().iter().filter(|kind| kind.name() != "dpm_adaptive") {
        let oracle = Oracle::default();
        Bench::new(kind.name()).run(&oracle, &mut |_| Ok(())).unwrap();
        assert_eq!(oracle.batches.get() as u32, kind.passes(6), "{}", kind.name());
    }
}

#[test]
fn euler_on_a_constant_answer_is_exact() {
    let outcome = Bench::new("euler").run(&Oracle::default(), &mut |_| Ok(())).unwrap();
    assert!(values(&outcome.latent).iter().all(|v| (v * 0.18215 - 0.5).abs() < 1e-5));
}

#[test]
fn guidance_of_one_leaves_the_negative_out_but_for_cfg_plus_plus() {
    let (plain, both) = (Oracle::default(), Oracle::default());
    Bench::new("euler").run(&plain, &mut |_| Ok(())).unwrap();
    Bench::new("euler_cfg_pp").run(&both, &mut |_| Ok(())).unwrap();
    assert_eq!((plain.latents.get(), both.latents.get()), (6, 12));
}

#[test]
fn positive_and_negative_share_one_batch() {
    let model = Oracle::default();
    let outcome = Bench::new("euler").scaled(3.0).run(&model, &mut |_| Ok(())).unwrap();
    assert_eq!((model.batches.get(), model.latents.get()), (6, 12));
    assert!(values(&outcome.latent).iter().all(|v| (v * 0.18215 - 2.5).abs() < 1e-4));
}

#[test]
fn a_callback_that_says_stop_stops_within_the_step() {
    let model = Oracle::default();
    let stop = |step: Step<'_>| if step.index == 2 { Err(SamplingError::Cancelled) } else { Ok(()) };
    let outcome = Bench::new("dpmpp_2m").run(&model, &mut { stop });
    assert!(matches!(outcome, Err(SamplingError::Cancelled)));
    assert_eq!(model.batches.get(), 3);
}

#[test]
fn what_the_mask_leaves_alone_is_the_original() {
    let mut bench = Bench::new("euler");
    bench.latent = Tensor::full([1, 4, 4, 4], 2.0, &Device::flex());
    bench.mask = Some(Tensor::zeros([1, 1, 32, 32], &Device::flex()));
    let outcome = bench.run(&Oracle::default(), &mut |_| Ok(())).unwrap();
    assert!(values(&outcome.latent).iter().all(|v| (v - 2.0).abs() < 1e-4));
}

#[test]
fn no_levels_give_the_latent_back() {
    let mut bench = Bench::new("euler");
    bench.sigmas.clear();
    bench.latent = Tensor::full([1, 4, 4, 4], 2.0, &Device::flex());
    let outcome = bench.run(&Oracle::default(), &mut |_| Ok(())).unwrap();
    assert_eq!(values(&outcome.latent), [2.0; 64]);
}

#[test]
fn an_area_in_the_positive_adds_a_call_for_the_negative() {
    let mut bench = Bench::new("euler").scaled(2.0);
    bench.latent = Tensor::zeros([1, 4, 16, 16], &Device::flex());
    let positive = says(0.3).combine(&says(0.9).set_area([64, 64, 0, 0], 1.0));
    bench.guidance = Guidance::Cfg { positive, negative: says(-0.5), scale: 2.0, rescale: None };
    let model = Oracle::default();
    bench.run(&model, &mut |_| Ok(())).unwrap();
    assert_eq!((model.batches.get(), model.latents.get()), (12, 24));
}

#[test]
fn a_latent_of_another_family_is_refused_by_name_and_shape() {
    let mut bench = Bench::new("euler");
    bench.latent = Tensor::ones([1, 16, 4, 4], &Device::flex());
    let error = bench.run(&Oracle::default(), &mut |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("latent_image") && error.contains("[1, 16, 4, 4]"), "{error}");
}

#[test]
fn a_guidance_that_is_no_number_is_refused() {
    let error = Bench::new("euler").scaled(f64::NAN).run(&Oracle::default(), &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, SamplingError::Number { what: "cfg", .. }));
}

#[test]
fn unknown_names_come_with_the_nearest_one() {
    let sampler = SamplerKind::named("dpmpp2m").unwrap_err().to_string();
    assert!(sampler.contains("`dpmpp_2m`"), "{sampler}");
    let scheduler = "kerras".parse::<Scheduler>().unwrap_err().to_string();
    assert!(scheduler.contains("`karras`"), "{scheduler}");
}

#[test]
fn schedules_refuse_no_steps_and_a_single_kl_optimal_one() {
    let levels = ModelSampling::eps().levels;
    assert!(steps::sigmas(&levels, Scheduler::Normal, 0, 1.0, false).is_err());
    assert!(steps::sigmas(&levels, Scheduler::KlOptimal, 1, 1.0, false).is_err());
    assert!(steps::sigmas(&levels, Scheduler::Normal, 20, 1e-9, false).is_err());
    assert!(steps::sigmas(&levels, Scheduler::Normal, 20, 0.0, false).unwrap().is_empty());
}

#[test]
fn an_area_outside_of_the_latent_is_refused() {
    let mut bench = Bench::new("euler");
    let positive = says(0.5).set_area([64, 64, 512, 0], 1.0);
    bench.guidance = Guidance::Cfg { positive, negative: says(0.0), scale: 2.0, rescale: None };
    assert!(matches!(bench.run(&Oracle::default(), &mut |_| Ok(())), Err(SamplingError::Shape { what: "area", .. })));
}

#[test]
fn half_of_the_way_between_two_levels_of_a_distilled_model_is_the_first() {
    let levels = ModelSampling::discrete(Prediction::Lcm, false).levels;
    for steps in [2, 4, 6, 8, 10, 12, 14] {
        let sigmas = Scheduler::SgmUniform.sigmas(&levels, steps).unwrap();
        assert!((sigmas[steps / 2] - 1.667_901_9).abs() < 1e-6, "{steps}");
        // Between 499 and 519.
        assert_eq!(levels.timestep(sigmas[steps / 2]), 499.0, "{steps}");
    }
    let middle = Scheduler::Normal.sigmas(&levels, 3).unwrap()[1];
    assert_eq!(levels.timestep(middle), 499.0);
    // Beside the middle the nearer one, on both sides.
    assert_eq!(levels.timestep(1.6678), 499.0);
    assert_eq!(levels.timestep(1.6680), 519.0);
}
