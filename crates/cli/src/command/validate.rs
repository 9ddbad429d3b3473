//! `kiln validate`: is a graph fit to run? Nothing is run.

use std::path::PathBuf;

use clap::Args;
use kiln_cli::options::EnvironmentArgs;
use kiln_cli::streams::{note, say};
use kiln_cli::{excerpt_of_nodes, open};
use kiln_exec::CachePolicy;

use super::{Done, terminal, validated};

/// Says whether a graph is fit to run, and what is wrong with it.
#[derive(Args)]
#[command(after_help = "\
Every node that an output needs is checked: classes, links and their types, values, limits and choices, the files that
it names. Exit code 0: all outputs would run; 1: some would not.

  kiln validate workflow.json
  kiln validate picture.png --base-directory ~/ComfyUI")]
pub(crate) struct Validate {
    /// An API-format JSON file, a workflow saved by the editor, or an image, video or latent that carries either.
    file: PathBuf,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Validate {
    pub(crate) fn execute(self) -> Done {
        let terminal = terminal(&self.environment, CachePolicy::None)?;
        let mut opened = open(&self.file, &terminal.definitions())?;
        let validated = validated(&terminal, &self.file, &mut opened.prompt)?;
        say(format_args!("{validated}\n"));
        if let Some(excerpt) = excerpt_of_nodes(&self.file, &validated.node_errors) {
            note(excerpt);
        }
        if validated.node_errors.is_empty() { Ok(()) } else { Err("some outputs cannot run".into()) }
    }
}
