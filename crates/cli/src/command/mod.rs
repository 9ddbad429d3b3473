//! The sub-commands, one per file.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod memory;
pub(crate) mod models;
pub(crate) mod nodes;
pub(crate) mod run;
#[cfg(feature = "server")]
pub(crate) mod serve;
pub(crate) mod validate;

use std::path::Path;

use kiln_cli::options::EnvironmentArgs;
use kiln_cli::{Refused, Terminal};
use kiln_exec::{CachePolicy, Prompt};
use kiln_graph::Validated;
use kiln_nodes::files::FileError;

/// A terminal in the folder where the command was called, with the bundled models of its `assets`.
///
/// # Errors
/// A file of extra model paths can't be used.
pub(crate) fn terminal(environment: &EnvironmentArgs, cache: CachePolicy) -> Result<Terminal, FileError> {
    let here = Path::new(".");
    let lent = environment.environment(here, &here.join("assets"))?;
    Ok(Terminal::new(lent, cache).with_memory_report(environment.memory.memory_report))
}

/// The prompt of `file` validated, its literals brought to their types.
///
/// # Errors
/// When no output is fit to run.
pub(crate) fn validated(terminal: &Terminal, file: &Path, prompt: &mut Prompt) -> Result<Validated, Refused> {
    terminal.validate(prompt).map_err(|error| Refused { file: file.into(), error })
}

/// What a sub-command returns: nothing, or a message for a person that says why it failed.
pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;
