//! The job that runs: its future, what it leaves in the record, and how to stop it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::task::{Context, Poll};
use std::time::Instant;

use kiln_exec::{Cancel, Report, RunError, RunFuture, RunOptions};
use kiln_nodes::Session;

use super::job::Job;
use super::record::{self, Note};
use super::teller::Teller;
use crate::config::PreviewMethod;
use crate::hub::Hub;

/// The job that runs.
pub(super) struct Running {
    pub(super) job: Job,
    cancel: Cancel,
    run: RunFuture,
    notes: Receiver<Note>,
    pub(super) begun: Instant,
    /// Milliseconds since 1970.
    pub(super) began: u64,
    /// It was stopped so that it runs again after the next start.
    pub(super) parked: bool,
}

impl Running {
    /// Starts a job. It runs from the first time on that somebody waits for it.
    pub(super) fn start(session: &Session, usual: &RunOptions, previews: PreviewMethod, hub: &Hub, job: Job) -> Self {
        let (send, notes) = channel();
        let (cancel, client) = (Cancel::new(), job.client());
        let live = Arc::clone(hub.live());
        let teller = Teller::new(hub.clone(), &job, previews, send);
        let options = RunOptions {
            prompt_id: Some(Arc::clone(&job.id)),
            extra_pnginfo: job.extra_pnginfo(),
            progress_states: client.is_some(),
            ..usual.clone()
        };
        let run = session.start(Arc::clone(&job.prompt)).options(options).validated(job.validated.clone());
        let run = run.cancelled_by(&cancel).on_event(move |event| {
            live.hear(event);
            teller.hear(event);
        });
        let run = run.into_future();
        Self { job, cancel, run, notes, begun: Instant::now(), began: record::now(), parked: false }
    }

    /// Whether it has ended.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Report, RunError>> {
        Pin::new(&mut self.run).poll(context)
    }

    /// Asks it to stop.
    pub(super) fn interrupt(&self) {
        self.cancel.cancel();
    }

    /// What the history keeps; and the end's message, where the run itself said nothing.
    pub(super) fn record(&self, ended: &Result<Report, RunError>) -> (serde_json::Value, Option<Note>) {
        let mut notes: Vec<Note> = self.notes.try_iter().collect();
        let missing = record::missing_end(&notes, &self.job, ended);
        notes.extend(missing.clone());
        (record::entry(&self.job, &notes, ended), missing)
    }
}
