//! The worker: the one task that owns the queue. Runs one job after the other and takes commands meanwhile.

use std::future::pending;
use std::sync::Arc;

use kiln_exec::{Report, RunError, RunOptions};
use kiln_nodes::Session;
use tokio::sync::mpsc;

use super::history::{Finished, History};
use super::job::Job;
use super::pending::Pending;
use super::running::Running;
use super::summary::{self, Summary};
use crate::config::PreviewMethod;
use crate::hub::Hub;

/// What the worker owns.
pub(super) struct Worker {
    session: Arc<Session>,
    options: RunOptions,
    previews: PreviewMethod,
    hub: Hub,
    pub(super) waiting: Pending,
    pub(super) running: Option<Running>,
    pub(super) history: History,
    /// Give back what is kept between prompts, as soon as none runs.
    free: bool,
    /// Nothing new begins.
    closing: bool,
}

/// Something that the worker does between two steps.
pub(super) type Command = Box<dyn FnOnce(&mut Worker) + Send>;

/// How jobs run.
pub(crate) struct Setup {
    pub(crate) session: Arc<Session>,
    /// The options of every run.
    pub(crate) options: RunOptions,
    pub(crate) previews: PreviewMethod,
    /// How many finished prompts are remembered.
    pub(crate) history: usize,
}

impl Worker {
    pub(super) fn new(setup: Setup, hub: Hub) -> Self {
        let Setup { session, options, previews, history } = setup;
        Self {
            session,
            options,
            previews,
            hub,
            waiting: Pending::default(),
            running: None,
            history: History::new(history),
            free: false,
            closing: false,
        }
    }

    pub(super) async fn work(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            self.begin_next();
            if self.closing && self.running.is_none() {
                break;
            }
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => command(&mut self),
                    None => break,
                },
                ended = end(&mut self.running) => self.finish(&ended),
            }
        }
    }

    fn begin_next(&mut self) {
        if self.running.is_some() || self.closing {
            return;
        }
        if std::mem::take(&mut self.free) {
            self.session.engine().free();
        }
        let Some(job) = self.waiting.next() else { return };
        self.running = Some(Running::start(&self.session, &self.options, self.previews, &self.hub, job));
        self.tell_status();
    }

    /// First the history, then the status, last the message that clients wait for.
    fn finish(&mut self, ended: &Result<Report, RunError>) {
        let Some(running) = self.running.take() else { return };
        let (entry, missing) = running.record(ended);
        let seconds = running.begun.elapsed().as_secs_f64();
        self.hub.log(match ended {
            Ok(_) => format!("Prompt executed in {seconds:.2} seconds"),
            Err(error) => format!("Prompt ended after {seconds:.2} seconds: {error}"),
        });
        let (id, client) = (Arc::clone(&running.job.id), running.job.client());
        let finished = Finished { text: entry.to_string().into(), job: summary::of_finished(&entry).into() };
        self.history.add(Arc::clone(&id), finished);
        if let (Some(note), Some(client)) = (missing, &client) {
            self.hub.to(client, note.message());
        }
        self.tell_status();
        self.hub.prompt_ended(client.as_ref(), &id);
    }

    pub(super) fn put(&mut self, job: Job) {
        self.hub.log("got prompt");
        self.waiting.put(job);
        self.tell_status();
    }

    /// Takes waiting jobs out, and says how many there were.
    pub(super) fn remove(&mut self, is_meant: impl Fn(&str) -> bool) -> usize {
        let gone = self.waiting.remove(is_meant);
        self.tell_status();
        gone
    }

    /// Everything that waits, runs or is finished, as the lists of jobs show it.
    pub(super) fn jobs(&self) -> Vec<Arc<Summary>> {
        let running = self.running.iter().map(|running| summary::of_running(&running.job, running.began).into());
        let waiting = self.waiting.iter().map(|job| summary::of_waiting(job).into());
        running.chain(waiting).chain(self.history.jobs().cloned()).collect()
    }

    /// Stops what runs, if it is meant.
    pub(super) fn interrupt(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        let running = self.running.as_ref().filter(|running| is_meant(&running.job.id));
        running.inspect(|running| running.interrupt()).is_some()
    }

    /// Gives back what is kept between prompts, after the one that runs.
    pub(super) fn free(&mut self) {
        self.free = true;
    }

    /// Begins nothing new; what runs is interrupted.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.interrupt(|_| true);
    }

    /// How many jobs run or wait.
    pub(super) fn remaining(&self) -> usize {
        self.waiting.len() + usize::from(self.running.is_some())
    }

    fn tell_status(&self) {
        self.hub.status(self.remaining());
    }
}

async fn end(running: &mut Option<Running>) -> Result<Report, RunError> {
    match running {
        Some(running) => running.end().await,
        None => pending().await,
    }
}
