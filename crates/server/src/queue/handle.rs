//! The queue's handle: what requests ask of it. A question is a command to the task that owns the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::history::Page;
use super::job::Job;
use super::summary::Summary;
use super::worker::{Command, Setup, Worker};
use crate::hub::Hub;

/// The worker has ended: the server is going down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed;

/// An entry of the history: its id and its text.
pub(crate) type Entry = (Arc<str>, Arc<str>);

/// Asks the queue.
#[derive(Clone)]
pub(crate) struct Queue {
    commands: mpsc::UnboundedSender<Command>,
    numbers: Arc<AtomicU64>,
}

/// What runs and what waits, each as `[number, id, prompt, extra_data, outputs]`.
pub(crate) struct Listing {
    pub(crate) running: Vec<Value>,
    pub(crate) waiting: Vec<Value>,
}

impl Queue {
    /// Starts the worker.
    pub(crate) fn start(setup: Setup, hub: Hub) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        tokio::spawn(Worker::new(setup, hub).work(received));
        Self { commands, numbers: Arc::default() }
    }

    /// The next number. Each is given once, also to prompts that are refused then.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A job joins.
    pub(crate) async fn put(&self, job: Job) -> Result<(), Closed> {
        self.ask(move |worker| worker.put(job)).await
    }

    /// How many jobs run or wait.
    pub(crate) async fn remaining(&self) -> Result<usize, Closed> {
        self.ask(|worker| worker.remaining()).await
    }

    /// All jobs that run or wait.
    pub(crate) async fn listing(&self) -> Result<Listing, Closed> {
        let (running, waiting) = self
            .ask(|worker| {
                let running: Vec<Job> = worker.running.iter().map(|running| running.job.clone()).collect();
                (running, worker.waiting.iter().cloned().collect::<Vec<Job>>())
            })
            .await?;
        let all = |jobs: Vec<Job>| jobs.iter().map(Job::to_json).collect();
        Ok(Listing { running: all(running), waiting: all(waiting) })
    }

    /// Takes every waiting job out.
    pub(crate) async fn clear(&self) -> Result<(), Closed> {
        self.ask(|worker| _ = worker.remove(|_| true)).await
    }

    /// Takes these waiting jobs out.
    pub(crate) async fn remove(&self, ids: Vec<String>) -> Result<(), Closed> {
        self.ask(move |worker| _ = worker.remove(|id| ids.iter().any(|meant| meant == id))).await
    }

    /// Stops what runs; with an id, only if it is that one.
    pub(crate) async fn interrupt(&self, id: Option<String>) -> Result<bool, Closed> {
        self.ask(move |worker| worker.interrupt(|running| id.as_deref().is_none_or(|id| id == running))).await
    }

    /// Ends a job that runs, or takes it out where it waits. `false` if it does neither.
    pub(crate) async fn cancel(&self, ids: Vec<String>) -> Result<bool, Closed> {
        self.ask(move |worker| {
            let is_meant = |id: &str| ids.iter().any(|meant| meant == id);
            let waited = worker.remove(is_meant) > 0;
            worker.interrupt(is_meant) || waited
        })
        .await
    }

    /// Everything that waits, runs or is finished, as the lists of jobs show it.
    pub(crate) async fn jobs(&self) -> Result<Vec<Arc<Summary>>, Closed> {
        self.ask(|worker| worker.jobs()).await
    }

    /// A job that waits or runs.
    pub(crate) async fn job(&self, id: String) -> Result<Option<Job>, Closed> {
        self.ask(move |worker| {
            let running = worker.running.iter().map(|running| &running.job);
            running.chain(worker.waiting.iter()).find(|job| *job.id == *id).cloned()
        })
        .await
    }

    /// Gives back what is kept between prompts, after the one that runs.
    pub(crate) async fn free(&self) -> Result<(), Closed> {
        self.ask(Worker::free).await
    }

    /// A part of the history, the oldest first.
    pub(crate) async fn history(&self, page: Page) -> Result<Vec<Entry>, Closed> {
        self.ask(move |worker| worker.history.page(page)).await
    }

    /// One entry of the history.
    pub(crate) async fn entry(&self, id: String) -> Result<Option<Entry>, Closed> {
        self.ask(move |worker| worker.history.get(&id)).await
    }

    /// Forgets entries of the history; without ids, all.
    pub(crate) async fn forget(&self, ids: Option<Vec<String>>) -> Result<(), Closed> {
        self.ask(move |worker| match ids {
            Some(ids) => ids.iter().for_each(|id| worker.history.remove(id)),
            None => worker.history.clear(),
        })
        .await
    }

    /// Begins nothing new, and returns when nothing runs any more.
    pub(crate) async fn close(&self) {
        // An error says that the worker has ended already.
        let _ = self.ask(Worker::close).await;
        self.commands.closed().await;
    }

    async fn ask<T: Send + 'static>(&self, what: impl FnOnce(&mut Worker) -> T + Send + 'static) -> Result<T, Closed> {
        let (reply, answer) = oneshot::channel();
        let command: Command = Box::new(move |worker| {
            // Whoever asked may have gone.
            let _ = reply.send(what(worker));
        });
        self.commands.send(command).map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}
