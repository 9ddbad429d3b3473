//! A session: one engine with ComfyUI's nodes, for a program at a terminal. Validates, runs, shows, sums up.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kiln_exec::{CachePolicy, Cancel, Engine, Event, Host, Listener, Registry, Report, RunError, RunOptions};
use kiln_graph::{NodeDefs, Prompt, PromptError, Validated};
use kiln_memory::{Kind, Reservation, human_bytes, process_memory};
use kiln_nodes::files::DirKind;
use kiln_nodes::{Environment, MemoryObserver};

use crate::console::Console;
use crate::summary::Summary;

/// An engine and the environment it works in.
pub struct Session {
    environment: Environment,
    engine: Engine,
    cancel: Cancel,
    memory_report: bool,
    /// What the engine's cache holds between runs, as the budget sees it.
    kept: Mutex<Option<Reservation>>,
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

/// A cache that looks at free memory looks at what the budget has left beside weights as well, for those give way.
fn within_budget(cache: CachePolicy, environment: &Environment) -> CachePolicy {
    let CachePolicy::RamPressure { headroom, available } = cache else { return cache };
    let (budget, pager) = (environment.budget().clone(), environment.pager().clone());
    let left = move || budget.limit().saturating_sub(budget.used().saturating_sub(pager.resident()));
    CachePolicy::RamPressure { headroom, available: Arc::new(move || available().min(left())) }
}

/// The node classes that the command knows.
fn registry() -> Registry {
    let registry = kiln_nodes::registry();
    #[cfg(feature = "testing-nodes")]
    let registry = {
        let mut registry = registry;
        kiln_testing_nodes::register(&mut registry);
        registry
    };
    registry
}

/// What those classes need besides the environment.
fn lend(host: Host) -> Host {
    #[cfg(feature = "testing-nodes")]
    let host = kiln_testing_nodes::lend(host);
    host
}

impl Session {
    /// A session in `environment`, keeping results between runs as `cache` says. They count against the environment's budget, too.
    pub fn new(environment: Environment, cache: CachePolicy) -> Self {
        let cache = within_budget(cache, &environment);
        let host = lend(environment.clone().into_host());
        let engine = Engine::builder(registry()).host(host).cache(cache).build();
        Self { environment, engine, cancel: Cancel::new(), memory_report: false, kept: Mutex::default() }
    }

    /// The same, telling after each node who holds how much, and in the summary how the weights fared.
    pub fn with_memory_report(self, memory_report: bool) -> Self {
        Self { memory_report, ..self }
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
        self.environment.budget().reset_peaks();
        let (console, memory_observer) = (Console::new(prompt), MemoryObserver::new(&self.environment, prompt));
        let (show, note, tell) = (console.listener(), memory_observer.listener(), self.teller(&console));
        let since = Instant::now();
        let run = self.engine.start(prompt.clone()).options(options).cancelled_by(&self.cancel).validated(validated);
        let report = run
            .on_event(move |event| {
                note(event);
                show(event);
                tell(event);
                if let Some(also) = &also {
                    also(event);
                }
            })
            .run();
        let memory = self.environment.budget().report();
        self.count_kept();
        let report = report?;
        let (rows, cached) = console.rows();
        let summary = Summary {
            rows,
            cached,
            wall: since.elapsed(),
            memory,
            models: self.memory_report.then(|| self.environment.pager().describe()),
            process: process_memory(),
            files: self.files(&report),
        };
        Ok(Finished { report, summary })
    }

    /// Counts what the engine keeps for the next run.
    fn count_kept(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = None;
        let (_, bytes) = self.engine.cache_size();
        *kept = Some(self.environment.budget().account("results of the last run", Kind::Cache).take(bytes));
    }

    /// Says on standard error, after each node, who holds how much.
    fn teller(&self, console: &Arc<Console>) -> Listener {
        let (budget, console, on) = (self.environment.budget().clone(), console.clone(), self.memory_report);
        Arc::new(move |event| {
            let Event::Finished { node, .. } = event else { return };
            if on {
                let report = budget.report();
                let (name, used) = (console.name(node), human_bytes(report.used));
                eprintln!("after {name}: {used} of {}{}", human_bytes(report.limit), report.top_owners(4));
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
        let folder = self.environment.folders().dir(dir);
        Some(folder.join(item.get("subfolder")?.as_str()?).join(item.get("filename")?.as_str()?))
    }
}
