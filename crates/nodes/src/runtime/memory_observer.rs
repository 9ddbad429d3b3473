//! The memory observer: what memory is told around a run. What will be used, what finished nodes hold, what other programs need,
//! and that it is over.
//!
//! Knows events, the environment's memory and a prompt's model schedule. Knows nothing of tensors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_exec::{Event, Listener, Prompt};
use kiln_memory::{HostPager, PressureMonitor};

use super::environment::Environment;
use super::model_schedule::ModelSchedule;
use super::output_accounting::OutputAccounting;

/// How often at most the system is asked what it can spare.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Accompanies the runs of one prompt. Give its [`listener`](Self::listener) to the run.
///
/// Without one an environment works as well, but must guess: a model is then taken to loop from its second pass on, and memory is
/// not given back when other programs need it.
pub struct MemoryObserver {
    pager: HostPager,
    pressure_monitor: Arc<PressureMonitor>,
    /// Whether models may stay when a run is over.
    smart: bool,
    model_schedule: ModelSchedule,
    output_accounting: Arc<OutputAccounting>,
    polled: Mutex<Instant>,
}

impl MemoryObserver {
    /// A memory observer of `environment`'s memory for runs of `prompt`.
    pub fn new(environment: &Environment, prompt: &Prompt) -> Arc<Self> {
        Arc::new(Self {
            pager: environment.pager().clone(),
            pressure_monitor: environment.pressure_monitor().clone(),
            smart: environment.controls().smart,
            model_schedule: ModelSchedule::of(prompt),
            output_accounting: OutputAccounting::new(environment.budget().clone(), prompt),
            polled: Mutex::new(Instant::now()),
        })
    }

    /// Listens to a run.
    pub fn listener(self: &Arc<Self>) -> Listener {
        let this = Arc::clone(self);
        Arc::new(move |event| this.note(event))
    }

    /// Takes note of one event.
    pub fn note(&self, event: &Event) {
        self.output_accounting.note(event);
        match event {
            Event::ExecutionCached { nodes, .. } => {
                let schedule = self.model_schedule.schedule(nodes);
                if !schedule.runs.is_empty() {
                    self.pager.set_schedule(schedule);
                }
            }
            Event::Finished { .. } | Event::Progress { .. } => self.poll(),
            Event::ExecutionSuccess { .. } | Event::ExecutionError(_) | Event::ExecutionInterrupted { .. } => {
                self.end();
            }
            _ => {}
        }
    }

    fn poll(&self) {
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        if polled.elapsed() >= POLL_INTERVAL {
            *polled = Instant::now();
            drop(polled);
            self.pressure_monitor.poll();
        }
    }

    fn end(&self) {
        if !self.smart {
            let limit = self.pager.limit();
            self.pager.set_limit(0);
            self.pager.set_limit(limit);
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

    #[test]
    #[cfg(target_os = "linux")]
    fn the_machine_is_asked_while_a_run_goes_on_but_not_at_every_step() {
        let environment = Environment::new(Folders::under("nowhere"));
        let memory_observer = MemoryObserver::new(&environment, &Prompt::default());
        memory_observer.note(&progress());
        assert_eq!(environment.budget().limit(), u64::MAX, "asked a moment ago");
        *memory_observer.polled.lock().unwrap() = Instant::now().checked_sub(POLL_INTERVAL).unwrap();
        memory_observer.note(&progress());
        assert!(environment.budget().limit() < u64::MAX, "what the machine can spare");
    }
}
