//! The bundled model in less memory than its weights need: the same image, and as few bytes as can be.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::sync::Arc;

use common::{Bench, assets, one};
use kiln_exec::{GraphBuilder, Out, RunOptions};
use kiln_memory::{Controls, Counters, Forecast, Kind, Policy, Schedule, VramState, encode_f32, human_bytes};
use kiln_models::{Component, Inventory};
use kiln_nodes::loaders::LoraLoader;
use kiln_nodes::{
    CLIPTextEncode, CheckpointLoaderSimple, Clip, EmptyLatentImage, Environment, Image, KSampler, Model, PreviewImage,
    VAEDecode, Vae,
};

const MODEL: &str = "fluent-tiny.safetensors";
const STEPS: u32 = 4;

/// One image of 64x64.
#[derive(Clone, Copy)]
struct Job<'a> {
    text: &'a str,
    seed: u64,
    lora: Option<f32>,
}

const APPLE: Job<'static> = Job { text: "a red apple", seed: 7, lora: None };

/// An engine and the environment of its nodes.
struct House {
    bench: Bench,
    environment: Environment,
}

impl House {
    fn new(controls: Controls) -> Self {
        let (bench, environment) = Bench::with(|environment| environment.with_controls(controls));
        Self { bench, environment }
    }

    /// The image, and what was moved for it.
    fn draw(&self, job: Job<'_>) -> (Vec<f32>, Counters) {
        let (graph, image) = graph(job);
        let prompt = Arc::new(graph.into_prompt());
        let before = self.environment.pager().counters();
        let options = RunOptions { fetch: vec![image.as_link().unwrap().clone()], ..RunOptions::default() };
        let report = self.bench.engine.start(prompt).options(options).run().unwrap();
        let values = one::<Image>(report.values(image.as_link().unwrap()).unwrap()).values().unwrap();
        (values, since(self.environment.pager().counters(), before))
    }

    fn resident(&self) -> u64 {
        self.environment.pager().resident()
    }
}

fn graph(job: Job<'_>) -> (GraphBuilder, Out<Image>) {
    let g = GraphBuilder::new();
    let (mut model, mut clip, vae): (Out<Model>, Out<Clip>, Out<Vae>) =
        g.add(CheckpointLoaderSimple::node().ckpt_name(MODEL));
    if let Some(strength) = job.lora {
        let lora = LoraLoader::node().model(model).clip(clip).lora_name("one.safetensors");
        (model, clip) = g.add(lora.strength_model(strength).strength_clip(0.0));
    }
    let positive = g.add(CLIPTextEncode::node().text(job.text).clip(&clip));
    let negative = g.add(CLIPTextEncode::node().text("").clip(clip));
    let latent = g.add(EmptyLatentImage::node().width(64).height(64).batch_size(1));
    let sampler = KSampler::node().model(model).positive(positive).negative(negative).latent_image(latent);
    let sampler = sampler.seed(job.seed).steps(STEPS as usize).cfg(3.0).sampler_name("euler").scheduler("normal");
    let sampled = g.add(sampler.denoise(1.0));
    let image = g.add(VAEDecode::node().samples(sampled).vae(vae));
    g.add(PreviewImage::node().images(&image));
    (g, image)
}

fn since(now: Counters, before: Counters) -> Counters {
    Counters {
        hits: now.hits - before.hits,
        fills: now.fills - before.fills,
        streams: now.streams - before.streams,
        evictions: now.evictions - before.evictions,
        filled_bytes: now.filled_bytes - before.filled_bytes,
        streamed_bytes: now.streamed_bytes - before.streamed_bytes,
    }
}

fn unlimited() -> Controls {
    Controls { state: VramState::HighVram, ..Controls::default() }
}

/// What a run at least has to bring within `limit`: every weight once, and of the model that loops what doesn't fit again
/// in each further pass.
fn optimum(contents: &Inventory, limit: u64) -> u64 {
    let unet = contents.part("unet").unwrap().decoded();
    let all: u64 = contents.parts.iter().map(Component::decoded).sum();
    // The text encoder runs twice, once per prompt.
    let again = contents.part("clip").unwrap().decoded().saturating_sub(limit);
    all + again + u64::from(STEPS - 1) * unet.saturating_sub(limit)
}

fn planned(contents: &Inventory, limit: u64) -> u64 {
    let outlines: Vec<_> = contents.parts.iter().map(|part| part.outline.clone()).collect();
    let name = |role: &str| contents.part(role).unwrap().outline.name.clone();
    let schedule = Schedule::new().then(name("clip"), 1).then(name("clip"), 1);
    let schedule = schedule.then(name("unet"), STEPS).then(name("vae"), 1);
    let forecast = Forecast::new(&outlines, schedule, limit, Policy::Plan).unwrap();
    forecast.first.iter().map(|(_, bytes)| bytes).sum()
}

#[test]
fn a_limit_below_the_weights_gives_the_same_image_for_hardly_more_bytes_than_it_must() {
    let house = House::new(unlimited());
    let (image, all) = house.draw(APPLE);
    let contents = Inventory::of(&assets().join(MODEL)).unwrap();
    let total: u64 = contents.parts.iter().map(Component::decoded).sum();
    assert_eq!((all.streams, all.filled_bytes), (0, total), "everything once");
    for percent in [100, 75, 50, 25] {
        // Residency is counted in whole pages.
        let limit = house.resident() * percent / 100;
        let (limited, moved) = House::new(Controls { vram_limit: Some(limit), ..unlimited() }).draw(APPLE);
        let (least, plan) = (optimum(&contents, limit), planned(&contents, limit));
        println!(
            "{percent:3} % ({:>9}): {:>9} brought, {:>9} planned, {:>9} at least",
            human_bytes(limit),
            human_bytes(moved.moved()),
            human_bytes(plan),
            human_bytes(least)
        );
        assert!(image == limited, "{percent} %: another image");
        assert!(moved.moved() as f64 <= 1.05 * plan as f64, "{percent} %: {} of {plan}", moved.moved());
        // The bound knows neither staging slots nor that weights come whole: at this size they are some percent.
        assert!(moved.moved() as f64 <= 1.08 * least as f64, "{percent} %: {} of {least}", moved.moved());
    }
}

#[test]
fn without_any_room_every_weight_comes_for_each_use_and_the_image_is_the_same() {
    let (image, _) = House::new(unlimited()).draw(APPLE);
    let none = House::new(Controls { state: VramState::NoVram, ..Controls::default() });
    let (streamed, moved) = none.draw(APPLE);
    assert!(image == streamed);
    assert_eq!((none.resident(), moved.fills, moved.hits), (0, 0, 0));
    let sync = House::new(Controls { state: VramState::NoVram, slots: 0, ..Controls::default() });
    assert!(sync.draw(APPLE).0 == image, "and without bringing anything ahead");
}

#[test]
fn a_limit_on_all_memory_gives_the_same_image_and_computing_comes_first() {
    let house = House::new(unlimited());
    let (image, _) = house.draw(APPLE);
    for percent in [100, 25] {
        let limit = house.resident() * percent / 100;
        let limited = House::new(Controls { ram_limit: Some(limit), ..unlimited() });
        assert!(limited.draw(APPLE).0 == image, "{percent} %");
        let report = limited.environment.budget().report();
        let weights: u64 = report.rows.iter().filter(|row| row.kind == Kind::Weights).map(|row| row.used).sum();
        assert!(weights <= limit, "{report}");
        assert_eq!(report.used_for(Kind::Activations), 0, "given back: {report}");
        assert!(report.rows.iter().any(|row| row.kind == Kind::Activations && row.peak > 0), "{report}");
    }
}

#[test]
fn a_second_run_brings_no_more_than_the_first() {
    let whole = House::new(unlimited());
    whole.draw(APPLE);
    let half = House::new(Controls { vram_limit: Some(whole.resident() / 2), ..unlimited() });
    let (_, first) = half.draw(APPLE);
    let (_, second) = half.draw(Job { text: "a frog", seed: 8, ..APPLE });
    assert!(second.moved() <= first.moved(), "{} after {}", second.moved(), first.moved());
}

#[test]
fn another_prompt_or_seed_brings_nothing_that_is_here() {
    let house = House::new(unlimited());
    house.draw(APPLE);
    let (_, other_text) = house.draw(Job { text: "a frog", ..APPLE });
    let (_, other_seed) = house.draw(Job { seed: 8, ..APPLE });
    assert_eq!((other_text.moved(), other_seed.moved()), (0, 0));
    assert!(other_text.hits > 0 && other_seed.hits > 0);
}

#[test]
fn a_lora_brings_the_weights_it_touches_and_no_others() {
    let house = House::new(unlimited());
    let touched = write_lora(&house);
    let (plain, _) = house.draw(APPLE);
    let (patched, moved) = house.draw(Job { lora: Some(1.0), ..APPLE });
    assert!(plain != patched);
    assert_eq!((moved.fills, moved.filled_bytes, moved.streams), (1, touched, 0));
    let (_, stronger) = house.draw(Job { lora: Some(2.0), ..APPLE });
    assert_eq!((stronger.fills, stronger.filled_bytes), (1, touched));
    let (again, back) = house.draw(APPLE);
    assert!(again == plain, "nothing of the LoRA is left");
    assert_eq!(back.filled_bytes, touched);
}

/// A LoRA of rank 1 for one weight of the UNet. Returns that weight's decoded size.
fn write_lora(house: &House) -> u64 {
    let path = house.bench.root.path().join("models/loras/one.safetensors");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = kiln_memory::WeightFile::open(assets().join(MODEL)).unwrap();
    let weight = "model.diffusion_model.time_embed.2.weight";
    let [rows, columns] = file.get(weight).unwrap().shape[..] else { panic!("a matrix") };
    let prefix = "lora_unet_time_embed_2";
    let half = |n: usize| encode_f32(kiln_memory::Dtype::F16, &vec![0.25; n]).unwrap();
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (end, shape) in [("lora_up.weight", [rows, 1]), ("lora_down.weight", [1, columns])] {
        let bytes = half(shape[0] * shape[1]);
        let range = [data.len(), data.len() + bytes.len()];
        data.extend(bytes);
        header.insert(
            format!("{prefix}.{end}"),
            serde_json::json!({"dtype": "F16", "shape": shape, "data_offsets": range}),
        );
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    std::fs::write(&path, bytes).unwrap();
    (rows * columns * 4) as u64
}

#[test]
fn models_go_when_their_run_ends_if_smart_memory_is_off() {
    let house = House::new(Controls { smart: false, ..unlimited() });
    let (first, _) = house.draw(APPLE);
    assert_eq!(house.resident(), 0);
    let (second, moved) = house.draw(Job { seed: 8, ..APPLE });
    assert!(first != second && moved.fills > 0);
}
