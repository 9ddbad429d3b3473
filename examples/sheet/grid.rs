//! Every sampler with every scheduler: the same prompt and seed, a row per sampler, a column per scheduler.

use kiln::exec::{Engine, FromValue, GraphBuilder, RunOptions};
use kiln::models::sampler::SamplerKind;
use kiln::models::schedule::Scheduler;
use kiln::nodes::{CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, Image, KSampler, PreviewImage, VAEDecode};

use crate::canvas::{Canvas, Failure};
use crate::letters;

const PROMPT: &str = "a red apple";
/// Few, so that methods differ.
const STEPS: usize = 8;
/// Side of what is drawn.
const SIDE: usize = 96;
/// Side of an image on the sheet.
const SMALL: usize = SIDE / 2;
const GAP: usize = 8;

/// Draws the sheet, and says for each combination that can't be drawn why. Its place stays grey.
pub(crate) fn drawn(engine: &Engine) -> Canvas {
    let samplers: Vec<&str> = SamplerKind::all().iter().map(|kind| kind.name()).collect();
    let labels = samplers.iter().map(|name| letters::width(name)).max().unwrap_or(0) + 2 * GAP;
    let head = letters::HEIGHT + 2 * GAP;
    let cell = SMALL.max(Scheduler::ALL.iter().map(|s| letters::width(s.name())).max().unwrap_or(0)) + GAP;
    let mut sheet = Canvas::white(labels + Scheduler::ALL.len() * cell, head + samplers.len() * (SMALL + GAP));
    for (row, sampler) in samplers.iter().enumerate() {
        let top = head + row * (SMALL + GAP);
        letters::write(&mut sheet, GAP, top + (SMALL - letters::HEIGHT) / 2, sampler);
        for (column, scheduler) in Scheduler::ALL.iter().enumerate() {
            let left = labels + column * cell;
            if row == 0 {
                letters::write(&mut sheet, left, GAP, scheduler.name());
            }
            let image = one(engine, sampler, scheduler.name()).unwrap_or_else(|error| {
                println!("{sampler} with {}: {error}", scheduler.name());
                vec![200; SMALL * SMALL * 3]
            });
            sheet.paste(left, top, &image, SMALL);
        }
        println!("{sampler}");
    }
    sheet
}

/// One combination, at half its size. The engine keeps the model and the encoded prompts from one to the next.
fn one(engine: &Engine, sampler: &str, scheduler: &str) -> Result<Vec<u8>, Failure> {
    let graph = GraphBuilder::new();
    let (model, clip, vae) = graph.add(CheckpointLoaderSimple::node().ckpt_name("fluent-tiny.safetensors"));
    let positive = graph.add(CLIPTextEncode::node().clip(clip.clone()).text(PROMPT));
    let negative = graph.add(CLIPTextEncode::node().clip(clip).text(""));
    let latent = graph.add(EmptyLatentImage::node().width(SIDE as u32).height(SIDE as u32).batch_size(1));
    let sample = KSampler::node().model(model).positive(positive).negative(negative).latent_image(latent).seed(1);
    let sample = sample.steps(STEPS as u32).cfg(cfg(sampler)).sampler_name(sampler).scheduler(scheduler).denoise(1.0);
    let images = graph.add(VAEDecode::node().samples(graph.add(sample)).vae(vae));
    graph.add(PreviewImage::node().images(images.clone()));
    let link = images.as_link().cloned().ok_or("an output of a node is a link")?;
    let options = RunOptions::new().fetching(link.clone());
    let report = engine.start(graph.into_prompt()).options(options).run()?;
    let value = report.values(&link).and_then(|values| values.at(0)).ok_or("the image is missing")?;
    let image = Image::from_value(value.clone()).map_err(|_| "not an image")?;
    Ok(halved(&image.rgb().to_bytes().map_err(|error| error.to_string())?))
}

/// CFG++ guides from 0 to 1 where the others take 4.
fn cfg(sampler: &str) -> f64 {
    if sampler.contains("cfg_pp") { 1.0 } else { 4.0 }
}

/// The mean of two by two pixels.
fn halved(image: &[u8]) -> Vec<u8> {
    let at = |x: usize, y: usize, c: usize| u16::from(image[(y * SIDE + x) * 3 + c]);
    let mean = |i: usize| {
        let (x, y, c) = (i / 3 % SMALL * 2, i / 3 / SMALL * 2, i % 3);
        ((at(x, y, c) + at(x + 1, y, c) + at(x, y + 1, c) + at(x + 1, y + 1, c) + 2) / 4) as u8
    };
    (0..SMALL * SMALL * 3).map(mean).collect()
}
