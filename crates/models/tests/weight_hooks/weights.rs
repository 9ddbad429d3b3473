//! Weights under hooks, on the bundled model: each step against LoRAs and models put together by hand.

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, MemorySource};
use kiln_models::conditioning::Conditioning;
use kiln_models::lora::LoraFile;
use kiln_models::sampler::SamplingError;
use kiln_models::sampling::{Inputs, NetworkPredictor, Predictor};
use kiln_models::schedule::{ModelSampling, Scheduler, steps};
use kiln_models::weight_hooks::{HookGroup, HookSource, HookWeights, Interpolation, Keyframes, ModelAsLora};
use kiln_models::{Checkpoint, DiffusionModel, ModelError, ModelWeights, Network};

use crate::{file, hook, keyframe, run};

const KOHYA: &str = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
const QUERY: &str = "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight";

fn checkpoint(budget: &Arc<Budget>) -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    Checkpoint::open(&path, budget).unwrap()
}

fn queries() -> LoraFile {
    let (up, down) = (format!("{KOHYA}.lora_up.weight"), format!("{KOHYA}.lora_down.weight"));
    file(&[(&up, &[64, 2], 0.1), (&down, &[2, 64], 0.2), ("diffusion_model.out.2.diff_b", &[4], 0.05)])
}

fn applied(model: &DiffusionModel, file: &LoraFile, strength: f32) -> DiffusionModel {
    let found = file.find(&model.lora_keys().unwrap());
    model.patched(file, &found.targets, strength).unwrap()
}

fn predictor<'a>(network: &'a dyn Network, sampling: &'a ModelSampling) -> NetworkPredictor<'a> {
    NetworkPredictor { network, sampling, patches: None }
}

fn prompt(value: f32) -> Conditioning {
    Conditioning::new(Tensor::full([1, 77, 64], value, &Device::flex()), None)
}

fn levels(steps: usize) -> Vec<f32> {
    steps::sigmas(&ModelSampling::eps().levels, Scheduler::Normal, steps, 1.0, false).unwrap()
}

/// A run whose conditions all have these hooks.
fn hooked(network: &dyn Network, hooks: &HookGroup, steps: usize) -> Result<Vec<f32>, SamplingError> {
    let (sampling, hooks) = (ModelSampling::eps(), Arc::new(hooks.clone()));
    let lists = [0.5, -0.5].map(|value| prompt(value).set_hooks(&hooks));
    let [positive, negative] = lists;
    run(&predictor(network, &sampling), &levels(steps), positive, negative, [8, 8])
}

fn plain(network: &dyn Network, steps: usize) -> Vec<f32> {
    let sampling = ModelSampling::eps();
    run(&predictor(network, &sampling), &levels(steps), prompt(0.5), prompt(-0.5), [8, 8]).unwrap()
}

#[test]
fn a_hook_of_one_strength_is_the_lora_at_that_strength_bit_for_bit() {
    let model = checkpoint(&Budget::unlimited("test")).model;
    let before = plain(&*model.network, 3);
    for strength in [0.7, -1.5] {
        let direct = plain(&*applied(&model, &queries(), strength as f32).network, 3);
        assert_ne!(direct, before);
        assert_eq!(hooked(&*model.network, &hook(queries(), strength), 3).unwrap(), direct);
        // The strength as a keyframe's factor.
        let scheduled =
            hook(queries(), 1.0).with_keyframes(&Keyframes::default().with(keyframe(0.0, strength)).unwrap());
        assert_eq!(hooked(&*model.network, &scheduled, 3).unwrap(), direct);
    }
    assert_eq!(hooked(&*model.network, &hook(queries(), 0.0), 3).unwrap(), before);
    assert_eq!(plain(&*model.network, 3), before, "and nothing is left of it");
}

/// One network down to a noise level, another below it.
#[derive(Debug)]
struct Switched<'a> {
    high: NetworkPredictor<'a>,
    low: NetworkPredictor<'a>,
    at: f32,
}

impl Predictor for Switched<'_> {
    fn denoised(&self, x: Tensor<4>, sigma: f32, inputs: Inputs<'_>) -> Result<Tensor<4>, SamplingError> {
        if sigma > self.at { &self.high } else { &self.low }.denoised(x, sigma, inputs)
    }

    fn channels(&self) -> usize {
        4
    }
}

#[test]
fn each_step_has_the_weights_of_its_keyframe() {
    let model = checkpoint(&Budget::unlimited("test")).model;
    let (sampling, lora) = (ModelSampling::eps(), applied(&model, &queries(), 0.8));
    let half = Keyframes::default().with(keyframe(0.0, 0.0)).unwrap().with(keyframe(0.5, 1.0)).unwrap();
    let found = hooked(&*model.network, &hook(queries(), 0.8).with_keyframes(&half), 6).unwrap();
    let composed = Switched {
        high: predictor(&*model.network, &sampling),
        low: predictor(&*lora.network, &sampling),
        at: sampling.levels.percent_to_sigma(0.5) as f32,
    };
    assert_eq!(found, run(&composed, &levels(6), prompt(0.5), prompt(-0.5), [8, 8]).unwrap());
}

#[test]
fn under_a_budget_that_nothing_fits_into_hooks_draw_the_same_and_leave_nothing() {
    let many = Interpolation::EaseInOut;
    let frames = Keyframes::default().interpolated(many, (0.0, 1.5), (0.0, 1.0), 5).unwrap();
    let hooks = hook(queries(), 1.0).with_keyframes(&frames);
    let sampling = ModelSampling::eps();
    let draw = |budget: &Arc<Budget>| {
        let model = checkpoint(budget).model;
        let network: &dyn Network = &*model.network;
        let positive = prompt(0.5).set_hooks(&Arc::new(hooks.clone()));
        run(&predictor(network, &sampling), &levels(5), positive, prompt(-0.5), [8, 8]).unwrap()
    };
    let roomy = Budget::unlimited("roomy");
    let expected = draw(&roomy);
    for limit in [roomy.peak() / 2, roomy.peak() / 8, 0] {
        let tight = Budget::new("tight", limit);
        assert_eq!(draw(&tight), expected, "{limit}");
        assert_eq!(tight.used(), 0, "{limit}");
    }
    assert_eq!(roomy.used(), 0);
}

#[test]
fn another_model_as_a_lora_is_a_part_of_the_difference_to_the_files_weights() {
    let budget = Budget::unlimited("test");
    let model = checkpoint(&budget).model;
    // Another model: this one's numbers, some more and some less.
    let mut source = MemorySource::new("other");
    for (key, shape) in model.weights.map().names().iter() {
        let own = model.weights.weights().weight(key).unwrap().read().unwrap().to_vec();
        let other = own.iter().enumerate().map(|(i, v)| v * [0.75, 1.25, 0.5, 1.0][i % 4]).collect();
        source.insert_f32(key, shape, other).unwrap();
    }
    let other = ModelWeights::plain(source, "other", &budget);
    let as_lora = |strength| {
        let source = ModelAsLora { label: "other".to_owned(), model: Some(other.clone()), text: Vec::new() };
        let weights = HookWeights { source: HookSource::Model(source), strength_model: strength, strength_clip: 0.0 };
        HookGroup::of(weights).unwrap()
    };
    let part = 0.5f32;
    // On a model with a LoRA, behind another hook: the difference is to what the file has.
    let (lora, below) = (applied(&model, &queries(), 0.8), hook(queries(), 0.4));
    let twice = applied(&lora, &queries(), 0.4);
    let mut expected = MemorySource::new("expected");
    for (key, shape) in model.weights.map().names().iter() {
        let read = |weights: &ModelWeights| weights.weights().weight(key).unwrap().read().unwrap().to_vec();
        let (base, changed, target) = (read(&model.weights), read(&twice.weights), read(&other));
        let moved = changed.iter().zip(base.iter().zip(&target)).map(|(w, (b, t))| w + part * (t - b));
        expected.insert_f32(key, shape, moved.collect()).unwrap();
    }
    assert!(twice.weights.weights().weight(QUERY).unwrap().is_patched());
    let by_hand = model.network.over(&ModelWeights::plain(expected, "expected", &budget)).unwrap();
    let found = hooked(&*lora.network, &below.with(&as_lora(f64::from(part))), 2).unwrap();
    assert_eq!(found, plain(&*by_hand, 2));
    // All the way it is the other model, but for the rounding of a sum.
    let (whole, there) =
        (hooked(&*model.network, &as_lora(1.0), 2).unwrap(), plain(&*model.network.over(&other).unwrap(), 2));
    assert!(whole.iter().zip(&there).all(|(a, b)| (a - b).abs() < 1e-4));
}

#[test]
fn a_lora_or_a_model_of_another_family_is_refused_by_name_and_shape() {
    let budget = Budget::unlimited("test");
    let model = checkpoint(&budget).model;
    let refused = |hooks: &HookGroup| hooked(&*model.network, hooks, 2).unwrap_err().to_string();
    let flux = file(&[("lora_unet_double_blocks_0_img_attn.lora_up.weight", &[4, 2], 1.0)]);
    let error = refused(&hook(flux, 1.0));
    assert!(error.starts_with("hook test lora: none of its 1 tensors fits this model"), "{error}");
    let (up, down) = (format!("{KOHYA}.lora_up.weight"), format!("{KOHYA}.lora_down.weight"));
    let error = refused(&hook(file(&[(&up, &[320, 2], 0.1), (&down, &[2, 320], 0.2)]), 1.0));
    assert!(error.contains("[320, 2]") && error.contains("is [64, 64]"), "{error}");
    let as_lora = |model| {
        let source = HookSource::Model(ModelAsLora { label: "other".to_owned(), model, text: Vec::new() });
        HookGroup::of(HookWeights { source, strength_model: 1.0, strength_clip: 0.0 }).unwrap()
    };
    let mut wide = MemorySource::new("wide");
    wide.insert_f32(QUERY, &[320, 320], vec![0.0; 320 * 320]).unwrap();
    let error = refused(&as_lora(Some(ModelWeights::plain(wide, "wide", &budget))));
    assert!(error.contains("is [320, 320] there and [64, 64] here"), "{error}");
    assert!(refused(&as_lora(None)).contains("holds no diffusion model"));
    // A LoRA of text encoders alone changes no diffusion model, and says nothing.
    let text = file(&[("lora_te_text_model_encoder_layers_0_mlp_fc1.diff", &[256, 64], 0.25)]);
    assert_eq!(hooked(&*model.network, &hook(text, 1.0), 2).unwrap(), plain(&*model.network, 2));
}

#[test]
fn text_encoders_under_hooks_are_those_with_the_lora() -> Result<(), ModelError> {
    let text = checkpoint(&Budget::unlimited("test")).text.unwrap();
    let file = file(&[("lora_te_text_model_encoder_layers_0_mlp_fc1.diff", &[256, 64], 0.25)]);
    let found = file.find(&text.lora_keys()?);
    let direct = text.patched(&file, &found.targets, 0.3)?;
    let hooked = text.hooked(&hook(file, 0.6), &[0.5])?;
    let read = |text: &kiln_models::TextEncoders| {
        let weights = text.encoders[0].weights.weights();
        weights.weight("text_model.encoder.layers.0.mlp.fc1.weight").unwrap().read().unwrap().to_vec()
    };
    assert_eq!(read(&hooked), read(&direct));
    assert_ne!(read(&hooked), read(&text));
    Ok(())
}
