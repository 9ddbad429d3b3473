//! Waiting without blocking the scheduler: a thread that wakes a future at a steady beat.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// A steady beat. The thread behind it ends soon after this is dropped.
pub(super) struct Beat {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    beats: u64,
    waker: Option<Waker>,
}

impl Beat {
    /// A beat every `interval`.
    pub(super) fn every(interval: Duration) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let weak = Arc::downgrade(&state);
        std::thread::spawn(move || keep(&weak, interval));
        Self { state }
    }

    /// Waits for the next beat.
    pub(super) async fn next(&mut self) {
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.beats > 0 {
                state.beats = 0;
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Beats until nobody listens.
fn keep(state: &Weak<Mutex<State>>, interval: Duration) {
    loop {
        std::thread::sleep(interval);
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.beats += 1;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// Waits so many seconds, and calls `each` with the seconds gone by every 10 ms.
pub(super) async fn wait<E>(seconds: f64, mut each: impl FnMut(f64) -> Result<(), E>) -> Result<(), E> {
    let (start, mut beat) = (Instant::now(), Beat::every(Duration::from_millis(10)));
    loop {
        let elapsed = start.elapsed().as_secs_f64();
        each(elapsed.min(seconds))?;
        if elapsed >= seconds {
            return Ok(());
        }
        beat.next().await;
    }
}
