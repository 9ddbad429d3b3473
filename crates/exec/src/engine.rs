//! The engine: node classes, what the host lends, the cache, the lanes. Runs one prompt after the other.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kiln_graph::{NodeErrors, NodeId, Prompt, PromptError, Routes, Validated, ValidatorCall, Validators, Verdict};

use crate::cache::{Cache, CachePolicy, CacheProvider};
use crate::error::RunError;
use crate::explain::Memory;
use crate::host::Host;
use crate::known::ConstantInputs;
use crate::lanes::Lanes;
use crate::lease::{AbandonedCall, Behind, Busy, Turn};
use crate::options::RunOptions;
use crate::registry::{CurrentDefs, Registry};
use crate::report::Report;
use crate::start::Run;
use crate::store::Ledger;
use crate::sync::{Mutex, lock};

/// Runs prompts. Clones share everything; prompts of all clones run one after the other.
///
/// After any error, cancel or panic of a node the engine takes the next prompt, also when a node never returns: a
/// cancelled run that is stuck in a node ends all the same, and the node is [left behind](Engine::left_behind).
///
/// Nodes and listeners must not run prompts on the engine that runs them: they would wait for themselves.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub registry: Registry,
    pub host: Arc<Host>,
    pub lanes: Lanes,
    pub provider: Option<Arc<dyn CacheProvider>>,
    pub session: Mutex<Session>,
    pub turn: Turn,
    pub behind: Behind,
}

/// What stays from prompt to prompt.
#[derive(Default)]
pub(crate) struct Session {
    pub cache: Cache,
    pub ledger: Ledger,
    /// Bytes of each node's outputs when it ran last.
    pub sizes: HashMap<NodeId, u64, foldhash::fast::RandomState>,
    pub memory: Memory,
    pub runs: u64,
    /// The id of the run that began last.
    pub prompt_id: Arc<str>,
    /// Set while it is in a node's code.
    pub busy: Option<Busy>,
}

/// What an engine is made of.
pub struct EngineBuilder {
    registry: Registry,
    host: Host,
    cache: CachePolicy,
    provider: Option<Arc<dyn CacheProvider>>,
}

impl EngineBuilder {
    /// The same with what the host lends to nodes.
    pub fn host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// The same with another cache policy. Default: classic.
    pub fn cache(mut self, policy: CachePolicy) -> Self {
        self.cache = policy;
        self
    }

    /// The same with an external cache behind the engine's own.
    pub fn provider(mut self, provider: Arc<dyn CacheProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// The engine.
    pub fn build(self) -> Engine {
        let session = Session { cache: Cache::new(self.cache), ..Session::default() };
        let inner = Inner {
            registry: self.registry,
            host: Arc::new(self.host),
            lanes: Lanes::default(),
            provider: self.provider,
            session: Mutex::new(session),
            turn: Turn::default(),
            behind: Behind::default(),
        };
        Engine { inner: Arc::new(inner) }
    }
}

impl Engine {
    /// An engine with these classes, a classic cache and an empty host.
    pub fn new(registry: Registry) -> Self {
        Self::builder(registry).build()
    }

    /// An engine in the making.
    pub fn builder(registry: Registry) -> EngineBuilder {
        EngineBuilder { registry, host: Host::new(), cache: CachePolicy::default(), provider: None }
    }

    /// The node classes.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// What the host lends.
    pub fn host(&self) -> &Arc<Host> {
        &self.inner.host
    }

    /// Validates, and brings literals to their declared types in place.
    ///
    /// # Errors
    /// When no output node is fit to run.
    pub fn validate(&self, prompt: &mut Prompt, targets: Option<&[NodeId]>) -> Result<Validated, PromptError> {
        self.inner.validate(prompt, targets)
    }

    /// Runs a prompt with all defaults and waits for the end.
    ///
    /// # Errors
    /// When it does not pass validation, when a node fails, or when it is cancelled.
    pub fn run(&self, prompt: impl Into<Arc<Prompt>>) -> Result<Report, RunError> {
        self.start(prompt).run()
    }

    /// A run in the making: choose options, listen, then [`run`](Run::run) or [`run_async`](Run::run_async).
    pub fn start(&self, prompt: impl Into<Arc<Prompt>>) -> Run {
        Run::new(self.clone(), prompt.into())
    }

    /// Lets go of everything that is kept from prompt to prompt, after the running prompt.
    pub fn free(&self) {
        let _turn = self.inner.turn.take();
        let session = &mut *lock(&self.inner.session);
        session.cache.clear(&mut session.ledger);
        session.sizes = HashMap::default();
        session.memory = Memory::default();
    }

    /// Chooses another cache policy, after the running prompt. What the old one kept stays until the new one objects.
    pub fn set_cache(&self, policy: CachePolicy) {
        let _turn = self.inner.turn.take();
        let session = &mut *lock(&self.inner.session);
        if matches!(policy, CachePolicy::None) {
            session.cache.clear(&mut session.ledger);
        }
        session.cache.policy = policy;
    }

    /// Entries in the cache, and the bytes they hold.
    pub fn cache_size(&self) -> (usize, u64) {
        let session = lock(&self.inner.session);
        (session.cache.len(), session.cache.bytes())
    }

    /// Payload bytes that are alive: between runs those that the cache keeps.
    pub fn live_bytes(&self) -> u64 {
        lock(&self.inner.session).ledger.live()
    }

    /// Nodes that did not come back after a cancel, and have not until now.
    pub fn abandoned_calls(&self) -> Vec<AbandonedCall> {
        self.inner.behind.list()
    }
}

impl Inner {
    pub(crate) fn validate(&self, prompt: &mut Prompt, targets: Option<&[NodeId]>) -> Result<Validated, PromptError> {
        let defs = CurrentDefs::new(&self.registry, &self.host, prompt.nodes.values().map(|node| &node.class_type));
        kiln_graph::validate(prompt, &defs, self, targets)
    }
}

impl Validators for Inner {
    fn check(&self, call: &ValidatorCall<'_>) -> Verdict {
        let Some(class) = self.registry.get(&call.def.class_type) else { return Verdict::Good };
        let Some(validate) = &class.behaviour.validate else { return Verdict::Good };
        let known = ConstantInputs::of_call(call, &self.host);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| validate(&known)));
        match checked {
            Ok(Ok(())) => Verdict::Good,
            Ok(Err(reason)) => Verdict::Bad((!reason.is_empty()).then_some(reason)),
            Err(panic) => Verdict::Failed {
                exception_type: "RuntimeError".into(),
                message: crate::error::NodeError::panicked(&*panic).message().to_owned(),
            },
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("classes", &self.inner.registry.len()).finish_non_exhaustive()
    }
}

/// What validation leaves for a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checked {
    pub outputs: Vec<NodeId>,
    pub node_errors: kiln_graph::Map<NodeId, NodeErrors>,
    pub routes: Arc<Routes>,
}

impl From<Validated> for Checked {
    fn from(validated: Validated) -> Self {
        Self { outputs: validated.outputs, node_errors: validated.node_errors, routes: validated.routes }
    }
}

impl RunOptions {
    pub(crate) fn targets(&self) -> Option<&[NodeId]> {
        self.targets.as_deref()
    }
}
