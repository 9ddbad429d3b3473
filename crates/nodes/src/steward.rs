//! The steward: what memory is told around a run. What will be used, what finished nodes hold, what other programs need,
//! and that it is over.
//!
//! Knows events, the studio's memory and a prompt's foresight. Knows nothing of tensors.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_exec::{Event, Listener, Prompt};
use kiln_memory::{Governor, HostPager};

use crate::foresight::Foresight;
use crate::{Ledger, Studio};

/// How often at most the system is asked what it can spare.
const PATIENCE: Duration = Duration::from_millis(250);

/// Accompanies the runs of one prompt. Give its [`listener`](Self::listener) to the run.
///
/// Without one a studio works as well, but must guess: a model is then taken to loop from its second pass on, and memory is
/// not given back when other programs need it.
pub struct Steward {
    pager: HostPager,
    governor: Arc<Governor>,
    /// Whether models may stay when a run is over.
    smart: bool,
    foresight: Foresight,
    ledger: Arc<Ledger>,
    polled: Mutex<Instant>,
}

impl Steward {
    /// A steward of `studio`'s memory for runs of `prompt`.
    pub fn new(studio: &Studio, prompt: &Prompt) -> Arc<Self> {
        Arc::new(Self {
            pager: studio.pager().clone(),
            governor: studio.governor().clone(),
            smart: studio.controls().smart,
            foresight: Foresight::of(prompt),
            ledger: Ledger::new(studio.budget().clone(), prompt),
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
        self.ledger.note(event);
        match event {
            Event::ExecutionCached { nodes, .. } => {
                let schedule = self.foresight.schedule(nodes);
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
        if polled.elapsed() >= PATIENCE {
            *polled = Instant::now();
            drop(polled);
            self.governor.poll();
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
        let studio = Studio::new(Folders::under("nowhere"));
        let steward = Steward::new(&studio, &Prompt::default());
        steward.note(&progress());
        assert_eq!(studio.budget().limit(), u64::MAX, "asked a moment ago");
        *steward.polled.lock().unwrap() = Instant::now().checked_sub(PATIENCE).unwrap();
        steward.note(&progress());
        assert!(studio.budget().limit() < u64::MAX, "what the machine can spare");
    }
}
