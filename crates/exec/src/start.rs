//! A run that is being started: its prompt, its options, who listens, how to cancel it. Then it runs, here or elsewhere.

use std::sync::Arc;

use futures::channel::oneshot;
use kiln_graph::{Prompt, Validated};

use crate::cancel::Cancel;
use crate::engine::{Checked, Engine};
use crate::error::{ErrorKind, NodeError, RunError};
use crate::event::{Event, Listener};
use crate::options::RunOptions;
use crate::report::Report;
use crate::run::Execution;
use crate::sync::{lock, thread};

/// A run in the making.
#[must_use = "a run does nothing until `run` or `run_async`"]
pub struct Run {
    engine: Engine,
    prompt: Arc<Prompt>,
    checked: Option<Checked>,
    options: RunOptions,
    listener: Option<Listener>,
    cancel: Cancel,
}

impl Run {
    pub(crate) fn new(engine: Engine, prompt: Arc<Prompt>) -> Self {
        Self { engine, prompt, checked: None, options: RunOptions::default(), listener: None, cancel: Cancel::new() }
    }

    /// The same with these options.
    pub fn options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// The same with somebody who listens. Called on the thread where the event happens.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// The same, cancelled through this flag.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// The same, with the validation that was done before. The prompt must be the validated one.
    pub fn validated(mut self, validated: Validated) -> Self {
        self.checked = Some(validated.into());
        self
    }

    /// The flag that cancels this run.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Runs on this thread and waits for the end.
    ///
    /// # Errors
    /// When the prompt does not pass validation, when a node fails, or when the run is cancelled.
    pub fn run(mut self) -> Result<Report, RunError> {
        let checked = self.check()?;
        let session = &mut *lock(&self.engine.inner.session);
        let (inner, routes) = (&self.engine.inner, Arc::clone(&checked.routes));
        let execution =
            Execution::new(inner, session, &self.prompt, &routes, &self.options, self.listener, self.cancel);
        execution.run(checked)
    }

    /// Runs on a thread of its own. The future may be dropped; the run goes on until it is cancelled.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_async(self) -> Result<Report, RunError> {
        let (send, receive) = oneshot::channel();
        thread::spawn(move || {
            // Nobody may be waiting any more; the report is of no use then.
            let _ = send.send(self.run());
        });
        receive.await.unwrap_or_else(|_| {
            Err(RunError::of_prompt(NodeError::of(ErrorKind::Panicked, "the engine itself panicked")))
        })
    }

    fn check(&mut self) -> Result<Checked, RunError> {
        // Where links lead was looked up for the prompt as it was then.
        if let Some(checked) = self.checked.take().filter(|checked| checked.routes.nodes() == self.prompt.len()) {
            return Ok(checked);
        }
        let prompt = Arc::make_mut(&mut self.prompt);
        self.engine.inner.validate(prompt, self.options.targets()).map(Into::into).map_err(RunError::invalid)
    }
}
