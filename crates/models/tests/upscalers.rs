//! Upscalers and tiny autoencoders: which files they are, and what shapes come out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, KeyMap, TensorShapes};
use kiln_models::{
    taehv::{TaehvConfig, TaehvHalf},
    taesd::{Taesd, TaesdConfig, TaesdHalf, TaesdScale, TinyVae},
    upscale::{CompactConfig, RrdbConfig, UpscaleConfig, Upscaler},
    vae::{Autoencoder, Tiles},
};

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(name)
}

fn budget() -> std::sync::Arc<Budget> {
    Budget::unlimited("test")
}

#[test]
fn the_bundled_upscalers_are_recognised_by_their_names_and_shapes() {
    let open = |name: &str| Upscaler::open(&asset(name), &budget()).unwrap();
    let anime = open("realesrgan-x4plus-anime.safetensors");
    let UpscaleConfig::Rrdb(config) = anime.config() else { panic!("an RRDB network") };
    assert_eq!((config.blocks, config.channels, config.growth, anime.scale()), (6, 64, 32, 4));
    for name in ["realesr-animevideov3-x2.safetensors", "realesr-animevideov3-x4.safetensors"] {
        let video = open(name);
        assert!(matches!(video.config(), UpscaleConfig::Compact(_)));
        // Both enlarge four times, whatever the first one is called.
        assert_eq!(video.scale(), 4);
    }
}

#[test]
fn a_tiled_image_looks_like_the_whole_one_inside_its_tiles() {
    let upscaler = Upscaler::open(&asset("realesr-animevideov3-x2.safetensors"), &budget()).unwrap();
    let device = Device::flex();
    let image = Tensor::<4>::full([1, 40, 24, 3], 0.25, &device);
    let whole = upscaler.upscale(image.clone(), Tiles::square(64, 8)).unwrap();
    let tiled = upscaler.upscale(image, Tiles::square(24, 8)).unwrap();
    assert_eq!(whole.dims(), [1, 160, 96, 3]);
    let difference = (whole - tiled).abs().max().into_scalar::<f32>();
    assert!(difference < 0.05, "{difference}");
}

/// ESRGAN's names of 2018 for the same network.
fn old_names(new: &TensorShapes, blocks: usize, doublings: usize) -> TensorShapes {
    let rename = |name: &str| {
        let (stem, end) = name.rsplit_once('.').unwrap();
        let up = |n: usize| 3 * n;
        let old = match stem {
            "conv_first" => "model.0".to_owned(),
            "conv_body" => format!("model.1.sub.{blocks}"),
            "conv_hr" => format!("model.{}", up(doublings) + 2),
            "conv_last" => format!("model.{}", up(doublings) + 4),
            _ => {
                if let Some(n) = stem.strip_prefix("conv_up") {
                    return format!("model.{}.{end}", up(n.parse().unwrap()));
                }
                let parts: Vec<&str> = stem.split('.').collect();
                format!("model.1.sub.{}.{}.{}.0", parts[1], parts[2].to_uppercase(), parts[3])
            }
        };
        format!("{old}.{end}")
    };
    new.iter().map(|(name, shape)| (rename(name), shape.to_vec())).collect()
}

#[test]
fn old_esrgan_names_are_the_same_network() {
    let dir = tempfile::tempdir().unwrap();
    for doublings in [1, 2, 3] {
        let config = RrdbConfig { image_channels: 3, unshuffle: 1, channels: 32, growth: 16, blocks: 2, doublings };
        let config = UpscaleConfig::Rrdb(config);
        let path = dir.path().join(format!("{doublings}.safetensors"));
        common::write(&path, &old_names(&config.tensors().unwrap(), 2, doublings));
        let upscaler = Upscaler::open(&path, &budget()).unwrap();
        assert_eq!(upscaler.config(), &config);
        let y = upscaler.forward(Tensor::zeros([1, 3, 5, 4], &Device::flex())).unwrap();
        assert_eq!(y.dims(), [1, 3, 5 << doublings, 4 << doublings]);
    }
}

#[test]
fn a_network_that_folds_its_image_enlarges_less() {
    let config = RrdbConfig { image_channels: 3, unshuffle: 2, channels: 32, growth: 16, blocks: 1, doublings: 2 };
    let config = UpscaleConfig::Rrdb(config);
    let names = config.tensors().unwrap();
    assert_eq!(UpscaleConfig::from_names(&names).unwrap(), Some(config.clone()));
    assert_eq!(config.scale(), 2);
    let y =
        config.init(&common::weights(&names)).unwrap().forward(Tensor::zeros([1, 3, 6, 9], &Device::flex())).unwrap();
    assert_eq!(y.dims(), [1, 3, 12, 18]);
}

#[test]
fn one_slope_for_all_channels_is_a_network_too() {
    let config = CompactConfig { image_channels: 3, channels: 8, last: 4, scale: 3, slopes: 1 };
    let names = UpscaleConfig::Compact(config.clone()).tensors().unwrap();
    assert_eq!(UpscaleConfig::from_names(&names).unwrap(), Some(UpscaleConfig::Compact(config)));
}

#[test]
fn a_tiny_autoencoder_goes_there_and_back_at_an_eighth_of_the_size() {
    for pool in [false, true] {
        let half = TaesdHalf { latent: 4, channels: 64, image: 3, pool };
        let config = TaesdConfig { encoder: Some(half.clone()), decoder: Some(half) };
        let names = config.tensors().unwrap();
        assert_eq!(TaesdConfig::from_names(&names), Some(config.clone()));
        let taesd = config.init(&common::weights(&names)).unwrap();
        let latent = taesd.encode(Tensor::zeros([1, 3, 32, 16], &Device::flex())).unwrap();
        assert_eq!(latent.dims(), [1, 4, 4, 2]);
        assert_eq!(taesd.decode(latent).unwrap().dims(), [1, 3, 32, 16]);
    }
}

/// Numbers by torch 2.6: taesd.py with eight channels, its weights functions of their names; scales as in ComfyUI's
/// `load_taesd`.
#[test]
fn a_tiny_autoencoder_in_a_vaes_place_gives_what_torch_gives_in_each_familys_scale() {
    let half = TaesdHalf { latent: 4, channels: 8, image: 3, pool: false };
    let config = TaesdConfig { encoder: Some(half.clone()), decoder: Some(half) };
    let net = Arc::new(config.init(&common::weights(&config.tensors().unwrap())).unwrap());
    let plain = TaesdScale { scale: 1.0, shift: 0.0 };
    let cases = [
        (
            TaesdScale::SD1,
            [-0.93011562, 0.15514399, 1.225961, -0.90428072, -0.94956249],
            [0.0042489986, 0.81652899, 2.0919836, -0.86258763, 0.078876093],
        ),
        (
            TaesdScale::SD3,
            [-0.71503769, 0.58177614, 2.1912501, -0.8499139, -1.0596811],
            [0.061405688, 0.097177888, 0.21227755, -0.041759487, 0.07028731],
        ),
        (
            TaesdScale::FLUX,
            [-0.90565958, 0.21409288, 1.370312, -0.91463053, -0.96343422],
            [0.11804333, 0.41188249, 0.93936127, -0.31921589, 0.15568754],
        ),
        (
            plain,
            [-0.79724255, 0.42714402, 1.8512897, -0.87106323, -1.0196415],
            [0.00077395578, 0.14873076, 0.38105482, -0.15712035, 0.014367281],
        ),
    ];
    for (scale, image, latent) in cases {
        let vae = TinyVae { encoder: net.clone(), decoder: net.clone(), scale };
        let z = common::uniform("in.z", [1, 4, 3, 4], 2.0, 0.0);
        common::assert_five(vae.decode(z).unwrap(), image, 3e-6);
        let x = common::uniform("in.img", [1, 3, 24, 32], 1.0, 0.0);
        common::assert_five(vae.encode(x).unwrap(), latent, 3e-6);
    }
}

#[test]
fn a_whole_tiny_autoencoder_says_its_scale_and_halves_are_not_mixed_up() {
    let half = TaesdHalf { latent: 4, channels: 8, image: 3, pool: false };
    let config = TaesdConfig { encoder: Some(half.clone()), decoder: Some(half) };
    let names = config.tensors().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut whole: TensorShapes = names.iter().map(|(name, shape)| (format!("taesd_{name}"), shape.to_vec())).collect();
    common::write(&path("plain.safetensors"), &whole);
    whole.insert("vae_scale", []);
    common::write(&path("scaled.safetensors"), &whole);
    let open = |name: &str| TinyVae::open_whole(&path(name), &budget()).unwrap();
    assert_eq!(open("plain.safetensors").unwrap().scale, TaesdScale { scale: 1.0, shift: 0.0 });
    assert_eq!(open("scaled.safetensors").unwrap().scale, TaesdScale { scale: 0.0, shift: 0.0 });
    assert!(TinyVae::open_whole(&asset("fluent-tiny.safetensors"), &budget()).unwrap().is_none());
    common::write(&path("e.safetensors"), &names.under("encoder."));
    common::write(&path("d.safetensors"), &names.under("decoder."));
    let pair = |encoder: &str, decoder: &str| {
        let files = [path(encoder), path(decoder)];
        TinyVae::open([&files[0], &files[1]], TaesdScale::SD1, "vae", &budget())
    };
    pair("e.safetensors", "d.safetensors").unwrap();
    let error = pair("d.safetensors", "e.safetensors").unwrap_err().to_string();
    assert!(error.contains("d.safetensors") && error.contains("`0.weight` is missing"), "{error}");
}

#[test]
fn a_decoder_with_bare_names_opens_and_refuses_to_encode() {
    let half = TaesdHalf { latent: 4, channels: 64, image: 3, pool: false };
    let names = TaesdConfig { encoder: None, decoder: Some(half) }.tensors().unwrap().under("decoder.");
    assert!(names.has("1.weight") && names.has("3.conv.0.weight"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taesd_decoder.safetensors");
    common::write(&path, &names);
    let taesd = Taesd::open(&path, &budget()).unwrap();
    let error = taesd.encode(Tensor::zeros([1, 3, 8, 8], &Device::flex())).unwrap_err().to_string();
    assert!(error.contains("taesd_encoder.0.weight"), "{error}");
    assert_eq!(KeyMap::under(&names, "").len(), names.len());
}

#[test]
fn a_checkpoint_is_no_upscaler() {
    let error = Upscaler::open(&asset("fluent-tiny.safetensors"), &budget()).unwrap_err().to_string();
    assert!(error.contains("no upscaler. Recognised: a UNet (SD1, 64 wide)"), "{error}");
}

/// Numbers by torch 2.6: taehv.py of tiny widths, all frames at once, its weights functions of their names.
#[test]
fn a_tiny_autoencoder_of_clips_gives_what_torch_gives_frame_by_frame() {
    let half = |channels, frames| TaehvHalf { channels, frames };
    let cases = [
        (
            TaehvConfig {
                latent: 16,
                patch: 1,
                leaky: false,
                encoder: half([8; 4], [2, 2, 1]),
                decoder: half([16, 8, 12, 8], [1, 2, 2]),
            },
            ([9, 3, 16, 24], [-0.066423825, 0.1010687, 0.88887531, -0.014146046, -0.052432097]),
            ([2, 16, 1, 2], [0.0013968207, 0.056952365, 0.15247822, 0.12652209, -0.04196018]),
        ),
        (
            TaehvConfig {
                latent: 32,
                patch: 2,
                leaky: true,
                encoder: half([8; 4], [2, 2, 1]),
                decoder: half([16, 8, 12, 8], [1, 2, 2]),
            },
            ([9, 3, 32, 48], [-0.0041068345, 0.078187605, 0.91193497, 0.010528293, -0.08936654]),
            ([2, 32, 1, 2], [-0.0069935554, 0.095537084, 0.27439559, 0.2290595, -0.036618028]),
        ),
        (
            TaehvConfig {
                latent: 128,
                patch: 4,
                leaky: false,
                encoder: half([8; 4], [2, 2, 2]),
                decoder: half([16, 8, 12, 8], [2, 2, 2]),
            },
            ([17, 3, 64, 96], [-0.017250741, 0.097914899, 1.3344766, -0.040471297, 0.06049097]),
            ([1, 128, 1, 2], [0.0036521177, 0.062436942, 0.1694053, 0.16350736, -0.0044123437]),
        ),
    ];
    for (config, (dims, images), (latent_dims, latents)) in cases {
        let names = config.tensors().unwrap();
        assert_eq!(TaehvConfig::from_names(&names), Some(config.clone()));
        let net = config.init(&common::weights(&names)).unwrap();
        let found = net.decode(common::uniform("in.z", [3, config.latent, 2, 3], 2.0, 0.0)).unwrap();
        assert_eq!(found.dims(), dims);
        common::assert_five(found, images, 3e-6);
        let side = 8 * config.patch;
        let found = net.encode(common::uniform("in.img", [6, 3, side, 2 * side], 0.5, 0.5)).unwrap();
        assert_eq!(found.dims(), latent_dims);
        common::assert_five(found, latents, 3e-6);
        let wrong = net.decode(Tensor::zeros([1, 5, 2, 2], &Device::flex())).unwrap_err().to_string();
        assert!(wrong.contains("tiny autoencoder of clips") && wrong.contains("[1, 5, 2, 2]"), "{wrong}");
        net.encode(Tensor::zeros([1, 3, side, side + 4], &Device::flex())).unwrap_err();
    }
    let plain = TaesdHalf { latent: 4, channels: 8, image: 3, pool: false };
    let other = TaesdConfig { encoder: Some(plain.clone()), decoder: Some(plain) }.tensors().unwrap();
    assert_eq!(TaehvConfig::from_names(&other), None);
}
