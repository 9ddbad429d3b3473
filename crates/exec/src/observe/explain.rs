//! Explanations: why each node of a run ran, or did not, down to the literal that changed.
//!
//! Compares the prompt with the one before. Knows nothing of keys: equal keys come from equal inputs.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use kiln_graph::{Input, NodeId, Prompt, PromptNode};
use serde::Serialize;

use crate::observe::trace::{Trace, What};

/// Why a node of a run ran, or did not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The node.
    pub node: NodeId,
    /// Its class.
    pub class_type: Arc<str>,
    /// Why.
    pub reason: Reason,
}

/// Why a node ran, or did not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There was no prompt before that had it.
    New,
    /// An input is not what it was.
    Input {
        /// Its name.
        input: Arc<str>,
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// It reads from a node that is not what it was.
    Source {
        /// The input it reads through.
        input: Arc<str>,
        /// The node.
        node: NodeId,
    },
    /// Its class is another.
    Class {
        /// What it was.
        was: Arc<str>,
    },
    /// Nothing changed; the result was not kept, or the node says that it changes by itself.
    NotKept,
    /// An output was dropped and somebody needed it later.
    NeededAgain {
        /// Who.
        by: NodeId,
        /// When its output was dropped, counting the nodes that ran.
        dropped_at: usize,
    },
    /// Its result was kept from before.
    Cached,
    /// Nobody asked for it.
    NotNeeded,
}

impl Explanation {
    /// What would be explained of a run of `prompt` in which no more than `needed` is asked for, after a run of `before` whose
    /// results were all kept. What changes by itself (files that nodes read, classes that are never kept) can't be known.
    ///
    /// ```
    /// use kiln_exec::{Explanation, Prompt};
    /// let before = Prompt::from_json(r#"{"1": {"class_type": "A", "inputs": {"seed": 7}}}"#)?;
    /// let prompt = Prompt::from_json(r#"{"1": {"class_type": "A", "inputs": {"seed": 8}}}"#)?;
    /// let foreseen = Explanation::foreseen(Some(&before), &prompt, &["1".into()].into());
    /// assert_eq!(foreseen[0].to_string(), "A \"1\": input `seed` 7 → 8");
    /// # Ok::<(), kiln_graph::PromptReadError>(())
    /// ```
    pub fn foreseen(before: Option<&Prompt>, prompt: &Prompt, needed: &HashSet<NodeId>) -> Vec<Self> {
        let changes = Changes::new(before, prompt);
        let explain = |(id, node): (&NodeId, &PromptNode)| {
            let reason = if needed.contains(id) { changes.reason(id, node) } else { Reason::NotNeeded };
            let reason = if reason == Reason::NotKept { Reason::Cached } else { reason };
            Self { node: id.clone(), class_type: node.class_type.clone(), reason }
        };
        prompt.nodes.iter().map(explain).collect()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} \"{}\": {}", self.class_type, self.node, self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("new"),
            Self::Input { input, was, is } => write!(f, "input `{input}` {was} → {is}"),
            Self::Source { input, node } => write!(f, "input `{input}` reads from \"{node}\", which changed"),
            Self::Class { was } => write!(f, "was a {was} before"),
            Self::NotKept => f.write_str("unchanged, but its result was not kept"),
            Self::NeededAgain { by, dropped_at } => write!(f, "dropped at {dropped_at}, needed again by {by}"),
            Self::Cached => f.write_str("unchanged, taken from the cache"),
            Self::NotNeeded => f.write_str("not needed"),
        }
    }
}

/// What is remembered of the prompt before.
#[derive(Default)]
pub(crate) struct Memory {
    prompt: Option<Arc<Prompt>>,
}

impl Memory {
    pub(crate) fn remember(&mut self, prompt: &Arc<Prompt>) {
        self.prompt = Some(Arc::clone(prompt));
    }

    /// Why each node of the prompt ran or did not, one explanation per node, more for those that ran again.
    pub(crate) fn explain(&self, prompt: &Prompt, trace: &Trace) -> Vec<Explanation> {
        let mut ran: HashMap<&NodeId, bool> = HashMap::new();
        let mut again = Vec::new();
        let (mut count, mut dropped) = (0, HashMap::new());
        for step in &trace.steps {
            match &step.what {
                What::Ran { .. } | What::Failed | What::Expanded { .. } => {
                    count += usize::from(matches!(step.what, What::Ran { .. }));
                    ran.insert(&step.node, true);
                }
                What::Cached => drop(ran.entry(&step.node).or_insert(false)),
                What::Dropped { .. } => drop(dropped.insert(&step.node, count)),
                What::NeededAgain { by } => {
                    let dropped_at = dropped.get(&step.node).copied().unwrap_or_default();
                    let reason = Reason::NeededAgain { by: by.clone(), dropped_at };
                    again.push(Explanation { node: step.node.clone(), class_type: step.class_type.clone(), reason });
                }
            }
        }
        let changed = Changes::new(self.prompt.as_deref(), prompt);
        let mut all: Vec<Explanation> = prompt
            .nodes
            .iter()
            .map(|(id, node)| {
                let reason = match ran.get(id) {
                    None => Reason::NotNeeded,
                    Some(false) => Reason::Cached,
                    Some(true) => changed.reason(id, node),
                };
                Explanation { node: id.clone(), class_type: node.class_type.clone(), reason }
            })
            .collect();
        all.extend(again);
        all
    }
}

/// Which nodes differ from the prompt before, themselves or upstream.
struct Changes<'a> {
    before: Option<&'a Prompt>,
    changed: HashSet<&'a NodeId>,
}

impl<'a> Changes<'a> {
    fn new(before: Option<&'a Prompt>, prompt: &'a Prompt) -> Self {
        let mut readers: HashMap<&NodeId, Vec<&NodeId>> = HashMap::new();
        for (id, node) in &prompt.nodes {
            node.links().for_each(|(_, link)| readers.entry(&link.node).or_default().push(id));
        }
        let own = |(id, node): &(&'a NodeId, &PromptNode)| before.and_then(|b| b.get(id.as_str())) != Some(*node);
        let mut stack: Vec<&NodeId> = prompt.nodes.iter().filter(own).map(|(id, _)| id).collect();
        let mut changed = HashSet::new();
        while let Some(id) = stack.pop() {
            if changed.insert(id) {
                stack.extend(readers.get(id).into_iter().flatten());
            }
        }
        Self { before, changed }
    }

    fn reason(&self, id: &NodeId, node: &PromptNode) -> Reason {
        let Some(before) = self.before.and_then(|before| before.get(id.as_str())) else { return Reason::New };
        if before.class_type != node.class_type {
            return Reason::Class { was: before.class_type.clone() };
        }
        let names = node.inputs.keys().chain(before.inputs.keys());
        for name in names {
            let (was, is) = (before.inputs.get(name), node.inputs.get(name));
            if was != is {
                return Reason::Input { input: name.clone(), was: shown(was), is: shown(is) };
            }
        }
        let source = node.links().find(|(_, link)| self.changed.contains(&link.node));
        match source {
            Some((input, link)) => Reason::Source { input: input.clone(), node: link.node.clone() },
            None => Reason::NotKept,
        }
    }
}

fn shown(input: Option<&Input>) -> String {
    match input {
        None => "nothing".into(),
        Some(Input::Link(link)) => format!("[\"{}\", {}]", link.node, link.socket),
        Some(Input::Literal(value) | Input::Malformed(value)) => value.to_string(),
        Some(Input::Opaque(_)) => "a payload".into(),
    }
}
