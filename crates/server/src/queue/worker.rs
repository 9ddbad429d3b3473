//! The worker: the one task that owns the queue. Runs jobs and takes commands meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_exec::{Report, RunError, RunOptions};
use kiln_nodes::Session;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::job::Job;
use super::lane::{Lane, next_end};
use super::pending::{Pending, Place};
use super::record;
use super::restore::{self, Left};
use super::running::Running;
use super::summary::{self, Summary};
use crate::config::{PreviewMethod, Resume};
use crate::http::webhook::Hooks;
use crate::hub::Hub;
use crate::store::{Change, Ended, STATES, Snapshot, Store, StoreError, Waiting};

/// What the worker owns.
pub(super) struct Worker {
    lanes: Vec<Lane>,
    setup: Setup,
    hub: Hub,
    pub(super) store: Store,
    pub(super) waiting: Pending,
    /// Who waits for the end of which job.
    waiters: HashMap<Arc<str>, Vec<Waiter>>,
    /// Nothing begins for now.
    paused: bool,
    /// Nothing begins any more.
    closing: bool,
    /// How many jobs have ended, by [`STATES`].
    ended: [u64; STATES.len()],
    /// How long they ran.
    seconds: f64,
}

/// The queue in numbers.
pub(crate) struct Numbers {
    pub(crate) waiting: usize,
    pub(crate) running: usize,
    pub(crate) paused: bool,
    /// Since the start, by [`STATES`].
    pub(crate) ended: [u64; STATES.len()],
    /// How long they ran.
    pub(crate) seconds: f64,
}

/// Gets the entry of the history.
pub(crate) type Waiter = oneshot::Sender<Arc<str>>;

/// Something that the worker does between two steps.
pub(super) type Command = Box<dyn FnOnce(&mut Worker) + Send>;

/// How jobs run.
pub(crate) struct Setup {
    /// One for each job that may run at the same time.
    pub(crate) sessions: Vec<Arc<Session>>,
    /// The options of every run.
    pub(crate) options: RunOptions,
    pub(crate) previews: PreviewMethod,
    pub(crate) resume: Resume,
    pub(crate) hooks: Arc<Hooks>,
}

impl Worker {
    pub(super) fn new(setup: Setup, hub: Hub, store: Store) -> Self {
        Self {
            lanes: setup.sessions.iter().cloned().map(Lane::new).collect(),
            setup,
            hub,
            store,
            waiting: Pending::default(),
            waiters: HashMap::new(),
            paused: false,
            closing: false,
            ended: [0; STATES.len()],
            seconds: 0.0,
        }
    }

    /// `kept` is what an earlier process has left: older than every command.
    pub(super) async fn work(mut self, kept: Snapshot, mut commands: mpsc::UnboundedReceiver<Command>) {
        self.restore(kept).await;
        loop {
            self.begin();
            if self.closing && self.running().next().is_none() {
                break;
            }
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => command(&mut self),
                    None => break,
                },
                (lane, ended) = next_end(&mut self.lanes) => self.finish(lane, &ended),
            }
        }
    }

    /// Takes up what an earlier process has left.
    async fn restore(&mut self, kept: Snapshot) {
        let resume = self.setup.resume;
        let Some(session) = self.lanes.first().map(|lane| Arc::clone(&lane.session)) else { return };
        let read = move || Ok::<_, StoreError>((restore::left(&session, &kept, resume)?, kept.is_paused()?));
        let (left, paused) = match tokio::task::spawn_blocking(read).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => return tracing::error!("{error}"),
            Err(_) => return tracing::error!("what an earlier server has left can't be read"),
        };
        self.paused = paused;
        for left in left {
            match left {
                Left::Waits(job) => self.waiting.put(job),
                Left::Ends(job, why) => {
                    self.hub.log(format!("Prompt {} does not run again: {why}", job.id));
                    self.keep_end(&job, &record::lost(&job, &why));
                }
            }
        }
        if self.waiting.len() > 0 {
            self.hub.log(format!("{} prompts of before wait", self.waiting.len()));
            self.tell_status();
        }
    }

    /// Begins as many jobs as there are free lanes.
    fn begin(&mut self) {
        for index in 0..self.lanes.len() {
            self.lanes[index].tidy();
            if self.lanes[index].running.is_some() || self.closing || self.paused {
                continue;
            }
            let Some(job) = self.waiting.next() else { continue };
            if let Err(error) = self.store.keep(Change::Begin(job.place)) {
                tracing::error!("that prompt {} begins is not kept: {error}", job.id);
            }
            let Setup { options, previews, .. } = &self.setup;
            let lane = &mut self.lanes[index];
            lane.running = Some(Running::start(&lane.session, options, *previews, &self.hub, job));
            self.tell_status();
        }
    }

    /// First the history, then the status, last the message that clients wait for.
    fn finish(&mut self, lane: usize, ended: &Result<Report, RunError>) {
        let Some(running) = self.lanes[lane].running.take() else { return };
        let (entry, missing) = running.record(ended);
        let seconds = running.begun.elapsed().as_secs_f64();
        self.seconds += seconds;
        self.hub.log(match ended {
            Ok(_) => format!("Prompt executed in {seconds:.2} seconds"),
            Err(error) => format!("Prompt ended after {seconds:.2} seconds: {error}"),
        });
        let (id, client) = (Arc::clone(&running.job.id), running.job.client());
        if running.parked && ended.as_ref().is_err_and(RunError::is_interrupted) {
            self.park(&running.job);
        } else {
            self.keep_end(&running.job, &entry);
        }
        if let (Some(note), Some(client)) = (missing, &client) {
            self.hub.to(client, note.message());
        }
        self.tell_status();
        self.hub.prompt_ended(client.as_ref(), &id);
    }

    fn park(&mut self, job: &Job) {
        self.hub.log(format!("Prompt {} runs again after the next start", job.id));
        if let Err(error) = self.store.keep(Change::Park(job.place)) {
            tracing::error!("{error}");
        }
    }

    /// The entry is kept, and whoever waits gets it. One that can't be kept leaves the job where it is: it runs again after
    /// the next start.
    fn keep_end(&mut self, job: &Job, entry: &Value) {
        let (text, summary) = (entry.to_string(), summary::of_finished(entry));
        if let Some(place) = STATES.iter().position(|state| *state == summary.status) {
            self.ended[place] += 1;
        }
        let ended = Ended {
            place: job.place,
            id: Arc::clone(&job.id),
            entry: text.clone(),
            status: summary.status.to_owned(),
            created: summary.created,
            duration: summary.duration,
            workflow: summary.workflow,
            job: summary.json.to_string(),
        };
        if let Err(error) = self.store.keep(Change::End(ended.into())) {
            tracing::error!("the end of prompt {} is lost: {error}", job.id);
            self.hub.log(format!("The end of prompt {} is lost: {error}", job.id));
        }
        if let Some(url) = job.webhook() {
            let told = json!({"prompt_id": job.id, "outputs": entry["outputs"], "status": entry["status"]}).to_string();
            let hooks = Arc::clone(&self.setup.hooks);
            tokio::spawn(async move { hooks.tell(&url, told).await });
        }
        let waiters = self.waiters.remove(&job.id).unwrap_or_default();
        if !waiters.is_empty() {
            let text: Arc<str> = text.into();
            // Whoever waited may have gone.
            for waiter in waiters {
                let _ = waiter.send(Arc::clone(&text));
            }
        }
    }

    pub(super) fn put(&mut self, job: Job, waiter: Option<Waiter>) {
        self.hub.log("got prompt");
        if let Some(waiter) = waiter {
            self.waiters.entry(Arc::clone(&job.id)).or_default().push(waiter);
        }
        self.waiting.put(job);
        self.tell_status();
    }

    /// Takes waiting jobs out, and says how many there were.
    ///
    /// # Errors
    /// When that can't be kept; then they wait on.
    pub(super) fn remove(&mut self, is_meant: impl Fn(&str) -> bool) -> Result<usize, StoreError> {
        let places: Vec<u64> = self.waiting.iter().filter(|job| is_meant(&job.id)).map(|job| job.place).collect();
        let count = places.len();
        if count > 0 {
            self.store.keep(Change::Remove(places))?;
            for job in self.waiting.remove(is_meant) {
                self.waiters.remove(&job.id);
            }
        }
        self.tell_status();
        Ok(count)
    }

    /// Gives a waiting job another number. `false` if it doesn't wait.
    ///
    /// # Errors
    /// When that can't be kept; then it has its old number.
    pub(super) fn renumber(&mut self, id: &str, place: &Place) -> Result<bool, StoreError> {
        let Some(mut job) = self.waiting.remove(|waiting| waiting == id).into_iter().next() else { return Ok(false) };
        let before = std::mem::replace(&mut job.number, place.number(&self.waiting));
        let kept = self.store.keep(Change::Replace(Waiting { place: job.place, text: job.to_kept() }));
        if kept.is_err() {
            job.number = before;
        }
        self.waiting.put(job);
        self.tell_status();
        kept.map(|()| true)
    }

    /// What runs.
    pub(super) fn running(&self) -> impl Iterator<Item = &Running> {
        self.lanes.iter().filter_map(|lane| lane.running.as_ref())
    }

    /// Everything that waits or runs, as the lists of jobs show it.
    pub(super) fn jobs(&self) -> Vec<Summary> {
        let running = self.running().map(|running| summary::of_running(&running.job, running.began));
        running.chain(self.waiting.iter().map(summary::of_waiting)).collect()
    }

    /// Stops what runs, if it is meant.
    pub(super) fn interrupt(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        let meant: Vec<&Running> = self.running().filter(|running| is_meant(&running.job.id)).collect();
        for running in &meant {
            running.interrupt();
        }
        !meant.is_empty()
    }

    /// Gives back what is kept between prompts, after those that run.
    pub(super) fn free(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.free = true);
    }

    /// Nothing begins for now, or things begin again.
    ///
    /// # Errors
    /// When that can't be kept; then nothing changes.
    pub(super) fn pause(&mut self, paused: bool) -> Result<(), StoreError> {
        self.store.keep(Change::Pause(paused))?;
        self.paused = paused;
        self.tell_status();
        Ok(())
    }

    /// Whether nothing begins for now.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// The queue in numbers.
    pub(super) fn numbers(&self) -> Numbers {
        Numbers {
            waiting: self.waiting.len(),
            running: self.running().count(),
            paused: self.paused,
            ended: self.ended,
            seconds: self.seconds,
        }
    }

    /// Begins nothing new.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Stops what runs; it runs again after the next start.
    pub(super) fn park_all(&mut self) {
        for running in self.lanes.iter_mut().filter_map(|lane| lane.running.as_mut()) {
            running.parked = true;
            running.interrupt();
        }
    }

    /// How many jobs run or wait.
    pub(super) fn remaining(&self) -> usize {
        self.waiting.len() + self.running().count()
    }

    fn tell_status(&self) {
        self.hub.status(self.remaining());
    }
}
