//! A run that is being started: its prompt, its options, who listens, how to cancel it. Then it runs, for a thread or a
//! task that waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use kiln_graph::{Prompt, Validated};

use crate::cancel::Cancel;
use crate::engine::{
    AbandonedCall, ActiveCall, CallToken, Engine, Reclaimed, Report, RunError, RunErrorInner, RunGuard, RunOptions,
    SessionGuard, WhenBusy, revoke,
};
use crate::error::{ErrorKind, NodeError};
use crate::lanes::Mailbox;
use crate::node::Ids;
use crate::observe::{Event, Listener, now};
use crate::run::audience::Audience;
use crate::run::begun::Begun;
use crate::run::execution::Execution;

use crate::sync;

impl Engine {
    /// Runs a prompt with all defaults and waits for the end.
    ///
    /// # Errors
    /// When it does not pass validation, when a node fails, or when it is cancelled.
    pub fn run(&self, prompt: impl Into<Arc<Prompt>>) -> Result<Report, RunError> {
        self.start(prompt).run()
    }

    /// A run in the making: choose options, listen, then [`run`](Run::run) it, await it, or read its [`stream`](Run::stream).
    pub fn start(&self, prompt: impl Into<Arc<Prompt>>) -> Run {
        Run::new(self.clone(), prompt.into())
    }
}

/// A run in the making: [`run`](Self::run) it and wait, or await it under any executor, which needs no runtime:
/// `let report = engine.start(prompt).await?;`. Its events are a callback ([`on_event`](Self::on_event)) or a
/// [`stream`](Self::stream).
#[must_use = "a run does nothing until `run` or `await`"]
pub struct Run {
    engine: Engine,
    prompt: Arc<Prompt>,
    checked: Option<Validated>,
    options: RunOptions,
    listener: Option<Listener>,
    cancel: Cancel,
}

impl Run {
    pub(crate) fn new(engine: Engine, prompt: Arc<Prompt>) -> Self {
        Self { engine, prompt, checked: None, options: RunOptions::default(), listener: None, cancel: Cancel::new() }
    }

    /// With these options.
    pub fn options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// With somebody who listens. Called on the thread where the event happens.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Who listens.
    pub(super) fn listener(&self) -> Option<Listener> {
        self.listener.clone()
    }

    /// Cancelled through this flag.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// With the validation that was done before. The prompt must be the validated one.
    pub fn validated(mut self, validated: Validated) -> Self {
        self.checked = Some(validated);
        self
    }

    /// The flag that cancels this run.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Runs and waits for the end.
    ///
    /// Nodes run on threads of the engine's. A cancel ends the run at the next progress step, before the next node, or
    /// at once while it only waits; a node that does none of this is abandoned after the
    /// [grace](RunOptions::grace).
    ///
    /// # Errors
    /// When the prompt does not pass validation, when a node fails, or when the run is cancelled.
    pub fn run(self) -> Result<Report, RunError> {
        let lock = &self.engine.inner.run_lock;
        let guard = match self.options.when_busy {
            WhenBusy::Queue => lock.acquire_unless(&self.cancel),
            WhenBusy::Refuse => lock.try_acquire(),
        };
        let guard = guard.map_err(RunError::of_prompt)?;
        self.run_holding(guard)
    }

    /// Joins the queue, or begins at once.
    pub(super) fn begin(mut self) -> Result<Begun, RunError> {
        let lock = sync::Arc::clone(&self.engine.inner.run_lock);
        let refused = match self.options.when_busy {
            WhenBusy::Queue => None,
            WhenBusy::Refuse => Some(lock.try_acquire().map_err(RunError::of_prompt)?),
        };
        let outer = self.cancel.clone();
        let (own, link) = outer.child();
        self.cancel = own.clone();
        let (send, ended) = oneshot::channel();
        let engine = self.engine.clone();
        let begin = move |guard: RunGuard| {
            let work = move || {
                // Nobody may be waiting any more; the report is of no use then.
                let _ = send.send(self.run_holding(guard));
                drop(link);
            };
            // A thread that does not come leaves `ended` without a message.
            engine.inner.lanes.wait(Box::new(work));
        };
        let place = match refused {
            Some(guard) => {
                begin(guard);
                None
            }
            None => Some(lock.enter(begin)),
        };
        Ok(Begun { ended, place, outer, own, awake: None })
    }

    /// Runs and waits for the end, holding the right to run until then.
    fn run_holding(mut self, guard: RunGuard) -> Result<Report, RunError> {
        let _guard = guard;
        let (engine, cancel) = (self.engine.clone(), self.cancel.clone());
        let audience = Audience::new(self.listener.take(), engine.inner.observer.is_some());
        let wait = Wait { prompt: Arc::clone(&self.prompt), grace: self.options.grace, audience: audience.clone() };
        let mailbox = Mailbox::new();
        let token = CallToken::default();
        let left = sync::Arc::downgrade(&token);
        let answer = sync::Arc::clone(&mailbox);
        let job = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| self.run_here(audience))).unwrap_or_else(|_| Err(broken()));
            drop(token);
            answer.send(ended);
        };
        let waker = futures::task::waker(sync::Arc::clone(&mailbox));
        let _awake = cancel.add_waker(waker);
        engine.inner.lanes.run(Box::new(job));
        let ended = wait.end(&engine, &cancel, &mailbox, left);
        engine.inner.report_rest(engine.cache_size().1);
        ended
    }

    /// Runs on this thread.
    fn run_here(mut self, audience: Option<Audience>) -> Result<Report, RunError> {
        let engine = self.engine.clone();
        let mut session = SessionGuard::new(&engine.inner.session);
        session.pause(ActiveCall::default());
        let checked = self.check()?;
        if !session.resume() {
            return Err(RunError::of_prompt(NodeError::interrupted()));
        }
        let (inner, routes) = (&engine.inner, Arc::clone(&checked.routes));
        if let (Some(observer), Some(audience)) = (&inner.observer, &audience) {
            audience.join(observer.begin(&inner.registry, &self.prompt));
        }
        let listener = audience.as_ref().map(Audience::listener);
        let execution = Execution::new(inner, session, &self.prompt, &routes, &self.options, listener, self.cancel);
        execution.run(checked)
    }

    fn check(&mut self) -> Result<Validated, RunError> {
        // Where links lead was looked up for the prompt as it was then.
        if let Some(checked) = self.checked.take().filter(|checked| checked.routes.nodes() == self.prompt.len()) {
            return Ok(checked);
        }
        let prompt = Arc::make_mut(&mut self.prompt);
        self.engine.inner.validate(prompt, self.options.targets()).map_err(RunError::invalid)
    }
}

fn broken() -> RunError {
    RunError::of_prompt(NodeError::of(ErrorKind::Panicked, "the engine itself panicked"))
}

/// How often a run that should have ended is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Whoever waits for a run.
struct Wait {
    prompt: Arc<Prompt>,
    grace: Duration,
    audience: Option<Audience>,
}

impl Wait {
    /// The end of the run, or of the patience with it.
    fn end(
        &self,
        engine: &Engine,
        cancel: &Cancel,
        mailbox: &Mailbox<Result<Report, RunError>>,
        token: sync::Weak<()>,
    ) -> Result<Report, RunError> {
        while !cancel.is_cancelled() {
            if let Some(ended) = mailbox.take() {
                return ended;
            }
        }
        let deadline = Instant::now() + self.grace;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(ended) = mailbox.take_within(left.max(POLL_INTERVAL)) {
                return ended;
            }
            // A run that is between nodes will see the cancel by itself.
            if Instant::now() >= deadline
                && let Some(taken) = revoke(&engine.inner.session)
            {
                return Err(self.abandon_call(engine, taken, token));
            }
        }
    }

    /// The run's thread is stuck in a node's code: the run ends here, without it.
    fn abandon_call(&self, engine: &Engine, taken: Reclaimed, token: sync::Weak<()>) -> RunError {
        engine.inner.lanes.abandon_runner();
        let Reclaimed { call, bytes, prompt_id, .. } = &taken;
        let path = call.node.as_ref().map(Ids::path).unwrap_or_default();
        let class_type = path.first().and_then(|id| self.prompt.get(id.as_str())).map(|node| node.class_type.clone());
        engine.inner.abandoned.add(
            token,
            AbandonedCall {
                node: path.last().cloned(),
                real_node: path.first().cloned(),
                prompt_id: Arc::clone(prompt_id),
                since: Instant::now(),
                bytes: *bytes,
            },
        );
        if let Some(audience) = &self.audience {
            audience.close(&Event::ExecutionInterrupted {
                prompt_id: Arc::clone(prompt_id),
                node_id: path.first().cloned(),
                node_type: class_type.clone(),
                executed: Vec::new(),
                timestamp: now(),
            });
        }
        let message = format!("interrupted; a node did not come back within {:?} and was left behind", self.grace);
        let report = Report { prompt_id: Arc::clone(prompt_id), summary: taken.summary(), ..Report::default() };
        RunError::new(RunErrorInner {
            error: NodeError::of(ErrorKind::Interrupted, message),
            class_type,
            path,
            shown: None,
            inputs: Vec::new(),
            executed: Vec::new(),
            refused: None,
            report: None,
        })
        .with_report(report)
    }
}
