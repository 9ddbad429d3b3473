//! `kiln graph`: a graph as a picture, in a language that others draw.

use std::path::PathBuf;

use clap::Args;
use kiln_cli::open;
use kiln_cli::options::EnvironmentArgs;
use kiln_cli::streams::say;
use kiln_exec::CachePolicy;
use kiln_graph::View;

use super::{Done, terminal};

/// Draws a graph, on standard output.
#[derive(Args)]
#[command(after_help = "\
  kiln graph workflow.json --svg > graph.svg              a picture, laid out by Kiln
  kiln graph workflow.json --dot | dot -Tpng > graph.png  laid out by Graphviz
  kiln graph workflow.json --mermaid                      for Markdown

What is drawn is what would run: an editor's subgraphs are unfolded, bypassed nodes are left out.")]
pub(crate) struct Graph {
    /// An API-format JSON file, a workflow saved by the editor, or an image, video or latent that carries either.
    file: PathBuf,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

/// Which language.
#[derive(Args)]
#[group(multiple = false)]
struct Form {
    /// Graphviz's DOT language. This is the default.
    #[arg(long)]
    dot: bool,
    /// An SVG picture.
    #[arg(long)]
    svg: bool,
    /// A Mermaid flowchart.
    #[arg(long)]
    mermaid: bool,
}

impl Graph {
    pub(crate) fn execute(self) -> Done {
        let definitions = terminal(&self.environment, CachePolicy::None)?.definitions();
        let prompt = open(&self.file, &definitions)?.prompt;
        let view = View::of(&prompt);
        say(match self.form {
            Form { svg: true, .. } => view.to_svg(&|_| None),
            Form { mermaid: true, .. } => view.to_mermaid(),
            _ => view.to_dot(),
        });
        Ok(())
    }
}
