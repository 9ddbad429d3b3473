//! Calls: a node's inputs gathered, its code called once per element, whatever lane that happens on.
//!
//! Knows arguments and results. Knows nothing of the schedule; everything here may run on another thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::error::NodeError;
use crate::node::{Answer, Arg, Args, Call, Class, Cx, Produced, Start};
use crate::observe::{ErrorEvent, Event};
use crate::value::{Blocker, Value, Values};

/// Where an input goes.
#[derive(Clone, Debug)]
pub(super) enum Where {
    /// A declared input, by position.
    Slot(u32),
    /// One that the class does not declare.
    Extra(Arc<str>),
}

/// A node's inputs, whole lists still.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub inputs: Vec<(Where, Arg)>,
    /// How often the node is called.
    pub calls: usize,
    /// The node gets whole lists.
    pub whole_lists: bool,
    /// Blockers are values like others to it.
    pub takes_blockers: bool,
}

/// What one call returned.
pub(super) struct CallResult {
    pub answer: Answer,
    pub produced: Produced,
}

impl Prepared {
    pub(super) fn clear(&mut self) {
        self.inputs.clear();
        self.calls = 1;
        self.whole_lists = false;
        self.takes_blockers = false;
    }

    /// Counts the calls, once all inputs are in: as many as the longest list has elements; none when one is empty.
    pub(super) fn count_calls(&mut self) {
        if self.whole_lists {
            return;
        }
        let lengths = self.inputs.iter().filter_map(|(_, arg)| match arg {
            Arg::Values(values) => Some(values.len()),
            _ => None,
        });
        let (mut longest, mut any_empty) = (1, false);
        for length in lengths {
            longest = longest.max(length);
            any_empty |= length == 0;
        }
        self.calls = if any_empty { 0 } else { longest };
    }

    /// Fills the arguments of one call, or returns the blocker that stops it.
    pub(super) fn fill(&self, call: usize, args: &mut Args) -> Result<(), Blocker> {
        args.extras.reserve(self.inputs.len().saturating_sub(args.slots.len()));
        for (to, arg) in &self.inputs {
            let arg = match arg {
                Arg::Values(values) if self.whole_lists => {
                    if !self.takes_blockers
                        && let Some(blocker) = values.iter().find_map(Value::as_blocker)
                    {
                        return Err(blocker.clone());
                    }
                    Arg::Values(values.clone())
                }
                Arg::Values(values) => match values.at(call) {
                    Some(Value::Blocker(blocker)) => return Err(blocker.clone()),
                    Some(value) => Arg::Values(Values::One(value.clone())),
                    None => Arg::Absent,
                },
                other => other.clone(),
            };
            match (to, arg) {
                (Where::Slot(slot), arg) => args.slots[*slot as usize] = arg,
                (Where::Extra(name), Arg::Values(values)) => args.extras.push((Arc::clone(name), values)),
                (Where::Extra(_), _) => {}
            }
        }
        Ok(())
    }
}

/// Calls a node once, whatever it does; a panic is its error.
pub(super) fn call_once(
    call: &Call,
    args: &mut Args,
    cx: &mut Cx,
    produced: &mut Produced,
) -> Result<Answer, NodeError> {
    cx.checkpoint()?;
    match catch_unwind(AssertUnwindSafe(|| call(args, cx, produced))) {
        Ok(answer) => answer,
        Err(panic) => Err(NodeError::panicked(&*panic)),
    }
}

/// Calls a node for every element.
pub(super) fn call_all(
    class: &Class,
    call: &Call,
    prepared: &Prepared,
    cx: &mut Cx,
    args: &mut Args,
) -> Result<Vec<CallResult>, NodeError> {
    let mut results = Vec::with_capacity(prepared.calls);
    for i in 0..prepared.calls {
        (cx.call, cx.graphs) = (i as u32, 0);
        args.reset(&class.def);
        let mut produced = Produced::default();
        let answer = match prepared.fill(i, args) {
            Ok(()) => call_once(call, args, cx, &mut produced)?,
            Err(blocker) => blocked(&blocker, cx, class),
        };
        results.push(CallResult { answer, produced });
    }
    Ok(results)
}

/// The result of a call that was not made. A message is reported here, once, and goes no further.
pub(super) fn blocked(blocker: &Blocker, cx: &Cx, class: &Class) -> Answer {
    if let Some(message) = blocker.message() {
        let (shared, ids) = (&cx.shared, &cx.ids);
        shared.emit(|| {
            Event::ExecutionError(Box::new(ErrorEvent {
                prompt_id: shared.prompt_id.clone(),
                node_id: Some(ids.id.clone()),
                node_type: Some(class.def.class_type.clone()),
                exception_message: format!("Execution Blocked: {message}"),
                exception_type: "ExecutionBlocked".into(),
                current_inputs: serde_json::json!([]),
                ..ErrorEvent::default()
            }))
        });
    }
    Answer::Block(Blocker::silent())
}

/// Starts a waiting node for every element; the futures run side by side.
pub(super) async fn start_all(
    class_def: Arc<kiln_graph::NodeDef>,
    start: Start,
    calls: Vec<(Result<Args, Answer>, Cx)>,
) -> Result<Vec<CallResult>, NodeError> {
    drop(class_def);
    let one = |(args, cx): (Result<Args, Answer>, Cx)| {
        let start = Arc::clone(&start);
        async move {
            let args = match args {
                Ok(args) => args,
                Err(answer) => return Ok(CallResult { answer, produced: Produced::default() }),
            };
            cx.checkpoint()?;
            // Starting runs the node's own code up to its first wait: that may panic as well.
            let future = catch_unwind(AssertUnwindSafe(|| start(args, cx))).map_err(|p| NodeError::panicked(&*p))?;
            let ended = futures::FutureExt::catch_unwind(AssertUnwindSafe(future)).await;
            let (answer, produced) = ended.map_err(|panic| NodeError::panicked(&*panic))??;
            Ok(CallResult { answer, produced })
        }
    };
    futures::future::join_all(calls.into_iter().map(one)).await.into_iter().collect()
}
