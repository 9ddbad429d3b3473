//! Networks that are told more than a prompt: videos, cameras, images as prompts, small images, tasks.
//!
//! `data/side_inputs.json` was made by torch 2.6 on the CPU from the published architectures (Stability AI's
//! generative-models and stablediffusion) and ComfyUI's formulas, over the weights that a tensor's name and shape give.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::{Budget, TensorShapes};
use kiln_models::conditioning::{Camera, Concat, Conditioning, ImagePrompt, LowRes, Video};
use kiln_models::detect::{Detected, Family, Prediction, TextEncoderKind, families};
use kiln_models::sampler::SamplerKind;
use kiln_models::sampling::{FrameCourse, Guidance, NetworkPredictor, SamplingRun, StartLatent, noise_for};
use kiln_models::schedule::{Scheduler, steps};
use kiln_models::unet::{Extras, Heads, Middle, UNET, UNet, UNetConfig, Variant};
use kiln_models::vae::VaeConfig;
use kiln_models::vision::VisionConfig;
use kiln_models::{Checkpoint, DiffusionModel, Inventory, LatentFormat, SideInputs, unet_keys};

fn expected(name: &str) -> Vec<f32> {
    let all: serde_json::Value = serde_json::from_str(include_str!("data/side_inputs.json")).unwrap();
    all[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// Numbers between -1 and 1 that are a function of their place.
fn numbers<const D: usize>(from: usize, shape: [usize; D], scale: f32) -> Tensor<D> {
    let count = shape.iter().product::<usize>();
    let values = (from..from + count).map(|i| ((i as f64 * 0.37) % 2.0 - 1.0) as f32 * scale).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec::<f32>().unwrap()
}

/// The largest difference, relative to the largest value, is at most `tolerance`.
fn assert_near(name: &str, found: &[f32], tolerance: f32) {
    let expected = expected(name);
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
    let distance = found.iter().zip(&expected).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest;
    assert!(distance <= tolerance, "{name}: {distance}");
}

/// A network of two levels with transformers on both.
fn config(variant: Variant) -> UNetConfig {
    let video = matches!(variant, Variant::Video { .. });
    let upscaler = matches!(variant, Variant::Upscaler { .. });
    let posed = matches!(variant, Variant::Posed { .. });
    UNetConfig {
        in_channels: 4,
        out_channels: 4,
        model_channels: 32,
        res_blocks: vec![1; 2],
        channel_mult: vec![1, if video { 4 } else { 2 }],
        depth: vec![1; 2],
        depth_output: vec![1; 4],
        middle: Middle::Transformer(1),
        context_dim: Some(24),
        linear_projection: !posed,
        adm_channels: None,
        heads: if upscaler || posed { Heads::Count(8) } else { Heads::Width(64) },
        variant,
    }
}

fn video(adm: usize) -> UNetConfig {
    UNetConfig { in_channels: 8, adm_channels: Some(adm), ..config(Variant::Video { context: true }) }
}

fn unclip() -> UNetConfig {
    UNetConfig { adm_channels: Some(48), ..config(Variant::Plain) }
}

fn upscaler() -> UNetConfig {
    let variant = Variant::Upscaler { levels: 1000, context_only: vec![true, false] };
    UNetConfig { in_channels: 7, ..config(variant) }
}

fn posed() -> UNetConfig {
    UNetConfig { in_channels: 8, ..config(Variant::Posed { inputs: 28 }) }
}

fn network(config: &UNetConfig) -> UNet {
    config.init(&common::weights(&config.tensors().unwrap())).unwrap()
}

fn decoder() -> VaeConfig {
    VaeConfig {
        channels: 32,
        mult: vec![1; 2],
        res_blocks: 1,
        image_channels: 3,
        z_channels: 4,
        embed_dim: 4,
        encoder: None,
        quant: false,
        post_quant: false,
        encoder_attention: vec![false; 2],
        decoder_attention: vec![false; 2],
        middle_attention: true,
        frames: true,
        packed: false,
    }
}

#[test]
fn every_configuration_is_read_off_names_and_shapes() {
    for config in [video(768), video(256), video(1280), unclip(), upscaler(), posed()] {
        assert_eq!(UNetConfig::from_names(&config.tensors().unwrap()).unwrap(), config);
    }
    let names = decoder().tensors().unwrap();
    assert_eq!(VaeConfig::from_names(&names).unwrap(), decoder());
    assert_eq!(names.shape("decoder.conv_out.time_mix_conv.weight"), Some(&[3, 3, 3, 1, 1][..]));
}

#[test]
fn a_lora_file_may_name_layers_over_frames_as_diffusers_does() {
    let config = video(768);
    let keys = unet_keys(&config).unwrap();
    for (name, key) in [
        (
            "unet.down_blocks.0.attentions.0.temporal_transformer_blocks.0.attn1.to_q",
            "input_blocks.1.1.time_stack.0.attn1.to_q",
        ),
        (
            "mid_block.attentions.0.temporal_transformer_blocks.0.ff_in.net.0.proj",
            "middle_block.1.time_stack.0.ff_in.net.0.proj",
        ),
        ("lora_unet_up_blocks_1_attentions_0_time_pos_embed_linear_2", "output_blocks.2.1.time_pos_embed.2"),
        ("unet.up_blocks.0.resnets.1.temporal_res_block.conv1", "output_blocks.1.0.time_stack.in_layers.2"),
        ("unet.down_blocks.1.resnets.0.spatial_res_block.conv_shortcut", "input_blocks.3.0.skip_connection"),
        ("lora_unet_input_blocks_1_1_time_stack_0_attn2_to_v", "input_blocks.1.1.time_stack.0.attn2.to_v"),
    ] {
        assert_eq!(keys.get(name).map(|place| &place.key), Some(&format!("diffusion_model.{key}.weight")), "{name}");
    }
    // Each weight matrix over frames has such a name.
    let named: Vec<&String> =
        keys.iter().filter(|(name, _)| name.starts_with("unet.")).map(|(_, place)| &place.key).collect();
    for (key, shape) in config.tensors().unwrap().iter().filter(|(_, shape)| shape.len() > 1) {
        let over_frames = key.contains("time_stack") || key.contains("time_pos_embed");
        assert!(!over_frames || named.contains(&&format!("diffusion_model.{key}")), "{key} {shape:?}");
    }
    assert!(
        unet_keys(&unclip()).unwrap().iter().all(|(name, _)| !name.contains("tempor") && !name.contains("spatial"))
    );
}

#[test]
fn two_clips_of_three_frames_go_through_a_video_network_apart() {
    let clips = numbers(5, [6, 1, 24], 1.0);
    let context = Tensor::cat((0..2).map(|clip| clips.clone().narrow(0, clip, 1).repeat_dim(0, 3)).collect(), 0);
    let (unet, y) = (network(&video(768)), numbers(9, [6, 768], 1.0));
    let extras = Extras { y: Some(&y), frames: Some(3), ..Extras::default() };
    let output = unet.forward(numbers(0, [6, 8, 4, 4], 1.0), &[1.4; 6], &context, &extras).unwrap();
    assert_near("video.forward", &values(output), 2e-5);
}

#[test]
fn a_batch_that_is_no_multiple_of_the_frames_is_refused() {
    let y = numbers(0, [5, 768], 1.0);
    let extras = Extras { y: Some(&y), frames: Some(3), ..Extras::default() };
    let (x, context) = (numbers(0, [5, 8, 4, 4], 1.0), numbers(0, [5, 1, 24], 1.0));
    let error = network(&video(768)).forward(x, &[1.4; 5], &context, &extras).unwrap_err().to_string();
    assert!(error.contains("input `batch` should be a multiple of 3"), "{error}");
}

#[test]
fn a_videos_decoder_mixes_neighbouring_frames() {
    let vae = decoder().init(&common::weights(&decoder().tensors().unwrap())).unwrap();
    assert_near("video.decode", &values(vae.decode(numbers(3, [3, 4, 2, 2], 1.0)).unwrap()), 2e-5);
}

/// A run of Euler's sampler from torch's noise.
fn run(unet: &UNet, prediction: Prediction, guidance: &Guidance, seed: u64, sigmas: usize, batch: usize) -> Vec<f32> {
    let (sampling, device) = (prediction.sampling(), Device::flex());
    let upscaler = unet.side_inputs() == SideInputs::LowRes;
    let (format, scheduler) = (
        if upscaler { LatentFormat::SD_X4 } else { LatentFormat::SD1 },
        if matches!(prediction, Prediction::ContinuousV { .. }) { Scheduler::Karras } else { Scheduler::Simple },
    );
    let latent = StartLatent::new(Tensor::zeros([batch, 4, 4, 4], &device), 4).unwrap();
    let run = SamplingRun {
        model: &NetworkPredictor { network: unet, sampling: &sampling, patches: None },
        sampling: &sampling,
        format: &format,
        guidance,
        sampler: SamplerKind::named("euler").unwrap(),
        options: kiln_models::sampler::Options::default(),
        sigmas: &steps::sigmas(&sampling.levels, scheduler, sigmas, 1.0, false).unwrap(),
        seed,
        noise: noise_for(latent.tensor(), seed, None).unwrap(),
        latent,
        mask: None,
        max_batch: 2,
    };
    values(run.run(&mut |_| Ok(())).unwrap().latent)
}

const SVD: Prediction = Prediction::ContinuousV { sigma_min: 0.002, sigma_max: 700.0 };

fn with_image(context: Tensor<3>, latent: Tensor<4>) -> Conditioning {
    Conditioning::new(context, None).set_concat(&Concat { latent, mask: None })
}

#[test]
fn a_video_is_sampled_under_a_scale_that_runs_over_its_frames() {
    let video_inputs = Video { fps: Some(7.0), motion: Some(100.0), noise: Some(0.05), ..Video::default() };
    let (embed, image) = (numbers(1, [1, 1, 24], 1.0), numbers(7, [1, 4, 4, 4], 0.8));
    let unet = network(&video(768));
    for (name, course) in [("video.linear", FrameCourse::Linear), ("video.triangle", FrameCourse::Triangle)] {
        let guidance = Guidance::Frames {
            positive: with_image(embed.clone(), image.clone()).set_video(&video_inputs),
            negative: with_image(embed.zeros_like(), image.zeros_like()).set_video(&video_inputs),
            scale: 3.0,
            least: 1.0,
            course,
        };
        assert_near(name, &run(&unet, SVD, &guidance, 5, 3, 3), 1e-4);
    }
}

#[test]
fn a_turn_around_an_object_has_a_camera_for_each_frame() {
    let azimuths = [0.0, 180.0, 360.0];
    let cameras = azimuths.map(|azimuth| Camera { elevation: 12.5, azimuth });
    let positive = with_image(numbers(1, [1, 1, 24], 1.0), numbers(7, [1, 4, 4, 4], 0.8));
    let positive = positive.set_video(&Video { cameras: cameras.into(), ..Video::default() });
    let found = run(&network(&video(1280)), SVD, &Guidance::Basic(positive), 5, 2, 3);
    assert_near("cameras.run", &found, 1e-4);
}

fn images() -> (ImagePrompt, ImagePrompt) {
    let first = ImagePrompt { embeds: numbers(2, [2, 24], 1.0), strength: 1.2, noise: 0.1 };
    (first, ImagePrompt { embeds: numbers(4, [1, 24], 1.0), strength: -0.5, noise: 0.6 })
}

fn guided(positive: Conditioning, negative: Conditioning) -> Guidance {
    Guidance::Cfg { positive, negative, scale: 2.0, rescale: None }
}

fn prompts() -> (Conditioning, Conditioning) {
    let prompt = |from| Conditioning::new(numbers(from, [1, 5, 24], 1.0), None);
    (prompt(6), prompt(8))
}

#[test]
fn images_are_prompts_with_noise_and_are_merged_with_more() {
    let ((first, second), (positive, negative)) = (images(), prompts());
    let unet = network(&unclip()).with_side_inputs(SideInputs::Embeddings);
    let guidance = guided(positive.add_images(&first).add_images(&second), negative);
    assert_near("unclip.run", &run(&unet, Prediction::Eps, &guidance, 31, 3, 2), 1e-4);
}

#[test]
fn a_small_image_is_made_large() {
    let (positive, negative) = prompts();
    let low = LowRes { image: numbers(3, [1, 3, 4, 4], 1.0), noise: 0.2 };
    let guidance = guided(positive.set_low_res(&low), negative.set_low_res(&low));
    assert_near("upscaler.run", &run(&network(&upscaler()), Prediction::VLowRes, &guidance, 31, 3, 2), 1e-4);
}

#[test]
fn an_embedding_with_a_camera_is_projected_to_the_context() {
    let image = numbers(7, [1, 4, 4, 4], 0.8);
    let positive = with_image(numbers(6, [2, 1, 28], 1.0), image.clone());
    let negative = with_image(Tensor::zeros([1, 1, 24], &Device::flex()), image.zeros_like());
    let found = run(&network(&posed()), Prediction::Eps, &guided(positive, negative), 31, 3, 2);
    assert_near("posed.run", &found, 1e-4);
}

#[test]
fn a_task_is_told_by_sines_and_cosines() {
    let config = UNetConfig { adm_channels: Some(4), ..config(Variant::Plain) };
    let y = [1f32.sin(), 0.0, 1f32.cos(), 1.0];
    let y = Tensor::<2>::from_data(TensorData::new(y.to_vec(), [1, 4]), &Device::flex());
    let (x, context) = (numbers(7, [1, 4, 4, 4], 1.0), numbers(6, [1, 5, 24], 1.0));
    let unet = network(&config);
    assert_eq!(unet.side_inputs(), SideInputs::Task);
    let output = unet.forward(x, &[999.0], &context, &Extras { y: Some(&y), ..Extras::default() }).unwrap();
    assert_near("lotus.forward", &values(output), 2e-5);
}

fn vision(layers: usize) -> VisionConfig {
    VisionConfig {
        patch: 4,
        image: 12,
        width: 64,
        layers,
        heads: 1,
        mlp: 128,
        activation: kiln_models::clip::Activation::QuickGelu,
        projection: Some(24),
    }
}

fn under(prefix: &str, names: &TensorShapes, all: &mut TensorShapes) {
    names.iter().for_each(|(name, shape)| all.insert(format!("{prefix}{name}"), shape));
}

/// A checkpoint of a UNet, an image encoder and an autoencoder.
fn checkpoint(unet: &UNetConfig, vision_prefix: &str, vae_prefix: &str) -> TensorShapes {
    let mut names = TensorShapes::default();
    for (name, shape) in unet.tensors().unwrap().iter() {
        let prefix = if name.starts_with("cc_projection") { "" } else { "model.diffusion_model." };
        names.insert(format!("{prefix}{name}"), shape);
    }
    under(vision_prefix, &vision(1).tensors().unwrap(), &mut names);
    under(vae_prefix, &decoder().tensors().unwrap(), &mut names);
    names
}

#[test]
fn each_checkpoint_is_recognised_with_its_image_encoder() {
    const SGM: &str = "conditioner.embedders.0.open_clip.model.visual.";
    let cases = [
        (video(768), SGM, "first_stage_model.", Family::SVD),
        (video(256), SGM, "conditioner.embedders.1.encoder.", Family::SV3D),
        (video(1280), SGM, "conditioner.embedders.1.encoder.", Family::SV3D),
        (posed(), "cond_stage_model.model.visual.", "first_stage_model.", Family::ZERO123),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (config, vision_prefix, vae_prefix, family) in cases {
        let names = checkpoint(&config, vision_prefix, vae_prefix);
        let detected = Detected::in_checkpoint(&names).unwrap();
        assert_eq!(detected.family, Some(family));
        assert_eq!(detected.unused_tensors(&names), Vec::<&str>::new(), "{family}");
        let path = dir.path().join("model.safetensors");
        common::write(&path, &names);
        let budget = Budget::unlimited("test");
        let Checkpoint { model, text, vae, vision } = Checkpoint::open(&path, &budget).unwrap();
        assert_eq!(model.network_as::<UNet>().unwrap().config(), &config);
        assert!(text.is_none() && vae.unwrap().config().frames && vision.is_some(), "{family}");
        let roles: Vec<&str> = Inventory::of(&path).unwrap().parts.iter().map(|part| part.role).collect();
        assert_eq!(roles, ["unet", "vae", "vision"]);
    }
}

/// The row of the table for a UNet.
fn family(config: &UNetConfig, roles: &[TextEncoderKind]) -> Family {
    families().family(&UNET, config, roles).unwrap()
}

#[test]
fn an_upscaler_and_a_model_of_image_prompts_are_recognised() {
    let h = [TextEncoderKind::H];
    assert_eq!(family(&upscaler(), &h), Family::UPSCALER);
    assert_eq!(family(&unclip(), &h), Family::UNCLIP);
    let full = |adm| UNetConfig { adm_channels: Some(adm), context_dim: Some(1024), ..unclip() };
    assert_eq!([1536, 2048, 4].map(|adm| family(&full(adm), &[])), [Family::UNCLIP, Family::UNCLIP, Family::LOTUS]);
    let mut names = TensorShapes::default();
    under("model.diffusion_model.", &upscaler().tensors().unwrap(), &mut names);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("upscaler.safetensors");
    common::write(&path, &names);
    let model = DiffusionModel::open(&path, &Budget::unlimited("test")).unwrap();
    assert_eq!(
        (model.family, model.prediction, model.latent),
        (Family::UPSCALER, Prediction::VLowRes, LatentFormat::SD_X4)
    );
}

#[test]
fn an_embedding_of_another_width_is_refused() {
    let (positive, negative) = prompts();
    let images = ImagePrompt { embeds: numbers(2, [1, 20], 1.0), strength: 1.0, noise: 0.0 };
    let unet = network(&unclip()).with_side_inputs(SideInputs::Embeddings);
    let sampling = Prediction::Eps.sampling();
    let latent = StartLatent::new(Tensor::zeros([1, 4, 4, 4], &Device::flex()), 4).unwrap();
    let run = SamplingRun {
        model: &NetworkPredictor { network: &unet, sampling: &sampling, patches: None },
        sampling: &sampling,
        format: &LatentFormat::SD1,
        guidance: &guided(positive.add_images(&images), negative),
        sampler: SamplerKind::named("euler").unwrap(),
        options: kiln_models::sampler::Options::default(),
        sigmas: &[1.0, 0.0],
        seed: 1,
        noise: latent.tensor().clone(),
        latent,
        mask: None,
        max_batch: 2,
    };
    let error = run.run(&mut |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("`clip_vision_output` should be [images, 24]"), "{error}");
}

#[test]
fn an_image_prompt_stands_in_for_sdxls_pooled_prompt() {
    let unet = network(&UNetConfig { adm_channels: Some(24 + 6 * 256), ..config(Variant::Plain) });
    let pooled = Tensor::from_data(TensorData::new(expected("unclip.one")[..24].to_vec(), [1, 24]), &Device::flex());
    let prompt = |from| Conditioning::new(numbers(from, [1, 5, 24], 1.0), Some(numbers(from, [1, 24], 1.0)));
    let run = |positive| run(&unet, Prediction::Eps, &guided(positive, prompt(8)), 31, 3, 2);
    let seen = ImagePrompt { embeds: numbers(4, [1, 24], 1.0), strength: 0.8, noise: 0.3 };
    let (found, plain) = (run(prompt(6).add_images(&seen)), run(prompt(6)));
    let given = run(Conditioning::new(numbers(6, [1, 5, 24], 1.0), Some(pooled)));
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(distance(&found, &given) < 1e-3 * distance(&found, &plain), "{}", distance(&found, &given));
}

#[test]
fn the_image_of_a_scaled_edit_is_scaled_as_the_latent_is() {
    let unet = || network(&UNetConfig { in_channels: 8, ..config(Variant::Plain) });
    let image = numbers(7, [1, 4, 4, 4], 0.8);
    let with = |image: Tensor<4>| {
        let prompt = |from| with_image(numbers(from, [1, 5, 24], 1.0), image.clone());
        guided(prompt(6), prompt(8))
    };
    let scaled = unet().with_side_inputs(SideInputs::ScaledImage);
    let found = run(&scaled, Prediction::Eps, &with(image.clone()), 31, 3, 2);
    let given = run(&unet(), Prediction::Eps, &with(LatentFormat::SD1.process_in(image.clone())), 31, 3, 2);
    assert_eq!(found, given);
    assert_ne!(found, run(&unet(), Prediction::Eps, &with(image), 31, 3, 2));
}

#[test]
fn an_edit_on_continuous_velocities_is_a_scaled_one() {
    let config = UNetConfig { in_channels: 8, adm_channels: Some(24 + 6 * 256), ..config(Variant::Plain) };
    let dir = tempfile::tempdir().unwrap();
    for (marked, expected) in [(true, SideInputs::ScaledImage), (false, SideInputs::Usual)] {
        let mut names = config.tensors().unwrap();
        if marked {
            names.insert("edm_vpred.sigma_max", vec![1]);
        }
        let path = dir.path().join("edit.safetensors");
        common::write(&path, &names);
        let model = DiffusionModel::open(&path, &Budget::unlimited("test")).unwrap();
        assert_eq!((model.family, model.network.side_inputs()), (Family::SDXL, expected));
        let merged = model.merged(&model, |_| (0.5, 0.5)).unwrap();
        assert_eq!(merged.network.side_inputs(), expected);
    }
}
