//! `kiln`: runs graphs from the command line.

mod command;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use kiln_cli::streams::note;

/// What stands below the help of the command as a whole.
const MORE: &str = "\
First steps:
  kiln run workflow.json               run a graph, in either of ComfyUI's forms
  kiln run picture.png --set 3.seed=7  the graph of a picture, with another seed
  kiln validate workflow.json          what is wrong with it, and where
  kiln explain workflow.json           what would run, why, and what is missing
  kiln nodes KSampler                  what a class takes and gives
  kiln doctor                          is this machine ready, and what to do if not

Results are written on standard output, progress and errors on standard error.

Exit codes:
  0    done
  1    a file, a graph, a node or the machine does not allow it; standard error says why
  2    the command line is wrong
  130  stopped by Ctrl-C

Environment:
  KILN_ISA           instruction set of the CPU kernels: portable, avx2 or avx512
  RAYON_NUM_THREADS  threads that compute (default: one per core)
  KILN_DATA_DIR      where `kiln serve` keeps what users save
  NO_COLOR           no colours, at a terminal either";

/// Runs ComfyUI's node graphs.
#[derive(Parser)]
#[command(version, about = "Runs ComfyUI's node graphs", after_help = MORE)]
enum Kiln {
    /// Runs a graph: an API-format JSON file, a workflow saved by the editor, or an image, video or latent that carries
    /// either.
    Run(Box<command::run::Run>),
    /// Serves ComfyUI's HTTP and websocket dialect, for its web page and its clients.
    #[cfg(feature = "server")]
    Serve(Box<command::serve::Serve>),
    /// Says whether a graph is fit to run. Nothing is run.
    Validate(command::validate::Validate),
    /// Says what of a graph would run and why, which files it takes, and what is missing.
    Explain(command::explain::Explain),
    /// Draws a graph, for Graphviz, a browser or Markdown.
    Graph(command::graph::Graph),
    /// Writes any graph in the API format: an editor's workflow lowered, a picture's graph taken out.
    Convert(command::convert::Convert),
    /// Lists the node classes, or shows what one takes and gives.
    Nodes(command::nodes::Nodes),
    /// Says what model files lie in the folders, and what is in them.
    Models(command::models::Models),
    /// Says what weights would take, before anything runs.
    Memory(command::memory::Memory),
    /// Makes one picture and says what each part of it took.
    Bench(Box<command::bench::Benches>),
    /// Looks at this machine and the folders, says what is wrong and how to mend it.
    Doctor(command::doctor::Doctor),
    /// Writes what a shell needs to complete this command.
    Completions(command::completions::Completions),
}

fn main() -> ExitCode {
    // Only a second one could fail.
    let _ = tracing::subscriber::set_global_default(kiln_cli::Warnings::new(|line| note(line)));
    match execute(Kiln::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => kiln_cli::explain_failure(&*error),
    }
}

fn execute(kiln: Kiln) -> command::Done {
    // Not silently another one than was asked for. The doctor has more to say of it.
    if !matches!(kiln, Kiln::Doctor(_)) {
        kiln_kernels::Isa::of_environment().map_err(|wrong| format!("KILN_ISA: {wrong}"))?;
    }
    match kiln {
        Kiln::Run(run) => run.execute(),
        #[cfg(feature = "server")]
        Kiln::Serve(serve) => serve.execute(),
        Kiln::Validate(validate) => validate.execute(),
        Kiln::Explain(explain) => explain.execute(),
        Kiln::Graph(graph) => graph.execute(),
        Kiln::Convert(convert) => convert.execute(),
        Kiln::Nodes(nodes) => nodes.execute(),
        Kiln::Models(models) => models.execute(),
        Kiln::Memory(memory) => memory.execute(),
        Kiln::Bench(bench) => bench.execute(),
        Kiln::Doctor(doctor) => doctor.execute(),
        Kiln::Completions(completions) => {
            completions.execute(Kiln::command());
            Ok(())
        }
    }
}
