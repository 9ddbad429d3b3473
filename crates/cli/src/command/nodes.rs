//! `kiln nodes`: what can be put into a graph.

use clap::Args;
use kiln_cli::{options::EnvironmentArgs, streams::say};
use kiln_exec::CachePolicy;

use super::{Done, terminal};

/// Lists the node classes, or shows one.
#[derive(Args)]
pub(crate) struct Nodes {
    /// Show this class as JSON.
    class: Option<String>,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Nodes {
    pub(crate) fn execute(self) -> Done {
        let terminal = terminal(&self.environment, CachePolicy::None)?;
        let definitions = terminal.definitions();
        let Some(class) = self.class else {
            for def in definitions.iter() {
                say(format_args!("{:<32} {}\n", def.class_type, def.category));
            }
            return Ok(());
        };
        let def = definitions.iter().find(|def| *def.class_type == *class);
        let def = def.ok_or_else(|| format!("there is no node class `{class}`; `kiln nodes` lists them"))?;
        say(format_args!("{}\n", serde_json::to_string_pretty(&def.to_object_info())?));
        Ok(())
    }
}
