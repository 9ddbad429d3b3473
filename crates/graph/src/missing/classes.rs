//! The classes that a graph names and nobody has, with their nodes, and the sentence about them.
//!
//! Knows names. Knows neither prompts nor workflows: who meets an unknown class adds it here.

use std::fmt;

use super::packs;
use crate::def::Definitions;
use crate::map::Map;
use crate::suggest;

/// So many nodes of a class, and so many classes, are listed in the text for people.
const MOST_LISTED: usize = 40;

/// How the page calls ComfyUI itself among the packs.
const REGISTERED_CORE: &str = "comfy-core";

/// A class that nobody has, and the nodes that are of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingClass {
    /// Its name; empty for nodes that name none.
    pub class_type: String,
    /// The nodes that are of it. In a workflow with the ids of the subgraphs around them, joined with colons.
    pub nodes: Vec<String>,
    /// The pack that brings it, as owner and name, where that is known.
    pub pack: Option<String>,
    /// The known class whose name is nearest, if one is near.
    pub nearest: Option<String>,
}

/// All classes that a graph names and nobody has, in the order in which they were met. Displays as a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingClasses {
    classes: Map<String, MissingClass>,
    /// Whether ids are shown in quotes.
    quoted: bool,
    /// Whether a node that is not needed can be muted.
    mutable: bool,
}

impl MissingClasses {
    /// None yet, of a prompt.
    pub(crate) fn of_prompt() -> Self {
        Self { quoted: true, ..Self::default() }
    }

    /// None yet, of a workflow.
    pub(crate) fn of_workflow() -> Self {
        Self { mutable: true, ..Self::default() }
    }

    /// Adds a node of a class that is missing. `pack` is what the node itself says of its origin: a repository, or a
    /// name in the page's registry of packs.
    pub(crate) fn add(&mut self, class_type: &str, node: String, pack: Option<&str>, known: &dyn Definitions) {
        let count = self.classes.len();
        let nearest = || {
            // Comparing with every name takes its time.
            let names = if count < MOST_LISTED { known.class_types() } else { Vec::new() };
            suggest::nearest(class_type, names.iter().map(|name| &**name)).map(str::to_owned)
        };
        let class = self.classes.entry(class_type.to_owned()).or_insert_with(|| {
            let nearest = nearest();
            let said = match pack {
                // A newer class of ComfyUI's own, or a name that somebody misspelt.
                Some(REGISTERED_CORE) => nearest.is_none().then_some(packs::CORE),
                said => said,
            };
            let pack = said.or_else(|| packs::pack_of(class_type)).map(str::to_owned);
            MissingClass { class_type: class_type.to_owned(), nodes: Vec::new(), pack, nearest }
        });
        class.nodes.push(node);
    }

    /// The classes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &MissingClass> {
        self.classes.values()
    }

    /// Whether no class is missing.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// `node 5`, or `nodes 5, 7`.
    fn nodes(&self, class: &MissingClass) -> String {
        let id = |id: &String| if self.quoted { format!("\"{id}\"") } else { id.clone() };
        let listed: Vec<String> = class.nodes.iter().take(MOST_LISTED).map(id).collect();
        let noun = if class.nodes.len() == 1 { "node" } else { "nodes" };
        let more = class.nodes.len() - listed.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{noun} {}{more}", listed.join(", "))
    }

    fn one(&self, class: &MissingClass) -> String {
        let nodes = self.nodes(class);
        if class.class_type.is_empty() {
            let verb = if class.nodes.len() == 1 { "has" } else { "have" };
            return format!("{nodes} {verb} no class_type; name the class that it is of");
        }
        let mute =
            if self.mutable && (class.nearest.is_none() || class.pack.is_some()) { ", or mute the node" } else { "" };
        format!("{nodes}: there is no node class `{}`; {}{mute}", class.class_type, advice(class))
    }
}

/// What to do about a class.
fn advice(class: &MissingClass) -> String {
    match (&class.nearest, class.pack.as_deref(), inner_definition(&class.class_type)) {
        (_, Some(packs::CORE), _) => "it is one of ComfyUI's own that is not here yet".to_owned(),
        (_, Some(pack), _) => format!("{pack} brings it"),
        (Some(nearest), ..) => format!("did you mean `{nearest}`?"),
        (.., Some(what)) => format!("the file lacks the definition of this {what}"),
        _ => "install the pack that brings it".to_owned(),
    }
}

/// What a class name is that only a definition in the same file can explain.
fn inner_definition(class: &str) -> Option<&'static str> {
    let parts: Vec<usize> = class.split('-').map(str::len).collect();
    let hex = class.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if hex && parts == [8, 4, 4, 4, 12] {
        return Some("subgraph");
    }
    (class.starts_with("workflow>") || class.starts_with("workflow/")).then_some("group node")
}

impl fmt::Display for MissingClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut classes = self.iter();
        if let (Some(only), None) = (classes.next(), classes.next()) {
            return f.write_str(&self.one(only));
        }
        let mute = if self.mutable { ", or mute their nodes" } else { "" };
        write!(f, "{} node classes are missing; install the packs that bring them{mute}", self.classes.len())?;
        for class in self.iter().take(MOST_LISTED) {
            if class.class_type.is_empty() {
                write!(f, "\n  no class_type ({})", self.nodes(class))?;
            } else {
                write!(f, "\n  `{}` ({}): {}", class.class_type, self.nodes(class), advice(class))?;
            }
        }
        match self.classes.len().saturating_sub(MOST_LISTED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
