//! `kiln validate`: is a graph fit to run? Nothing is run.

use std::path::PathBuf;

use clap::Args;
use kiln_cli::open;
use kiln_cli::{options::EnvironmentArgs, streams::say};
use kiln_exec::CachePolicy;

use super::{Done, terminal};

/// Says whether a graph is fit to run, and what is wrong with it.
#[derive(Args)]
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
        let validated = terminal.validate(&mut opened.prompt)?;
        say(format_args!("{validated}\n"));
        if validated.node_errors.is_empty() { Ok(()) } else { Err("some outputs cannot run".into()) }
    }
}
