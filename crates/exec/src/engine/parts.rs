//! The parts of an engine that its clones and its runs share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use kiln_graph::{NodeId, Prompt, PromptError, Validated, ValidatorCall, Validators, Verdict};

use crate::cache::CacheProvider;
use crate::codec::Codecs;
use crate::engine::abandoned::AbandonedCalls;
use crate::engine::kept_results::Keeper;
use crate::engine::observer::RunObserver;
use crate::engine::run_lock::RunLock;
use crate::engine::session::Session;
use crate::error::NodeError;
use crate::host::Host;
use crate::lanes::Lanes;
use crate::node::{ConstantInputs, CurrentDefs, Registry};
use crate::sync::{self, Mutex};

/// What the clones of one engine share.
pub(crate) struct EngineParts {
    pub registry: Registry,
    pub host: Arc<Host>,
    pub lanes: Lanes,
    /// The registry's, for payloads that live where the host says.
    pub codecs: Codecs,
    pub provider: Option<Arc<dyn CacheProvider>>,
    pub observer: Option<Arc<dyn RunObserver>>,
    pub session: Mutex<Session>,
    pub run_lock: sync::Arc<RunLock>,
    pub abandoned: AbandonedCalls,
    /// Bytes that were asked of the cache while a run was at work with it.
    pub owed: AtomicU64,
}

impl EngineParts {
    /// Nothing runs, and the cache holds so many bytes: for the observer, if there is one.
    pub(crate) fn report_rest(&self, cached: u64) {
        if let Some(observer) = &self.observer {
            observer.end(cached);
        }
    }

    pub(crate) fn validate(&self, prompt: &mut Prompt, targets: Option<&[NodeId]>) -> Result<Validated, PromptError> {
        let defs = CurrentDefs::new(&self.registry, &self.host, prompt.nodes.values().map(|node| &node.class_type));
        kiln_graph::validate(prompt, &defs, self, targets)
    }
}

impl Keeper for EngineParts {
    fn give_back(&self, bytes: u64) -> u64 {
        let Ok(mut session) = self.session.try_lock() else {
            self.owed.fetch_max(bytes, Relaxed);
            return 0;
        };
        session.give_back(bytes)
    }
}

impl Validators for EngineParts {
    fn check(&self, call: &ValidatorCall<'_>) -> Verdict {
        let Some(class) = self.registry.get(&call.def.class_type) else { return Verdict::Good };
        let Some(validate) = &class.behaviour.validate else { return Verdict::Good };
        let known = ConstantInputs::of_call(call, &self.host);
        let checked = catch_unwind(AssertUnwindSafe(|| validate(&known)));
        match checked {
            Ok(Ok(())) => Verdict::Good,
            Ok(Err(reason)) => Verdict::Bad((!reason.is_empty()).then_some(reason)),
            Err(panic) => Verdict::Failed {
                exception_type: "RuntimeError".into(),
                message: NodeError::panicked(&*panic).message().to_owned(),
            },
        }
    }
}
