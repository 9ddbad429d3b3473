//! `kiln explain`: what would run, and why. Nothing is run.

use std::path::{Path, PathBuf};

use clap::Args;
use kiln_cli::options::EnvironmentArgs;
use kiln_cli::streams::{note, say};
use kiln_cli::{Outlook, Refused, Setting, Terminal, excerpt_of_nodes, open};
use kiln_exec::{CachePolicy, NodeId, Prompt};
use kiln_graph::NodeDefs;

use super::{Done, terminal};

/// Says what of a graph would run and why, which files it takes, and what is missing.
#[derive(Args)]
#[command(after_help = "\
  kiln explain workflow.json                              every node: runs or not, for whom, with which files
  kiln explain new.json --after old.json                  after a run of the other one: what is known, what changed
  kiln explain workflow.json --after workflow.json --set 3.seed=8

A node that is read through a lazy input only runs if its reader asks for it: that shows while the graph runs
(`kiln run --explain` says it afterwards). Exit code 1: something is missing or wrong.")]
pub(crate) struct Explain {
    /// An API-format JSON file, a workflow saved by the editor, or an image, video or latent that carries either.
    file: PathBuf,
    /// Say it for a run that follows one of this graph, with all of its results kept.
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,
    /// Change an input first, as for `kiln run`. May stand several times.
    #[arg(long, value_name = "NODE.INPUT=VALUE")]
    set: Vec<Setting>,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Explain {
    pub(crate) fn execute(self) -> Done {
        let terminal = terminal(&self.environment, CachePolicy::None)?;
        let definitions = terminal.definitions();
        let (before, _) = match &self.after {
            Some(file) => read(&terminal, &definitions, file, &[]).map(|(prompt, result)| (Some(prompt), result))?,
            None => (None, Ok(Vec::new())),
        };
        let (prompt, outputs) = read(&terminal, &definitions, &self.file, &self.set)?;
        let all = || {
            let is_output = |class: &str| definitions.get(class).is_some_and(|def| def.output_node);
            prompt.nodes.iter().filter(|(_, node)| is_output(&node.class_type)).map(|(id, _)| id.clone()).collect()
        };
        let (outputs, refused) = match outputs {
            Ok(outputs) => (outputs, None),
            Err(refused) => (all(), Some(refused)),
        };
        let folders = terminal.session().environment().folders();
        say(Outlook::new(&prompt, &outputs, before.as_ref(), &definitions, folders));
        refused.map_or(Ok(()), |refused| Err(refused.into()))
    }
}

/// A prompt, and those of its outputs that are fit to run.
type Read = (Prompt, Result<Vec<NodeId>, Refused>);

fn read(
    terminal: &Terminal,
    definitions: &NodeDefs,
    file: &Path,
    settings: &[Setting],
) -> Result<Read, Box<dyn std::error::Error>> {
    let mut prompt = open(file, definitions)?.prompt;
    for setting in settings {
        setting.apply(&mut prompt, definitions)?;
    }
    let validated = super::validated(terminal, file, &mut prompt).map(|validated| {
        if !validated.node_errors.is_empty() {
            note(&validated);
            excerpt_of_nodes(file, &validated.node_errors).into_iter().for_each(note);
        }
        validated.outputs
    });
    Ok((prompt, validated))
}
