//! The default graphs in ComfyUI's JSON with their own text encoders, on tiny files: sizes and steps are smaller, all else is
//! as people have it.

use kiln_memory::TensorShapes;
use kiln_models::clip::{Activation, TextConfig};
use kiln_models::mmdit::MmditConfig;
use kiln_models::qwen_image::QwenImageConfig;
use kiln_nodes::files::DirKind;
use serde_json::json;

use super::{Bench, qwen_vae, sd3_vae, write_computed};

/// Width of the language models' rows.
const WIDTH: usize = 64;

fn clip(layers: usize, projection: bool) -> TensorShapes {
    let config = TextConfig {
        vocabulary: 49_408,
        positions: 77,
        width: 16,
        layers,
        dropped: 0,
        heads: 1,
        mlp: 16,
        activation: Activation::Gelu,
        projection: projection.then_some(16),
        pad: 0,
    };
    config.tensors().unwrap()
}

fn listed(names: &[(&str, &[usize])]) -> TensorShapes {
    names.iter().map(|(name, shape)| (*name, shape.to_vec())).collect()
}

fn t5() -> TensorShapes {
    listed(&[
        ("shared.weight", &[32_128, WIDTH]),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", &[64, WIDTH]),
        ("encoder.block.0.layer.0.SelfAttention.k.weight", &[64, WIDTH]),
        ("encoder.block.0.layer.0.SelfAttention.v.weight", &[64, WIDTH]),
        ("encoder.block.0.layer.0.SelfAttention.o.weight", &[WIDTH, 64]),
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", &[32, 4]),
        ("encoder.block.0.layer.0.layer_norm.weight", &[WIDTH]),
        ("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", &[32, WIDTH]),
        ("encoder.block.0.layer.1.DenseReluDense.wi_1.weight", &[32, WIDTH]),
        ("encoder.block.0.layer.1.DenseReluDense.wo.weight", &[WIDTH, 32]),
        ("encoder.block.0.layer.1.layer_norm.weight", &[WIDTH]),
        ("encoder.final_layer_norm.weight", &[WIDTH]),
    ])
}

fn qwen_vl() -> TensorShapes {
    listed(&[
        ("model.embed_tokens.weight", &[152_064, WIDTH]),
        ("model.layers.0.self_attn.q_proj.weight", &[128, WIDTH]),
        ("model.layers.0.self_attn.q_proj.bias", &[128]),
        ("model.layers.0.self_attn.k_proj.weight", &[128, WIDTH]),
        ("model.layers.0.self_attn.k_proj.bias", &[128]),
        ("model.layers.0.self_attn.v_proj.weight", &[128, WIDTH]),
        ("model.layers.0.self_attn.v_proj.bias", &[128]),
        ("model.layers.0.self_attn.o_proj.weight", &[WIDTH, 128]),
        ("model.layers.0.mlp.gate_proj.weight", &[32, WIDTH]),
        ("model.layers.0.mlp.up_proj.weight", &[32, WIDTH]),
        ("model.layers.0.mlp.down_proj.weight", &[WIDTH, 32]),
        ("model.layers.0.input_layernorm.weight", &[WIDTH]),
        ("model.layers.0.post_attention_layernorm.weight", &[WIDTH]),
        ("model.norm.weight", &[WIDTH]),
        ("visual.patch_embed.proj.weight", &[80, 3, 2, 14, 14]),
        ("visual.blocks.0.norm1.weight", &[80]),
        ("visual.blocks.0.norm2.weight", &[80]),
        ("visual.blocks.0.attn.qkv.weight", &[240, 80]),
        ("visual.blocks.0.attn.qkv.bias", &[240]),
        ("visual.blocks.0.attn.proj.weight", &[80, 80]),
        ("visual.blocks.0.attn.proj.bias", &[80]),
        ("visual.blocks.0.mlp.gate_proj.weight", &[16, 80]),
        ("visual.blocks.0.mlp.gate_proj.bias", &[16]),
        ("visual.blocks.0.mlp.up_proj.weight", &[16, 80]),
        ("visual.blocks.0.mlp.up_proj.bias", &[16]),
        ("visual.blocks.0.mlp.down_proj.weight", &[80, 16]),
        ("visual.blocks.0.mlp.down_proj.bias", &[80]),
        ("visual.merger.ln_q.weight", &[80]),
        ("visual.merger.mlp.0.weight", &[320, 320]),
        ("visual.merger.mlp.0.bias", &[320]),
        ("visual.merger.mlp.2.weight", &[WIDTH, 320]),
        ("visual.merger.mlp.2.bias", &[WIDTH]),
    ])
}

fn network(context: usize) -> TensorShapes {
    let config = QwenImageConfig {
        in_channels: 16,
        out_channels: 16,
        width: 64,
        hidden: 64,
        context,
        blocks: 1,
        head: 32,
        axes: [4, 14, 14],
        clean_references: false,
    };
    config.tensors().unwrap()
}

/// Runs a graph to its image's file; that the picture has more than one colour.
fn draws(bench: &Bench, graph: &serde_json::Value, file: &str) {
    bench.classes_run(&graph.to_string());
    assert!(bench.files(DirKind::Output).contains(&file.to_owned()), "{:?}", bench.files(DirKind::Output));
    let path = bench.folder(DirKind::Output).join(file);
    let pixels = image::open(path).unwrap().into_rgb8();
    assert_eq!(pixels.dimensions(), (64, 64));
    assert!(pixels.pixels().any(|pixel| pixel != pixels.get_pixel(0, 0)));
}

fn qwen_bench() -> Bench {
    let bench = Bench::new();
    for (kind, name, tensors) in [
        ("diffusion_models", "qwen_image.safetensors", network(WIDTH)),
        ("text_encoders", "qwen_2.5_vl_7b.safetensors", qwen_vl()),
        ("vae", "qwen_image_vae.safetensors", qwen_vae()),
    ] {
        write_computed(&bench.model_path(kind, name), &tensors);
    }
    bench
}

#[test]
fn qwen_image() {
    let graph = json!({
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "qwen_image.safetensors", "weight_dtype": "default"}},
        "2": {"class_type": "CLIPLoader", "inputs": {
            "clip_name": "qwen_2.5_vl_7b.safetensors", "type": "qwen_image", "device": "default"}},
        "3": {"class_type": "VAELoader", "inputs": {"vae_name": "qwen_image_vae.safetensors"}},
        "4": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {
            "text": "a tea house on a hill, a wooden sign above the door reads OPEN", "clip": ["2", 0]}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["2", 0]}},
        "7": {"class_type": "ModelSamplingAuraFlow", "inputs": {"model": ["1", 0], "shift": 3.1}},
        "8": {"class_type": "KSampler", "inputs": {
            "model": ["7", 0], "seed": 42, "steps": 2, "cfg": 2.5, "sampler_name": "euler", "scheduler": "simple",
            "positive": ["5", 0], "negative": ["6", 0], "latent_image": ["4", 0], "denoise": 1.0}},
        "9": {"class_type": "VAEDecode", "inputs": {"samples": ["8", 0], "vae": ["3", 0]}},
        "10": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "qwen"}},
    });
    draws(&qwen_bench(), &graph, "qwen_00001_.png");
}

#[test]
fn qwen_image_edit_2509() {
    let bench = qwen_bench();
    let folder = bench.folder(DirKind::Input);
    std::fs::create_dir_all(&folder).unwrap();
    image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([x as u8 * 6, y as u8 * 6, 90]))
        .save(folder.join("room.png"))
        .unwrap();
    let encoded = |prompt: &str| {
        json!({"class_type": "TextEncodeQwenImageEditPlus", "inputs": {
            "clip": ["2", 0], "prompt": prompt, "vae": ["3", 0], "image1": ["5", 0]}})
    };
    let graph = json!({
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "qwen_image.safetensors", "weight_dtype": "default"}},
        "2": {"class_type": "CLIPLoader", "inputs": {
            "clip_name": "qwen_2.5_vl_7b.safetensors", "type": "qwen_image", "device": "default"}},
        "3": {"class_type": "VAELoader", "inputs": {"vae_name": "qwen_image_vae.safetensors"}},
        "4": {"class_type": "LoadImage", "inputs": {"image": "room.png"}},
        // 64 x 64 pixels.
        "5": {"class_type": "ImageScale", "inputs": {
            "image": ["4", 0], "upscale_method": "lanczos", "width": 64, "height": 64, "crop": "disabled"}},
        "6": encoded("paint the walls green"),
        "7": encoded(""),
        "8": {"class_type": "VAEEncode", "inputs": {"pixels": ["5", 0], "vae": ["3", 0]}},
        "9": {"class_type": "ModelSamplingAuraFlow", "inputs": {"model": ["1", 0], "shift": 3.0}},
        "10": {"class_type": "CFGNorm", "inputs": {"model": ["9", 0], "strength": 1.0}},
        "11": {"class_type": "KSampler", "inputs": {
            "model": ["10", 0], "seed": 42, "steps": 1, "cfg": 2.5, "sampler_name": "euler", "scheduler": "simple",
            "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["8", 0], "denoise": 1.0}},
        "12": {"class_type": "VAEDecode", "inputs": {"samples": ["11", 0], "vae": ["3", 0]}},
        "13": {"class_type": "SaveImage", "inputs": {"images": ["12", 0], "filename_prefix": "qwen_edit"}},
    });
    draws(&bench, &graph, "qwen_edit_00001_.png");
}

#[test]
fn stable_diffusion_35_medium() {
    let bench = Bench::new();
    let net = MmditConfig {
        in_channels: 16,
        out_channels: 16,
        patch: 2,
        width: 64,
        hidden: 64,
        vector: 32,
        context: WIDTH,
        positions: Some(8),
        qk_norm: true,
        second_attention: vec![true, false, false],
    };
    for (kind, name, tensors) in [
        ("diffusion_models", "sd3.5_medium.safetensors", net.tensors().unwrap()),
        ("text_encoders", "clip_l.safetensors", clip(2, false)),
        ("text_encoders", "clip_g.safetensors", clip(32, true)),
        ("text_encoders", "t5xxl_fp16.safetensors", t5()),
        ("vae", "sd3.5_vae.safetensors", sd3_vae()),
    ] {
        write_computed(&bench.model_path(kind, name), &tensors);
    }
    let graph = json!({
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "sd3.5_medium.safetensors", "weight_dtype": "default"}},
        "2": {"class_type": "TripleCLIPLoader", "inputs": {
            "clip_name1": "clip_l.safetensors", "clip_name2": "clip_g.safetensors",
            "clip_name3": "t5xxl_fp16.safetensors"}},
        "3": {"class_type": "VAELoader", "inputs": {"vae_name": "sd3.5_vae.safetensors"}},
        "4": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {
            "text": "a glass bottle with a small galaxy inside, studio light", "clip": ["2", 0]}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["2", 0]}},
        "7": {"class_type": "SkipLayerGuidanceSD3", "inputs": {
            "model": ["1", 0], "layers": "1, 2", "scale": 3.0, "start_percent": 0.01, "end_percent": 0.15}},
        "8": {"class_type": "KSampler", "inputs": {
            "model": ["7", 0], "seed": 42, "steps": 3, "cfg": 4.5, "sampler_name": "euler", "scheduler": "sgm_uniform",
            "positive": ["5", 0], "negative": ["6", 0], "latent_image": ["4", 0], "denoise": 1.0}},
        "9": {"class_type": "VAEDecode", "inputs": {"samples": ["8", 0], "vae": ["3", 0]}},
        "10": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "sd35"}},
    });
    draws(&bench, &graph, "sd35_00001_.png");
}
