//! The memory observer: what memory learns of the runs of an engine. Which models will be used, what finished nodes and the
//! cache hold, what other programs need, and that a run is over.
//!
//! Knows events, the environment's memory and a prompt's model schedule. Knows nothing of tensors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_exec::{Event, KeptResults, Listener, Prompt, Registry, RunObserver};

use super::environment::Environment;
use super::kept_results::CountedResults;
use super::model_schedule::ModelSchedule;
use super::output_accounting::OutputAccounting;

/// How often at most the system is asked what it can spare, by all runs together: asking costs as much as a small node.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Observes every run of an engine. Given to it with [`EngineBuilder::observer`](kiln_exec::EngineBuilder::observer), as a
/// [`Session`](crate::runtime::Session) does.
///
/// Without one an environment works as well, but must guess: a model is then taken to loop from its second pass on, and memory
/// is not given back when other programs need it.
pub struct MemoryObserver {
    environment: Environment,
    /// What the engine's cache holds between runs.
    results: Arc<CountedResults>,
    outputs: Mutex<Option<Arc<OutputAccounting>>>,
    /// When the system was asked last.
    polled: Arc<Mutex<Option<Instant>>>,
}

impl MemoryObserver {
    /// An observer of runs in `environment`.
    pub fn new(environment: &Environment) -> Self {
        let results = CountedResults::new(environment.budget().clone());
        Self { environment: environment.clone(), results, outputs: Mutex::default(), polled: Arc::default() }
    }
}

impl RunObserver for MemoryObserver {
    fn attach(&self, results: KeptResults) {
        self.results.attach(results);
    }

    fn gave_back(&self, bytes: u64) {
        self.results.gave_back(bytes);
    }

    fn begin(&self, registry: &Registry, prompt: &Arc<Prompt>) -> Listener {
        let budget = self.environment.budget();
        budget.reset_peaks();
        let outputs = OutputAccounting::new(budget.clone(), prompt);
        *self.outputs.lock().unwrap_or_else(PoisonError::into_inner) = Some(outputs.clone());
        let run = ObservedRun {
            environment: self.environment.clone(),
            schedule: ModelSchedule::of(registry, prompt),
            outputs,
            polled: Arc::clone(&self.polled),
        };
        Arc::new(move |event| run.record(event))
    }

    fn end(&self, cached: u64) {
        // What is kept of them counts as the cache's from here on.
        if let Some(outputs) = self.outputs.lock().unwrap_or_else(PoisonError::into_inner).take() {
            outputs.clear();
        }
        self.results.set(cached);
    }
}

/// One run, observed.
struct ObservedRun {
    environment: Environment,
    schedule: ModelSchedule,
    outputs: Arc<OutputAccounting>,
    polled: Arc<Mutex<Option<Instant>>>,
}

impl ObservedRun {
    fn record(&self, event: &Event) {
        self.outputs.record(event);
        match event {
            Event::ExecutionCached { nodes, .. } => {
                let schedule = self.schedule.schedule(nodes);
                if !schedule.runs.is_empty() {
                    self.environment.pager().set_schedule(schedule);
                }
            }
            Event::ExecutionStart { .. } | Event::Finished { .. } | Event::Progress { .. } => self.poll(),
            Event::ExecutionSuccess { .. } | Event::ExecutionError(_) | Event::ExecutionInterrupted { .. } => {
                self.end();
            }
            _ => {}
        }
    }

    fn poll(&self) {
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        if polled.is_none_or(|polled| polled.elapsed() >= POLL_INTERVAL) {
            *polled = Some(Instant::now());
            drop(polled);
            self.environment.pressure_monitor().poll();
        }
    }

    /// Lets go of all models where none may stay.
    fn end(&self) {
        if !self.environment.controls().smart {
            let pager = self.environment.pager();
            let limit = pager.limit();
            pager.set_limit(0);
            pager.set_limit(limit);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::files::Folders;

    fn progress() -> Event {
        Event::Progress { value: 1.0, max: 2.0, prompt_id: "p".into(), node: "5".into(), preview: None }
    }

    fn observed(environment: &Environment, polled: Option<Instant>) -> ObservedRun {
        let prompt = Arc::default();
        ObservedRun {
            environment: environment.clone(),
            schedule: ModelSchedule::of(&Registry::new(), &prompt),
            outputs: OutputAccounting::new(environment.budget().clone(), &prompt),
            polled: Arc::new(Mutex::new(polled)),
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_machine_is_asked_while_a_run_goes_on_but_not_at_every_step() {
        let environment = Environment::new(Folders::under("nowhere"));
        let run = observed(&environment, Some(Instant::now()));
        run.record(&progress());
        assert_eq!(environment.budget().limit(), u64::MAX, "asked a moment ago");
        *run.polled.lock().unwrap() = Instant::now().checked_sub(POLL_INTERVAL);
        run.record(&progress());
        assert!(environment.budget().limit() < u64::MAX, "what the machine can spare");
    }

    #[test]
    fn what_the_cache_keeps_counts_between_runs_and_the_outputs_no_longer() {
        let environment = Environment::new(Folders::under("nowhere"));
        let observer = MemoryObserver::new(&environment);
        let listener = observer.begin(&Registry::new(), &Arc::default());
        listener(&Event::Finished { prompt_id: "p".into(), node: "1".into(), micros: 1, sockets: 1, bytes: 100 });
        assert_eq!(environment.budget().used(), 100);
        observer.end(60);
        assert_eq!(environment.budget().used(), 60);
    }
}
