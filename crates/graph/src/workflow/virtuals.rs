//! Nodes that only the page knows: they carry a text, links or a value, and are never sent.
//!
//! A table of the page's own and of those that common packs add to it. Knows names and what they stand for.

/// What a node does that is never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Virtual {
    /// An output gives what comes in at the input of the same place, if there is one. Notes, labels and switches have
    /// no such place.
    PassesOn,
    /// The output gives what comes in at the first input.
    Reroute,
    /// Its value is copied into the widgets that it is linked to.
    Primitive,
    /// What comes in gets a name.
    Set(Names),
    /// Gives what came in under a name.
    Get(Names),
    /// What comes in goes to every free input that it fits.
    Everywhere,
}

/// Which pack's names they are: one does not see the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Names {
    KjNodes,
    EasyUse,
}

/// What a node of that type does, if it is never sent.
pub(super) fn of(ty: &str) -> Option<Virtual> {
    Some(match ty {
        "Reroute" | "Reroute (rgthree)" | "mxReroute" => Virtual::Reroute,
        "PrimitiveNode" => Virtual::Primitive,
        "SetNode" => Virtual::Set(Names::KjNodes),
        "GetNode" => Virtual::Get(Names::KjNodes),
        "easy setNode" => Virtual::Set(Names::EasyUse),
        "easy getNode" => Virtual::Get(Names::EasyUse),
        "Anything Everywhere" | "Anything Everywhere?" | "Anything Everywhere3" | "Prompts Everywhere" => {
            Virtual::Everywhere
        }
        // Texts.
        "Note" | "MarkdownNote" | "Note Plus (mtb)" | "Note+ (mtb)" | "Label (rgthree)" | "Bookmark (rgthree)"
        // Switches of other nodes: what they did is in the modes of those.
        | "Fast Groups Muter (rgthree)" | "Fast Groups Bypasser (rgthree)" | "Fast Muter (rgthree)"
        | "Fast Bypasser (rgthree)" | "Fast Node Muter (rgthree)" | "Fast Actions Button (rgthree)"
        | "Mute / Bypass Relay (rgthree)" | "Mute / Bypass Repeater (rgthree)" | "Random Unmuter (rgthree)"
        | "Node Collector (rgthree)" | "Node Combiner (rgthree)" | "Power Conductor (rgthree)"
        // Its texts lie in the browser, so the widgets that it is linked to keep theirs.
        | "PresetText|pysssss" => Virtual::PassesOn,
        _ => return None,
    })
}
