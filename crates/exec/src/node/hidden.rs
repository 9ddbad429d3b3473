//! Hidden inputs: what the engine fills in by itself. Each is a field type of its own.

use std::sync::Arc;

use kiln_graph::{DynamicPrompt, InputDef, NodeId, Prompt};

use crate::node::schedule::Schedule;

/// `UNIQUE_ID`: the node's own id. A class that asks for it never shares results between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueId(pub NodeId);

/// `PROMPT`: the prompt as it was submitted.
#[derive(Clone, Debug)]
pub struct SubmittedPrompt(pub Arc<Prompt>);

/// `DYNPROMPT`: the graph as it is now, with everything that expansions added.
#[derive(Clone, Debug)]
pub struct LivePrompt(pub Arc<DynamicPrompt>);

/// `EXTRA_PNGINFO`: what the client wants stored in pictures, usually `{"workflow": …}`.
#[derive(Clone, Debug)]
pub struct ExtraPngInfo(pub Option<Arc<serde_json::Value>>);

/// What the engine may fill in.
#[derive(Clone, Debug)]
pub enum HiddenValue {
    /// See [`UniqueId`].
    UniqueId(NodeId),
    /// See [`SubmittedPrompt`].
    Prompt(Arc<Prompt>),
    /// See [`LivePrompt`].
    Live(Arc<DynamicPrompt>),
    /// See [`Schedule`].
    Schedule(Schedule),
    /// See [`ExtraPngInfo`].
    ExtraPngInfo(Option<Arc<serde_json::Value>>),
}

/// The hidden inputs that the engine knows, by the type they are declared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HiddenKind {
    UniqueId,
    Prompt,
    Live,
    Schedule,
    ExtraPngInfo,
}

impl HiddenKind {
    pub(crate) fn of(input: &InputDef) -> Option<Self> {
        if input.group != kiln_graph::Group::Hidden {
            return None;
        }
        match input.ty.name()? {
            "UNIQUE_ID" => Some(Self::UniqueId),
            "PROMPT" => Some(Self::Prompt),
            "DYNPROMPT" => Some(Self::Live),
            "EXECUTION_LIST" => Some(Self::Schedule),
            "EXTRA_PNGINFO" => Some(Self::ExtraPngInfo),
            _ => None,
        }
    }
}
