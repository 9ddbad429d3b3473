//! `kiln bench`: how fast this machine makes a picture.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kiln_cli::bench::{Bench, Torch};
use kiln_cli::memory::MemoryArgs;
use kiln_cli::on_ctrl_c;
use kiln_cli::streams::{note, say};
use kiln_exec::Cancel;
use kiln_kernels::Isa;
use kiln_nodes::Environment;

use super::Done;

/// Makes one picture and says what each part of it took.
#[derive(Args)]
#[command(after_help = "\
  kiln bench main                              the bundled model, 20 steps at 128x128
  kiln bench sd15 --vram-limit 300M            full size, 512x512, random weights
  kiln bench sd15 --ckpt model.safetensors     the same with a file
  kiln bench sd15 --against-torch --isa avx2   beside PyTorch, both held to AVX2
  kiln bench main --json | tail -1             one object

Random weights are written once into the folder for temporary files (2.1 GB for sd15, 6.9 GB for sdxl). Numbers mean something
where nothing else runs.")]
pub(crate) struct Benches {
    /// What is measured.
    which: Which,
    /// A checkpoint. Default: the bundled one for main, random weights of full size for the others.
    #[arg(long, value_name = "FILE")]
    ckpt: Option<PathBuf>,
    /// Sampling steps. Default: 20 for main, 4 for sd15, 3 for sdxl.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    steps: Option<u32>,
    /// One JSON object as the last line.
    #[arg(long)]
    json: bool,
    /// The instruction set of the kernels: portable, avx2, avx512. Default: the fastest of this machine.
    #[arg(long, value_name = "SET")]
    isa: Option<String>,
    /// Threads that compute. Default: one per core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Run the same networks in PyTorch as well, where Python has torch, diffusers and transformers.
    #[arg(long)]
    against_torch: bool,
    /// The Python for --against-torch.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    #[command(flatten)]
    memory: MemoryArgs,
}

/// What is measured.
#[derive(ValueEnum, Clone, Copy)]
enum Which {
    /// The bundled model, 20 steps at 128x128, guidance on.
    Main,
    /// Stable Diffusion 1.5 at 512x512, guidance on.
    Sd15,
    /// SDXL at 1024x1024, without guidance.
    Sdxl,
}

impl Benches {
    pub(crate) fn execute(self) -> Done {
        let bench = match self.which {
            Which::Main => Bench::Main,
            Which::Sd15 => Bench::Sd15,
            Which::Sdxl => Bench::Sdxl,
        };
        if self.against_torch && bench == Bench::Main {
            return Err("--against-torch is for sd15 and sdxl: PyTorch has no bundled model".into());
        }
        if let Some(name) = &self.isa {
            let set = Isa::of_name(name).map_err(|wrong| format!("--isa: {wrong}"))?;
            set.choose().map_err(|other| format!("--isa: {} is in use already", other.name()))?;
        }
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
        }
        let (controls, warnings) = self.memory.controls();
        for warning in warnings {
            note(format_args!("warning: {warning}"));
        }
        let cancel = Cancel::new();
        on_ctrl_c(cancel.clone())?;
        let steps = self.steps.unwrap_or(bench.steps());
        let environment = |folders| Environment::new(folders).with_controls(controls).with_previews(false);
        let mut measured = bench.run(self.ckpt.as_deref(), Path::new("assets"), steps, environment, &cancel)?;
        if self.against_torch {
            let (threads, isa) = (rayon::current_num_threads(), Isa::best().name());
            measured.torch = Some(Torch::measure(bench, &self.python, steps, threads, isa)?);
        }
        say(&measured);
        if self.json {
            say(format_args!("{}\n", measured.to_json()));
        }
        Ok(())
    }
}
