//! The page's data: a workflow of graphs, nodes with slots and widget values, links, subgraph definitions. No behaviour beyond look-ups.

use serde_json::{Map as Object, Value};

use super::virtuals;
use crate::map::Map;

/// The id of the node that stands for a subgraph's inputs.
pub(super) const INPUTS: &str = "-10";
/// The id of the node that stands for a subgraph's outputs.
pub(super) const OUTPUTS: &str = "-20";

/// A workflow as the page saves it.
#[derive(Clone, Debug, Default)]
pub struct Workflow {
    /// The top level.
    pub(super) root: Graph,
    /// Definitions of subgraphs by the id that instances carry as their type; old group nodes by theirs.
    pub(super) subgraphs: Map<String, Subgraph>,
}

/// Nodes and links of one level.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// By id, in file order.
    pub(super) nodes: Map<String, UiNode>,
    /// By id.
    pub(super) links: Map<String, UiLink>,
    /// The frames drawn around nodes.
    pub(super) frames: Vec<UiFrame>,
}

/// A frame that the page draws around nodes, which it calls a group.
#[derive(Clone, Debug, Default)]
pub(super) struct UiFrame {
    pub(super) title: String,
    /// Left, top, width, height.
    pub(super) bounding: [f64; 4],
}

#[derive(Clone, Debug, Default)]
pub(super) struct UiNode {
    pub(super) ty: String,
    pub(super) title: Option<String>,
    pub(super) mode: Mode,
    pub(super) inputs: Vec<UiInput>,
    /// The types of the outputs.
    pub(super) outputs: Vec<String>,
    pub(super) values: WidgetValues,
    /// Widget values by name, which newer files hold beside the list.
    pub(super) named: Option<Object<String, Value>>,
    pub(super) properties: Object<String, Value>,
    pub(super) color: Option<String>,
    pub(super) pos: [f64; 2],
    pub(super) size: [f64; 2],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Always,
    Muted,
    Bypassed,
}

#[derive(Clone, Debug, Default)]
pub(super) struct UiInput {
    pub(super) name: String,
    /// What the page shows instead of the name.
    pub(super) label: Option<String>,
    pub(super) ty: String,
    /// The id of the link that ends here.
    pub(super) link: Option<String>,
    /// The widget that this input stands for.
    pub(super) widget: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) enum WidgetValues {
    #[default]
    None,
    /// By position.
    List(Vec<Value>),
    /// By name.
    Named(Object<String, Value>),
}

#[derive(Clone, Debug)]
pub(super) struct UiLink {
    pub(super) from: String,
    pub(super) from_slot: usize,
    pub(super) to: String,
    pub(super) to_slot: usize,
    /// The type of what it carries, where the file says it.
    pub(super) ty: String,
}

/// A definition that nodes instantiate by carrying its id as their type.
#[derive(Clone, Debug, Default)]
pub(super) struct Subgraph {
    pub(super) name: String,
    pub(super) graph: Graph,
    /// The names of its inputs.
    pub(super) inputs: Vec<String>,
    /// The links that come from its inputs, in the inputs' order, as far as the file lists them.
    pub(super) links_in: Vec<String>,
    /// For each input, the widget inside that the instance shows in its place, if it is one.
    pub(super) shows: Vec<Option<Shown>>,
    /// An old group node, whose values are spread over the widgets inside.
    pub(super) is_group: bool,
}

/// A widget inside a subgraph that its instances show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) node: String,
    /// The widget's name; for an instance the name of its input.
    pub(super) widget: String,
}

impl UiNode {
    /// Whether the page never sends this node: it only carries text, links or a value.
    pub(super) fn is_virtual(&self) -> bool {
        virtuals::of(&self.ty).is_some()
    }

    /// The input at that place of the file's own list.
    pub(super) fn input_at(&self, slot: usize) -> Option<&UiInput> {
        self.inputs.get(slot)
    }
}

impl Subgraph {
    /// The place of the input of that name.
    pub(super) fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|input| input == name)
    }
}

/// Whether the page lets an output of type `a` stand where `b` is wanted.
pub(super) fn compatible(a: &str, b: &str) -> bool {
    let any = |ty: &str| matches!(ty, "*" | "" | "0");
    // Longer ones are no types; comparing their members could take forever.
    let short = a.len() + b.len() < 1000;
    let shares = || short && a.split(',').any(|a| b.split(',').any(|b| a.trim().eq_ignore_ascii_case(b.trim())));
    any(a) || any(b) || a.eq_ignore_ascii_case(b) || shares()
}
