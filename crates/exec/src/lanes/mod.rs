//! Lanes: the threads that calls run on. One serial thread per device, a pool for nodes that only need a core, and the
//! thread that a run decides on, where nodes without a lane run as well.
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
    pool: Mutex<Option<Arc<rayon::ThreadPool>>>,
    /// The thread that runs decide on.
    runner: Mutex<Option<Queue>>,
    /// The thread that waits for runs that are futures. It never gets stuck: it abandons what does.
    waiter: Mutex<Option<Queue>>,
}

impl Lanes {
    /// Runs `job` on the serial thread of that name, after the jobs it has already.
    pub(crate) fn serial(&self, lane: &std::sync::Arc<str>, job: Job) {
        let name: Arc<str> = Arc::from(&**lane);
        let mut serial = lock(&self.serial);
        let queue = serial.get(&name).map(Arc::clone).or_else(|| start_thread(&format!("kiln-{lane}")));
        let Some(queue) = queue else {
            // Without a thread (the system gives none) the work is done here.
            drop(serial);
            return job();
        };
        serial.entry(name).or_insert_with(|| Arc::clone(&queue));
        queue.send(Some(job));
    }

    /// Runs `job`, a whole run, on the thread for that.
    pub(crate) fn run(&self, job: Job) {
        if let Err(job) = hand_over(&self.runner, "kiln-run", job) {
            job();
        }
    }

    /// Runs `job`, which starts a run and waits for its end, on the thread for that. Without a thread it is dropped.
    pub(crate) fn wait(&self, job: Job) {
        drop(hand_over(&self.waiter, "kiln-wait", job));
    }

    /// Forgets the thread that runs decide on: it ends when its job does, and the next run gets a new one.
    pub(crate) fn abandon_runner(&self) {
        if let Some(queue) = lock(&self.runner).take() {
            queue.send(None);
        }
    }

    /// Runs `job` on the pool.
    #[cfg_attr(feature = "shuttle", allow(clippy::unused_self))] // shuttle's threads need no pool
    pub(crate) fn parallel(&self, job: Job) {
        #[cfg(not(feature = "shuttle"))]
        match self.pool() {
            Some(pool) => pool.spawn(job),
            None => job(),
        }
        #[cfg(feature = "shuttle")]
        drop(thread::spawn(job));
    }

    #[cfg(not(feature = "shuttle"))]
    fn pool(&self) -> Option<Arc<rayon::ThreadPool>> {
        let mut pool = lock(&self.pool);
        if pool.is_none() {
            let builder = rayon::ThreadPoolBuilder::new().stack_size(STACK).thread_name(|n| format!("kiln-{n}"));
            *pool = builder.build().ok().map(Arc::new);
        }
        pool.clone()
    }

    /// Forgets the threads for nodes: they end when their jobs do, and new ones start when needed.
    pub(crate) fn abandon(&self) {
        // A stuck job would take its thread from the pool for good.
        #[cfg(not(feature = "shuttle"))]
        drop(lock(&self.pool).take());
        for (_, queue) in lock(&self.serial).drain() {
            queue.send(None);
        }
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.abandon();
        self.abandon_runner();
        if let Some(queue) = lock(&self.waiter).take() {
            queue.send(None);
        }
    }
}

/// Gives a job to a thread, which starts where there is none yet.
///
/// # Errors
/// The job, when the system gives no thread.
fn hand_over(thread: &Mutex<Option<Queue>>, name: &str, job: Job) -> Result<(), Job> {
    let mut thread = lock(thread);
    if thread.is_none() {
        *thread = start_thread(name);
    }
    match &*thread {
        Some(queue) => {
            queue.send(Some(job));
            Ok(())
        }
        None => Err(job),
    }
}

/// Bytes of stack for threads that run nodes: as much as a main thread has.
const STACK: usize = 8 << 20;

/// A thread that does one job after the other; `None` when the system gives none.
fn start_thread(name: &str) -> Option<Queue> {
    let queue: Queue = Mailbox::new();
    let jobs = Arc::clone(&queue);
    let work = move || {
        // A wake-up carries no job and is no reason to end; an empty message is.
        loop {
            match jobs.take() {
                Some(Some(job)) => job(),
                Some(None) => return,
                None => {}
            }
        }
    };
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work).ok()?;
    Some(queue)
}

#[cfg(test)]
mod tests;
