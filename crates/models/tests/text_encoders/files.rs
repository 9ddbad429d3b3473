//! Files of text encoders: what they are taken for, and what is said where they don't suit.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use kiln_memory::{Budget, TensorShapes};
use kiln_models::TextEncoders;
use kiln_models::clip::{Activation, TextConfig};
use kiln_models::detect::TextEncoderKind::{G, L, Mistral3, Qwen3, T5};
use kiln_models::llm::{LlmConfig, LlmKind};
use kiln_models::t5::T5Config;
use kiln_models::text::{PromptEncoder, PromptTexts, T5Length};
use kiln_models::tokenizer::{NoEmbeddings, Vocabularies};

use super::common::formats::Format;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, names: &TensorShapes) -> PathBuf {
        let path = self.0.path().join(name);
        let zeros =
            |(name, shape): (&str, &[usize])| (name.to_owned(), (shape.to_vec(), vec![0.0; shape.iter().product()]));
        Format::F16.write(&path, &names.iter().map(zeros).collect());
        path
    }

    fn t5(&self) -> PathBuf {
        let (vocabulary, width, inner, heads) = (32_128, 8, 8, 2);
        let config = T5Config { vocabulary, width, inner, heads, mlp: 8, layers: 1, buckets: 32, own_distances: false };
        self.file("t5.safetensors", &config.tensors().unwrap())
    }

    fn clip(&self, layers: usize) -> PathBuf {
        let config = TextConfig {
            vocabulary: 49_408,
            positions: 77,
            width: 8,
            layers,
            dropped: 0,
            heads: 1,
            mlp: 8,
            activation: Activation::Gelu,
            projection: Some(8),
            pad: 0,
        };
        self.file(&format!("clip{layers}.safetensors"), &config.tensors().unwrap())
    }

    fn llm(&self, kind: LlmKind, layers: usize) -> PathBuf {
        let config = LlmConfig {
            kind,
            vocabulary: 151_936,
            width: 8,
            layers,
            heads: 1,
            kv_heads: 1,
            head_width: 128,
            mlp: 8,
            final_norm: true,
            interleaved: false,
        };
        self.file(&format!("{layers}.safetensors"), &config.tensors().unwrap())
    }
}

fn open(paths: &[&PathBuf], kind: &str) -> Result<TextEncoders, String> {
    let paths: Vec<&Path> = paths.iter().map(|path| path.as_path()).collect();
    TextEncoders::open_as(&paths, kind, &Budget::unlimited("test")).map_err(|error| error.to_string())
}

fn encode(text: &TextEncoders, texts: &PromptTexts<'_>, t5: T5Length) -> ([usize; 3], Option<[usize; 2]>) {
    let (vocabularies, device) = (Vocabularies::default(), Device::flex());
    let encoder = PromptEncoder {
        encoders: text,
        vocabularies: &vocabularies,
        embeddings: &NoEmbeddings,
        clip_skip: None,
        t5,
        device: &device,
    };
    let prompt = encoder.encode_texts(texts).unwrap();
    (prompt.context.dims(), prompt.pooled.map(|pooled| pooled.dims()))
}

#[test]
fn flux_reads_prompts_with_t5_and_takes_clips_pooled_output() {
    let folder = Folder::new();
    let (t5, clip) = (folder.t5(), folder.clip(2));
    let text = open(&[&t5, &clip], "flux").unwrap();
    let cat = PromptTexts::all("a cat");
    assert_eq!(encode(&text, &cat, T5Length::default()), ([1, 256, 8], Some([1, 8])));
    let short = T5Length { min_padding: Some(2), min_length: Some(0) };
    assert_eq!(encode(&text, &cat, short).0, [1, 6, 8]);
    let long = "cat ".repeat(3000);
    assert_eq!(encode(&text, &PromptTexts::all(&long), T5Length::default()).0, [1, 3001, 8]);
}

#[test]
fn sd3_takes_any_of_its_encoders() {
    let folder = Folder::new();
    let (t5, l, g) = (folder.t5(), folder.clip(2), folder.clip(32));
    let all = open(&[&g, &t5, &l], "sd3").unwrap();
    assert_eq!([L, G, T5].map(|role| all.encoder(role).is_some()), [true; 3]);
    assert_eq!(encode(&all, &PromptTexts::all("a"), T5Length::default()).0[1], 154);
    let t5_alone = open(&[&t5], "sd3").unwrap();
    assert_eq!(encode(&t5_alone, &PromptTexts::all("a"), T5Length::default()), ([1, 77, 8], Some([1, 2048])));
    let nothing = PromptTexts { empty_is_none: true, ..PromptTexts::all("") };
    assert_eq!(encode(&t5_alone, &nothing, T5Length::default()).0, [1, 1, 8]);
}

#[test]
fn language_models_say_by_themselves_whose_they_are() {
    let folder = Folder::new();
    let text = open(&[&folder.llm(LlmKind::Qwen3, 3)], "stable_diffusion").unwrap();
    assert_eq!((text.recipe.name, text.encoder(Qwen3).is_some()), ("Z-Image", true));
    assert_eq!(encode(&text, &PromptTexts::all("a photo of a cat"), T5Length::default()), ([1, 13, 8], None));
    let text = open(&[&folder.llm(LlmKind::Mistral3, 31)], "flux2").unwrap();
    assert_eq!((text.recipe.name, text.encoder(Mistral3).is_some()), ("FLUX.2", true));
    assert_eq!(encode(&text, &PromptTexts::all(""), T5Length::default()), ([1, 33, 24], None));
}

#[test]
fn what_does_not_suit_says_what_was_found_what_was_expected_and_what_to_do() {
    let folder = Folder::new();
    let error = open(&[&folder.t5()], "flux2").unwrap_err();
    for part in ["t5.safetensors", "t5xxl", "mistral3_24b", "Choose"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = open(&[&folder.t5()], "flux").unwrap_err();
    assert!(error.contains("all of clip_l, t5xxl"), "{error}");
    let other = folder.file("other.safetensors", &[("weight", vec![2])].into_iter().collect());
    let error = open(&[&other], "sd3").unwrap_err();
    assert!(error.contains("no text encoder") && error.contains("T5"), "{error}");
}
