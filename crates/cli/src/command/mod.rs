//! The sub-commands, one per file.

pub(crate) mod memory;
pub(crate) mod nodes;
pub(crate) mod run;
pub(crate) mod validate;

use std::path::Path;

use kiln_cli::Session;
use kiln_cli::options::EnvironmentArgs;
use kiln_exec::CachePolicy;

/// A session in the folder where the command was called, with the bundled models of its `assets`.
pub(crate) fn session(environment: &EnvironmentArgs, cache: CachePolicy) -> Session {
    let here = Path::new(".");
    Session::new(environment.environment(here, &here.join("assets")), cache)
        .with_memory_report(environment.memory.memory_report)
}

/// What a sub-command answers when it fails: a message for a person.
pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;
