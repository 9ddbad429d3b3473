//! Every family in every format: it loads, says what an f32 file of the same numbers says, and says it streamed, too.
//!
//! README's table of formats names these tests. The numbers of the networks themselves are compared with the reference by
//! `examples/parity`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common {
    pub(crate) mod formats;
    pub(crate) mod tiny;
}

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use common::formats::Format;
use common::tiny::{FamilyCase, Tensors, VOCABULARY};
use kiln_memory::{Budget, ComputedSource, TensorShapes, TensorSource};
use kiln_models::{
    Checkpoint, DiffusionModel, LatentFormat, TextEncoders,
    clip::{Hidden, Token},
    controlnet::{ControlNet, ControlNetConfig, ControlNetwork, Hint, UnionConfig},
    detect::{Family, Prediction},
    gligen::{FuserConfig, Gligen, GligenConfig},
    unet::{Extras, Heads, Middle, UNet, UNetConfig, Variant},
    vae::Vae,
};

/// What a file's networks answer to fixed questions.
#[derive(Debug, PartialEq)]
struct Said {
    unet: Vec<f32>,
    texts: Vec<Vec<f32>>,
    latent: Vec<f32>,
    image: Vec<f32>,
}

fn wave<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn floats<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.try_to_vec_as::<f32>().unwrap()
}

fn ask_unet(family: FamilyCase, unet: &UNet) -> Vec<f32> {
    let y = family.adm().map(|adm| wave([1, adm]));
    let extras = Extras { y: y.as_ref(), ..Extras::default() };
    let x = wave([1, family.channels(), 6, 5]);
    floats(&unet.forward(x, &[500.0], &wave([1, 3, family.context()]), &extras).unwrap())
}

fn ask_texts(texts: &TextEncoders) -> Vec<Vec<f32>> {
    let chunk: Vec<Token> = (0..6).map(|i| Token::Id(i * 17 % VOCABULARY as u32)).collect();
    let say = |encoder: &kiln_models::Encoder| {
        let clip = encoder.model.clip().unwrap();
        let said = clip.forward(std::slice::from_ref(&chunk), texts.recipe.hidden, &Device::flex()).unwrap();
        let pooled = floats(&said.projected.unwrap_or(said.pooled));
        [floats(&said.hidden), pooled].concat()
    };
    texts.encoders.iter().map(say).collect()
}

fn ask_vae(vae: &Vae) -> (Vec<f32>, Vec<f32>) {
    let latent = vae.encode_image(wave([1, 8, 6, 3]) * 0.5 + 0.5).unwrap();
    (floats(&latent), floats(&vae.decode_image(wave([1, 4, 3, 2])).unwrap()))
}

fn ask(family: FamilyCase, checkpoint: &Checkpoint) -> Said {
    let (latent, image) = ask_vae(checkpoint.vae.as_ref().unwrap());
    let texts = ask_texts(checkpoint.text.as_ref().unwrap());
    Said { unet: ask_unet(family, checkpoint.model.network_as().unwrap()), texts, latent, image }
}

fn expected(family: FamilyCase) -> (Family, Prediction, LatentFormat) {
    use FamilyCase::*;
    let v = |zero_terminal_snr| Prediction::V { zero_terminal_snr };
    match family {
        Sd1 | Sd1Inpainting | InstructPix2Pix => (Family::SD1, Prediction::Eps, LatentFormat::SD1),
        Sd2Eps | Sd2Inpainting => (Family::SD2, Prediction::Eps, LatentFormat::SD1),
        Sd2V => (Family::SD2, v(false), LatentFormat::SD1),
        Sdxl => (Family::SDXL, Prediction::Eps, LatentFormat::SDXL),
        SdxlV => (Family::SDXL, v(true), LatentFormat::SDXL),
        Playground => (Family::SDXL, Prediction::Edm, LatentFormat::PLAYGROUND),
        Refiner => (Family::SDXL_REFINER, Prediction::Eps, LatentFormat::SDXL),
    }
}

fn opened(family: FamilyCase, path: &Path, budget: u64) -> Checkpoint {
    let checkpoint = Checkpoint::open(path, &Budget::new("test", budget)).unwrap();
    let DiffusionModel { family: found, prediction, latent, .. } = &checkpoint.model;
    assert_eq!((*found, *prediction, *latent), expected(family));
    checkpoint
}

/// Enough for everything, and less than the largest layer: every weight then passes through.
const PLENTY: u64 = 1 << 32;
const NOTHING: u64 = 1 << 10;

fn in_format(family: FamilyCase, format: Format) {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { dir.path().join(name) };
    let whole = family.parts().checkpoint();
    let meant: Tensors = format.write(&place("model.safetensors"), &whole);
    Format::F32.write(&place("same.safetensors"), &meant);
    let same = ask(family, &opened(family, &place("same.safetensors"), PLENTY));
    assert!(same.unet.iter().chain(&same.image).all(|v| v.is_finite()));
    let file = place("model.safetensors");
    assert!(ask(family, &opened(family, &file, PLENTY)) == same, "it says something else than its numbers in f32");
    assert!(ask(family, &opened(family, &file, NOTHING)) == same, "it says something else when it is streamed");
}

/// UNet, text encoders and autoencoder each in a file of its own, in diffusers' and Hugging Face's names.
fn in_parts(family: FamilyCase) {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { dir.path().join(name) };
    let parts = family.parts();
    Format::F32.write(&place("model.safetensors"), &parts.checkpoint());
    let whole = ask(family, &opened(family, &place("model.safetensors"), PLENTY));
    let budget = Budget::unlimited("test");
    for (name, tensors) in [("unet.safetensors", parts.unet.clone()), ("diffusers.safetensors", parts.diffusers_unet())]
    {
        Format::F32.write(&place(name), &tensors);
        let model = DiffusionModel::open(&place(name), &budget).unwrap();
        assert_eq!(model.family, expected(family).0, "{name}");
        assert!(ask_unet(family, model.network_as().unwrap()) == whole.unet, "{name}");
    }
    for (name, tensors) in
        [("vae.safetensors", parts.vae.clone()), ("vae_diffusers.safetensors", parts.diffusers_vae())]
    {
        Format::F32.write(&place(name), &tensors);
        let vae = Vae::open(&place(name), &budget).unwrap();
        assert!(ask_vae(&vae) == (whole.latent.clone(), whole.image.clone()), "{name}");
    }
    let files: Vec<PathBuf> = (0..parts.texts.len()).map(|i| place(&format!("text{i}.safetensors"))).collect();
    for (file, (_, tensors)) in files.iter().zip(&parts.texts) {
        Format::F32.write(file, tensors);
    }
    // The order of the files doesn't matter.
    let paths: Vec<&Path> = files.iter().rev().map(PathBuf::as_path).collect();
    let texts = TextEncoders::open(&paths, expected(family).0.text, &budget).unwrap();
    assert!(ask_texts(&texts) == whole.texts, "its text encoders say something else");
}

macro_rules! families {
    ($($name:ident is $family:ident;)*) => {
        $(mod $name {
            use super::{FamilyCase, Format, in_format, in_parts};

            #[test]
            fn in_f32() {
                in_format(FamilyCase::$family, Format::F32);
            }

            #[test]
            fn in_f16() {
                in_format(FamilyCase::$family, Format::F16);
            }

            #[test]
            fn in_bf16() {
                in_format(FamilyCase::$family, Format::Bf16);
            }

            #[test]
            fn in_fp8_e4m3fn() {
                in_format(FamilyCase::$family, Format::E4m3);
            }

            #[test]
            fn in_fp8_e5m2() {
                in_format(FamilyCase::$family, Format::E5m2);
            }

            #[test]
            fn in_gguf() {
                in_format(FamilyCase::$family, Format::Gguf);
            }

            #[test]
            fn in_pth() {
                in_format(FamilyCase::$family, Format::Pth);
            }

            #[test]
            fn in_separate_files_and_diffusers_names() {
                in_parts(FamilyCase::$family);
            }
        })*
    };
}

families! {
    sd1 is Sd1;
    sd1_inpainting is Sd1Inpainting;
    instruct_pix2pix is InstructPix2Pix;
    sd2 is Sd2Eps;
    sd2_v is Sd2V;
    sd2_inpainting is Sd2Inpainting;
    sdxl is Sdxl;
    sdxl_v_zsnr is SdxlV;
    playground is Playground;
    sdxl_refiner is Refiner;
}

#[test]
fn the_hidden_state_of_each_family_is_its_own() {
    assert_eq!(Family::SD1.hidden(), Hidden::LAST);
    assert_eq!(Family::SD2.hidden(), Hidden { layer: -2, norm: true });
    assert_eq!(Family::SDXL.hidden(), Hidden { layer: -2, norm: false });
}

/// A UNet that is told more than a prompt: as narrow as such a network can be.
fn told_more(variant: Variant, in_channels: usize, adm: Option<usize>, context: usize) -> UNetConfig {
    UNetConfig {
        in_channels,
        out_channels: 4,
        model_channels: 32,
        res_blocks: vec![1; 2],
        channel_mult: vec![1, 2],
        depth: vec![1; 2],
        depth_output: vec![1; 4],
        middle: Middle::Transformer(1),
        context_dim: Some(context),
        linear_projection: !matches!(variant, Variant::Posed { .. }),
        adm_channels: adm,
        heads: if adm.is_some() { Heads::Width(64) } else { Heads::Count(8) },
        variant,
    }
}

/// Its weights, functions of their names, as a checkpoint calls them.
fn weights_of(config: &UNetConfig) -> Tensors {
    weights_named(&config.tensors().unwrap(), |name| {
        let prefix = if name.starts_with("cc_projection") { "" } else { "model.diffusion_model." };
        format!("{prefix}{name}")
    })
}

#[test]
fn networks_that_are_told_more_say_the_same_in_every_format_and_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| -> PathBuf { dir.path().join(name) };
    let levels = Variant::Upscaler { levels: 1000, context_only: vec![true, false] };
    let video = Variant::Video { context: true };
    for (config, y) in [
        (told_more(video.clone(), 8, Some(768), 64), Some(wave([2, 768]))),
        (told_more(Variant::Plain, 4, Some(2048), 1024), Some(wave([2, 2048]))),
        (told_more(levels, 7, None, 64), Some(Tensor::full([2, 1], 70.0, &Device::flex()))),
        (told_more(Variant::Posed { inputs: 68 }, 8, None, 64), None),
    ] {
        let ask = |path: &Path, budget: u64| {
            let model = DiffusionModel::open(path, &Budget::new("test", budget)).unwrap();
            let unet: &UNet = model.network_as().unwrap();
            assert_eq!(unet.config(), &config);
            let extras = Extras { y: y.as_ref(), frames: Some(2), ..Extras::default() };
            floats(
                &unet
                    .forward(
                        wave([2, config.in_channels, 4, 4]),
                        &[500.0; 2],
                        &wave([2, 1, config.context_dim.unwrap()]),
                        &extras,
                    )
                    .unwrap(),
            )
        };
        let whole = weights_of(&config);
        for format in [Format::F16, Format::Bf16, Format::E4m3, Format::E5m2, Format::Gguf, Format::Pth] {
            // GGUF has no tensors of five sides.
            if config.variant == video && format == Format::Gguf {
                continue;
            }
            let meant = format.write(&place("model.safetensors"), &whole);
            Format::F32.write(&place("same.safetensors"), &meant);
            let same = ask(&place("same.safetensors"), PLENTY);
            assert!(same.iter().all(|v| v.is_finite()));
            let file = place("model.safetensors");
            assert!(ask(&file, PLENTY) == same, "{:?} in {format:?}", config.variant);
            assert!(ask(&file, NOTHING) == same, "{:?} in {format:?}, streamed", config.variant);
        }
    }
}

/// Weights that are functions of their names, under the names of a file.
fn weights_named(names: &TensorShapes, in_file: impl Fn(&str) -> String) -> Tensors {
    let shapes = names.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec()));
    let source = ComputedSource::hash_uniform(shapes.collect::<Vec<_>>());
    let tensor = |(name, shape): (&str, &[usize])| {
        let mut values = vec![0.0; shape.iter().product()];
        source.read_f32(name, &mut values).unwrap();
        (in_file(name), (shape.to_vec(), values))
    };
    names.iter().map(tensor).collect()
}

/// Asks a network in every format, whole and streamed, what it says in f32 of the same numbers.
fn says_the_same(whole: &Tensors, ask: impl Fn(&Path, u64) -> Vec<f32>) {
    let dir = tempfile::tempdir().unwrap();
    let (file, plain) = (dir.path().join("net.safetensors"), dir.path().join("same.safetensors"));
    for format in [Format::F16, Format::Bf16, Format::E4m3, Format::E5m2, Format::Gguf, Format::Pth] {
        Format::F32.write(&plain, &format.write(&file, whole));
        let same = ask(&plain, PLENTY);
        assert!(same.iter().all(|v| v.is_finite()) && same.iter().any(|v| *v != 0.0), "{format:?}");
        assert!(ask(&file, PLENTY) == same, "{format:?}");
        assert!(ask(&file, NOTHING) == same, "{format:?}, streamed");
    }
}

#[test]
fn a_union_controlnet_says_the_same_in_every_format_and_streamed() {
    let union = Some(UnionConfig { kinds: 6, width: 64, layers: 1, spread: 256 });
    let unet = UNetConfig { variant: Variant::Plain, ..told_more(Variant::Plain, 4, Some(32), 64) };
    let unet = UNetConfig { model_channels: 64, heads: Heads::Width(64), ..unet };
    let config = ControlNetConfig { hint: vec![16, 16, 32, 32, 96, 96, 256, 64], unet, hint_channels: 3, union };
    // The projection of attention is a parameter in files, no layer.
    let in_file = |name: &str| match name.split_once(".attn.in_proj.") {
        Some((layer, end)) => format!("{layer}.attn.in_proj_{end}"),
        None => name.to_owned(),
    };
    says_the_same(&weights_named(&config.tensors().unwrap(), in_file), |path, budget| {
        let network = ControlNetwork::open(path, &Budget::new("test", budget)).unwrap();
        assert_eq!(network.kinds(), Some(6));
        let net = ControlNet::open(path, None, &Budget::new("test", budget)).unwrap();
        let hint = Hint { image: wave([1, 3, 32, 48]), kind: Some(2) };
        let y = wave([1, 32]);
        let said = net.forward(wave([1, 4, 4, 6]), hint, &[500.0], &wave([1, 3, 64]), Some(&y)).unwrap();
        said.output.iter().chain([&said.middle]).flatten().flat_map(floats).collect()
    });
}

#[test]
fn gligen_says_the_same_in_every_format_and_streamed() {
    let fusers = [64, 128].map(|channels| FuserConfig { channels, heads: channels / 64 }).to_vec();
    let config = GligenConfig { fusers, text: 32, hidden: 64, token: 32 };
    let in_file = |name: &str| match name.strip_prefix("fusers.").and_then(|rest| rest.split_once('.')) {
        Some((number, end)) => format!("input_blocks.{number}.1.transformer_blocks.0.fuser.{end}"),
        None => name.to_owned(),
    };
    says_the_same(&weights_named(&config.tensors().unwrap(), in_file), |path, budget| {
        let net = Gligen::open(path, &Budget::new("test", budget)).unwrap();
        assert_eq!(net.config(), &config);
        let placed = net.placed(&[[0.1, 0.2, 0.6, 0.9]], vec![wave([1, 32])], &Device::flex()).unwrap();
        let fused = net.fused(1, wave([1, 6, 128]), &placed).unwrap();
        [floats(&placed), floats(&fused)].concat()
    });
}
