//! Conditions by their hooks, on a denoiser that knows the finished latent: the number in the context, plus the strengths of
//! the hooks.

use std::{cell::RefCell, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use kiln_models::conditioning::Conditioning;
use kiln_models::sampler::SamplingError;
use kiln_models::sampling::{Inputs, Predictor};
use kiln_models::schedule::{ModelSampling, Scheduler, steps};
use kiln_models::weight_hooks::{HookGroup, Keyframes};

use crate::{any_hook, keyframe, run};

/// What it was asked for: the noise level, the strengths, and the first number of each context of the batch.
type Asked = (f32, Vec<f64>, Vec<f32>);

#[derive(Debug, Default)]
struct Oracle {
    asked: RefCell<Vec<Asked>>,
}

struct Hooked<'a> {
    oracle: &'a Oracle,
    strengths: Vec<f64>,
}

impl Oracle {
    fn answer(&self, x: &Tensor<4>, sigma: f32, inputs: Inputs<'_>, strengths: &[f64]) -> Tensor<4> {
        let [items, ..] = x.dims();
        let says = inputs.context.slice([0..items, 0..1, 0..1]);
        let first = says.clone().try_to_vec_as::<f32>().unwrap();
        self.asked.borrow_mut().push((sigma, strengths.to_vec(), first));
        let sum: f64 = strengths.iter().sum();
        x.zeros_like() + says.reshape([items, 1, 1, 1]).expand(x.dims()) + sum as f32
    }
}

impl Predictor for Oracle {
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        Ok(self.answer(&x, sigma, inputs, &[]))
    }

    fn channels(&self) -> usize {
        4
    }

    fn hooked(&self, _: &HookGroup, strengths: &[f64]) -> Result<Box<dyn Predictor + '_>, SamplingError> {
        Ok(Box::new(Hooked { oracle: self, strengths: strengths.to_vec() }))
    }
}

impl Predictor for Hooked<'_> {
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        Ok(self.oracle.answer(&x, sigma, inputs, &self.strengths))
    }

    fn channels(&self) -> usize {
        4
    }
}

fn says(value: f32) -> Conditioning {
    Conditioning::new(Tensor::full([1, 77, 8], value, &Device::flex()), None)
}

/// The denoised latent of the positive alone: guidance leaves the negative of the same answer out.
fn drawn(positive: &Conditioning, size: [usize; 2]) -> Vec<f32> {
    run(&Oracle::default(), &[1.0, 0.0], positive.clone(), positive.clone(), size).unwrap()
}

/// A mask of 8 x 8 whose left `columns` are `value`.
fn left(columns: usize, value: f32) -> Tensor<3> {
    let values: Vec<f32> = (0..64).map(|i| if i % 8 < columns { value } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 8, 8]), &Device::flex())
}

#[test]
fn conditions_of_the_same_hooks_share_a_batch_and_others_go_apart() {
    let (a, b) = (Arc::new(any_hook()), Arc::new(any_hook()));
    // The same hooks put together twice are the same hooks.
    let (ab, again) = (Arc::new(a.with(&b)), Arc::new(a.with(&b)));
    let positive = says(1.0).set_hooks(&a).combine(&says(2.0)).combine(&says(3.0).set_hooks(&ab));
    let negative = says(-1.0).combine(&says(-2.0).set_hooks(&a)).combine(&says(-3.0).set_hooks(&again));
    let model = Oracle::default();
    run(&model, &[1.0, 0.0], positive, negative, [4, 4]).unwrap();
    let asked: Vec<_> = model.asked.borrow().iter().map(|(_, s, first)| (s.len(), first.clone())).collect();
    // Group by group in the order of their first condition; within one, as ever, the last goes first.
    assert_eq!(asked, [(1, vec![-2.0, 1.0]), (0, vec![-1.0, 2.0]), (2, vec![-3.0, 3.0])]);
}

#[test]
fn strengths_follow_keyframes_and_hooks_of_one_schedule_go_together() {
    let half = Keyframes::default().with(keyframe(0.0, 0.0)).unwrap().with(keyframe(0.5, 1.0)).unwrap();
    let hooks = Arc::new(any_hook().with(&any_hook()).with_keyframes(&half).with(&any_hook()));
    let model = Oracle::default();
    let sampling = ModelSampling::eps();
    let sigmas = steps::sigmas(&sampling.levels, Scheduler::Normal, 4, 1.0, false).unwrap();
    run(&model, &sigmas, says(1.0).set_hooks(&hooks), says(0.0), [4, 4]).unwrap();
    let hooked: Vec<Vec<f64>> =
        model.asked.borrow().iter().map(|(_, s, _)| s.clone()).filter(|s| !s.is_empty()).collect();
    // Of 999, 666, 333, 0 the third is the first behind the middle of the run.
    assert_eq!(hooked, [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]);
}

#[test]
fn a_default_condition_holds_where_the_others_leave_room() {
    let masked = says(1.0).set_mask(&left(4, 1.0), 0.75, false);
    let found = drawn(&masked.combine(&says(3.0).set_default()), [8, 8]);
    for (i, value) in found.iter().enumerate() {
        let expected = if i % 8 < 4 { 0.75 * 1.0 + 0.25 * 3.0 } else { 3.0 };
        assert!((value - expected).abs() < 1e-6, "{i}: {value}");
    }
}

#[test]
fn where_others_are_more_than_enough_a_default_condition_is_nothing() {
    let all = says(1.0).set_mask(&left(8, 1.0), 1.0, false).combine(&says(2.0).set_strength(1.5));
    let model = Oracle::default();
    run(&model, &[1.0, 0.0], all.combine(&says(9.0).set_default()), says(0.0), [8, 8]).unwrap();
    assert!(model.asked.borrow().iter().all(|(_, _, first)| !first.contains(&9.0)), "it is not even asked for");
    // Its own strength and mask count for nothing, its area does.
    let rest = says(3.0).set_strength(0.1).set_area([32, 64, 32, 0], 0.1).set_default();
    let found = drawn(&says(1.0).set_mask(&left(2, 1.0), 1.0, false).combine(&rest), [8, 8]);
    let expected = [1.0, 1.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0];
    assert!(found[..8].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", &found[..8]);
}

#[test]
fn beside_an_area_a_default_condition_fades_in_as_the_area_fades_out() {
    // The left half of 16 columns, fading over two of its eight at its inner edge: 8 / 4.
    let found = drawn(&says(1.0).set_area([64, 128, 0, 0], 1.0).combine(&says(3.0).set_default()), [16, 16]);
    let row: Vec<f32> = found[..16].to_vec();
    let weight = |x: usize| match x {
        0..=6 => 1.0,
        7 => 0.5,
        _ => 0.0,
    };
    for (x, value) in row.iter().enumerate() {
        let expected = weight(x) + 3.0 * (1.0 - weight(x));
        assert!((value - expected).abs() < 1e-6, "{x}: {value}");
    }
}

#[test]
fn default_conditions_have_hooks_of_their_own_and_rest_with_their_range() {
    let hooks = Arc::new(any_hook());
    let rest = says(3.0).set_hooks(&hooks).set_default().set_range(0.5, 1.0);
    let list = says(1.0).set_mask(&left(4, 1.0), 1.0, false).combine(&rest);
    let model = Oracle::default();
    let early = ModelSampling::eps().levels.percent_to_sigma(0.25) as f32;
    let late = ModelSampling::eps().levels.percent_to_sigma(0.75) as f32;
    run(&model, &[early, late, 0.0], list, says(0.0), [8, 8]).unwrap();
    let hooked: Vec<f32> =
        model.asked.borrow().iter().filter(|(_, s, _)| !s.is_empty()).map(|(sigma, ..)| *sigma).collect();
    assert_eq!(hooked, [late]);
}

#[test]
fn a_prompt_encoded_for_a_part_of_the_run_holds_there_within_its_own_range() {
    let encoded = |range, at: (f64, f64)| {
        let mut list = says(1.0);
        (list.entries[0].range, list.entries[0].encoded_for) = (range, Some(at));
        list.entries[0].holds_for().unwrap()
    };
    assert_eq!(encoded(None, (0.25, 0.5)), (0.25, 0.5));
    assert_eq!(encoded(Some((0.3, 1.0)), (0.25, 0.5)), (0.3, 0.5));
    assert_eq!(encoded(Some((0.0, 0.4)), (0.25, 0.5)), (0.25, 0.4));
}

#[test]
fn a_model_whose_weights_cannot_change_refuses_hooks_before_it_is_asked() {
    struct Stubborn(Oracle);
    impl Predictor for Stubborn {
        fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
            self.0.denoised(x, sigma, inputs)
        }
        fn channels(&self) -> usize {
            4
        }
    }
    let model = Stubborn(Oracle::default());
    let hooked = says(1.0).set_hooks(&Arc::new(any_hook()));
    let error = run(&model, &[1.0, 0.0], hooked, says(0.0), [4, 4]).unwrap_err();
    assert!(error.to_string().contains("can't be changed for a condition"), "{error}");
    assert!(model.0.asked.borrow().is_empty());
    run(&model, &[1.0, 0.0], says(1.0).set_hooks(&Arc::default()), says(0.0), [4, 4]).unwrap();
}
