//! Files in diffusers' and OpenCLIP's names are the same networks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;

use kiln_memory::{Budget, MemorySource, TensorShapes};
use kiln_models::{
    ModelWeights,
    clip::{self, Activation, TextConfig},
    detect::{Detected, TextEncoderKind, text_encoders, unet, vae},
    family::TextNetworkConfig,
};

fn replaced(name: &str, table: &[(&str, &str)]) -> String {
    table.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

const RESIDUAL: [(&str, &str); 6] = [
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
];

/// diffusers' name of a tensor of Stable Diffusion 1.5's or SDXL's UNet: two residual blocks per level.
fn unet_name(name: &str) -> String {
    let outside = [
        ("input_blocks.0.0.", "conv_in."),
        ("out.0.", "conv_norm_out."),
        ("out.2.", "conv_out."),
        ("time_embed.0.", "time_embedding.linear_1."),
        ("time_embed.2.", "time_embedding.linear_2."),
        ("label_emb.0.0.", "add_embedding.linear_1."),
        ("label_emb.0.2.", "add_embedding.linear_2."),
    ];
    if let Some((from, to)) = outside.iter().find(|(from, _)| name.starts_with(from)) {
        return name.replacen(from, to, 1);
    }
    let parts: Vec<&str> = name.splitn(4, '.').collect();
    let number = |at: usize| parts[at].parse::<usize>().unwrap();
    match parts[0] {
        "middle_block" => {
            let rest = name.splitn(3, '.').nth(2).unwrap();
            match number(1) {
                1 => format!("mid_block.attentions.0.{rest}"),
                n => format!("mid_block.resnets.{}.{}", n / 2, replaced(rest, &RESIDUAL)),
            }
        }
        "input_blocks" => {
            let (level, i) = ((number(1) - 1) / 3, (number(1) - 1) % 3);
            match (i, number(2)) {
                (2, _) => format!("down_blocks.{level}.downsamplers.0.{}", parts[3].replace("op.", "conv.")),
                (_, 0) => format!("down_blocks.{level}.resnets.{i}.{}", replaced(parts[3], &RESIDUAL)),
                _ => format!("down_blocks.{level}.attentions.{i}.{}", parts[3]),
            }
        }
        _ => {
            let (level, i) = (number(1) / 3, number(1) % 3);
            match (number(2), parts[3].starts_with("conv.")) {
                (_, true) => format!("up_blocks.{level}.upsamplers.0.{}", parts[3]),
                (0, _) => format!("up_blocks.{level}.resnets.{i}.{}", replaced(parts[3], &RESIDUAL)),
                _ => format!("up_blocks.{level}.attentions.{i}.{}", parts[3]),
            }
        }
    }
}

#[test]
fn a_unet_in_diffusers_names_has_the_same_configuration_and_every_tensor() {
    for full in [common::sd15(), common::sdxl()] {
        let original = full.under("model.diffusion_model.");
        let renamed: TensorShapes = original.iter().map(|(name, shape)| (unet_name(name), shape.to_vec())).collect();
        assert_eq!(renamed.len(), original.len());
        let (expected, found) = (unet(&original).unwrap().unwrap(), unet(&renamed).unwrap().unwrap());
        assert_eq!(found.config, expected.config);
        for (key, shape) in original.iter() {
            let place = found.map.place(key).unwrap_or_else(|| panic!("{key} is not found"));
            assert_eq!((place.tensor.as_str(), place.shape.as_slice()), (unet_name(key).as_str(), shape));
        }
    }
}

/// diffusers' name of a tensor of an autoencoder of four levels.
fn vae_name(name: &str) -> String {
    let mut name = replaced(
        name,
        &[
            ("nin_shortcut.", "conv_shortcut."),
            ("norm_out.", "conv_norm_out."),
            (".mid.block_1.", ".mid_block.resnets.0."),
            (".mid.block_2.", ".mid_block.resnets.1."),
            (".mid.attn_1.norm.", ".mid_block.attentions.0.group_norm."),
            (".mid.attn_1.q.", ".mid_block.attentions.0.to_q."),
            (".mid.attn_1.k.", ".mid_block.attentions.0.to_k."),
            (".mid.attn_1.v.", ".mid_block.attentions.0.to_v."),
            (".mid.attn_1.proj_out.", ".mid_block.attentions.0.to_out.0."),
            (".downsample.conv.", ".downsamplers.0.conv."),
            (".upsample.conv.", ".upsamplers.0.conv."),
            (".block.", ".resnets."),
        ],
    );
    for level in 0..4 {
        name = name.replace(&format!("encoder.down.{level}."), &format!("encoder.down_blocks.{level}."));
        name = name.replace(&format!("decoder.up.{level}."), &format!("decoder.up_blocks.{}.", 3 - level));
    }
    name
}

#[test]
fn an_autoencoder_in_diffusers_names_has_the_same_configuration_and_every_tensor() {
    let original = common::sd15().under("first_stage_model.");
    let flat = |name: &str, shape: &[usize]| {
        let matrix = name.contains("attn_1") && shape.len() == 4;
        if matrix { shape[..2].to_vec() } else { shape.to_vec() }
    };
    let renamed: TensorShapes = original.iter().map(|(name, shape)| (vae_name(name), flat(name, shape))).collect();
    let found = vae(&renamed, &[""]).unwrap().unwrap();
    assert_eq!(found.config, vae(&original, &[""]).unwrap().unwrap().config);
    for (key, shape) in original.iter() {
        assert_eq!(found.map.place(key).map(|place| place.shape.as_slice()), Some(shape), "{key}");
    }
}

/// CLIP's sizes, where a text encoder is one of CLIP's.
fn clip_config(config: &TextNetworkConfig) -> &TextConfig {
    match config {
        TextNetworkConfig::Clip(config) => config,
        other => panic!("one of CLIP's was expected, not {other:?}"),
    }
}

#[test]
fn text_encoders_alone_are_told_by_their_names_and_depth() {
    let full = common::sdxl();
    let big = text_encoders(&full.under("conditioner.embedders.1.model.")).unwrap();
    assert_eq!((big[0].0, clip_config(&big[0].1.config).activation), (TextEncoderKind::G, Activation::Gelu));
    let small = text_encoders(&full.under("conditioner.embedders.0.transformer.")).unwrap();
    assert_eq!((small[0].0, clip_config(&small[0].1.config).activation), (TextEncoderKind::L, Activation::QuickGelu));
    let roles: Vec<TextEncoderKind> = text_encoders(&full).unwrap().iter().map(|(role, _)| *role).collect();
    assert_eq!(roles, [TextEncoderKind::L, TextEncoderKind::G]);
}

#[test]
fn an_sd2_text_encoder_is_found_at_its_own_prefix() {
    let mut names = common::sd15();
    let open: Vec<_> = common::sdxl()
        .under("conditioner.embedders.1.model.")
        .iter()
        .map(|(n, s)| (n.to_owned(), s.to_vec()))
        .collect();
    names = names.iter().filter(|(name, _)| !name.starts_with("cond_stage_model.")).collect();
    for (name, shape) in open {
        names.insert(format!("cond_stage_model.model.{name}"), shape);
    }
    assert_eq!(Detected::in_checkpoint(&names).unwrap().text[0].0, TextEncoderKind::H);
}

#[test]
fn old_files_without_text_model_in_their_names_are_the_same_encoder() {
    let full = common::sd15().under("cond_stage_model.transformer.");
    let old: TensorShapes =
        full.iter().map(|(name, shape)| (name.replace("text_model.", ""), shape.to_vec())).collect();
    let config = |names: &TensorShapes| {
        TextConfig::from_names(&clip::hugging_face(names, "").names(), Activation::QuickGelu).unwrap()
    };
    assert_eq!(config(&old), config(&full));
}

#[test]
fn queries_keys_and_values_come_out_of_their_fused_tensor_and_the_projection_is_turned() {
    let mut source = MemorySource::new("open clip");
    let count = |n: usize| (0..n).map(|i| i as f32).collect::<Vec<_>>();
    source.insert_f32("transformer.resblocks.0.attn.in_proj_weight", &[6, 2], count(12)).unwrap();
    source.insert_f32("transformer.resblocks.0.attn.in_proj_bias", &[6], count(6)).unwrap();
    source.insert_f32("text_projection", &[2, 3], count(6)).unwrap();
    let map = clip::open_clip(&TensorShapes::of(&source), "");
    let weights = ModelWeights::new(Arc::new(source), map, "test", &Budget::unlimited("test"));
    let read = |key: &str| weights.weights().weight(key).unwrap().read().unwrap().to_vec();
    let path = "text_model.encoder.layers.0.self_attn";
    assert_eq!(read(&format!("{path}.k_proj.weight")), [4.0, 5.0, 6.0, 7.0]);
    assert_eq!(read(&format!("{path}.v_proj.bias")), [4.0, 5.0]);
    assert_eq!(read("text_projection.weight"), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
}

/// An OpenCLIP-H of so many layers and 64 channels, in Hugging Face's names.
fn short_h(layers: usize) -> TensorShapes {
    let keys = common::sd15().under("cond_stage_model.transformer.");
    let narrow = |side: &usize| match side {
        768 => 64,
        3072 => 128,
        49408 => 100,
        other => *other,
    };
    let mut names = TensorShapes::default();
    for (name, shape) in keys.iter() {
        let shape: Vec<usize> = shape.iter().map(narrow).collect();
        match name.split_once("layers.0.") {
            Some((start, end)) => (0..layers).for_each(|i| names.insert(format!("{start}layers.{i}.{end}"), &*shape)),
            None if name.contains("layers.") => {}
            None => names.insert(name, shape),
        }
    }
    names
}

#[test]
fn diffusers_sd2_text_encoder_without_its_last_layer_says_what_the_whole_one_says() {
    let said = |names: &TensorShapes| {
        let found = text_encoders(names).unwrap().remove(0);
        assert_eq!(found.0, TextEncoderKind::H);
        let model = clip_config(&found.1.config).init(&common::keyed_as(names, found.1.map)).unwrap();
        let chunk = vec![clip::Token::Id(3); 5];
        let hidden = clip::Hidden { layer: -2, norm: true };
        model.forward(&[chunk], hidden, &burn::tensor::Device::flex()).unwrap().hidden.try_to_vec_as::<f32>().unwrap()
    };
    assert_eq!(said(&short_h(23)), said(&short_h(24)));
}
