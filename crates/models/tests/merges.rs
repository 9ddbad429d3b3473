//! Merging models: weighted sums of weights, with whatever the models were changed by before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use kiln_memory::Budget;
use kiln_models::{Checkpoint, ModelWeights};

fn checkpoint() -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    Checkpoint::open(&path, &Budget::unlimited("test")).unwrap()
}

fn read(weights: &ModelWeights, key: &str) -> Vec<f32> {
    weights.weights().weight(key).unwrap().read().unwrap().to_vec()
}

#[test]
fn a_merge_is_a_weighted_sum_for_the_keys_it_is_asked_for() {
    let (one, two) = (checkpoint().model, checkpoint().model);
    let merged = one.merged(&two, |key| if key.starts_with("out.") { (0.25, 0.5) } else { (1.0, 0.0) }).unwrap();
    let (before, after) = (read(&one.weights, "out.2.bias"), read(&merged.weights, "out.2.bias"));
    assert!(before.iter().zip(&after).all(|(a, b)| a * 0.25 + a * 0.5 == *b));
    let key = "input_blocks.0.0.bias";
    assert_eq!(read(&one.weights, key), read(&merged.weights, key));
}

#[test]
fn a_merge_of_a_merge_takes_the_changed_weights() {
    let one = checkpoint().model;
    let half = one.merged(&checkpoint().model, |_| (0.5, 0.0)).unwrap();
    let again = one.merged(&half, |_| (0.0, 1.0)).unwrap();
    let (before, after) = (read(&one.weights, "out.2.bias"), read(&again.weights, "out.2.bias"));
    assert!(before.iter().zip(&after).all(|(a, b)| a * 0.5 == *b));
}

#[test]
fn text_encoders_merge_and_stay_halves() {
    let one = checkpoint().text.unwrap();
    let merged = one.merged(&one, |_| (0.7, 0.3)).unwrap();
    let key = "text_model.encoder.layers.0.mlp.fc1.bias";
    let values = read(&merged.encoders[0].weights, key);
    assert!(values.iter().all(|v| half::f16::from_f32(*v).to_f32() == *v));
}
