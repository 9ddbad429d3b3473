//! The engine: node classes, what the host lends, the cache, the lanes. Runs one prompt after the other.
//!
//! Here is what it keeps from prompt to prompt and who may use that; how a prompt runs is `run`'s matter.

mod abandoned;
mod kept_results;
mod observer;
mod options;
mod parts;
mod report;
mod run_lock;
mod session;

pub use self::abandoned::AbandonedCall;
pub(crate) use self::abandoned::CallToken;
pub(crate) use self::kept_results::Keeper;
pub use self::kept_results::KeptResults;
pub use self::observer::RunObserver;
#[cfg(feature = "testing")]
pub use self::options::Adversary;
pub use self::options::{LateEdges, OnFailure, Order, RunOptions, WhenBusy};
pub(crate) use self::parts::EngineParts;
pub(crate) use self::report::RunErrorInner;
pub use self::report::{InputReport, NodeOutput, Report, RunError, Summary};
#[cfg(test)]
pub(crate) use self::run_lock::RunLock;
pub(crate) use self::run_lock::{Place, RunGuard};
pub(crate) use self::session::{ActiveCall, Reclaimed, Session, SessionGuard, revoke};

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use kiln_graph::{NodeId, Prompt, PromptError, Validated};

use self::abandoned::AbandonedCalls;
use crate::cache::{Cache, CachePolicy, CacheProvider};
use crate::codec::Codecs;
use crate::host::Host;
use crate::lanes::Lanes;
use crate::node::Registry;
use crate::observe::Memory;
use crate::spill::Spill;
use crate::sync::{self, Mutex, lock};

/// Runs prompts. Clones share everything; prompts of all clones run one after the other.
///
/// After any error, cancel or panic of a node the engine takes the next prompt, also when a node never returns: a
/// cancelled run that is stuck in a node ends all the same, and the call is [abandoned](Engine::abandoned_calls).
///
/// Prompts queue, first come, first served, whether threads wait for them ([`Run::run`](crate::Run::run)) or tasks
/// ([`Run`](crate::Run) is awaited), or are [refused](WhenBusy::Refuse) while another one runs. A queued run needs no
/// thread.
///
/// Nodes and listeners must not run prompts on the engine that runs them: they would wait for themselves.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<EngineParts>,
}

/// What an engine is made of.
pub struct EngineBuilder {
    registry: Registry,
    host: Host,
    cache: CachePolicy,
    provider: Option<Arc<dyn CacheProvider>>,
    observer: Option<Arc<dyn RunObserver>>,
    spill: Option<Arc<dyn Spill>>,
}

impl EngineBuilder {
    /// With what the host lends to nodes.
    pub fn host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// With another cache policy. Default: classic.
    pub fn cache(mut self, policy: CachePolicy) -> Self {
        self.cache = policy;
        self
    }

    /// With an external cache behind the engine's own.
    pub fn provider(mut self, provider: Arc<dyn CacheProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// With somebody who accompanies every run.
    pub fn observer(mut self, observer: Arc<dyn RunObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// With a place for what nobody reads now: outputs that must not be computed twice, and results that the cache keeps.
    /// Default: none, they stay in memory.
    pub fn spill(mut self, place: Arc<dyn Spill>) -> Self {
        self.spill = Some(place);
        self
    }

    /// The engine.
    pub fn build(self) -> Engine {
        let session = Session { cache: Cache::new(self.cache), spill: self.spill, ..Session::default() };
        let host = Arc::new(self.host);
        let inner = EngineParts {
            codecs: self.registry.codecs().clone().on(Arc::clone(&host)),
            registry: self.registry,
            host,
            lanes: Lanes::default(),
            provider: self.provider,
            observer: self.observer,
            session: Mutex::new(session),
            run_lock: sync::Arc::default(),
            abandoned: AbandonedCalls::default(),
            owed: AtomicU64::new(0),
        };
        let inner = Arc::new(inner);
        if let Some(observer) = &inner.observer {
            let keeper: Arc<dyn Keeper> = Arc::clone(&inner) as _;
            observer.attach(KeptResults::of(Arc::downgrade(&keeper)));
        }
        Engine { inner }
    }
}

impl Engine {
    /// An engine with these classes, a classic cache and an empty host.
    pub fn new(registry: Registry) -> Self {
        Self::builder(registry).build()
    }

    /// An engine in the making.
    pub fn builder(registry: Registry) -> EngineBuilder {
        let (host, cache) = (Host::new(), CachePolicy::default());
        EngineBuilder { registry, host, cache, provider: None, observer: None, spill: None }
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

    /// Lets go of everything that is kept from prompt to prompt, after the running prompt.
    pub fn free(&self) {
        let _guard = self.inner.run_lock.acquire();
        let mut guard = lock(&self.inner.session);
        let session = &mut *guard;
        session.cache.clear(&mut session.live_bytes);
        session.sizes = HashMap::default();
        session.memory = Memory::default();
        // An observer may make somebody ask for what the cache keeps, and that takes the session.
        drop(guard);
        self.inner.report_rest(self.cache_size().1);
    }

    /// Chooses another cache policy, after the running prompt. What the old one kept stays until the new one objects.
    pub fn set_cache(&self, policy: CachePolicy) {
        let _guard = self.inner.run_lock.acquire();
        let mut guard = lock(&self.inner.session);
        let session = &mut *guard;
        if matches!(policy, CachePolicy::None) {
            session.cache.clear(&mut session.live_bytes);
        }
        session.cache.policy = policy;
        drop(guard);
        self.inner.report_rest(self.cache_size().1);
    }

    /// Chooses another place for what nobody reads now, after the running prompt. What went to the old one stays there.
    /// See [`EngineBuilder::spill`].
    pub fn set_spill(&self, place: Option<Arc<dyn Spill>>) {
        let _guard = self.inner.run_lock.acquire();
        lock(&self.inner.session).spill = place;
    }

    /// What turns values into bytes and back: the registry's codecs, for this engine's host.
    pub fn codecs(&self) -> &Codecs {
        &self.inner.codecs
    }

    /// Entries in the cache, and the bytes of memory they hold.
    pub fn cache_size(&self) -> (usize, u64) {
        let session = lock(&self.inner.session);
        (session.cache.len(), session.cache.bytes())
    }

    /// Payload bytes that are alive: between runs those that the cache keeps.
    pub fn live_bytes(&self) -> u64 {
        lock(&self.inner.session).live_bytes.live()
    }

    /// Nodes that did not come back after a cancel, and have not until now.
    pub fn abandoned_calls(&self) -> Vec<AbandonedCall> {
        self.inner.abandoned.list()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("classes", &self.inner.registry.len()).finish_non_exhaustive()
    }
}
