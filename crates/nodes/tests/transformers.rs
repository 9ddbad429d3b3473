//! The default workflows of Flux.1, Flux.2 and Z-Image, as ComfyUI's clients send them, on tiny models: they give an image,
//! and the same one in a quarter of the memory that their weights need.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, write_computed};
use kiln_exec::Prompt;
use kiln_memory::Controls;
use kiln_models::{
    clip::{Activation, TextConfig},
    flux::{FluxConfig, FluxVersion},
    llm::{LlmConfig, LlmKind},
    t5::T5Config,
    vae::VaeConfig,
    zimage::ZImageConfig,
};
use kiln_nodes::files::DirKind;

/// Width of the tiny text encoders.
const TEXT: usize = 8;

fn flux(version: FluxVersion) -> FluxConfig {
    let one = version == FluxVersion::One;
    let channels = if one { 16 } else { 128 };
    FluxConfig {
        version,
        hidden: 64,
        in_channels: channels,
        out_channels: channels,
        context: if one { TEXT } else { 3 * TEXT },
        vector: one.then_some(TEXT),
        double: 1,
        single: 2,
        guidance: true,
        mlp: if one { 256 } else { 192 },
        head: 32,
        axes: vec![],
        theta: 0.0,
    }
}

fn z_image() -> ZImageConfig {
    ZImageConfig {
        dim: 64,
        caption: TEXT,
        channels: 16,
        layers: 2,
        noise_refiners: 1,
        context_refiners: 1,
        head: 32,
        mlp: 96,
        time: [64, 256],
        padding: Some(32),
        axes: vec![],
        theta: 0.0,
    }
}

fn vae(packed: bool) -> VaeConfig {
    let z = if packed { 32 } else { 16 };
    VaeConfig {
        channels: 32,
        mult: vec![1; 4],
        res_blocks: 0,
        image_channels: 3,
        z_channels: z,
        embed_dim: z,
        encoder: Some(2 * z),
        quant: packed,
        post_quant: packed,
        encoder_attention: vec![false; 4],
        decoder_attention: vec![false; 4],
        middle_attention: true,
        frames: false,
        packed,
    }
}

fn language(kind: LlmKind, layers: usize) -> LlmConfig {
    LlmConfig {
        kind,
        vocabulary: if kind == LlmKind::Qwen3 { 151_936 } else { 131_072 },
        width: TEXT,
        layers,
        heads: 1,
        kv_heads: 1,
        head_width: 128,
        mlp: 8,
        final_norm: true,
        interleaved: false,
    }
}

fn bench(controls: Controls) -> Bench {
    let bench = Bench::with(|environment| environment.with_controls(controls)).0;
    let write = |kind: &str, name: &str, names| write_computed(&bench.model_path(kind, name), &names);
    write("diffusion_models", "flux1.safetensors", flux(FluxVersion::One).tensors().unwrap());
    write("diffusion_models", "flux2.safetensors", flux(FluxVersion::Two).tensors().unwrap());
    write("diffusion_models", "z_image.safetensors", z_image().tensors().unwrap());
    write("vae", "ae.safetensors", vae(false).tensors().unwrap());
    write("vae", "flux2-vae.safetensors", vae(true).tensors().unwrap());
    let (vocabulary, width, inner) = (32_128, TEXT, TEXT);
    let t5 = T5Config { vocabulary, width, inner, heads: 2, mlp: 8, layers: 1, buckets: 32, own_distances: false };
    write("text_encoders", "t5xxl.safetensors", t5.tensors().unwrap());
    let clip = TextConfig {
        vocabulary: 49_408,
        positions: 77,
        width: TEXT,
        layers: 2,
        dropped: 0,
        heads: 1,
        mlp: 8,
        activation: Activation::QuickGelu,
        projection: None,
        pad: 49_407,
    };
    write("text_encoders", "clip_l.safetensors", clip.tensors().unwrap());
    write("text_encoders", "mistral.safetensors", language(LlmKind::Mistral3, 31).tensors().unwrap());
    write("text_encoders", "qwen.safetensors", language(LlmKind::Qwen3, 3).tensors().unwrap());
    bench
}

const FLUX1: &str = r#"{
 "1":{"class_type":"UNETLoader","inputs":{"unet_name":"flux1.safetensors","weight_dtype":"default"}},
 "2":{"class_type":"DualCLIPLoader","inputs":{"clip_name1":"clip_l.safetensors","clip_name2":"t5xxl.safetensors","type":"flux","device":"default"}},
 "3":{"class_type":"VAELoader","inputs":{"vae_name":"ae.safetensors"}},
 "4":{"class_type":"EmptySD3LatentImage","inputs":{"width":64,"height":48,"batch_size":1}},
 "5":{"class_type":"CLIPTextEncode","inputs":{"text":"a lighthouse on a cliff at dawn, oil painting","clip":["2",0]}},
 "6":{"class_type":"FluxGuidance","inputs":{"conditioning":["5",0],"guidance":3.5}},
 "7":{"class_type":"ModelSamplingFlux","inputs":{"model":["1",0],"max_shift":1.15,"base_shift":0.5,"width":64,"height":48}},
 "8":{"class_type":"BasicGuider","inputs":{"model":["7",0],"conditioning":["6",0]}},
 "9":{"class_type":"RandomNoise","inputs":{"noise_seed":42}},
 "10":{"class_type":"KSamplerSelect","inputs":{"sampler_name":"euler"}},
 "11":{"class_type":"BasicScheduler","inputs":{"model":["7",0],"scheduler":"simple","steps":3,"denoise":1.0}},
 "12":{"class_type":"SamplerCustomAdvanced","inputs":{"noise":["9",0],"guider":["8",0],"sampler":["10",0],"sigmas":["11",0],"latent_image":["4",0]}},
 "13":{"class_type":"VAEDecode","inputs":{"samples":["12",0],"vae":["3",0]}},
 "14":{"class_type":"SaveImage","inputs":{"images":["13",0],"filename_prefix":"flux1"}}}"#;

/// With a reference: the latent of a grey image.
const FLUX2: &str = r#"{
 "1":{"class_type":"UNETLoader","inputs":{"unet_name":"flux2.safetensors","weight_dtype":"default"}},
 "2":{"class_type":"CLIPLoader","inputs":{"clip_name":"mistral.safetensors","type":"flux2","device":"default"}},
 "3":{"class_type":"VAELoader","inputs":{"vae_name":"flux2-vae.safetensors"}},
 "4":{"class_type":"EmptyFlux2LatentImage","inputs":{"width":64,"height":48,"batch_size":1}},
 "5":{"class_type":"CLIPTextEncode","inputs":{"text":"a lighthouse on a cliff at dawn, oil painting","clip":["2",0]}},
 "6":{"class_type":"FluxGuidance","inputs":{"conditioning":["5",0],"guidance":4.0}},
 "20":{"class_type":"EmptyImage","inputs":{"width":48,"height":32,"batch_size":1,"color":8421504}},
 "21":{"class_type":"VAEEncode","inputs":{"pixels":["20",0],"vae":["3",0]}},
 "22":{"class_type":"ReferenceLatent","inputs":{"conditioning":["6",0],"latent":["21",0]}},
 "7":{"class_type":"BasicGuider","inputs":{"model":["1",0],"conditioning":["22",0]}},
 "8":{"class_type":"RandomNoise","inputs":{"noise_seed":42}},
 "9":{"class_type":"KSamplerSelect","inputs":{"sampler_name":"euler"}},
 "10":{"class_type":"Flux2Scheduler","inputs":{"steps":3,"width":64,"height":48}},
 "11":{"class_type":"SamplerCustomAdvanced","inputs":{"noise":["8",0],"guider":["7",0],"sampler":["9",0],"sigmas":["10",0],"latent_image":["4",0]}},
 "12":{"class_type":"VAEDecode","inputs":{"samples":["11",0],"vae":["3",0]}},
 "13":{"class_type":"SaveImage","inputs":{"images":["12",0],"filename_prefix":"flux2"}}}"#;

const Z_IMAGE: &str = r#"{
 "1":{"class_type":"UNETLoader","inputs":{"unet_name":"z_image.safetensors","weight_dtype":"default"}},
 "2":{"class_type":"CLIPLoader","inputs":{"clip_name":"qwen.safetensors","type":"lumina2","device":"default"}},
 "3":{"class_type":"VAELoader","inputs":{"vae_name":"ae.safetensors"}},
 "4":{"class_type":"EmptySD3LatentImage","inputs":{"width":64,"height":48,"batch_size":1}},
 "5":{"class_type":"CLIPTextEncode","inputs":{"text":"a lighthouse on a cliff at dawn, oil painting","clip":["2",0]}},
 "6":{"class_type":"ConditioningZeroOut","inputs":{"conditioning":["5",0]}},
 "7":{"class_type":"ModelSamplingAuraFlow","inputs":{"model":["1",0],"shift":3.0}},
 "8":{"class_type":"KSampler","inputs":{"model":["7",0],"seed":42,"steps":3,"cfg":1.0,"sampler_name":"res_multistep","scheduler":"simple","positive":["5",0],"negative":["6",0],"latent_image":["4",0],"denoise":1.0}},
 "9":{"class_type":"VAEDecode","inputs":{"samples":["8",0],"vae":["3",0]}},
 "10":{"class_type":"SaveImage","inputs":{"images":["9",0],"filename_prefix":"zimage"}}}"#;

#[test]
fn default_workflows_give_an_image_and_the_same_one_in_little_memory() {
    let drawn = |controls: Controls| {
        let bench = bench(controls);
        for graph in [FLUX1, FLUX2, Z_IMAGE] {
            bench.engine.run(Prompt::from_json(graph).unwrap()).unwrap();
        }
        let files = bench.files(DirKind::Output);
        assert_eq!(files, ["flux1_00001_.png", "flux2_00001_.png", "zimage_00001_.png"]);
        let bytes = |name: &String| std::fs::read(bench.folder(DirKind::Output).join(name)).unwrap();
        files.iter().map(bytes).collect::<Vec<_>>()
    };
    let images = drawn(Controls::default());
    // The smallest network's weights in f32 are four times as large.
    let quarter = z_image().tensors().unwrap().iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
    let limited = drawn(Controls { vram_limit: Some(quarter), ..Controls::default() });
    assert!(images == limited, "a limit changes an image");
}

#[test]
fn a_prompt_and_a_latent_of_another_family_are_refused_by_name() {
    let bench = bench(Controls::default());
    let fails = |graph: &str, from: &str, to: &str| {
        assert!(graph.contains(from), "{from}");
        bench.engine.run(Prompt::from_json(graph.replace(from, to)).unwrap()).unwrap_err().to_string()
    };
    let error = fails(Z_IMAGE, "qwen.safetensors", "mistral.safetensors");
    assert!(error.contains("context"), "{error}");
    let error = fails(FLUX1, "\"vae_name\":\"ae.safetensors\"", "\"vae_name\":\"flux2-vae.safetensors\"");
    assert!(error.contains("latent") && error.contains("128"), "{error}");
}
