//! `kiln memory`: what weights would take, before anything runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kiln_cli::memory::MemoryArgs;
use kiln_cli::plan::{ImageRequest, Plan};
use kiln_cli::streams::{note, say};
use kiln_models::sampler::SamplerKind;

use super::Done;

/// Questions about memory.
#[derive(Args)]
pub(crate) struct Memory {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// Says what of a weight file would stay in memory, what would be brought for each use, and why.
    Plan(PlanArgs),
}

#[derive(Args)]
struct PlanArgs {
    /// A checkpoint or another weight file: safetensors, GGUF, or the index of a file in pieces.
    file: PathBuf,
    /// Sampling steps.
    #[arg(long, default_value_t = 20)]
    steps: u32,
    /// A sampler by ComfyUI's name.
    #[arg(long, default_value = "euler")]
    sampler: String,
    /// How strongly the prompt pulls. Taken for completeness: both prompts go through the model together, so that it changes
    /// the time of a pass and not its bytes.
    #[arg(long, default_value_t = 8.0, allow_negative_numbers = true)]
    #[allow(dead_code, reason = "weights are brought once a pass, whatever it computes")]
    cfg: f64,
    /// Images at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    #[command(flatten)]
    memory: MemoryArgs,
}

impl Memory {
    pub(crate) fn execute(self) -> Done {
        let Question::Plan(plan) = self.question;
        let (controls, warnings) = plan.memory.controls();
        for warning in warnings {
            note(format_args!("warning: {warning}"));
        }
        let image = ImageRequest { steps: plan.steps, sampler: SamplerKind::named(&plan.sampler)?, batch: plan.batch };
        say(Plan::new(&plan.file, &controls, image)?);
        Ok(())
    }
}
