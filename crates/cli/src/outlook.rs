//! The outlook on a run: what of a prompt would run and why, which files it takes, what would be known from before.
//!
//! Runs nothing and reads no weights. Knows definitions and folders.

use std::collections::{HashMap, HashSet};
use std::fmt;

use kiln_exec::{Explanation, NodeId, Reason};
use kiln_graph::{NodeDefs, Prompt, View};
use kiln_memory::human_bytes;
use kiln_models::Inventory;
use kiln_nodes::files::Folders;

use crate::named_files::{NamedFile, named_files};

/// Readers that are named for one node.
const MOST_READERS: usize = 3;

/// What would run of a prompt.
pub struct Outlook {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    state: State,
    why: String,
    files: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    Perhaps,
    Known,
    Idle,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Perhaps => "perhaps",
            Self::Known => "known from before",
            Self::Idle => "not needed",
        }
    }
}

impl Outlook {
    /// What would run of `prompt` for these outputs, after a run of `before` whose results were all kept, if there was one.
    pub fn new(
        prompt: &Prompt,
        outputs: &[NodeId],
        before: Option<&Prompt>,
        definitions: &NodeDefs,
        folders: &Folders,
    ) -> Self {
        let readers = Readers::of(prompt, definitions);
        let needed = readers.reached(outputs, false);
        let reached = readers.reached(outputs, true);
        let reasons: HashMap<NodeId, Reason> =
            Explanation::foreseen(before, prompt, &reached).into_iter().map(|e| (e.node, e.reason)).collect();
        let files = named_files(prompt, definitions, folders);
        let order = View::of(prompt).order().unwrap_or_else(|_| prompt.nodes.keys().collect());
        let row = |id: &NodeId| {
            let reason = reasons.get(id);
            let state = match reason {
                Some(Reason::Cached) => State::Known,
                _ if needed.contains(id) => State::Runs,
                _ if reached.contains(id) => State::Perhaps,
                _ => State::Idle,
            };
            let why = match (state, reason) {
                (State::Idle, _) => "no output reads it".into(),
                (State::Known, _) => "nothing that it depends on changed".into(),
                (State::Perhaps, _) => readers.asks(id, &reached, prompt),
                (State::Runs, Some(Reason::New) | None) => readers.needs(id, &reached, outputs, prompt),
                (State::Runs, Some(reason)) => reason.to_string(),
            };
            let own = files.iter().filter(|file| file.node == *id).map(file_line).collect();
            Row { name: name(prompt, id), state, why, files: own }
        };
        Self { rows: order.into_iter().map(row).collect() }
    }

    fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).min(48);
        for Row { name, state, why, files } in &self.rows {
            writeln!(f, "{name:<width$}  {}: {why}", state.word())?;
            files.iter().try_for_each(|file| writeln!(f, "    {file}"))?;
        }
        let states = [State::Runs, State::Perhaps, State::Known, State::Idle];
        let counts: Vec<String> =
            states.iter().map(|state| format!("{} {}", self.count(*state), state.word())).collect();
        writeln!(f, "{} nodes: {}", self.rows.len(), counts.join(", "))
    }
}

/// Who reads what.
struct Readers<'p> {
    /// Per source: the reader, its input, and whether that is lazy.
    of: HashMap<&'p NodeId, Vec<(&'p NodeId, &'p str, bool)>>,
    /// Per reader: the sources.
    sources: HashMap<&'p NodeId, Vec<(&'p NodeId, bool)>>,
}

impl<'p> Readers<'p> {
    fn of(prompt: &'p Prompt, definitions: &NodeDefs) -> Self {
        let mut readers = Self { of: HashMap::new(), sources: HashMap::new() };
        for (id, node) in &prompt.nodes {
            let def = definitions.get(&node.class_type);
            for (input, link) in node.links() {
                let lazy = def.and_then(|def| def.find_input(input)).is_some_and(|input| input.lazy || input.raw_link);
                readers.of.entry(&link.node).or_default().push((id, input, lazy));
                readers.sources.entry(id).or_default().push((&link.node, lazy));
            }
        }
        readers
    }

    /// Everything that these outputs need; what is read through lazy inputs only where that is asked for.
    fn reached(&self, outputs: &[NodeId], lazy_too: bool) -> HashSet<NodeId> {
        let (mut found, mut pending) = (HashSet::new(), outputs.to_vec());
        while let Some(id) = pending.pop() {
            if found.insert(id.clone()) {
                let sources = self.sources.get(&id).into_iter().flatten();
                pending.extend(sources.filter(|(_, lazy)| lazy_too || !lazy).map(|(source, _)| (*source).clone()));
            }
        }
        found
    }

    fn readers<'s>(
        &'s self,
        id: &NodeId,
        among: &'s HashSet<NodeId>,
    ) -> impl Iterator<Item = (&'p NodeId, &'p str, bool)> {
        self.of.get(id).into_iter().flatten().copied().filter(|(reader, ..)| among.contains(*reader))
    }

    /// For whom a node runs.
    fn needs(&self, id: &NodeId, among: &HashSet<NodeId>, outputs: &[NodeId], prompt: &Prompt) -> String {
        let mut readers: Vec<&NodeId> = Vec::new();
        for (reader, ..) in self.readers(id, among) {
            if !readers.contains(&reader) {
                readers.push(reader);
            }
        }
        if readers.is_empty() {
            let output = if outputs.contains(id) { "it is an output" } else { "its output is asked for" };
            return output.into();
        }
        let named: Vec<String> = readers.iter().take(MOST_READERS).map(|id| name(prompt, id)).collect();
        let more = if readers.len() > MOST_READERS { ", …" } else { "" };
        format!("read by {}{more}", named.join(", "))
    }

    /// Who may ask for a node that nobody needs for sure.
    fn asks(&self, id: &NodeId, among: &HashSet<NodeId>, prompt: &Prompt) -> String {
        match self.readers(id, among).find(|(.., lazy)| *lazy) {
            Some((reader, input, _)) => format!("if {} asks for `{input}`", name(prompt, reader)),
            None => "if what reads it runs".into(),
        }
    }
}

/// `KSampler "3"`.
fn name(prompt: &Prompt, id: &NodeId) -> String {
    prompt.get(id.as_str()).map_or_else(|| format!("\"{id}\""), |node| format!("{} \"{id}\"", node.class_type))
}

fn file_line(file: &NamedFile) -> String {
    let NamedFile { input, name, path, is_model, .. } = file;
    let size = std::fs::metadata(path).map(|metadata| human_bytes(metadata.len())).unwrap_or_default();
    let parts = if *is_model { decoded(path) } else { String::new() };
    format!("{input} {name}: {size}{parts}")
}

/// What a model's networks take when they are used.
fn decoded(path: &std::path::Path) -> String {
    let Ok(found) = Inventory::of(path) else { return String::new() };
    let family = found.family.map(|family| format!(", {family}")).unwrap_or_default();
    let parts = found.parts.iter().map(|part| format!("{} {}", part.role, human_bytes(part.decoded())));
    format!("{family}; decoded {}", parts.collect::<Vec<_>>().join(", "))
}
