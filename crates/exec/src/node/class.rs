//! The node traits: what a typed node implements, and the erased form in which the engine calls it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kiln_graph::NodeDef;

use crate::error::NodeError;
use crate::host::Host;
use crate::node::args::Args;
use crate::node::constants::{ConstantInputs, Fingerprint};
use crate::node::cx::Cx;
use crate::node::outcome::{Answer, IntoOutcome, Produced};
use crate::node::resources::{Provided, Resources};
use crate::node::view::NodeView;

/// A struct that is a node class. `#[derive(Node)]` implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a node class",
    note = "put `#[derive(Node)]` on the struct and implement `Execute` (or `ExecuteAsync` with `#[node(async)]`)"
)]
pub trait NodeClass: Sized + Send + 'static {
    /// The class name in prompts.
    const CLASS: &'static str;
    /// What the class looks like from outside.
    fn def() -> NodeDef;
    /// Decodes the arguments of one call.
    ///
    /// # Errors
    /// When a required argument is missing, or is of another type.
    fn decode(args: &mut Args) -> Result<Self, NodeError>;
    /// How the engine calls it.
    fn behaviour() -> Behaviour;
}

/// A node that computes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what it does",
    note = "implement `kiln_exec::Execute` for it, or `ExecuteAsync` and mark it `#[node(async)]`"
)]
pub trait Execute: NodeClass {
    /// A value, a tuple of them, `List<T>`, `()`, or `Outcome<…>` or `WithUi<…>` around one of these.
    type Output: IntoOutcome;

    /// Lazy inputs still needed, given those already computed (ComfyUI: `check_lazy_status`). Asked again after each
    /// round, until it names nothing new.
    fn needs(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// What the result depends on besides the inputs (ComfyUI: `IS_CHANGED`).
    ///
    /// # Errors
    /// Count as [`Fingerprint::Always`].
    fn fingerprint(_known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        Ok(Fingerprint::Stable)
    }

    /// The class's own validation (ComfyUI: `VALIDATE_INPUTS`), called for classes marked `#[node(validates(…))]`.
    ///
    /// # Errors
    /// A sentence for the user.
    fn validate(_known: &ConstantInputs<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Does the work.
    ///
    /// # Errors
    /// End the run, and are reported with the node's name and its inputs.
    fn execute(self, cx: &mut Cx) -> Result<Self::Output, NodeError>;
}

/// A node that mostly waits: for a network, a file, a person. Waiting nodes overlap.
pub trait ExecuteAsync: NodeClass {
    /// As [`Execute::Output`].
    type Output: IntoOutcome;

    /// As [`Execute::needs`].
    fn needs(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// As [`Execute::fingerprint`].
    ///
    /// # Errors
    /// Count as [`Fingerprint::Always`].
    fn fingerprint(_known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        Ok(Fingerprint::Stable)
    }

    /// As [`Execute::validate`].
    ///
    /// # Errors
    /// A sentence for the user.
    fn validate(_known: &ConstantInputs<'_>) -> Result<(), String> {
        Ok(())
    }

    /// Does the work, and waits where it has to. The future is polled on the scheduler's thread; it must not block.
    ///
    /// # Errors
    /// As [`Execute::execute`].
    fn execute(self, cx: Cx) -> impl Future<Output = Result<Self::Output, NodeError>> + Send;
}

/// The thread a node runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The scheduler's own: no hop, one at a time. The default.
    #[default]
    Inline,
    /// A serial thread per name, for one device each: `"cuda:0"`.
    Serial(Arc<str>),
    /// A pool: nodes that only need a core run side by side.
    Parallel,
}

pub(crate) type Call = Arc<dyn Fn(&mut Args, &mut Cx, &mut Produced) -> Result<Answer, NodeError> + Send + Sync>;
pub(crate) type Future_ = Pin<Box<dyn Future<Output = Result<(Answer, Produced), NodeError>> + Send>>;
pub(crate) type Start = Arc<dyn Fn(Args, Cx) -> Future_ + Send + Sync>;
pub(crate) type Needs = Arc<dyn Fn(&mut Args, &Cx) -> Result<Vec<Arc<str>>, NodeError> + Send + Sync>;
pub(crate) type FingerprintFn = Arc<dyn Fn(&ConstantInputs<'_>) -> Result<Fingerprint, NodeError> + Send + Sync>;
pub(crate) type Validate = Arc<dyn Fn(&ConstantInputs<'_>) -> Result<(), String> + Send + Sync>;
pub(crate) type Choices = Arc<dyn Fn(&Host) -> Vec<String> + Send + Sync>;

/// The body of a node, types erased.
#[derive(Clone)]
pub(crate) enum Body {
    Blocking(Call),
    Async(Start),
}

/// How the engine calls a class. Built by the derive, or by [`DynNode`](crate::DynNode).
#[derive(Clone)]
pub struct Behaviour {
    pub(crate) body: Body,
    pub(crate) needs: Option<Needs>,
    pub(crate) fingerprint: Option<FingerprintFn>,
    pub(crate) validate: Option<Validate>,
    pub(crate) choices: Vec<(Arc<str>, Choices)>,
    pub(crate) lane: Lane,
    pub(crate) version: u32,
    pub(crate) cacheable: bool,
    pub(crate) takes_blockers: bool,
    pub(crate) resources: Resources,
}

impl Behaviour {
    /// That of a typed node which computes.
    pub fn of<N: Execute>() -> Self {
        let body: Call = Arc::new(|args, cx, produced| Ok(N::decode(args)?.execute(cx)?.erase(produced)));
        Self {
            needs: Some(Arc::new(|args, _| Ok(names(N::decode(args)?.needs())))),
            fingerprint: Some(Arc::new(|known| N::fingerprint(known))),
            validate: Some(Arc::new(|known| N::validate(known))),
            ..Self::new(Body::Blocking(body))
        }
    }

    /// That of a typed node which waits.
    pub fn of_async<N: ExecuteAsync>() -> Self {
        let body: Start = Arc::new(|mut args, cx| {
            Box::pin(async move {
                let outcome = N::decode(&mut args)?.execute(cx).await?;
                let mut produced = Produced::default();
                let answer = outcome.erase(&mut produced);
                Ok((answer, produced))
            })
        });
        Self {
            needs: Some(Arc::new(|args, _| Ok(names(N::decode(args)?.needs())))),
            fingerprint: Some(Arc::new(|known| N::fingerprint(known))),
            validate: Some(Arc::new(|known| N::validate(known))),
            ..Self::new(Body::Async(body))
        }
    }

    pub(crate) fn new(body: Body) -> Self {
        Self {
            body,
            needs: None,
            fingerprint: None,
            validate: None,
            choices: Vec::new(),
            lane: Lane::Inline,
            version: 0,
            cacheable: true,
            takes_blockers: false,
            resources: Resources::default(),
        }
    }

    /// On another thread.
    pub fn on(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// As another version of the class: results of the old one are not reused.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Never kept from prompt to prompt.
    pub fn uncached(mut self) -> Self {
        self.cacheable = false;
        self
    }

    /// Called also where an input is blocked: it gets the blockers among its values. Only for classes that get whole
    /// lists.
    pub fn taking_blockers(mut self) -> Self {
        self.takes_blockers = true;
        self
    }

    /// With an input whose options are looked up when they are needed (a folder's files).
    pub fn choices(mut self, input: &str, of: impl Fn(&Host) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.choices.push((input.into(), Arc::new(of)));
        self
    }

    /// Runs what `input` leads to (a model), so many times as `passes` reads off the prompt.
    pub fn uses(mut self, input: &str, passes: impl Fn(NodeView<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.resources.add_use(input, Arc::new(passes));
        self
    }

    /// Whoever uses an output of this node runs what `input` leads to, in the same pass (a ControlNet in conditions).
    pub fn carries(mut self, input: &str) -> Self {
        self.resources.add_carried(input);
        self
    }

    /// The file that `input` names has the part `name` of what leaves through sockets of type `socket_type`.
    pub fn provides(mut self, input: &str, socket_type: &str, name: &str) -> Self {
        let provided = Provided { input: input.into(), socket_type: socket_type.into(), name: name.into() };
        self.resources.add_provided(provided);
        self
    }
}

fn names(names: Vec<&'static str>) -> Vec<Arc<str>> {
    names.into_iter().map(Arc::from).collect()
}
