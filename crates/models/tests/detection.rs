//! What files are told to be, from names and shapes alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use kiln_memory::TensorShapes;
use kiln_models::{
    clip::Activation,
    detect::{Detected, Family, TextEncoderKind, describe, families, ignorable},
    unet::{Heads, Middle, UNET, UNetConfig, Variant},
    vae::VaeConfig,
};

/// Everything a part's network takes is in the file in that shape, and nothing of the part is left over.
fn assert_consumed(part: &str, needed: &TensorShapes, there: &TensorShapes) {
    for (name, shape) in needed.iter() {
        assert_eq!(there.shape(name), Some(shape), "{part}: {name}");
    }
    let left: Vec<&str> =
        there.iter().map(|(name, _)| name).filter(|name| !needed.has(name) && !ignorable(name)).collect();
    assert!(left.is_empty(), "{part} leaves {left:?}");
}

fn assert_every_key_is_consumed(names: &TensorShapes) -> Detected {
    let detected = Detected::in_checkpoint(names).unwrap();
    let (unet, vae) = (detected.unet().unwrap(), detected.vae.as_ref().unwrap());
    assert_consumed("unet", &unet.config.tensors().unwrap(), &unet.map.names());
    assert_consumed("vae", &vae.config.tensors().unwrap(), &vae.map.names());
    for (role, text) in &detected.text {
        assert_consumed(role.name(), &text.config.tensors().unwrap(), &text.map.names());
    }
    assert_eq!(detected.unused_tensors(names), Vec::<&str>::new());
    detected
}

#[test]
fn every_tensor_of_stable_diffusion_1_5_is_consumed_and_none_is_missing() {
    let detected = assert_every_key_is_consumed(&common::sd15());
    assert_eq!(detected.family, Some(Family::SD1));
    let config = detected.unet().unwrap().config;
    assert_eq!(config.channel_mult, [1, 2, 4, 4]);
    assert_eq!(config.depth_output, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    assert_eq!((config.heads, config.context_dim), (Heads::Count(8), Some(768)));
    let (role, text) = &detected.text[0];
    let text = text.config.clip().unwrap();
    assert_eq!((*role, text.layers, text.heads), (TextEncoderKind::L, 12, 12));
    assert_eq!(text.activation, Activation::QuickGelu);
}

#[test]
fn every_tensor_of_sdxl_is_consumed_and_none_is_missing() {
    let detected = assert_every_key_is_consumed(&common::sdxl());
    assert_eq!(detected.family, Some(Family::SDXL));
    let config = detected.unet().unwrap().config;
    assert_eq!((config.middle, config.adm_channels), (Middle::Transformer(10), Some(2816)));
    assert_eq!(config.heads, Heads::Width(64));
    let roles: Vec<TextEncoderKind> = detected.text.iter().map(|(role, _)| *role).collect();
    assert_eq!(roles, [TextEncoderKind::L, TextEncoderKind::G]);
    let bigg = detected.text[1].1.config.clip().unwrap();
    assert_eq!((bigg.layers, bigg.heads, bigg.projection), (32, 20, Some(1280)));
    assert_eq!(bigg.activation, Activation::Gelu);
}

#[test]
fn the_bundled_model_is_sd1_of_its_own_width() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    let file = kiln_memory::WeightFile::open(path).unwrap();
    let detected = assert_every_key_is_consumed(&TensorShapes::of(&*file));
    assert_eq!(detected.family, Some(Family::SD1));
    let (unet, vae) = (detected.unet().unwrap().config, detected.vae.unwrap().config);
    assert_eq!((unet.model_channels, unet.heads.of(128)), (64, 8));
    assert_eq!((vae.res_blocks, vae.mult.as_slice(), vae.scale()), (0, &[1, 1, 1, 1][..], 8));
}

#[test]
fn an_inpainting_model_has_nine_input_channels() {
    let mut names = common::sd15();
    names.insert("model.diffusion_model.input_blocks.0.0.weight", [320, 9, 3, 3]);
    assert_eq!(assert_every_key_is_consumed(&names).unet().unwrap().config.in_channels, 9);
}

/// A network takes every tensor of a UNet that lies alone, and no other.
fn assert_every_key_of_a_unet_is_consumed(names: &TensorShapes) -> UNetConfig {
    let found = kiln_models::detect::unet(names).unwrap().unwrap();
    assert_consumed("unet", &found.config.tensors().unwrap(), &found.map.names());
    assert_eq!(found.map.names().len(), names.len());
    found.config
}

#[test]
fn every_tensor_of_a_video_unet_and_of_the_upscalers_is_consumed() {
    let video = assert_every_key_of_a_unet_is_consumed(&common::keys(include_str!("data/keys_svd.txt")));
    assert_eq!(
        (video.variant, video.in_channels, video.adm_channels),
        (Variant::Video { context: true }, 8, Some(768))
    );
    assert_eq!(video.heads, Heads::Width(64));
    let upscaler = assert_every_key_of_a_unet_is_consumed(&common::keys(include_str!("data/keys_x4.txt")));
    // The first level attends to nothing.
    let context_only = vec![false, true, true, false];
    assert_eq!(upscaler.variant, Variant::Upscaler { levels: 1000, context_only });
    assert_eq!((upscaler.channel_mult, upscaler.heads), (vec![1, 2, 2, 4], Heads::Count(8)));
}

#[test]
fn every_tensor_of_unclip_and_of_stable_zero123_is_consumed() {
    let plain = common::sd15().under("model.diffusion_model.");
    let mut unclip: TensorShapes = plain
        .iter()
        .map(|(name, shape)| {
            // Stable Diffusion 2's layers: linear around the blocks, a wider context.
            let shape = match shape {
                [outputs, inputs, 1, 1] if name.contains(".proj_") => vec![*outputs, *inputs],
                [outputs, _] if name.contains(".attn2.to_k.") || name.contains(".attn2.to_v.") => vec![*outputs, 1024],
                shape => shape.to_vec(),
            };
            (name.to_owned(), shape)
        })
        .collect();
    for (name, inputs) in [("label_emb.0.0", 2048), ("label_emb.0.2", 1280)] {
        unclip.insert(format!("{name}.weight"), [1280, inputs]);
        unclip.insert(format!("{name}.bias"), [1280]);
    }
    let config = assert_every_key_of_a_unet_is_consumed(&unclip);
    assert_eq!((config.adm_channels, config.context_dim, config.heads), (Some(2048), Some(1024), Heads::Width(64)));

    let whole = common::sd15();
    let mut zero: TensorShapes = whole.iter().filter(|(name, _)| !name.starts_with("cond_stage_model.")).collect();
    zero.insert("model.diffusion_model.input_blocks.0.0.weight", [320, 8, 3, 3]);
    zero.insert("cc_projection.weight", [768, 772]);
    zero.insert("cc_projection.bias", [768]);
    let detected = assert_every_key_is_consumed(&zero);
    assert_eq!(detected.unet().unwrap().config.variant, Variant::Posed { inputs: 772 });
}

/// The row of the table for a UNet.
fn family(config: &UNetConfig, roles: &[TextEncoderKind]) -> Family {
    families().family(&UNET, config, roles).unwrap()
}

#[test]
fn a_refiner_is_told_by_its_single_big_encoder_or_by_its_widths() {
    let base = common::sdxl();
    let mut config = Detected::in_checkpoint(&base).unwrap().unet().unwrap().config;
    (config.context_dim, config.adm_channels) = (Some(1280), Some(2560));
    assert_eq!(family(&config, &[]), Family::SDXL_REFINER);
    assert_eq!(family(&config, &[TextEncoderKind::G]), Family::SDXL_REFINER);
    (config.context_dim, config.adm_channels) = (Some(2048), Some(2816));
    assert_eq!(family(&config, &[]), Family::SDXL);
}

#[test]
fn a_unet_that_lies_alone_is_found_with_and_without_its_prefix() {
    let full = common::sd15();
    let bare = full.under("model.diffusion_model.");
    let prefixed: TensorShapes = full.iter().filter(|(name, _)| name.starts_with("model.")).collect();
    let expected = Detected::in_checkpoint(&full).unwrap().unet().unwrap().config;
    for names in [bare, prefixed] {
        assert_eq!(kiln_models::detect::unet(&names).unwrap().unwrap().config, expected);
    }
}

#[test]
fn a_decoder_alone_is_an_autoencoder_that_cannot_encode() {
    let names: TensorShapes = common::sd15().under("first_stage_model.");
    let decoder: TensorShapes =
        names.iter().filter(|(name, _)| name.contains("decoder") || name.contains("post_")).collect();
    let config = VaeConfig::from_names(&decoder).unwrap();
    assert_eq!((config.channels, config.mult.as_slice(), config.encoder), (128, &[1, 2, 4, 4][..], None));
    assert_consumed("decoder", &config.tensors().unwrap(), &decoder);
}

#[test]
fn a_width_that_no_norm_can_split_is_refused_by_name() {
    let mut names = common::sd15().under("model.diffusion_model.");
    names.insert("input_blocks.0.0.weight", [100, 4, 3, 3]);
    let error = UNetConfig::from_names(&names).unwrap_err().to_string();
    assert!(error.contains("input_blocks.0.0.weight") && error.contains("multiple of 32"), "{error}");
}

#[test]
fn channels_of_any_width_split_into_heads() {
    assert_eq!((1..=40).map(|n| Heads::Width(64).of(n * 32)).take(6).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 3]);
    assert!((1..=40).all(|n| (n * 32usize).is_multiple_of(Heads::Width(64).of(n * 32))));
    assert_eq!([320, 640, 1280].map(|channels| Heads::Width(64).of(channels)), [5, 10, 20]);
}

#[test]
fn a_file_is_described_in_words() {
    let words = describe(&common::sd15());
    assert!(words.contains("a UNet (SD1, 320 wide)") && words.contains("a VAE (128 wide)"), "{words}");
    let lora: TensorShapes = [("lora_unet_mid_block.lora_up.weight", vec![4, 2])].into_iter().collect();
    assert_eq!(describe(&lora), "a LoRA");
    let strange: TensorShapes = [("weird", vec![1])].into_iter().collect();
    assert_eq!(describe(&strange), "nothing; it holds `weird` [1]");
}
