//! Networks of tiny widths with weights by the recipe, against states that ComfyUI 0.3.75 computed with PyTorch in f32
//! (`data/text_states.safetensors`: every fourth or sixth column).

use std::path::Path;

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, ComputedSource, KeyMap, TensorShapes, TensorSource, WeightFile};
use kiln_models::ModelWeights;
use kiln_models::clip::Token;
use kiln_models::image::Planes;
use kiln_models::llm::{LlmConfig, LlmKind};
use kiln_models::qwen_vision::QwenVisionConfig;
use kiln_models::t5::T5Config;
use kiln_models::text::{QwenReader, encode_flux2, encode_z_image};
use kiln_models::tokenizer::{BytePairs, Encoder, NoEmbeddings, RowTokenizer, template};

fn weights(names: &TensorShapes, prefix: &str) -> ModelWeights {
    let names: TensorShapes = names.iter().map(|(name, shape)| (format!("{prefix}{name}"), shape.to_vec())).collect();
    let shapes: Vec<_> = names.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    let source = std::sync::Arc::new(ComputedSource::hash_uniform(shapes));
    ModelWeights::new(source, KeyMap::under(&names, prefix), "test", &Budget::unlimited("test"))
}

struct States(std::sync::Arc<WeightFile>);

impl States {
    fn open() -> Self {
        Self(
            WeightFile::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/text_states.safetensors")).unwrap(),
        )
    }

    fn ids(&self, name: &str) -> Vec<Token> {
        let bytes = self.0.bytes(name).unwrap();
        bytes.chunks_exact(8).map(|id| Token::Id(i64::from_le_bytes(id.try_into().unwrap()) as u32)).collect()
    }

    /// Compares every `step`-th column within 2e-5 of the largest value.
    fn compare(&self, name: &str, found: Tensor<3>, step: usize) {
        let mut expected = vec![0.0; self.0.get(name).unwrap().elements()];
        self.0.read_f32(name, &mut expected).unwrap();
        let width = found.dims()[2];
        let found = found.into_data().try_to_vec::<f32>().unwrap();
        let found: Vec<f32> = found.chunks_exact(width).flat_map(|row| row.iter().step_by(step).copied()).collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        let largest = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
        let worst = found.iter().zip(&expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst <= 2e-5 * largest, "{name}: {worst} of {largest}");
    }
}

fn t5() -> T5Config {
    let (vocabulary, width, inner, heads) = (32_128, 64, 64, 4);
    T5Config { vocabulary, width, inner, heads, mlp: 96, layers: 3, buckets: 32, own_distances: false }
}

fn llm(kind: LlmKind, vocabulary: usize, layers: usize, heads: usize) -> LlmConfig {
    LlmConfig {
        kind,
        vocabulary,
        width: 64,
        layers,
        heads,
        kv_heads: heads / 2,
        head_width: 128,
        mlp: 96,
        final_norm: false,
        interleaved: false,
    }
}

#[test]
fn t5_gives_the_references_states_with_and_without_a_mask() {
    let (states, device) = (States::open(), Device::flex());
    let config = t5();
    let weights = weights(&config.tensors().unwrap(), "t5.");
    assert_eq!(T5Config::from_names(&weights.map().names()).unwrap(), config);
    let (model, ids) = (config.init(&weights).unwrap(), states.ids("t5.ids"));
    states.compare("t5.last", model.forward(std::slice::from_ref(&ids), -1, None, &device).unwrap(), 4);
    let hidden: Vec<bool> = (0..9).map(|at| at > 4).collect();
    states.compare("t5.masked", model.forward(&[ids], -1, Some(&hidden), &device).unwrap(), 4);
}

#[test]
fn mistral_gives_three_states_side_by_side() {
    let (states, device) = (States::open(), Device::flex());
    let config = llm(LlmKind::Mistral3, 131_072, 30, 2);
    let weights = weights(&config.tensors().unwrap(), "mistral.");
    assert_eq!(LlmConfig::from_names(&weights.map().names()).unwrap(), config);
    let prompt = encode_flux2(&config.init(&weights).unwrap(), &states.ids("mistral.ids"), &device).unwrap();
    states.compare("mistral.states", prompt.context, 6);
}

#[test]
fn qwen3_gives_the_state_before_its_last_block_and_hides_what_follows_a_pad() {
    let (states, device) = (States::open(), Device::flex());
    let config = llm(LlmKind::Qwen3, 151_936, 3, 4);
    let weights = weights(&config.tensors().unwrap(), "qwen3.");
    let prompt = encode_z_image(&config.init(&weights).unwrap(), &states.ids("qwen3.ids"), &device).unwrap();
    states.compare("qwen3.states", prompt.context, 4);
}

#[test]
fn qwen_vl_reads_an_image_among_words() {
    let (states, device) = (States::open(), Device::flex());
    let config = LlmConfig { final_norm: true, ..llm(LlmKind::Qwen25Vl, 152_064, 4, 4) };
    let vision = QwenVisionConfig { width: 64, layers: 8, heads: 2, mlp: 88, merged: 256, output: 64 };
    let mut names = config.tensors().unwrap();
    vision.tensors().unwrap().iter().for_each(|(name, shape)| names.insert(name, shape));
    let weights = weights(&names, "qwen25vl.");
    let (model, vision) = (config.init(&weights).unwrap(), vision.init(&weights).unwrap());
    let words = std::sync::Arc::new(BytePairs::qwen().unwrap());
    let tokenizer = RowTokenizer::new(words, Encoder::Qwen25, Encoder::Qwen25.row_rules().unwrap());
    let row = tokenizer.tokenize(&template::qwen("make it red", None, true), &NoEmbeddings).unwrap();
    let row: Vec<Token> = row.into_iter().map(|token| token.token).collect();
    let mut pixels = vec![0.0; 112 * 84 * 3];
    kiln_memory::fill_uniform("te.image0", 0.5, 0.5, &mut pixels);
    let image = Planes::from_pixels([1, 112, 84, 3], &pixels).unwrap();
    let reader = QwenReader { model: &model, vision: Some(&vision), device: &device };
    let prompt = reader.encode(&row, std::slice::from_ref(&image)).unwrap();
    assert!(prompt.attention_mask.is_none() && prompt.pooled.is_none());
    states.compare("qwen_vl.states", prompt.context, 4);
    let blind = QwenReader { vision: None, ..reader };
    let error = blind.encode(&row, &[image]).unwrap_err().to_string();
    assert!(error.contains("no vision tower") && error.contains("qwen_2.5_vl_7b"), "{error}");
}

#[test]
fn a_model_with_too_few_blocks_says_how_many_it_has() {
    let config = llm(LlmKind::Mistral3, 32, 4, 2);
    let model = config.init(&weights(&config.tensors().unwrap(), "")).unwrap();
    let error = encode_flux2(&model, &[Token::Id(1)], &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("at least 30") && error.contains('4'), "{error}");
    let error = encode_flux2(&model, &[Token::Id(32)], &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("ids below 32"), "{error}");
}
