//! Waiting on threads of their own, so that whoever waits for them can give up. Knows work and a time; knows no file.
//!
//! A thread that is stuck in the system can't be ended. It is left behind with what it works on, which it owns, and is gone
//! when the system lets it go. Until then no further work is begun: it would be stuck as well.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Idle threads that are kept for the next work.
const KEPT: usize = 2;
/// Reading needs little of a stack.
const STACK: usize = 256 << 10;

/// Threads that wait for something in the place of others.
#[derive(Default)]
pub(super) struct ReadThreads {
    idle: Mutex<Vec<Worker>>,
    /// Threads that were given up and are not back.
    stuck: Arc<AtomicUsize>,
}

struct Worker {
    work: mpsc::Sender<Box<dyn FnOnce() + Send>>,
    thread: JoinHandle<()>,
}

/// Work that was given up.
#[derive(Debug)]
pub(super) struct GivenUp;

/// Work under way.
pub(super) struct Pending<T> {
    result: Arc<Meeting<T>>,
    worker: Worker,
}

/// Where the result is handed over.
struct Meeting<T> {
    state: Mutex<State<T>>,
    done: Condvar,
}

enum State<T> {
    Working,
    Done(T),
    /// Nobody waits any more.
    GivenUp,
}

impl ReadThreads {
    /// Begins work on another thread.
    ///
    /// # Errors
    /// Nothing when work that was given up is still stuck; else why the system gives no thread.
    pub(super) fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Pending<T>, Option<io::Error>> {
        if self.stuck.load(SeqCst) > 0 {
            return Err(None);
        }
        let result = Arc::new(Meeting { state: Mutex::new(State::Working), done: Condvar::new() });
        let (theirs, stuck) = (result.clone(), self.stuck.clone());
        let work = Box::new(move || theirs.hand_over(work(), &stuck));
        let idle = self.idle().pop();
        let worker = idle.map_or_else(Worker::new, Ok).map_err(Some)?;
        let gone = |_| Some(io::Error::other("a thread that reads has ended"));
        worker.work.send(work).map_err(gone)?;
        Ok(Pending { result, worker })
    }

    /// Waits until work is done, for so long at most.
    pub(super) fn finish<T>(&self, pending: Pending<T>, timeout: Option<Duration>) -> Result<T, GivenUp> {
        let result = pending.result.wait(timeout, &self.stuck)?;
        let mut idle = self.idle();
        if idle.len() < KEPT {
            idle.push(pending.worker);
        }
        Ok(result)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn new() -> io::Result<Self> {
        let (work, todo) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let run = move || todo.into_iter().for_each(|work| work());
        let thread = thread::Builder::new().name("kiln-read".into()).stack_size(STACK).spawn(run)?;
        Ok(Self { work, thread })
    }
}

impl<T> Meeting<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(&self, result: T, stuck: &AtomicUsize) {
        let mut state = self.lock();
        if matches!(*state, State::GivenUp) {
            stuck.fetch_sub(1, SeqCst);
        } else {
            *state = State::Done(result);
            self.done.notify_one();
        }
    }

    fn wait(&self, timeout: Option<Duration>, stuck: &AtomicUsize) -> Result<T, GivenUp> {
        let working = |state: &mut State<T>| matches!(state, State::Working);
        let mut state = match timeout {
            None => self.done.wait_while(self.lock(), working).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.done.wait_timeout_while(self.lock(), timeout, working).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if let State::Done(result) = std::mem::replace(&mut *state, State::GivenUp) {
            return Ok(result);
        }
        stuck.fetch_add(1, SeqCst);
        Err(GivenUp)
    }
}

/// Idle threads end with whoever had them.
impl Drop for ReadThreads {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *self.idle());
        for Worker { work, thread } in idle {
            drop(work);
            _ = thread.join();
        }
    }
}
