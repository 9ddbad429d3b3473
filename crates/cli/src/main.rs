//! `kiln`: runs graphs from the command line.

mod command;

use std::process::ExitCode;

use clap::Parser;
use kiln_cli::streams::note;

/// Runs ComfyUI's node graphs.
#[derive(Parser)]
#[command(version, about)]
enum Kiln {
    /// Runs a graph: an API-format JSON file, a workflow saved by the editor, or an image, video or latent that carries
    /// either.
    Run(command::run::Run),
    /// Serves ComfyUI's HTTP and websocket dialect, for its web page and its clients.
    #[cfg(feature = "server")]
    Serve(Box<command::serve::Serve>),
    /// Says what weights would take, before anything runs.
    Memory(command::memory::Memory),
    /// Says whether a graph is fit to run. Nothing is run.
    Validate(command::validate::Validate),
    /// Lists the node classes, or shows one as `/object_info` would.
    Nodes(command::nodes::Nodes),
}

fn main() -> ExitCode {
    // Only a second one could fail.
    let _ = tracing::subscriber::set_global_default(kiln_cli::Warnings::new(|line| note(line)));
    let done = match Kiln::parse() {
        Kiln::Run(run) => run.execute(),
        #[cfg(feature = "server")]
        Kiln::Serve(serve) => serve.execute(),
        Kiln::Memory(memory) => memory.execute(),
        Kiln::Validate(validate) => validate.execute(),
        Kiln::Nodes(nodes) => nodes.execute(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => kiln_cli::explain_failure(&*error),
    }
}
