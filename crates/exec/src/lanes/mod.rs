//! Lanes: the threads that calls run on. One serial thread per device, a pool for nodes that only need a core.
//!
//! Knows jobs as closures, nothing of nodes. Threads start when a lane is used for the first time and end with the
//! engine. A lane whose job does not come back after a cancel is abandoned: the next run gets a fresh thread.

mod mailbox;

pub(crate) use self::mailbox::Mailbox;

use std::collections::HashMap;

use crate::sync::{Arc, Mutex, lock, thread};

/// Work for a lane. It reports by itself, through a mailbox it holds.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A serial thread's jobs; an empty message ends it.
type Queue = Arc<Mailbox<Option<Job>>>;

/// The threads of one engine.
#[derive(Default)]
pub(crate) struct Lanes {
    serial: Mutex<HashMap<Arc<str>, Queue>>,
    #[cfg(not(feature = "shuttle"))]
    pool: std::sync::OnceLock<Option<rayon::ThreadPool>>,
}

impl Lanes {
    /// Runs `job` on the serial thread of that name, after the jobs it has already.
    pub(crate) fn serial(&self, lane: &std::sync::Arc<str>, job: Job) {
        let name: Arc<str> = Arc::from(&**lane);
        let queue = Arc::clone(lock(&self.serial).entry(name).or_insert_with(start_thread));
        queue.send(Some(job));
    }

    /// Runs `job` on the pool.
    #[cfg_attr(feature = "shuttle", allow(clippy::unused_self))] // shuttle's threads need no pool
    pub(crate) fn parallel(&self, job: Job) {
        #[cfg(not(feature = "shuttle"))]
        match self
            .pool
            .get_or_init(|| rayon::ThreadPoolBuilder::new().thread_name(|n| format!("kiln-{n}")).build().ok())
        {
            Some(pool) => pool.spawn(job),
            // Without a pool (the system gives no threads) the work is done here.
            None => job(),
        }
        #[cfg(feature = "shuttle")]
        drop(thread::spawn(job));
    }

    /// Forgets the serial threads: they end when their jobs do, and new ones start when needed.
    pub(crate) fn abandon(&self) {
        for (_, queue) in lock(&self.serial).drain() {
            queue.send(None);
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.abandon();
    }
}

fn start_thread() -> Queue {
    let queue: Queue = Mailbox::new();
    let jobs = Arc::clone(&queue);
    thread::spawn(move || {
        // A knock carries no job and is no reason to end; an empty message is.
        loop {
            match jobs.take() {
                Some(Some(job)) => job(),
                Some(None) => return,
                None => {}
            }
        }
    });
    queue
}

#[cfg(test)]
mod tests;
