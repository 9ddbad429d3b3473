//! The session: an engine, the environment that its nodes work in, and what memory learns of its runs, as one value.
//!
//! What the command, an app and a server share. Knows no node, no terminal and no connection: classes and further services
//! are handed in.

use std::sync::Arc;

use kiln_exec::{CachePolicy, CacheProvider, Engine, EngineBuilder, Host, Prompt, Registry, Run, Spill};
use kiln_graph::{NodeDefs, PromptError, Validated};

use super::environment::Environment;
use super::memory_observer::MemoryObserver;
use crate::payload::codec::TensorDevice;

/// An engine and the environment it works in.
///
/// Its runs are planned and accounted for: before a run the models that it will use are known, its outputs and what the cache
/// keeps count against the [budget](Environment::budget), and while it goes on memory is given back when other programs need
/// it.
///
/// ```
/// use kiln_exec::GraphBuilder;
/// use kiln_nodes::runtime::Session;
/// use kiln_nodes::{Environment, PreviewImage, files::Folders, image::EmptyImage};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let root = tempfile::tempdir()?;
/// let session = Session::new(Environment::new(Folders::under(root.path())), kiln_nodes::registry());
/// let graph = GraphBuilder::new();
/// let green = graph.add(EmptyImage::node().width(64).height(32).batch_size(1).color(0x00_c0_40));
/// graph.add(PreviewImage::node().images(green));
/// let report = session.start(graph.into_prompt()).run()?;
/// assert_eq!(report.summary.executed, 2);
/// # Ok(()) }
/// ```
pub struct Session {
    environment: Environment,
    engine: Engine,
}

/// What a session is made of.
pub struct SessionBuilder {
    environment: Environment,
    registry: Registry,
    host: Host,
    cache: CachePolicy,
    provider: Option<Arc<dyn CacheProvider>>,
    spill: Option<Arc<dyn Spill>>,
}

impl Session {
    /// A session with these node classes and a classic cache.
    pub fn new(environment: Environment, registry: Registry) -> Self {
        Self::builder(environment, registry).build()
    }

    /// A session in the making.
    pub fn builder(environment: Environment, registry: Registry) -> SessionBuilder {
        let (host, cache) = (Host::new(), CachePolicy::default());
        SessionBuilder { environment, registry, host, cache, provider: None, spill: None }
    }

    /// The environment.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine alone. Its runs stay planned and accounted for.
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// All node definitions with the options that the folders give now.
    pub fn definitions(&self) -> NodeDefs {
        self.engine.registry().defs_now(self.engine.host())
    }

    /// Validates, and brings literals to their declared types in place.
    ///
    /// # Errors
    /// When no output node is fit to run.
    pub fn validate(&self, prompt: &mut Prompt) -> Result<Validated, PromptError> {
        self.engine.validate(prompt, None)
    }

    /// A run in the making, as [`Engine::start`].
    pub fn start(&self, prompt: impl Into<Arc<Prompt>>) -> Run {
        self.engine.start(prompt)
    }
}

impl SessionBuilder {
    /// What results outlive a run. Default: classic. They count against the environment's budget.
    pub fn cache(self, cache: CachePolicy) -> Self {
        Self { cache, ..self }
    }

    /// Further services for nodes. The environment is added to them.
    pub fn host(self, host: Host) -> Self {
        Self { host, ..self }
    }

    /// An external cache behind the engine's own.
    pub fn provider(self, provider: Arc<dyn CacheProvider>) -> Self {
        Self { provider: Some(provider), ..self }
    }

    /// A place for what nobody reads now, as [`EngineBuilder::spill`](kiln_exec::EngineBuilder::spill).
    pub fn spill(self, place: Arc<dyn Spill>) -> Self {
        Self { spill: Some(place), ..self }
    }

    /// The session.
    pub fn build(self) -> Session {
        let Self { environment, registry, host, cache, provider, spill } = self;
        let device = TensorDevice(environment.device().clone());
        let builder = Engine::builder(registry)
            .host(host.with(environment.clone()).with(device))
            .cache(within_budget(cache, &environment))
            .observer(Arc::new(MemoryObserver::new(&environment)));
        let builder = provider.into_iter().fold(builder, EngineBuilder::provider);
        let builder = spill.into_iter().fold(builder, EngineBuilder::spill);
        Session { engine: builder.build(), environment }
    }
}

/// A cache that looks at free memory looks at what the budget has left beside weights as well, for those give way.
fn within_budget(cache: CachePolicy, environment: &Environment) -> CachePolicy {
    let CachePolicy::RamPressure { headroom, available } = cache else { return cache };
    let (budget, pager) = (environment.budget().clone(), environment.pager().clone());
    let left = move || budget.limit().saturating_sub(budget.used().saturating_sub(pager.resident()));
    CachePolicy::RamPressure { headroom, available: Arc::new(move || available().min(left())) }
}
