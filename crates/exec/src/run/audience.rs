//! The audience of a run: the engine's observer and the run's own listener, until the run is over for whoever started it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::observe::{Event, Listener};

/// Who hears a run.
#[derive(Clone)]
pub(super) struct Audience(Arc<Seats>);

struct Seats {
    open: AtomicBool,
    /// Comes when the run begins.
    observer: OnceLock<Listener>,
    listener: Option<Listener>,
}

impl Audience {
    /// Nobody, where nobody listens and no observer will join.
    pub(super) fn new(listener: Option<Listener>, observed: bool) -> Option<Self> {
        let seats = Seats { open: AtomicBool::new(true), observer: OnceLock::new(), listener };
        (observed || seats.listener.is_some()).then(|| Self(Arc::new(seats)))
    }

    /// The observer hears everything from here on, before the listener does.
    pub(super) fn join(&self, observer: Listener) {
        // A run begins once.
        let _ = self.0.observer.set(observer);
    }

    /// What the run reports to.
    pub(super) fn listener(&self) -> Listener {
        let seats = Arc::clone(&self.0);
        Arc::new(move |event| {
            if seats.open.load(Ordering::Acquire) {
                seats.hear(event);
            }
        })
    }

    /// The last thing that is heard.
    pub(super) fn close(&self, last: &Event) {
        self.0.open.store(false, Ordering::Release);
        self.0.hear(last);
    }
}

impl Seats {
    fn hear(&self, event: &Event) {
        for listener in self.observer.get().into_iter().chain(&self.listener) {
            listener(event);
        }
    }
}
