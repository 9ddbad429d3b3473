//! Changes around guidance, each against its formula written out in f64 over one step of Euler's method, whose result is
//! the guided prediction itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_models::LatentFormat;
use kiln_models::conditioning::Conditioning;
use kiln_models::hooks::MiddleAttention;
use kiln_models::sampler::{Options, SamplerKind};
use kiln_models::schedule::ModelSampling;
use kiln_models::{
    sampler::SamplingError,
    sampling::{
        Guidance, GuidancePatch, Inputs, LatentChange, ModelPatches, Predictor, ReuseOf, SamplingRun, StartLatent,
        StepReuse, noise_for,
    },
};

const SIDES: [usize; 2] = [6, 5];
const COUNT: usize = 4 * SIDES[0] * SIDES[1];
const SIGMA: f32 = 2.0;
const SCALE: f64 = 3.0;

/// Answers the positive prompt with one image, the negative with another, and perturbed attention with a third.
#[derive(Debug)]
struct Two {
    patches: ModelPatches,
}

fn image(kind: usize) -> Vec<f64> {
    (0..COUNT).map(|i| ((i * (7 + kind * 4) + kind * 13) % 29) as f64 / 9.0 - 1.4).collect()
}

fn tensor(values: &[f64]) -> Tensor<4> {
    let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
    Tensor::from_data(TensorData::new(values, [1, 4, SIDES[0], SIDES[1]]), &Device::flex())
}

impl Predictor for Two {
    fn denoised(&self, x: Tensor<4>, _: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        let says = inputs.context.try_to_vec_as::<f32>().unwrap();
        let perturbed = matches!(inputs.modifiers.middle, MiddleAttention::Itself);
        let each = says.len() / x.dims()[0];
        let answers = says.chunks(each).map(|says| match (perturbed, says[0] > 0.0) {
            (true, _) => tensor(&image(2)),
            (false, true) => tensor(&image(0)),
            (false, false) => tensor(&image(1)),
        });
        Ok(Tensor::cat(answers.collect(), 0))
    }

    fn channels(&self) -> usize {
        4
    }

    fn patches(&self) -> Option<&ModelPatches> {
        Some(&self.patches)
    }
}

fn says(value: f32) -> Conditioning {
    Conditioning::new(Tensor::full([1, 7, 8], value, &Device::flex()), None)
}

/// The guided predictions at the steps of a run, and the noisy latent of the first.
fn run(patches: ModelPatches, scale: f64, sigmas: &[f32]) -> Result<(Vec<Vec<f32>>, Vec<f64>), SamplingError> {
    let latent = Tensor::zeros([1, 4, SIDES[0], SIDES[1]], &Device::flex());
    let guidance = Guidance::Cfg { positive: says(1.0), negative: says(-1.0), scale, rescale: None };
    let noise = noise_for(&latent, 3, None)?;
    let x = noise.try_to_vec_as::<f32>().unwrap().iter().map(|v| f64::from(v * sigmas[0])).collect();
    let run = SamplingRun {
        model: &Two { patches },
        sampling: &ModelSampling::eps(),
        format: &LatentFormat::SD1,
        guidance: &guidance,
        sampler: SamplerKind::named("euler")?,
        options: Options::default(),
        sigmas,
        seed: 3,
        noise,
        latent: StartLatent::new(latent, 4)?,
        mask: None,
        max_batch: 2,
    };
    let mut seen = Vec::new();
    run.run(&mut |step| {
        seen.push(step.denoised.try_to_vec_as::<f32>().unwrap());
        Ok(())
    })?;
    Ok((seen, x))
}

fn guided(patch: GuidancePatch) -> (Vec<f32>, Vec<f64>) {
    let (mut seen, x) = run(with(patch), SCALE, &[SIGMA, 0.0]).unwrap();
    (seen.remove(0), x)
}

fn with(patch: GuidancePatch) -> ModelPatches {
    ModelPatches { guidance: vec![patch], ..ModelPatches::default() }
}

fn cfg(cond: &[f64], uncond: &[f64]) -> Vec<f64> {
    zip(cond, uncond, |c, u| u + (c - u) * SCALE)
}

fn zip(a: &[f64], b: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// 1e-5 of the largest value: a few dozen operations in f32.
fn close(found: &[f32], expected: &[f64]) {
    let largest = expected.iter().fold(1f64, |most, v| most.max(v.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5 * largest, "{found} {expected}");
    }
}

/// `f` over each cell's four channels.
fn per_cell(values: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let cells = COUNT / 4;
    (0..cells).map(|at| f(&[0, 1, 2, 3].map(|c| values[c * cells + at]))).collect()
}

fn norm(values: &[f64]) -> f64 {
    dot(values, values).sqrt()
}

#[test]
fn perturbed_attention_moves_away_from_the_perturbed_prediction() {
    let (found, _) = guided(GuidancePatch::Perturbed { scale: 1.5 });
    let plain = cfg(&image(0), &image(1));
    let step = zip(&image(0), &image(2), |cond, perturbed| (cond - perturbed) * 1.5);
    close(&found, &zip(&plain, &step, |a, b| a + b));
}

#[test]
fn a_scale_of_nothing_and_neutral_numbers_change_nothing() {
    let neutral = [
        GuidancePatch::Perturbed { scale: 0.0 },
        GuidancePatch::Epsilon { factor: 1.0 },
        GuidancePatch::Temporal { k: 1.0, sigma: 1.0 },
        GuidancePatch::Frequencies { low: 1.0, high: 1.0, cutoff: 2 },
    ];
    let plain = cfg(&image(0), &image(1));
    for patch in neutral {
        close(&guided(patch).0, &plain);
    }
}

#[test]
fn tangential_damping_keeps_the_negative_along_the_first_singular_vector() {
    let (found, x) = guided(GuidancePatch::Tangential);
    let (cond, uncond) = (zip(&x, &image(0), |x, d| x - d), zip(&x, &image(1), |x, d| x - d));
    // Power iteration over AᵀA for the two rows of A.
    let mut vector = cond.clone();
    for _ in 0..400 {
        let (a, b) = (dot(&uncond, &vector), dot(&cond, &vector));
        vector = zip(&uncond, &cond, |u, c| u * a + c * b);
        let length = norm(&vector);
        for v in &mut vector {
            *v /= length;
        }
    }
    let along = dot(&uncond, &vector);
    let damped = zip(&x, &vector, |x, v| x - along * v);
    close(&found, &cfg(&image(0), &damped));
}

/// Adaptive projected guidance from the sum of guidances so far.
fn projected(sum: &[f64], eta: f64, limit: f64) -> Vec<f64> {
    let (cond, uncond) = (image(0), image(1));
    let factor = (limit / norm(sum)).min(1.0);
    let along = dot(sum, &cond) * factor / dot(&cond, &cond);
    let part = zip(sum, &cond, |g, c| g * factor + (eta - 1.0) * along * c);
    let plain = zip(&cond, &uncond, |c, u| (c - u) / SCALE);
    let changed: Vec<f64> = (0..COUNT).map(|i| uncond[i] + part[i] + plain[i]).collect();
    cfg(&changed, &uncond)
}

#[test]
fn projected_guidance_has_a_limit_a_direction_and_a_memory() {
    let patch = || with(GuidancePatch::Projected { eta: 0.3, norm: 4.0, momentum: 0.5 });
    let (seen, _) = run(patch(), SCALE, &[4.0, SIGMA, 0.0]).unwrap();
    let guidance = zip(&image(0), &image(1), |c, u| c - u);
    close(&seen[0], &projected(&guidance, 0.3, 4.0));
    let sum: Vec<f64> = guidance.iter().map(|g| 0.5 * g + g).collect();
    close(&seen[1], &projected(&sum, 0.3, 4.0));
}

#[test]
fn frequencies_of_the_guidance_are_scaled_by_a_mask_over_the_shifted_transform() {
    let (low, high, cutoff) = (0.4, 1.7, 1);
    let (found, _) = guided(GuidancePatch::Frequencies { low: low as f32, high: high as f32, cutoff });
    let guidance = zip(&image(0), &image(1), |c, u| c - u);
    let [h, w] = SIDES;
    let mut filtered = vec![0.0; COUNT];
    for (plane, out) in guidance.chunks(h * w).zip(filtered.chunks_mut(h * w)) {
        for (ky, kx) in (0..h).flat_map(|ky| (0..w).map(move |kx| (ky, kx))) {
            let angle = |i: usize| {
                std::f64::consts::TAU * ((ky * (i / w)) as f64 / h as f64 + (kx * (i % w)) as f64 / w as f64)
            };
            let re: f64 = (0..h * w).map(|i| plane[i] * angle(i).cos()).sum();
            let im: f64 = (0..h * w).map(|i| -plane[i] * angle(i).sin()).sum();
            // Where a shift to the centre puts this frequency.
            let (row, column) = ((ky + h / 2) % h, (kx + w / 2) % w);
            let inside = |at: usize, n: usize| at + cutoff >= n / 2 && at < n / 2 + cutoff;
            let factor = if inside(row, h) && inside(column, w) { low } else { high } / (h * w) as f64;
            for (i, out) in out.iter_mut().enumerate() {
                *out += (re * angle(i).cos() - im * angle(i).sin()) * factor;
            }
        }
    }
    close(&found, &cfg(&zip(&filtered, &image(1), |g, u| g + u), &image(1)));
}

#[test]
fn a_norm_keeps_cells_no_longer_than_the_positive_ones() {
    let (found, _) = guided(GuidancePatch::Norm { strength: 0.8 });
    let plain = cfg(&image(0), &image(1));
    let factors = zip(&per_cell(&image(0), norm), &per_cell(&plain, norm), |c, g| (c / g).min(1.0) * 0.8);
    let expected: Vec<f64> = plain.iter().enumerate().map(|(i, v)| v * factors[i % factors.len()]).collect();
    close(&found, &expected);
}

#[test]
fn zero_star_fits_the_negative_to_the_positive() {
    let (found, x) = guided(GuidancePatch::ZeroStar);
    let (positive, negative) = (zip(&x, &image(0), |x, d| x - d), zip(&x, &image(1), |x, d| x - d));
    let fit = dot(&positive, &negative) / dot(&negative, &negative);
    let plain = cfg(&image(0), &image(1));
    close(&found, &zip(&plain, &image(1), |g, u| g + u * (fit - 1.0) + SCALE * u * (1.0 - fit)));
}

#[test]
fn direction_mixes_guidance_and_leap_by_their_likeness() {
    let (found, _) = guided(GuidancePatch::Direction);
    let root = |v: f64| v.abs().sqrt() * v.signum();
    let (plain, leap) = (cfg(&image(0), &image(1)), zip(&image(0), &image(0), |c, _| c * SCALE));
    let a: Vec<f64> = image(1).iter().map(|u| root(u * SCALE)).collect();
    let b = zip(&leap, &plain, |l, g| root(f64::midpoint(l, g)));
    let cells = per_cell(&zip(&a, &b, |a, b| a * b), |v| v.iter().sum());
    let lengths = zip(&per_cell(&a, norm), &per_cell(&b, norm), |a, b| a * b);
    let likeness = zip(&cells, &lengths, |c, l| c / l).iter().sum::<f64>() / cells.len() as f64;
    let share = 2.0 * (likeness + 1.0);
    close(&found, &zip(&plain, &leap, |g, l| (share * g + (4.0 - share) * l) / 4.0));
}

#[test]
fn guidance_keeps_to_a_multiple_of_the_positive_predictions_length() {
    let plain = cfg(&image(0), &image(1));
    let (long, own) = (norm(&plain), norm(&image(0)));
    for factor in [0.5, 1.0, 1.5] {
        assert!(long > own * factor, "the case is one in which the limit holds");
        let (found, _) = guided(GuidancePatch::Renorm { trunc: 100.0, factor: factor as f32 });
        close(&found, &zip(&plain, &plain, |g, _| g * own * factor / long));
    }
    for factor in [0.0, 50.0] {
        close(&guided(GuidancePatch::Renorm { trunc: 100.0, factor }).0, &plain);
    }
    let above = GuidancePatch::Renorm { trunc: SIGMA, factor: 1.0 };
    close(&guided(above).0, &image(0));
}

#[test]
fn the_limit_of_the_length_comes_before_all_other_changes() {
    let renorm = GuidancePatch::Renorm { trunc: 100.0, factor: 1.0 };
    let epsilon = GuidancePatch::Epsilon { factor: 1.25 };
    let (plain, own) = (cfg(&image(0), &image(1)), norm(&image(0)));
    let patches = ModelPatches { guidance: vec![epsilon, renorm], ..ModelPatches::default() };
    let (mut seen, x) = run(patches, SCALE, &[SIGMA, 0.0]).unwrap();
    let limited = zip(&plain, &plain, |g, _| g * own / norm(&plain));
    close(&seen.remove(0), &zip(&x, &limited, |x, d| x - (x - d) / 1.25));
}

#[test]
fn a_prediction_that_never_changes_is_guessed_from_the_third_step_on() {
    let reuse = StepReuse { of: ReuseOf::Prediction, threshold: 0.2, start: 0.0, end: 1.0 };
    let levels = [8.0, 6.0, 4.0, 2.0, 0.0];
    let patches = ModelPatches { reuse: Some(reuse), ..ModelPatches::default() };
    let (seen, mut x) = run(patches, SCALE, &levels).unwrap();
    let plain = cfg(&image(0), &image(1));
    let mut added = Vec::new();
    for (step, pair) in levels.windows(2).enumerate() {
        let denoised = if step < 2 { plain.clone() } else { zip(&x, &added, |x, a| x + a) };
        close(&seen[step], &denoised);
        if step < 2 {
            added = zip(&plain, &x, |d, x| d - x);
        }
        let (from, to) = (f64::from(pair[0]), f64::from(pair[1]));
        x = zip(&x, &denoised, |x, d| x + (x - d) / from * (to - from));
    }
}

#[test]
fn epsilon_scaling_divides_the_noise() {
    let (found, x) = guided(GuidancePatch::Epsilon { factor: 1.25 });
    close(&found, &zip(&x, &cfg(&image(0), &image(1)), |x, d| x - (x - d) / 1.25));
}

#[test]
fn temporal_rescaling_follows_the_signal_to_noise_ratio() {
    let (found, x) = guided(GuidancePatch::Temporal { k: 0.5, sigma: 1.5 });
    let (snr, variance) = (1.0 / 4.0, 2.25);
    let ratio = (snr * variance + 1.0) / (snr * variance / 0.5 + 1.0);
    close(&found, &zip(&x, &cfg(&image(0), &image(1)), |x, d| x + (d - x) * ratio));
}

#[derive(Debug)]
struct Doubled;

impl LatentChange for Doubled {
    fn apply(&self, latent: Tensor<4>) -> Result<Tensor<4>, SamplingError> {
        Ok(latent * 2.0)
    }
}

#[test]
fn a_change_of_latents_is_one_of_the_guidance() {
    let (found, _) = guided(GuidancePatch::Operation(Arc::new(Doubled)));
    close(&found, &zip(&image(0), &image(1), |c, u| u + 2.0 * (c - u) * SCALE));
}

#[test]
fn changes_hold_in_the_order_in_which_they_were_made() {
    let both = |first, second| {
        let patches = ModelPatches { guidance: vec![first, second], ..ModelPatches::default() };
        run(patches, SCALE, &[SIGMA, 0.0]).unwrap().0.remove(0)
    };
    let (epsilon, norm) = (GuidancePatch::Epsilon { factor: 1.5 }, GuidancePatch::Norm { strength: 0.5 });
    assert_ne!(both(epsilon.clone(), norm.clone()), both(norm, epsilon));
}

#[test]
fn self_attention_guidance_says_what_it_lacks() {
    let patch = || with(GuidancePatch::SelfAttention { scale: 0.5, blur: 2.0 });
    let error = run(patch(), SCALE, &[SIGMA, 0.0]).unwrap_err().to_string();
    assert!(error.contains("SelfAttentionGuidance"), "{error}");
}

#[test]
fn numbers_that_are_none_are_told_by_name() {
    let error = run(with(GuidancePatch::Perturbed { scale: f32::NAN }), SCALE, &[SIGMA, 0.0]).unwrap_err().to_string();
    assert!(error.contains("`scale` is NaN"), "{error}");
}

#[test]
fn differential_diffusion_frees_a_place_at_its_step() {
    let latent = Tensor::zeros([1, 4, SIDES[0], SIDES[1]], &Device::flex());
    // Left half 0.9, right half 0.1.
    let mask: Vec<f32> = (0..SIDES[0] * SIDES[1]).map(|i| if i % SIDES[1] < 2 { 0.9 } else { 0.1 }).collect();
    let mask = Tensor::from_data(TensorData::new(mask, [1, 1, SIDES[0], SIDES[1]]), &Device::flex());
    let sampling = ModelSampling::eps();
    let level = |step: f32| sampling.levels.sigma(step);
    let sigmas = [level(999.0), level(500.0), level(50.0), 0.0];
    let guidance = Guidance::Basic(says(1.0));
    let patches = ModelPatches { differential: Some(1.0), ..ModelPatches::default() };
    let run = SamplingRun {
        model: &Two { patches },
        sampling: &sampling,
        format: &LatentFormat::SD1,
        guidance: &guidance,
        sampler: SamplerKind::named("euler").unwrap(),
        options: Options::default(),
        sigmas: &sigmas,
        seed: 3,
        noise: noise_for(&latent, 3, None).unwrap(),
        latent: StartLatent::new(latent, 4).unwrap(),
        mask: Some(mask),
        max_batch: 2,
    };
    let mut free = Vec::new();
    run.run(&mut |step| {
        let seen = step.denoised.try_to_vec_as::<f32>().unwrap();
        free.push([0, SIDES[1] - 1].map(|at| seen[at] != 0.0));
        Ok(())
    })
    .unwrap();
    // The last level counts as the schedule's lowest, time step 0: thresholds 1, 0.5, 0.05.
    assert_eq!(free, [[false, false], [true, false], [true, true]]);
}
