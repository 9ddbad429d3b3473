//! Images out of the bundled model, by way of the graph: what people do with these nodes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Bench, one};
use kiln_exec::{ErrorKind, Event, GraphBuilder, Out};
use kiln_models::taesd::{TaesdConfig, TaesdHalf};
use kiln_nodes::conditioning::CLIPSetLastLayer;
use kiln_nodes::conditioning::{ConditioningCombine, ConditioningSetArea};
use kiln_nodes::files::{DirKind, Folders, read_png};
use kiln_nodes::flow::KilnSeedLoop;
use kiln_nodes::latent::{LatentComposite, LatentUpscale};
use kiln_nodes::sampling::{
    BasicScheduler, CFGGuider, KSamplerAdvanced, KSamplerSelect, RandomNoise, SamplerCustomAdvanced, StepPreview,
};
use kiln_nodes::upscale::{ImageUpscaleWithModel, UpscaleModelLoader};
use kiln_nodes::vae::VAEDecodeTiled;
use kiln_nodes::{
    CLIPTextEncode, CheckpointLoaderSimple, Clip, Conditioning, EmptyLatentImage, Environment, Image, KSampler, Latent,
    LoadImage, Model, PreviewImage, SaveImage, VAEDecode, VAEEncode, Vae,
};

const MODEL: &str = "fluent-tiny.safetensors";

/// What most graphs begin with.
struct Start {
    model: Out<Model>,
    vae: Out<Vae>,
    positive: Out<Conditioning>,
    negative: Out<Conditioning>,
    latent: Out<Latent>,
}

fn start(g: &GraphBuilder) -> Start {
    let (model, clip, vae): (Out<Model>, Out<Clip>, Out<Vae>) = g.add(CheckpointLoaderSimple::node().ckpt_name(MODEL));
    Start {
        positive: g.add(CLIPTextEncode::node().text("a red apple").clip(&clip)),
        negative: g.add(CLIPTextEncode::node().text("").clip(clip)),
        latent: g.add(EmptyLatentImage::node().width(64).height(64).batch_size(1)),
        model,
        vae,
    }
}

impl Start {
    fn sample(&self, g: &GraphBuilder, seed: u64, latent: &Out<Latent>, denoise: f64) -> Out<Latent> {
        let sampler = KSampler::node().model(&self.model).positive(&self.positive).negative(&self.negative);
        let sampler = sampler.latent_image(latent).seed(seed).steps(2).cfg(3.0).sampler_name("euler");
        g.add(sampler.scheduler("normal").denoise(denoise))
    }

    fn decode(&self, g: &GraphBuilder, latent: Out<Latent>) -> Out<Image> {
        g.add(VAEDecode::node().samples(latent).vae(&self.vae))
    }
}

/// An image from nothing but noise.
fn drawn(g: &GraphBuilder, seed: u64) -> Out<Image> {
    let s = start(g);
    let sampled = s.sample(g, seed, &s.latent, 1.0);
    s.decode(g, sampled)
}

fn save(g: &GraphBuilder, images: &Out<Image>) {
    g.add(SaveImage::node().images(images).filename_prefix("kiln"));
}

#[test]
fn a_prompt_becomes_a_numbered_file_with_the_graph_inside() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let image = drawn(&g, 7);
    save(&g, &image);
    let prompt = g.into_prompt();
    let report = bench.engine.run(prompt.clone()).unwrap();
    assert_eq!(bench.files(DirKind::Output), ["kiln_00001_.png"]);
    let file = read_png(&bench.folder(DirKind::Output).join("kiln_00001_.png")).unwrap();
    assert_eq!((file.width, file.height), (64, 64));
    let inside: serde_json::Value = serde_json::from_str(&file.texts["prompt"]).unwrap();
    assert_eq!(inside, prompt.to_value());
    let mean = file.pixels.iter().map(|p| f64::from(*p)).sum::<f64>() / file.pixels.len() as f64;
    assert!(file.pixels.iter().any(|p| (f64::from(*p) - mean).abs() > 40.0), "an image, not a plain of {mean}");
    let ui = report.outputs.values().find_map(|o| o.ui.as_ref()?.get("images").map(<[_]>::to_vec)).unwrap();
    assert_eq!(ui[0]["filename"], "kiln_00001_.png");
    // The next one takes the next number, and the same seed gives the same image.
    Bench::run(&bench, {
        let g = GraphBuilder::new();
        let image = drawn(&g, 7);
        g.add(SaveImage::node().images(image).filename_prefix("kiln_again"));
        g
    })
    .unwrap();
    assert_eq!(bench.saved("kiln_again_00001_.png").rgb, bench.saved("kiln_00001_.png").rgb);
}

#[test]
fn another_seed_is_another_image_and_less_denoise_stays_closer() {
    let bench = Bench::new();
    let image = |seed: u64, denoise: f64| -> Vec<f32> {
        let g = GraphBuilder::new();
        let s = start(&g);
        let first = s.sample(&g, 1, &s.latent, 1.0);
        let second = s.sample(&g, seed, &first, denoise);
        let picture = s.decode(&g, second);
        g.add(PreviewImage::node().images(&picture));
        one::<Image>(&bench.fetch(g, &picture).unwrap()).values().unwrap()
    };
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>();
    let (base, near, far, other) = (image(2, 0.0), image(2, 0.3), image(2, 1.0), image(3, 1.0));
    assert!(distance(&base, &near) > 0.0);
    assert!(distance(&base, &near) < distance(&base, &far));
    assert!(distance(&far, &other) > 0.0);
}

#[test]
fn a_saved_image_can_be_loaded_and_worked_on() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let image = drawn(&g, 7);
    save(&g, &image);
    bench.run(g).unwrap();
    let g = GraphBuilder::new();
    let s = start(&g);
    let (loaded, _) = g.add(LoadImage::node().image("kiln_00001_.png [output]"));
    let latent = g.add(VAEEncode::node().pixels(&loaded).vae(&s.vae));
    let larger =
        g.add(LatentUpscale::node().samples(&latent).upscale_method("bislerp").width(96).height(96).crop("disabled"));
    let composed = g.add(LatentComposite::node().samples_to(&larger).samples_from(latent).x(32).y(32).feather(8));
    let sampled = s.sample(&g, 9, &composed, 0.5);
    let out = s.decode(&g, sampled);
    save(&g, &out);
    bench.run(g).unwrap();
    let saved = bench.saved("kiln_00002_.png");
    assert_eq!((saved.width, saved.height), (96, 96));
}

#[test]
fn a_loop_over_seeds_gives_each_seeds_own_image() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let s = start(&g);
    let looped = KilnSeedLoop::node().model(&s.model).positive(&s.positive).negative(&s.negative);
    let looped = looped.latent_image(&s.latent).vae(&s.vae).seed(5).count(3).steps(2).cfg(3.0);
    let images = g.add(looped.sampler_name("euler").scheduler("normal").denoise(1.0));
    g.add(PreviewImage::node().images(&images));
    let all: Image = one(&bench.fetch(g, &images).unwrap());
    assert_eq!(all.dims(), [3, 64, 64, 3]);
    let g = GraphBuilder::new();
    let second = drawn(&g, 6);
    g.add(PreviewImage::node().images(&second));
    let second: Image = one(&bench.fetch(g, &second).unwrap());
    let size = 64 * 64 * 3;
    assert_eq!(second.values().unwrap(), all.values().unwrap()[size..2 * size]);
}

#[test]
fn a_run_put_together_from_parts_equals_ksampler() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let s = start(&g);
    let whole = s.sample(&g, 11, &s.latent, 1.0);
    let noise = g.add(RandomNoise::node().noise_seed(11));
    let guider = g.add(CFGGuider::node().model(&s.model).positive(&s.positive).negative(&s.negative).cfg(3.0));
    let sampler = g.add(KSamplerSelect::node().sampler_name("euler"));
    let sigmas = g.add(BasicScheduler::node().model(&s.model).scheduler("normal").steps(2).denoise(1.0));
    let parts = SamplerCustomAdvanced::node().noise(noise).guider(guider).sampler(sampler).sigmas(sigmas);
    let (parts, _) = g.add(parts.latent_image(&s.latent));
    let half = |first: usize, last: usize, latent: &Out<Latent>, noise: &str, leftover: &str| {
        let node = KSamplerAdvanced::node().model(&s.model).positive(&s.positive).negative(&s.negative);
        let node = node.noise_seed(11).steps(2).cfg(3.0).sampler_name("euler").scheduler("normal").add_noise(noise);
        let node = node.start_at_step(first).end_at_step(last).return_with_leftover_noise(leftover);
        g.add(node.latent_image(latent))
    };
    let first = half(0, 1, &s.latent, "enable", "enable");
    let both = half(1, 10000, &first, "disable", "disable");
    let outs = [&whole, &parts, &both].map(|out| out.as_link().unwrap().clone());
    for out in [&whole, &parts, &both] {
        let picture = s.decode(&g, out.clone());
        g.add(PreviewImage::node().images(picture));
    }
    let options = kiln_exec::RunOptions { fetch: outs.to_vec(), ..kiln_exec::RunOptions::default() };
    let report = bench.engine.start(g.into_prompt()).options(options).run().unwrap();
    let [whole, parts, both] = outs.map(|link| {
        let latent: Latent = one(report.values(&link).unwrap());
        latent.tensor().into_data().try_to_vec::<f32>().unwrap()
    });
    assert_eq!(whole, parts);
    let close = |a: &f32, b: &f32| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
    assert!(whole.iter().zip(&both).all(|(a, b)| close(a, b)));
}

#[test]
fn conditions_in_areas_clip_skip_and_tiles_run() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let (model, clip, vae) = g.add(CheckpointLoaderSimple::node().ckpt_name(MODEL));
    let skipped = g.add(CLIPSetLastLayer::node().clip(&clip).stop_at_clip_layer(-2));
    let base = g.add(CLIPTextEncode::node().text("a (red:1.3) apple").clip(&skipped));
    let part = g.add(CLIPTextEncode::node().text("a pear").clip(&clip));
    let part = g.add(ConditioningSetArea::node().conditioning(part).width(64).height(64).x(32).y(0).strength(1.0));
    let both = g.add(ConditioningCombine::node().conditioning_1(base).conditioning_2(part));
    let negative = g.add(CLIPTextEncode::node().text("").clip(clip));
    let latent = g.add(EmptyLatentImage::node().width(96).height(64).batch_size(1));
    let sampler = KSampler::node().model(model).positive(both).negative(negative).latent_image(latent).seed(1).steps(1);
    let sampled = g.add(sampler.cfg(3.0).sampler_name("dpmpp_2m").scheduler("karras").denoise(1.0));
    let tiles = VAEDecodeTiled::node().samples(sampled).vae(vae).tile_size(64).overlap(16);
    let picture = g.add(tiles.temporal_size(64).temporal_overlap(8));
    g.add(PreviewImage::node().images(&picture));
    let picture: Image = one(&bench.fetch(g, &picture).unwrap());
    assert_eq!(picture.dims(), [1, 64, 96, 3]);
    assert_eq!(bench.files(DirKind::Temp).len(), 1);
    assert!(bench.files(DirKind::Output).is_empty());
}

#[test]
fn a_bundled_upscaler_enlarges_an_image_four_times() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let model = g.add(UpscaleModelLoader::node().model_name("realesr-animevideov3-x4.safetensors"));
    let image = g.add(kiln_nodes::image::EmptyImage::node().width(24).height(16).batch_size(1).color(0x80_8080));
    let larger = g.add(ImageUpscaleWithModel::node().upscale_model(model).image(image));
    g.add(PreviewImage::node().images(&larger));
    let larger: Image = one(&bench.fetch(g, &larger).unwrap());
    assert_eq!(larger.dims(), [1, 64, 96, 3]);
    assert!(larger.values().unwrap().iter().all(|v| (0.0..=1.0).contains(v)));
}

#[test]
fn sampling_shows_each_step_and_stops_within_one_when_cancelled() {
    let bench = Bench::new();
    let g = GraphBuilder::new();
    let s = start(&g);
    let sampler = KSampler::node().model(&s.model).positive(&s.positive).negative(&s.negative).latent_image(&s.latent);
    let sampler = sampler.seed(1).steps(200).cfg(3.0).sampler_name("euler").scheduler("normal").denoise(1.0);
    let sampled = g.add(sampler);
    let picture = s.decode(&g, sampled);
    save(&g, &picture);
    let previews = Arc::new(AtomicU32::new(0));
    let run = bench.engine.start(g.into_prompt());
    let (seen, cancel) = (previews.clone(), run.cancel());
    let run = run.on_event(move |event| {
        if let Event::Progress { preview: Some(preview), .. } = event {
            let step = preview.0.downcast_ref::<StepPreview>().unwrap();
            assert_eq!((step.width, step.height, step.rgb.len()), (8, 8, 8 * 8 * 3));
            if seen.fetch_add(1, Ordering::SeqCst) == 1 {
                cancel.cancel();
            }
        }
    });
    let error = run.run().unwrap_err();
    assert!(error.is_interrupted());
    assert!(previews.load(Ordering::SeqCst) <= 3);
    assert!(bench.files(DirKind::Output).is_empty());
}

#[test]
fn the_lazy_switch_leaves_the_other_branch_alone() {
    let bench = Bench::new();
    let prompt = r#"{
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 255}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "there is no such file.png"}},
        "3": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "4": {"class_type": "ImageBlur", "inputs": {"image": ["1", 0], "blur_radius": 3, "sigma": 1.0}},
        "5": {"class_type": "ComfySwitchNode", "inputs": {"switch": true, "on_false": ["4", 0], "on_true": ["3", 0]}},
        "6": {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}}
    }"#;
    assert_eq!(
        bench.classes_run(prompt),
        ["ComfySwitchNode", "EmptyImage", "ImageInvert", "ComfySwitchNode", "PreviewImage"]
    );
}

#[test]
fn an_output_folder_that_cannot_be_written_is_told_before_anything_runs() {
    let bench = Bench::new();
    std::fs::write(bench.folder(DirKind::Output), b"a file where the folder should be").unwrap();
    let g = GraphBuilder::new();
    let image = g.add(kiln_nodes::image::EmptyImage::node().width(8).height(8).batch_size(1).color(0));
    save(&g, &image);
    let error = bench.run(g).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("output folder"), "{error}");
}

fn failure(bench: &Bench, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut prompt: serde_json::Value = serde_json::from_str(
        r#"{
        "3": {"class_type": "KSampler", "inputs": {"model": ["4", 0], "positive": ["6", 0], "negative": ["6", 0],
            "latent_image": ["5", 0], "seed": 1, "steps": 1, "cfg": 1.0, "sampler_name": "euler",
            "scheduler": "normal", "denoise": 1.0}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "fluent-tiny.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a pear", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "kiln"}}}"#,
    )
    .unwrap();
    change(&mut prompt);
    let error = bench.engine.run(kiln_exec::Prompt::from_value(prompt).unwrap()).unwrap_err();
    assert!(bench.files(DirKind::Output).is_empty(), "no file is left behind");
    error.to_string()
}

#[test]
fn bad_input_is_told_in_words() {
    let bench = Bench::new();
    let checkpoints = bench.root.path().join("models/checkpoints");
    std::fs::create_dir_all(&checkpoints).unwrap();
    let whole = std::fs::read(common::assets().join(MODEL)).unwrap();
    std::fs::write(checkpoints.join("short.safetensors"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(checkpoints.join("text.safetensors"), b"this is not a checkpoint").unwrap();
    let upscaler = common::assets().join("realesr-animevideov3-x2.safetensors");
    std::fs::copy(upscaler, checkpoints.join("upscaler.safetensors")).unwrap();
    let set = |node: &'static str, input: &'static str, value: serde_json::Value| {
        move |prompt: &mut serde_json::Value| prompt[node]["inputs"][input] = value
    };
    let cases = [
        (failure(&bench, set("4", "ckpt_name", "missing.safetensors".into())), vec!["ckpt_name", "missing"]),
        (failure(&bench, set("4", "ckpt_name", "short.safetensors".into())), vec!["\"4\"", "short.safetensors"]),
        (failure(&bench, set("4", "ckpt_name", "text.safetensors".into())), vec!["\"4\"", "text.safetensors"]),
        (failure(&bench, set("4", "ckpt_name", "upscaler.safetensors".into())), vec!["\"4\"", "upscaler.safetensors"]),
        (failure(&bench, set("5", "width", 0.into())), vec!["width", "16"]),
        (failure(&bench, set("5", "width", 100_000.into())), vec!["width", "16384"]),
        (failure(&bench, set("3", "sampler_name", "eular".into())), vec!["sampler_name", "eular"]),
        (failure(&bench, set("3", "cfg", "NaN?".into())), vec!["cfg"]),
        (failure(&bench, set("8", "samples", serde_json::json!(["4", 2]))), vec!["samples", "VAE", "LATENT"]),
        (failure(&bench, set("8", "samples", serde_json::json!(["77", 0]))), vec!["samples", "77"]),
    ];
    for (message, parts) in cases {
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
}

/// A tiny decoder of eight channels whose last bias makes every image this colour.
fn tiny_decoder(colour: f32) -> Vec<u8> {
    let decoder = TaesdHalf { latent: 4, channels: 8, image: 3, pool: false };
    let names = TaesdConfig { encoder: None, decoder: Some(decoder) }.tensors().unwrap();
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in names.iter() {
        let (start, value) = (data.len(), if name == "decoder.19.bias" { colour } else { 0.0 });
        (0..shape.iter().product::<usize>()).for_each(|_| data.extend(value.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.trim_start_matches("decoder.").to_owned(), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [(header.len() as u64).to_le_bytes().to_vec(), header, data].concat()
}

#[test]
fn a_tiny_decoder_paints_the_previews_where_it_lies_among_the_models() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("models/vae_approx");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("taesd_decoder.safetensors"), tiny_decoder(0.5)).unwrap();
    let folders = Folders::under(root.path()).with_bundled(common::assets());
    let engine = Environment::new(folders).with_tiny_previews(true).into_engine();
    let g = GraphBuilder::new();
    let s = start(&g);
    let latent = s.sample(&g, 1, &s.latent, 1.0);
    g.add(PreviewImage::node().images(s.decode(&g, latent)));
    let previews = Arc::new(AtomicU32::new(0));
    let seen = previews.clone();
    let listen = move |event: &Event| {
        if let Event::Progress { preview: Some(preview), .. } = event {
            let step = preview.0.downcast_ref::<StepPreview>().unwrap();
            assert_eq!((step.width, step.height), (64, 64));
            assert_eq!(step.rgb, vec![127; 64 * 64 * 3]);
            seen.fetch_add(1, Ordering::SeqCst);
        }
    };
    engine.start(g.into_prompt()).on_event(listen).run().unwrap();
    assert_eq!(previews.load(Ordering::SeqCst), 2);
}
