//! `kiln convert`: any graph in the API format.

use std::path::PathBuf;

use clap::Args;
use kiln_cli::options::EnvironmentArgs;
use kiln_cli::streams::say;
use kiln_cli::{Setting, open};
use kiln_exec::CachePolicy;

use super::{Done, terminal};

/// Writes a graph in the API format, on standard output.
#[derive(Args)]
#[command(after_help = "\
  kiln convert workflow.json > prompt.json    what the editor would send: subgraphs unfolded, bypassed nodes left out
  kiln convert picture.png > prompt.json      what made the picture

What the picture's prompt says is what ran, so that it is taken before the workflow which the picture carries as well.")]
pub(crate) struct Convert {
    /// A workflow saved by the editor, or an image, video or latent that carries a graph.
    file: PathBuf,
    /// Change an input on the way, as for `kiln run`. May stand several times.
    #[arg(long, value_name = "NODE.INPUT=VALUE")]
    set: Vec<Setting>,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Convert {
    pub(crate) fn execute(self) -> Done {
        let definitions = terminal(&self.environment, CachePolicy::None)?.definitions();
        let mut prompt = open(&self.file, &definitions)?.prompt;
        for setting in &self.set {
            setting.apply(&mut prompt, &definitions)?;
        }
        say(format_args!("{}\n", serde_json::to_string_pretty(&prompt)?));
        Ok(())
    }
}
