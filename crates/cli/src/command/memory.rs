//! `kiln memory`: what weights would take, before anything runs.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kiln_cli::options::EnvironmentArgs;
use kiln_cli::plan::{ImageRequest, Plan};
use kiln_cli::streams::say;
use kiln_cli::{GraphPlan, open};
use kiln_exec::CachePolicy;
use kiln_models::sampler::SamplerKind;

use super::{Done, terminal};

/// Questions about memory.
#[derive(Args)]
pub(crate) struct Memory {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// Says what of a weight file, or of the models of a graph, would stay in memory, what would be brought for each use, and why.
    Plan(Box<PlanArgs>),
}

#[derive(Args)]
#[command(after_help = "\
  kiln memory plan model.safetensors --vram-limit 2G --steps 30   one file, for one picture
  kiln memory plan workflow.json --ram-limit 6G                   every model that a graph uses, by holder

Nothing is run; of weights no more than headers are read.")]
struct PlanArgs {
    /// A checkpoint or another weight file (safetensors, GGUF, the index of a file in pieces), or a graph: JSON, or a picture
    /// that carries one.
    file: PathBuf,
    /// Sampling steps. For a weight file; a graph has its own.
    #[arg(long, default_value_t = 20)]
    steps: u32,
    /// A sampler by ComfyUI's name. For a weight file.
    #[arg(long, default_value = "euler")]
    sampler: String,
    /// How strongly the prompt pulls. Taken for completeness: both prompts go through the model together, so that it changes
    /// the time of a pass and not its bytes.
    #[arg(long, default_value_t = 8.0, allow_negative_numbers = true)]
    #[allow(dead_code, reason = "weights are brought once a pass, whatever it computes")]
    cfg: f64,
    /// Images at once. For a weight file.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Memory {
    pub(crate) fn execute(self) -> Done {
        let Question::Plan(plan) = self.question;
        let terminal = terminal(&plan.environment, CachePolicy::None)?;
        let environment = terminal.session().environment();
        if !is_graph(&plan.file) {
            let (steps, sampler, batch) = (plan.steps, SamplerKind::named(&plan.sampler)?, plan.batch);
            say(Plan::new(&plan.file, environment.controls(), ImageRequest { steps, sampler, batch })?);
            return Ok(());
        }
        let definitions = terminal.definitions();
        let mut prompt = open(&plan.file, &definitions)?.prompt;
        let validated = super::validated(&terminal, &plan.file, &mut prompt);
        let (registry, folders) = (terminal.session().engine().registry(), environment.folders());
        let name = plan.file.display().to_string();
        say(GraphPlan::new(&name, &prompt, registry, &definitions, folders, environment.controls())?);
        validated.map_or_else(|refused| Err(refused.into()), |_| Ok(()))
    }
}

/// Whether a file is a graph by its name: JSON that is no index, a picture or a video.
fn is_graph(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let carriers = ["png", "webp", "jpg", "jpeg", "avif", "mp4", "webm", "mov", "flac", "mp3", "ogg", "latent"];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    carriers.contains(&ending) || (ending == "json" && !name.ends_with(".index.json"))
}
