//! `kiln nodes`: what can be put into a graph.

use clap::Args;
use kiln_cli::ClassPage;
use kiln_cli::{options::EnvironmentArgs, streams::say};
use kiln_exec::CachePolicy;
use kiln_graph::{NodeDefs, nearest};
use serde_json::{Map, Value};

use super::{Done, terminal};

/// Lists the node classes, or shows one.
#[derive(Args)]
#[command(after_help = "\
  kiln nodes                         every class, with its place in the menus
  kiln nodes KSampler                what it takes and gives: defaults, limits, choices, an example
  kiln nodes KSampler --json         the same as GET /object_info/KSampler has it
  kiln nodes --json > classes.json   all of them")]
pub(crate) struct Nodes {
    /// Show this class.
    class: Option<String>,
    /// As JSON, in the form of `/object_info`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Nodes {
    pub(crate) fn execute(self) -> Done {
        let definitions = terminal(&self.environment, CachePolicy::None)?.definitions();
        let Some(class) = self.class else {
            list(&definitions, self.json);
            return Ok(());
        };
        let def = definitions.get(&class).ok_or_else(|| unknown(&class, &definitions))?;
        if self.json {
            say(format_args!("{}\n", serde_json::to_string_pretty(&def.to_object_info())?));
        } else {
            say(ClassPage::new(def, &definitions));
        }
        Ok(())
    }
}

fn list(definitions: &NodeDefs, json: bool) {
    if json {
        let all = definitions.iter().map(|def| (def.class_type.to_string(), def.to_object_info()));
        say(format_args!("{}\n", Value::Object(all.collect::<Map<_, _>>())));
        return;
    }
    for def in definitions.iter() {
        say(format_args!("{:<32} {}\n", def.class_type, def.category));
    }
}

/// There is no such class; what may have been meant.
fn unknown(class: &str, definitions: &NodeDefs) -> String {
    let names = || definitions.iter().map(|def| &*def.class_type);
    let wanted = class.to_lowercase();
    let holds = |name: &&str| wanted.len() > 2 && name.to_lowercase().contains(&wanted);
    let mut alike: Vec<&str> = nearest(class, names()).into_iter().chain(names().filter(holds)).collect();
    alike.dedup();
    alike.truncate(8);
    let meant = if alike.is_empty() { String::new() } else { format!(" (did you mean {}?)", alike.join(", ")) };
    format!("there is no node class `{class}`{meant}; `kiln nodes` lists them")
}
