//! Opening a graph file: an API prompt, a saved workflow, or an image, video or latent that carries one, told by its form.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_graph::{Definitions, Document, LowerOptions, Prompt, PromptError, WorkflowError, enough_of_file};

/// A graph from a file, and the workflow it was saved as, if it was one.
pub struct Opened {
    /// What will run.
    pub prompt: Prompt,
    /// The editor's own form, stored in images beside the prompt.
    pub workflow: Option<serde_json::Value>,
}

/// Why a graph file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be read.
    #[error("{}: {source}", file.display())]
    Read {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no JSON, JSON of another form, a file that carries no graph, or a workflow that can't be turned into a
    /// prompt.
    #[error("{}: {problem}", file.display())]
    Graph {
        /// Which file.
        file: PathBuf,
        /// Where and what.
        problem: WorkflowError,
    },
}

/// A graph that is not fit to run, and the file that it stands in.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Refused {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong, node by node.
    pub error: PromptError,
}

/// Reads a graph file; `definitions` tell a saved workflow's widgets apart.
///
/// # Errors
/// The file can't be read, or is no graph.
pub fn open(file: &Path, definitions: &dyn Definitions) -> Result<Opened, OpenError> {
    let text = read(file).map_err(|source| OpenError::Read { file: file.into(), source })?;
    let graph = |problem| OpenError::Graph { file: file.into(), problem };
    let (document, workflow) = Document::with_source(&text).map_err(graph)?;
    // Lowering, and all that follows, need the memory.
    drop(text);
    let prompt = document.into_prompt(definitions, &LowerOptions::default()).map_err(graph)?;
    Ok(Opened { prompt, workflow })
}

/// All of a file that can be a graph: of a model no more than its header.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(16).read_to_end(&mut bytes)?;
    let enough = enough_of_file(&bytes).unwrap_or(u64::MAX);
    bytes.reserve(usize::try_from(enough.min(length)).unwrap_or_default());
    let rest = enough.saturating_sub(bytes.len() as u64);
    file.take(rest).read_to_end(&mut bytes)?;
    Ok(bytes)
}
