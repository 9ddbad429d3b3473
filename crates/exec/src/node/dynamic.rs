//! Dynamic nodes: a definition and a closure, for hosts that make up nodes while they run.

use std::future::Future;
use std::sync::Arc;

use kiln_graph::NodeDef;

use crate::error::NodeError;
use crate::host::Host;
use crate::node::args::Args;
use crate::node::class::{Behaviour, Body, Call, Lane, Start};
use crate::node::constants::{ConstantInputs, Fingerprint};
use crate::node::cx::Cx;
use crate::node::outcome::{Answer, Expansion, Outcome, Produced};
use crate::node::ui::Ui;
use crate::node::view::NodeView;
use crate::value::{Blocker, Value, Values};

/// A node class made of a definition and a closure.
///
/// ```
/// use kiln_exec::{DynNode, Value};
/// use kiln_graph::{InputDef, NodeDef, OutputDef};
/// let def = NodeDef::new("Double").input(InputDef::new("x", "INT")).output(OutputDef::new("INT"));
/// let node = DynNode::new(def, |args, _cx| Ok(Value::Int(args.get_as::<i128>("x")? * 2)));
/// # let _ = node;
/// ```
pub struct DynNode {
    pub(crate) def: NodeDef,
    pub(crate) behaviour: Behaviour,
}

/// What a dynamic node returns. Made from a value, a list of them (one per socket), or an [`Outcome`].
#[derive(Debug)]
pub struct DynReply {
    outcome: Outcome<Vec<Values>>,
    ui: Option<Ui>,
}

impl DynReply {
    /// With something to show.
    pub fn with_ui(mut self, ui: Ui) -> Self {
        self.ui = Some(ui);
        self
    }

    fn erase(self, into: &mut Produced) -> Answer {
        into.ui = self.ui;
        match self.outcome {
            Outcome::Done(outputs) => {
                into.outputs = outputs;
                Answer::Done
            }
            Outcome::Expand(expansion) => Answer::Expand(Box::new(Expansion::new(expansion.graph, expansion.results))),
            Outcome::Block(message) => Answer::Block(message.map_or_else(Blocker::silent, Blocker::with_message)),
        }
    }
}

impl From<Outcome<Vec<Values>>> for DynReply {
    fn from(outcome: Outcome<Vec<Values>>) -> Self {
        Self { outcome, ui: None }
    }
}
impl From<Vec<Values>> for DynReply {
    fn from(outputs: Vec<Values>) -> Self {
        Outcome::Done(outputs).into()
    }
}
impl From<Vec<Value>> for DynReply {
    fn from(outputs: Vec<Value>) -> Self {
        outputs.into_iter().map(Values::One).collect::<Vec<_>>().into()
    }
}
impl From<Value> for DynReply {
    fn from(output: Value) -> Self {
        vec![Values::One(output)].into()
    }
}
impl From<Values> for DynReply {
    fn from(output: Values) -> Self {
        vec![output].into()
    }
}
impl From<()> for DynReply {
    fn from((): ()) -> Self {
        Vec::<Values>::new().into()
    }
}

impl DynNode {
    /// A node that computes.
    pub fn new<R: Into<DynReply>>(
        def: NodeDef,
        run: impl Fn(&mut Args, &mut Cx) -> Result<R, NodeError> + Send + Sync + 'static,
    ) -> Self {
        let body: Call = Arc::new(move |args, cx, produced| Ok(run(args, cx)?.into().erase(produced)));
        Self { def, behaviour: Behaviour::new(Body::Blocking(body)) }
    }

    /// A node that waits.
    pub fn new_async<R: Into<DynReply>, F>(def: NodeDef, run: impl Fn(Args, Cx) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<R, NodeError>> + Send + 'static,
    {
        let body: Start = Arc::new(move |args, cx| {
            let future = run(args, cx);
            Box::pin(async move {
                let mut produced = Produced::default();
                let answer = future.await?.into().erase(&mut produced);
                Ok((answer, produced))
            })
        });
        Self { def, behaviour: Behaviour::new(Body::Async(body)) }
    }

    /// With lazy inputs: names those still needed.
    pub fn needs(
        mut self,
        needs: impl Fn(&mut Args, &Cx) -> Result<Vec<Arc<str>>, NodeError> + Send + Sync + 'static,
    ) -> Self {
        self.behaviour.needs = Some(Arc::new(needs));
        self
    }

    /// With a fingerprint.
    pub fn fingerprint(
        mut self,
        of: impl Fn(&ConstantInputs<'_>) -> Result<Fingerprint, NodeError> + Send + Sync + 'static,
    ) -> Self {
        self.behaviour.fingerprint = Some(Arc::new(of));
        self
    }

    /// With a validator; what it looks at stands in the definition.
    pub fn validate(
        mut self,
        with: impl Fn(&ConstantInputs<'_>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.behaviour.validate = Some(Arc::new(with));
        self
    }

    /// With an input whose options are looked up when they are needed.
    pub fn choices(mut self, input: &str, of: impl Fn(&Host) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.behaviour = self.behaviour.choices(input, of);
        self
    }

    /// On another thread.
    pub fn on(mut self, lane: Lane) -> Self {
        self.behaviour.lane = lane;
        self
    }

    /// Never kept from prompt to prompt.
    pub fn uncached(mut self) -> Self {
        self.behaviour.cacheable = false;
        self
    }

    /// As [`Behaviour::taking_blockers`].
    pub fn taking_blockers(mut self) -> Self {
        self.behaviour = self.behaviour.taking_blockers();
        self
    }

    /// As [`Behaviour::uses`].
    pub fn uses(mut self, input: &str, passes: impl Fn(NodeView<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.behaviour = self.behaviour.uses(input, passes);
        self
    }

    /// As [`Behaviour::carries`].
    pub fn carries(mut self, input: &str) -> Self {
        self.behaviour = self.behaviour.carries(input);
        self
    }

    /// As [`Behaviour::provides`].
    pub fn provides(mut self, input: &str, socket_type: &str, name: &str) -> Self {
        self.behaviour = self.behaviour.provides(input, socket_type, name);
        self
    }
}
