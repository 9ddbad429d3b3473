//! The terminal: a session for a person. Validates, runs, shows progress on standard error, sums up.
//!
//! What runs and how is the [`Session`]'s matter; here is what a person sees of it, and how they stop it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kiln_exec::{CachePolicy, Cancel, Event, Host, Listener, Registry, Report, RunError, RunOptions};
use kiln_graph::{NodeDefs, Prompt, PromptError, Validated};
use kiln_memory::{human_bytes, process_memory};
use kiln_nodes::Environment;
use kiln_nodes::files::DirKind;
use kiln_nodes::runtime::Session;

use crate::console::Console;
use crate::streams::note;
use crate::summary::Summary;

/// A session whose runs are shown and can be stopped.
pub struct Terminal {
    session: Session,
    cancel: Cancel,
    memory_report: bool,
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

/// The node classes that the command knows.
fn registry() -> Registry {
    let registry = kiln_nodes::registry();
    #[cfg(feature = "community")]
    let registry = {
        let mut registry = registry;
        kiln_community::register(&mut registry);
        registry
    };
    #[cfg(feature = "testing-nodes")]
    let registry = {
        let mut registry = registry;
        kiln_testing_nodes::register(&mut registry);
        registry
    };
    registry
}

/// What those classes need besides the environment.
fn host() -> Host {
    let host = Host::new();
    #[cfg(feature = "testing-nodes")]
    let host = kiln_testing_nodes::lend(host);
    host
}

impl Terminal {
    /// A terminal for all nodes that the command knows, in `environment`, keeping results between runs as `cache` says.
    pub fn new(environment: Environment, cache: CachePolicy) -> Self {
        Self::of(Session::builder(environment, registry()).host(host()).cache(cache).build())
    }

    /// A terminal for a session.
    pub fn of(session: Session) -> Self {
        Self { session, cancel: Cancel::new(), memory_report: false }
    }

    /// The session alone.
    pub fn into_session(self) -> Session {
        self.session
    }

    /// Says after each node who holds how much, and in the summary how the weights fared.
    pub fn with_memory_report(self, memory_report: bool) -> Self {
        Self { memory_report, ..self }
    }

    /// Stops what runs, and what would run next.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// All node definitions with the options that the folders give now.
    pub fn definitions(&self) -> NodeDefs {
        self.session.definitions()
    }

    /// Validates, and brings literals to their declared types in place.
    ///
    /// # Errors
    /// When no output node is fit to run.
    pub fn validate(&self, prompt: &mut Prompt) -> Result<Validated, PromptError> {
        self.session.validate(prompt)
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
        let console = Console::new(prompt);
        let memory = Arc::new(Mutex::new(None));
        let (show, holders, at_end) = (console.listener(), self.holders(&console), self.budget_at_end(&memory));
        let since = Instant::now();
        // The console draws nothing by them.
        let options = RunOptions { progress_states: also.is_some(), ..options };
        let run = self.session.start(prompt.clone()).options(options).cancelled_by(&self.cancel).validated(validated);
        let report = run
            .on_event(move |event| {
                show(event);
                holders(event);
                at_end(event);
                if let Some(also) = &also {
                    also(event);
                }
            })
            .run()?;
        let environment = self.session.environment();
        let memory = memory.lock().unwrap_or_else(PoisonError::into_inner).take();
        let summary = Summary {
            rows: console.rows(),
            wall: since.elapsed(),
            memory: memory.unwrap_or_else(|| environment.budget().report()),
            models: self.memory_report.then(|| environment.pager().describe()),
            process: process_memory(),
            files: self.files(&report),
        };
        Ok(Finished { report, summary })
    }

    /// Says on standard error, after each node, who holds how much.
    fn holders(&self, console: &Arc<Console>) -> Listener {
        let (budget, console) = (self.session.environment().budget().clone(), console.clone());
        let on = self.memory_report;
        Arc::new(move |event| {
            let Event::Finished { node, .. } = event else { return };
            if on {
                let report = budget.report();
                let (name, used) = (console.name(node), human_bytes(report.used));
                let (limit, owners) = (human_bytes(report.limit), report.top_owners(4));
                note(format_args!("after {name}: {used} of {limit}{owners}"));
            }
        })
    }

    /// Notes down who holds what when the last node is done, before the run lets go of its outputs.
    fn budget_at_end(&self, report: &Arc<Mutex<Option<kiln_memory::Report>>>) -> Listener {
        let (budget, report) = (self.session.environment().budget().clone(), report.clone());
        Arc::new(move |event| {
            if let Event::ExecutionSuccess { .. } = event {
                *report.lock().unwrap_or_else(PoisonError::into_inner) = Some(budget.report());
            }
        })
    }

    /// The files that output nodes name in what they show.
    fn files(&self, report: &Report) -> Vec<PathBuf> {
        let shown = report.outputs.values().filter_map(|output| output.ui.as_ref());
        shown.flat_map(|ui| ui.get("images").unwrap_or_default()).filter_map(|item| self.file(item)).collect()
    }

    fn file(&self, item: &serde_json::Value) -> Option<PathBuf> {
        let dir = DirKind::named(item.get("type")?.as_str()?)?;
        let folder = self.session.environment().folders().dir(dir);
        Some(folder.join(item.get("subfolder")?.as_str()?).join(item.get("filename")?.as_str()?))
    }
}
