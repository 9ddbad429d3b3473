//! The README's image sheet: one graph with many samplers, its images side by side. And every sampler with every
//! scheduler.
//!
//!     cargo run --release --example sheet -- docs/sheet.png
//!     cargo run --release --example sheet -- --grid docs/samplers.png
#![allow(clippy::print_stdout)]

mod canvas;
mod grid;
mod letters;

use std::path::{Path, PathBuf};

use kiln::exec::{Engine, FromValue, GraphBuilder, Link, RunOptions};
use kiln::nodes::files::{Colour, Folders, PngImage, write_png};
use kiln::nodes::{
    CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, Environment, Image, KSampler, PreviewImage, VAEDecode,
};

use canvas::{Canvas, Failure};

const PROMPTS: [(&str, u64); 12] = [
    ("a red apple", 1),
    ("an owl", 7),
    ("a frog", 42),
    ("a rocket", 123_456_789),
    ("a pizza", 11),
    ("a castle", 5),
    ("a crab", 3),
    ("a cactus", 8),
    ("a crown", 2),
    ("a mushroom", 4),
    ("a butterfly", 6),
    ("a birthday cake", 9),
];
const COLUMNS: usize = 6;
const SIDE: usize = 128;

fn main() -> Result<(), Failure> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let grid = arguments.iter().position(|argument| argument == "--grid").map(|at| arguments.remove(at)).is_some();
    let file = PathBuf::from(arguments.pop().unwrap_or_else(|| "output/sheet.png".into()));
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = Folders::under(std::env::temp_dir().join("kiln-sheet")).with_bundled(house.join("assets"));
    let engine = Environment::new(folders).into_engine();
    let sheet = if grid { grid::drawn(&engine) } else { prompts(&engine)? };
    save(&file, sheet)
}

fn save(file: &Path, canvas: Canvas) -> Result<(), Failure> {
    let Canvas { width, height, rgb } = canvas;
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    let picture = PngImage { width, height, colour: Colour::Rgb, pixels: rgb, texts: std::iter::empty().collect() };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(file, write_png(&picture, 9)?)?;
    println!("{}", file.display());
    Ok(())
}

/// Twelve prompts, all in one graph.
fn prompts(engine: &Engine) -> Result<Canvas, Failure> {
    let graph = GraphBuilder::new();
    let (model, clip, vae) = graph.add(CheckpointLoaderSimple::node().ckpt_name("fluent-tiny.safetensors"));
    let negative = graph.add(CLIPTextEncode::node().clip(clip.clone()).text(""));
    let latent = graph.add(EmptyLatentImage::node().width(SIDE as u32).height(SIDE as u32).batch_size(1));
    let pictures: Vec<Link> = PROMPTS
        .iter()
        .map(|(text, seed)| {
            let positive = graph.add(CLIPTextEncode::node().clip(clip.clone()).text(*text));
            let sampler = KSampler::node().model(model.clone()).positive(positive).negative(negative.clone());
            let sampler = sampler.latent_image(latent.clone()).seed(*seed).steps(24).cfg(4.0);
            let samples = graph.add(sampler.sampler_name("dpmpp_2m").scheduler("karras").denoise(1.0));
            let images = graph.add(VAEDecode::node().samples(samples).vae(vae.clone()));
            graph.add(PreviewImage::node().images(images.clone()));
            images.as_link().cloned().ok_or("an output of a node is a link")
        })
        .collect::<Result<_, _>>()?;

    let options = pictures.iter().cloned().fold(RunOptions::new(), RunOptions::fetching);
    let report = engine.start(graph.into_prompt()).options(options).run()?;
    let mut sheet = Canvas::white(COLUMNS * SIDE, PROMPTS.len().div_ceil(COLUMNS) * SIDE);
    for (at, link) in pictures.iter().enumerate() {
        let value = report.values(link).and_then(|values| values.at(0)).ok_or("an image is missing")?;
        let image = Image::from_value(value.clone()).map_err(|_| "not a picture")?;
        let pixels = image.rgb().to_bytes().map_err(|error| error.to_string())?;
        sheet.paste(at % COLUMNS * SIDE, at / COLUMNS * SIDE, &pixels, SIDE);
    }
    Ok(sheet)
}
