//! Arguments: what one call of a node gets, in the order in which its class declares its inputs.
//!
//! Knows names and values. Where they come from, and how lists are mapped onto calls, is the run's business.

use std::sync::Arc;

use kiln_graph::{Link, NodeDef};

use crate::error::NodeError;
use crate::node::hidden::HiddenValue;
use crate::value::{FromValue, Value, Values};

/// One argument.
#[derive(Clone, Debug, Default)]
pub enum Arg {
    /// Neither linked nor set, or a lazy input that was not asked for.
    #[default]
    Absent,
    /// A value, or the whole list for nodes that take lists.
    Values(Values),
    /// The link itself, for inputs that want it raw.
    Link(Link),
    /// Something that the engine fills in.
    Hidden(HiddenValue),
}

/// What one call of a node gets.
#[derive(Clone, Debug)]
pub struct Args {
    def: Arc<NodeDef>,
    pub(crate) slots: Vec<Arg>,
    pub(crate) extras: Vec<(Arc<str>, Values)>,
    cursor: usize,
}

impl Args {
    /// Arguments for a node of this class, all absent.
    pub fn new(def: Arc<NodeDef>) -> Self {
        let slots = vec![Arg::Absent; def.inputs.len()];
        Self { def, slots, extras: Vec::new(), cursor: 0 }
    }

    /// Makes these the arguments of another call, keeping the memory.
    pub(crate) fn reset(&mut self, def: &Arc<NodeDef>) {
        if !Arc::ptr_eq(&self.def, def) {
            self.def = Arc::clone(def);
        }
        self.slots.clear();
        self.slots.resize(def.inputs.len(), Arg::Absent);
        self.extras.clear();
        self.cursor = 0;
    }

    /// Lets go of all values.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.extras.clear();
    }

    /// Sets an argument, for tests and for hosts that call nodes by themselves.
    pub fn set(&mut self, name: &str, value: impl Into<Values>) {
        match self.position(name) {
            Some(at) => self.slots[at] = Arg::Values(value.into()),
            None => self.extras.push((name.into(), value.into())),
        }
    }

    /// Whether the input has a value.
    pub fn has(&self, name: &str) -> bool {
        self.list(name).is_some()
    }

    /// The value of an input; the first one where the node gets whole lists.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.list(name)?.at(0)
    }

    /// The value of an input as a `T`.
    ///
    /// # Errors
    /// When it is missing or of another type.
    pub fn get_as<T: FromValue>(&self, name: &str) -> Result<T, NodeError> {
        let value = self.get(name).cloned().ok_or_else(|| NodeError::missing(name))?;
        T::from_value(value).map_err(|found| NodeError::wrong_type(name, T::TYPE, &found))
    }

    /// The whole list of an input; one element for nodes that are mapped over lists.
    pub fn list(&self, name: &str) -> Option<&Values> {
        match self.position(name) {
            Some(at) => match &self.slots[at] {
                Arg::Values(values) => Some(values),
                _ => None,
            },
            None => self.extras.iter().find(|(extra, _)| &**extra == name).map(|(_, values)| values),
        }
    }

    /// The link itself, for inputs that want it raw.
    pub fn link(&self, name: &str) -> Option<&Link> {
        match &self.slots[self.position(name)?] {
            Arg::Link(link) => Some(link),
            _ => None,
        }
    }

    /// Something that the engine filled in.
    pub fn hidden(&self, name: &str) -> Option<&HiddenValue> {
        match &self.slots[self.position(name)?] {
            Arg::Hidden(value) => Some(value),
            _ => None,
        }
    }

    /// Undeclared inputs that were passed all the same, in the order of the prompt.
    pub fn extras(&self) -> &[(Arc<str>, Values)] {
        &self.extras
    }

    /// The class's definition.
    pub fn def(&self) -> &NodeDef {
        &self.def
    }

    pub(crate) fn take_arg(&mut self, name: &str) -> Arg {
        // Fields are decoded in the order of declaration, so the next one is nearly always the right one.
        let next = self.def.inputs.get(self.cursor).is_some_and(|input| &*input.name == name);
        let at = if next { Some(self.cursor) } else { self.position(name) };
        let Some(at) = at else { return Arg::Absent };
        self.cursor = at + 1;
        std::mem::take(&mut self.slots[at])
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.def.inputs.iter().position(|input| &*input.name == name)
    }
}
