//! The queue's handle: what requests ask of it. A question is a command to the task that owns the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::job::Job;
use super::pending::Place;
use super::summary::Summary;
use super::worker::{Command, Numbers, Setup, Waiter, Worker};
use crate::hub::Hub;
use crate::store::{Change, Snapshot, Store, StoreError, Waiting};

/// Why the queue doesn't answer.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum QueueError {
    /// The worker has ended.
    #[error("the server is going down")]
    Closed,
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Answered<T> = Result<T, QueueError>;

/// Asks the queue.
#[derive(Clone)]
pub(crate) struct Queue {
    commands: mpsc::UnboundedSender<Command>,
    numbers: Arc<AtomicU64>,
    store: Store,
}

/// What runs and what waits, each as `[number, id, prompt, extra_data, outputs]`.
pub(crate) struct Listing {
    pub(crate) running: Vec<Value>,
    pub(crate) waiting: Vec<Value>,
    pub(crate) paused: bool,
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Unknown,
    Waiting,
    Running,
    Finished,
}

impl Queue {
    /// Starts the worker. It goes on with what the store holds.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(crate) fn start(setup: Setup, hub: Hub, store: Store) -> Result<Self, StoreError> {
        let (commands, received) = mpsc::unbounded_channel();
        // Taken before anybody can post: what is posted joins by a command, and must not be found here as well.
        let kept = store.snapshot()?;
        let numbers = Arc::new(AtomicU64::new(kept.next_number()?));
        tokio::spawn(Worker::new(setup, hub, store.clone()).work(kept, received));
        Ok(Self { commands, numbers, store })
    }

    /// The next number. Each is given once, also to prompts that are refused then.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A job joins, and is kept when this returns. `waiter` gets its end. Waits for nothing.
    pub(crate) fn put(&self, job: Job, waiter: Option<Waiter>) -> Answered<()> {
        let waiting = Waiting { place: job.place, text: job.to_kept() };
        let next_number = job.place + 1;
        self.store.keep(Change::Put { waiting, next_number })?;
        self.tell(move |worker| worker.put(job, waiter))
    }

    /// Ends a job that runs, or takes it out where it waits. Waits for nothing.
    pub(crate) fn abandon(&self, id: Arc<str>) {
        let abandoned = self.tell(move |worker| {
            if let Err(error) = worker.remove(|known| *known == *id) {
                tracing::error!("prompt {id} still waits: {error}");
            }
            worker.interrupt(|known| *known == *id);
        });
        // Without a worker nothing runs.
        drop(abandoned);
    }

    /// How many jobs run or wait.
    pub(crate) async fn remaining(&self) -> Answered<usize> {
        self.ask(|worker| worker.remaining()).await
    }

    /// All jobs that run or wait.
    pub(crate) async fn listing(&self) -> Answered<Listing> {
        let (running, waiting, paused) = self
            .ask(|worker| {
                let running: Vec<Job> = worker.running().map(|running| running.job.clone()).collect();
                (running, worker.waiting.iter().cloned().collect::<Vec<Job>>(), worker.is_paused())
            })
            .await?;
        let all = |jobs: Vec<Job>| jobs.iter().map(Job::to_json).collect();
        Ok(Listing { running: all(running), waiting: all(waiting), paused })
    }

    /// Takes every waiting job out.
    pub(crate) async fn clear(&self) -> Answered<()> {
        self.ask(|worker| worker.remove(|_| true)).await??;
        Ok(())
    }

    /// Takes these waiting jobs out.
    pub(crate) async fn remove(&self, ids: Vec<String>) -> Answered<()> {
        self.ask(move |worker| worker.remove(|id| ids.iter().any(|meant| meant == id))).await??;
        Ok(())
    }

    /// Stops what runs; with an id, only if it is that one.
    pub(crate) async fn interrupt(&self, id: Option<String>) -> Answered<bool> {
        self.ask(move |worker| worker.interrupt(|running| id.as_deref().is_none_or(|id| id == running))).await
    }

    /// Ends a job that runs, or takes it out where it waits. `false` if it does neither.
    pub(crate) async fn cancel(&self, ids: Vec<String>) -> Answered<bool> {
        let ask = self.ask(move |worker| {
            let is_meant = |id: &str| ids.iter().any(|meant| meant == id);
            (worker.remove(is_meant), worker.interrupt(is_meant))
        });
        let (waited, stopped) = ask.await?;
        Ok(waited? > 0 || stopped)
    }

    /// Gives a waiting job another place. `false` if it doesn't wait.
    pub(crate) async fn renumber(&self, id: String, to: Place) -> Answered<bool> {
        Ok(self.ask(move |worker| worker.renumber(&id, &to)).await??)
    }

    /// Nothing begins for now, or things begin again.
    pub(crate) async fn pause(&self, paused: bool) -> Answered<()> {
        Ok(self.ask(move |worker| worker.pause(paused)).await??)
    }

    /// What waits or runs, as the lists of jobs show it, and what was kept at the same moment.
    pub(crate) async fn jobs(&self) -> Answered<(Vec<Summary>, Snapshot)> {
        let (jobs, end) = self.ask(|worker| (worker.jobs(), worker.store.next_entry())).await?;
        // One that has ended since is among the jobs.
        Ok((jobs, self.kept().await?.before(end)))
    }

    /// A job that waits or runs.
    pub(crate) async fn job(&self, id: String) -> Answered<Option<Job>> {
        self.ask(move |worker| {
            let running = worker.running().map(|running| &running.job);
            running.chain(worker.waiting.iter()).find(|job| *job.id == *id).cloned()
        })
        .await
    }

    /// What is known of an id.
    pub(crate) async fn state(&self, id: String) -> Answered<State> {
        let asked = id.clone();
        let here = self.ask(move |worker| {
            if worker.running().any(|running| *running.job.id == *asked) {
                return Some(State::Running);
            }
            worker.waiting.iter().any(|job| *job.id == *asked).then_some(State::Waiting)
        });
        if let Some(state) = here.await? {
            return Ok(state);
        }
        let entry = self.kept().await?.entry(&id)?;
        Ok(entry.map_or(State::Unknown, |_| State::Finished))
    }

    /// Gives back what is kept between prompts, after the one that runs.
    pub(crate) async fn free(&self) -> Answered<()> {
        self.ask(Worker::free).await
    }

    /// The queue in numbers.
    pub(crate) async fn numbers(&self) -> Answered<Numbers> {
        self.ask(|worker| worker.numbers()).await
    }

    /// What is kept now.
    pub(crate) async fn kept(&self) -> Answered<Snapshot> {
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || store.snapshot()).await;
        Ok(read.map_err(|_| QueueError::Closed)??)
    }

    /// Forgets entries of the history; without ids, all.
    pub(crate) fn forget(&self, ids: Option<Vec<String>>) -> Answered<()> {
        Ok(self.store.keep(Change::Forget(ids))?)
    }

    /// Begins nothing new, lets what runs end for so long, and returns when nothing runs any more. What had to be stopped
    /// runs again after the next start.
    pub(crate) async fn close(&self, grace: Duration) {
        // An error says that the worker has ended already.
        let _ = self.ask(Worker::close).await;
        if timeout(grace, self.commands.closed()).await.is_err() {
            let _ = self.ask(Worker::park_all).await;
            self.commands.closed().await;
        }
    }

    async fn ask<T: Send + 'static>(&self, what: impl FnOnce(&mut Worker) -> T + Send + 'static) -> Answered<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(move |worker| {
            // Whoever asked may have gone.
            let _ = reply.send(what(worker));
        })?;
        answer.await.map_err(|_| QueueError::Closed)
    }

    fn tell(&self, what: impl FnOnce(&mut Worker) + Send + 'static) -> Answered<()> {
        self.commands.send(Box::new(what)).map_err(|_| QueueError::Closed)
    }
}
