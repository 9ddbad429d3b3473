//! What a node class looks like from outside: inputs, outputs, flags. What `/object_info` shows, and nothing that runs.
//!
//! All names are owned, so that a class can be described while the program runs.

mod dynamic_combo;
mod input;
mod node;
mod object_info;
mod socket_type;

pub use self::input::{Group, InputDef};
pub use self::node::{LoopBoundary, NodeDef, OutputDef, ValidatorDef};
pub use self::object_info::ObjectInfoError;
pub use self::socket_type::SocketType;

use std::sync::Arc;

use crate::map::Map;

/// Where definitions come from: a plain [`NodeDefs`], or a registry that also knows how to run them.
pub trait Definitions {
    /// The definition of that class.
    fn get(&self, class_type: &str) -> Option<&NodeDef>;

    /// All class names, for suggestions in error messages.
    fn class_types(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

/// Definitions by class name, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeDefs {
    defs: Map<Arc<str>, NodeDef>,
}

impl NodeDefs {
    /// No definitions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a definition, or replaces the one of that class and returns it.
    pub fn insert(&mut self, def: NodeDef) -> Option<NodeDef> {
        self.defs.insert(def.class_type.clone(), def)
    }

    /// Adds a definition.
    #[must_use]
    pub fn with(mut self, def: NodeDef) -> Self {
        self.insert(def);
        self
    }

    /// The definition of that class.
    pub fn get(&self, class_type: &str) -> Option<&NodeDef> {
        self.defs.get(class_type)
    }

    /// All definitions in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &NodeDef> {
        self.defs.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.defs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.defs.is_empty()
    }
}

impl Definitions for NodeDefs {
    fn get(&self, class_type: &str) -> Option<&NodeDef> {
        self.defs.get(class_type)
    }

    fn class_types(&self) -> Vec<Arc<str>> {
        self.defs.keys().cloned().collect()
    }
}

impl FromIterator<NodeDef> for NodeDefs {
    fn from_iter<T: IntoIterator<Item = NodeDef>>(defs: T) -> Self {
        Self { defs: defs.into_iter().map(|def| (def.class_type.clone(), def)).collect() }
    }
}

impl Extend<NodeDef> for NodeDefs {
    fn extend<T: IntoIterator<Item = NodeDef>>(&mut self, defs: T) {
        self.defs.extend(defs.into_iter().map(|def| (def.class_type.clone(), def)));
    }
}
