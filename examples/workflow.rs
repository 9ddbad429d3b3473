//! Text to image through the whole house: a graph built with types, validated, run on the CPU with the bundled
//! model, saved as a PNG that carries the graph.
//!
//!     cargo run --release --example workflow
//!     cargo run --release --example workflow -- --prompt "an owl" --seed 7 --sampler dpmpp_2m --scheduler karras
//!     cargo run --release --example workflow -- examples/workflows/image_to_image.json
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use kiln::exec::GraphBuilder;
use kiln::graph::Prompt;
use kiln::nodes::{CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, KSampler, SaveImage, VAEDecode};
use kiln_cli::options::{EngineArgs, EnvironmentArgs};
use kiln_cli::{Opened, Terminal, on_ctrl_c, open};
use serde_json::json;

/// Draws an image from text, or runs any graph in ComfyUI's API format.
#[derive(Parser)]
#[command(name = "workflow")]
struct Args {
    /// Run this graph instead: an API-format JSON file, or a workflow saved by the editor.
    graph: Option<PathBuf>,
    /// What to draw. The bundled model knows about 300 things by name; assets/train/chosen.txt lists them.
    #[arg(long, default_value = "a red apple")]
    prompt: String,
    /// What not to draw.
    #[arg(long, default_value = "")]
    negative: String,
    /// Another seed, another image.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sampling steps.
    #[arg(long, default_value_t = 20)]
    steps: u32,
    /// How strongly the prompt pulls; 1 switches the negative prompt off.
    #[arg(long, default_value_t = 4.0, allow_negative_numbers = true)]
    cfg: f64,
    /// A sampler by ComfyUI's name.
    #[arg(long, default_value = "euler")]
    sampler: String,
    /// A scheduler by ComfyUI's name.
    #[arg(long, default_value = "normal")]
    scheduler: String,
    /// How much of the latent is replaced; 1 is all of it.
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    denoise: f64,
    /// Pixels, a multiple of 8.
    #[arg(long, default_value_t = 128)]
    width: u32,
    /// Pixels, a multiple of 8.
    #[arg(long, default_value_t = 128)]
    height: u32,
    /// Images at once.
    #[arg(long, default_value_t = 1)]
    batch: u32,
    /// A checkpoint by name, from the folder of models; or the path of a file.
    #[arg(long, default_value = "fluent-tiny.safetensors")]
    ckpt: String,
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

fn main() -> ExitCode {
    match draw(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => kiln_cli::explain_failure(&*error),
    }
}

fn draw(mut args: Args) -> Result<(), Box<dyn Error>> {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    args.environment.input_directory.get_or_insert_with(|| house.join("examples/input"));
    args.environment.checkpoint = file_of(&args.ckpt);
    if let Some(name) = args.environment.checkpoint.as_deref().and_then(Path::file_name) {
        args.ckpt = name.to_string_lossy().into_owned();
    }
    let environment = args.environment.environment(Path::new("."), &house.join("assets"))?;
    let terminal =
        Terminal::new(environment, args.engine.cache()).with_memory_report(args.environment.memory.memory_report);
    terminal.session().engine().set_spill(args.engine.spill());

    let Opened { mut prompt, workflow } = match &args.graph {
        Some(file) => open(file, &terminal.definitions())?,
        None => Opened { prompt: text_to_image(&args), workflow: None },
    };
    let validated = terminal.validate(&mut prompt)?;
    if !validated.node_errors.is_empty() {
        eprintln!("{validated}");
    }

    on_ctrl_c(terminal.cancel().clone())?;
    let mut options = args.engine.run_options();
    // The editor's own form where there is one; else the graph itself, so that the image can be opened as a workflow.
    let workflow = workflow.unwrap_or_else(|| prompt.to_value());
    options.extra_pnginfo = Some(Arc::new(json!({ "workflow": workflow })));
    let finished = terminal.run(&Arc::new(prompt), validated, options, None)?;
    print!("{}", finished.summary);
    Ok(())
}

/// The file that `ckpt` is the path of, if it is one and not a name.
fn file_of(ckpt: &str) -> Option<PathBuf> {
    let path = PathBuf::from(ckpt);
    (path.components().count() > 1 && path.is_file()).then_some(path)
}

/// The classic graph. A link into the wrong socket would not compile.
fn text_to_image(args: &Args) -> Prompt {
    let graph = GraphBuilder::new();
    let (model, clip, vae) = graph.add(CheckpointLoaderSimple::node().ckpt_name(&*args.ckpt));
    let positive = graph.add(CLIPTextEncode::node().clip(clip.clone()).text(&*args.prompt));
    let negative = graph.add(CLIPTextEncode::node().clip(clip).text(&*args.negative));
    let size = EmptyLatentImage::node().width(args.width).height(args.height).batch_size(args.batch);
    let latent = graph.add(size);
    let sampler = KSampler::node()
        .model(model)
        .positive(positive)
        .negative(negative)
        .latent_image(latent)
        .seed(args.seed)
        .steps(args.steps)
        .cfg(args.cfg)
        .sampler_name(&*args.sampler)
        .scheduler(&*args.scheduler)
        .denoise(args.denoise);
    let samples = graph.add(sampler);
    let images = graph.add(VAEDecode::node().samples(samples).vae(vae));
    graph.add(SaveImage::node().images(images).filename_prefix("kiln"));
    graph.into_prompt()
}
