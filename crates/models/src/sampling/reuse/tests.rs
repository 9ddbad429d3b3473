//! Guessed steps against the rule written out in f64 over plain lists.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use std::collections::HashMap;

use burn::tensor::{Device, Tensor, TensorData};

use super::{EVERY, ReuseOf, StepCall, StepMemory, StepReuse};
use crate::schedule::ModelSampling;

const SIDE: usize = 17;
const EACH: usize = 4 * SIDE * SIDE;

/// The input of a condition at a step: close to the one before where the step is even, further away where it is odd.
fn input(step: usize, condition: usize) -> Vec<f64> {
    let size = 3.0 / (1.0 + step as f64) + if step % 3 == 2 { 0.7 } else { 0.0 };
    (0..EACH).map(|i| size * (((i * 37 + condition * 11) % 53) as f64 / 26.0 - 1.0)).collect()
}

/// What the network makes of it.
fn output(x: &[f64], condition: usize) -> Vec<f64> {
    x.iter().enumerate().map(|(i, x)| 0.6 * x + 0.3 * (x * 2.0).sin() + (condition + i % 5) as f64 * 0.1).collect()
}

/// The rule, step by step; returns whether each was computed, and the outputs.
fn by_the_rule(threshold: f64, steps: usize, waits: usize) -> Vec<(bool, Vec<Vec<f64>>)> {
    let sampled = |x: &[f64]| -> Vec<f64> {
        let kept = (0..EACH).filter(|i| (i / SIDE % SIDE).is_multiple_of(EVERY) && (i % SIDE).is_multiple_of(EVERY));
        kept.map(|i| x[i]).collect()
    };
    let mean = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64;
    let (mut rate, mut sum, mut size) = (None::<f64>, 0.0, 0.0);
    let (mut last_x, mut last_out) = (None::<Vec<f64>>, None::<Vec<f64>>);
    let mut added: HashMap<usize, Vec<f64>> = HashMap::new();
    let mut found = Vec::new();
    for step in 0..steps {
        let inputs = [input(step, 0), input(step, 1)];
        let change = last_x.as_ref().map(|last| mean(&sampled(&inputs[0]), last));
        if let (Some(change), Some(rate), Some(_)) = (change, rate, &last_out) {
            sum += rate * change / size;
            if sum < threshold {
                let guess = |c: usize| inputs[c].iter().zip(&added[&c]).map(|(x, a)| x + a).collect();
                found.push((false, vec![guess(0), guess(1)]));
                continue;
            }
            sum = 0.0;
        }
        let outputs = [output(&inputs[0], 0), output(&inputs[1], 1)];
        if let (Some(last), Some(change)) = (&last_out, change) {
            rate = Some(mean(&sampled(&outputs[0]), last) / change);
        }
        for c in 0..2 {
            added.insert(c, outputs[c].iter().zip(&inputs[c]).map(|(o, x)| o - x).collect());
        }
        if step >= waits {
            (last_x, last_out) = (Some(sampled(&inputs[0])), Some(sampled(&outputs[0])));
            size = outputs.iter().flatten().map(|v| v.abs()).sum::<f64>() / (2 * EACH) as f64;
        }
        found.push((true, outputs.to_vec()));
    }
    found
}

fn tensor(parts: &[Vec<f64>]) -> Tensor<4> {
    let values: Vec<f32> = parts.iter().flatten().map(|v| *v as f32).collect();
    Tensor::from_data(TensorData::new(values, [parts.len(), 4, SIDE, SIDE]), &Device::flex())
}

fn memory(of: ReuseOf, threshold: f32, start: f64, end: f64) -> StepMemory {
    StepMemory::new(StepReuse { of, threshold, start, end }, &ModelSampling::eps())
}

/// The levels of the steps; all of them are above the last tenth of a run.
fn level(step: usize) -> f32 {
    14.0 - step as f32
}

/// Which steps were computed, and how far the outputs are from the rule's.
fn compare(memory: &StepMemory, expected: &[(bool, Vec<Vec<f64>>)]) -> Vec<bool> {
    let mut computed = Vec::new();
    for (step, (_, outputs)) in expected.iter().enumerate() {
        memory.begin();
        let inputs = [input(step, 0), input(step, 1)];
        let mut ran = false;
        let call = StepCall { x: tensor(&inputs), sigma: level(step), conditions: &[70, 80] };
        let found = memory.output(call, || {
            ran = true;
            Ok(tensor(&[output(&inputs[0], 0), output(&inputs[1], 1)]))
        });
        let found = found.unwrap().try_to_vec_as::<f32>().unwrap();
        for (found, expected) in found.iter().zip(outputs.iter().flatten()) {
            assert!((f64::from(*found) - expected).abs() < 1e-4, "step {step}: {found} {expected}");
        }
        computed.push(ran);
    }
    computed
}

#[test]
fn steps_are_guessed_as_the_rule_says() {
    for threshold in [0.0, 0.1, 0.4, 1.0, 3.0] {
        let expected = by_the_rule(f64::from(threshold), 12, 0);
        let found = compare(&memory(ReuseOf::Network, threshold, 0.0, 0.99), &expected);
        assert_eq!(found, expected.iter().map(|(ran, _)| *ran).collect::<Vec<_>>(), "{threshold}");
        assert!(found[0] && found[1], "two steps are needed to know anything");
        assert_eq!(found.iter().all(|ran| *ran), threshold == 0.0, "{threshold}");
    }
}

#[test]
fn nothing_is_learnt_before_the_start_and_nothing_is_guessed_past_the_end() {
    let sampling = ModelSampling::eps();
    let late = |percent: f64| (0..12).find(|step| level(*step) <= sampling.levels.percent_to_sigma(percent) as f32);
    let start = late(0.1).unwrap();
    let expected = by_the_rule(1.0, 12, start);
    let found = compare(&memory(ReuseOf::Network, 1.0, 0.1, 0.99), &expected);
    assert!(start > 0 && found[..=start + 1].iter().all(|ran| *ran), "{start} {found:?}");
    assert_eq!(found, expected.iter().map(|(ran, _)| *ran).collect::<Vec<_>>());
    let never = by_the_rule(0.0, 12, 0);
    let found = compare(&memory(ReuseOf::Network, 3.0, 0.0, 0.0), &never);
    assert!(found.iter().all(|ran| *ran), "the end is where the run begins");
}

#[test]
fn an_input_of_another_shape_is_computed() {
    let memory = memory(ReuseOf::Prediction, 3.0, 0.0, 0.99);
    let mut runs = 0;
    let mut call = |x: Tensor<4>, sigma: f32| {
        memory.begin();
        let compute = || {
            runs += 1;
            Ok(x.clone() * 0.5)
        };
        memory.output(StepCall { x: x.clone(), sigma, conditions: &[super::WHOLE] }, compute).unwrap();
        runs
    };
    let large = |step: usize| tensor(&[input(step, 0)]);
    assert_eq!([0, 1, 2].map(|step| call(large(step), level(step))), [1, 2, 2]);
    assert_eq!([3, 4].map(|step| call(large(step).narrow(2, 0, 9), level(step))), [3, 4]);
}
