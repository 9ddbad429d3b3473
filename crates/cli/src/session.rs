//! A session: one engine with ComfyUI's nodes, for a program at a terminal. Validates, runs, shows, sums up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use kiln_exec::{CachePolicy, Cancel, Engine, Listener, Report, RunError, RunOptions};
use kiln_graph::{NodeDefs, Prompt, PromptError, Validated};
use kiln_memory::process_memory;
use kiln_nodes::files::Place;
use kiln_nodes::{Steward, Studio};

use crate::console::Console;
use crate::summary::Summary;

/// An engine and the studio it works in.
pub struct Session {
    studio: Studio,
    engine: Engine,
    cancel: Cancel,
}

/// A run that reached its end.
pub struct Finished {
    /// What the engine says.
    pub report: Report,
    /// What a person wants to know.
    pub summary: Summary,
}

/// Why a run did not.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The prompt is not fit to run.
    #[error(transparent)]
    Invalid(#[from] PromptError),
    /// A node failed, or the run was cancelled.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Session {
    /// A session in `studio`, keeping results between runs as `cache` says.
    pub fn new(studio: Studio, cache: CachePolicy) -> Self {
        let registry = kiln_nodes::registry();
        let engine = Engine::builder(registry).host(studio.clone().into_host()).cache(cache).build();
        Self { studio, engine, cancel: Cancel::new() }
    }

    /// Stops what runs, and what would run next.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// All node definitions with the options that the folders give now.
    pub fn definitions(&self) -> NodeDefs {
        self.engine.registry().defs_now(self.engine.host())
    }

    /// Validates, and brings literals to their declared types in place.
    ///
    /// # Errors
    /// When no output node is fit to run.
    pub fn validate(&self, prompt: &mut Prompt) -> Result<Validated, PromptError> {
        self.engine.validate(prompt, None)
    }

    /// Runs a validated prompt, showing progress on standard error. `also` hears every event, too.
    ///
    /// # Errors
    /// When a node fails or the run is cancelled.
    pub fn run(
        &self,
        prompt: &Arc<Prompt>,
        validated: Validated,
        options: RunOptions,
        also: Option<Listener>,
    ) -> Result<Finished, RunError> {
        self.studio.budget().reset_peaks();
        let (console, steward) = (Console::new(prompt), Steward::new(&self.studio, prompt));
        let (show, note) = (console.listener(), steward.listener());
        let since = Instant::now();
        let run = self.engine.start(prompt.clone()).options(options).cancelled_by(&self.cancel).validated(validated);
        let report = run
            .on_event(move |event| {
                note(event);
                show(event);
                if let Some(also) = &also {
                    also(event);
                }
            })
            .run()?;
        let (rows, cached) = console.rows();
        let summary = Summary {
            rows,
            cached,
            wall: since.elapsed(),
            memory: self.studio.budget().report(),
            process: process_memory(),
            files: self.files(&report),
        };
        Ok(Finished { report, summary })
    }

    /// The files that output nodes name in what they show.
    fn files(&self, report: &Report) -> Vec<PathBuf> {
        let shown = report.outputs.values().filter_map(|output| output.ui.as_ref());
        shown.flat_map(|ui| ui.get("images").unwrap_or_default()).filter_map(|item| self.file(item)).collect()
    }

    fn file(&self, item: &serde_json::Value) -> Option<PathBuf> {
        let place = Place::named(item.get("type")?.as_str()?)?;
        let folder = self.studio.folders().place(place);
        Some(folder.join(item.get("subfolder")?.as_str()?).join(item.get("filename")?.as_str()?))
    }
}
