//! The registry: the node classes that an engine knows, and the codecs of what travels between them. One per engine, no
//! globals.

use std::collections::HashMap;
use std::sync::Arc;

use kiln_graph::{Definitions, Map, NodeDef, NodeDefs, SocketType};

use crate::codec::{Codecs, PayloadCodec};
use crate::host::Host;
use crate::node::class::{Behaviour, NodeClass};
use crate::node::dynamic::DynNode;
use crate::node::hidden::HiddenKind;
use crate::node::resources::Resources;

/// A class: what it looks like and how it is called.
pub struct Class {
    pub(crate) def: Arc<NodeDef>,
    pub(crate) behaviour: Behaviour,
    /// Hidden inputs that the engine fills in, by position.
    pub(crate) hidden: Vec<(usize, HiddenKind)>,
    pub(crate) has_lazy: bool,
    /// Results depend on the node's id: it never shares them with an equal node.
    pub(crate) keyed_by_id: bool,
    /// A second run may give another value or repeat a side effect.
    pub(crate) run_once: bool,
    /// Digest over class name and version: the first part of every cache key.
    pub(crate) seed: blake3::Hash,
}

impl Class {
    fn new(def: NodeDef, behaviour: Behaviour) -> Self {
        let hidden: Vec<_> =
            def.inputs.iter().enumerate().filter_map(|(at, input)| Some((at, HiddenKind::of(input)?))).collect();
        let wants_id = hidden.iter().any(|(_, kind)| *kind == HiddenKind::UniqueId);
        // What it asks of the schedule is not among its outputs, so a kept result would not be all of it.
        let asks = hidden.iter().any(|(_, kind)| *kind == HiddenKind::Schedule);
        let behaviour = if asks { behaviour.uncached() } else { behaviour };
        let mut hasher = blake3::Hasher::new();
        hasher.update(def.class_type.as_bytes()).update(&[0]).update(&behaviour.version.to_le_bytes());
        Self {
            has_lazy: behaviour.needs.is_some() && def.inputs.iter().any(|input| input.lazy),
            keyed_by_id: def.not_idempotent || wants_id,
            run_once: def.not_idempotent || def.output_node || asks,
            seed: hasher.finalize(),
            hidden,
            def: Arc::new(def),
            behaviour,
        }
    }

    /// What the class looks like from outside.
    pub fn def(&self) -> &NodeDef {
        &self.def
    }

    /// What it says of models and other things that are loaded once and used in passes.
    pub fn resources(&self) -> &Resources {
        &self.behaviour.resources
    }

    /// The definition with the options that folders and the like give it now.
    pub fn def_now(&self, host: &Host) -> NodeDef {
        let mut def = (*self.def).clone();
        for (name, choices) in &self.behaviour.choices {
            if let Some(input) = def.inputs.iter_mut().find(|input| input.name == *name) {
                let words = choices(host);
                match input.ty {
                    SocketType::Combo(_) => input.ty = SocketType::combo(words),
                    SocketType::Named(_) => drop(input.options.insert("options".into(), words.into())),
                }
            }
        }
        def
    }
}

/// The node classes that an engine knows, and the codecs of their payloads.
#[derive(Default)]
pub struct Registry {
    pub(crate) classes: Vec<Arc<Class>>,
    index: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    codecs: Codecs,
}

impl Registry {
    /// No classes.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a typed node. A class of the same name is replaced.
    pub fn with<N: NodeClass>(mut self) -> Self {
        self.insert(Class::new(N::def(), N::behaviour()));
        self
    }

    /// With a dynamic node. A class of the same name is replaced.
    pub fn with_dyn(mut self, node: DynNode) -> Self {
        self.add_dyn(node);
        self
    }

    /// Adds a typed node. A class of the same name is replaced.
    pub fn add<N: NodeClass>(&mut self) {
        self.insert(Class::new(N::def(), N::behaviour()));
    }

    /// Adds a dynamic node. A class of the same name is replaced.
    pub fn add_dyn(&mut self, node: DynNode) {
        self.insert(Class::new(node.def, node.behaviour));
    }

    /// With the codec of a payload. One for the same socket type is replaced.
    pub fn with_codec(mut self, codec: impl PayloadCodec + 'static) -> Self {
        self.add_codec(codec);
        self
    }

    /// Adds the codec of a payload. One for the same socket type is replaced.
    pub fn add_codec(&mut self, codec: impl PayloadCodec + 'static) {
        self.codecs.add(codec);
    }

    /// The codecs of payloads.
    pub fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    fn insert(&mut self, class: Class) {
        let name = class.def.class_type.clone();
        let next = self.classes.len() as u32;
        if let Some(&at) = self.index.get(&name) {
            self.classes[at as usize] = Arc::new(class);
        } else {
            self.index.insert(name, next);
            self.classes.push(Arc::new(class));
        }
    }

    /// The class of that name.
    pub fn get(&self, class_type: &str) -> Option<&Class> {
        Some(&self.classes[self.position(class_type)? as usize])
    }

    pub(crate) fn position(&self, class_type: &str) -> Option<u32> {
        self.index.get(class_type).copied()
    }

    /// All classes, in the order in which they were added.
    pub fn classes(&self) -> impl Iterator<Item = &Class> {
        self.classes.iter().map(|class| &**class)
    }

    /// All definitions, in the order in which the classes were added.
    pub fn defs(&self) -> impl Iterator<Item = &NodeDef> {
        self.classes.iter().map(|class| &*class.def)
    }

    /// All definitions with the options that folders and the like give them now, as `/object_info` shows them.
    pub fn defs_now(&self, host: &Host) -> NodeDefs {
        self.classes.iter().map(|class| class.def_now(host)).collect()
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}

impl Definitions for Registry {
    fn get(&self, class_type: &str) -> Option<&NodeDef> {
        self.get(class_type).map(Class::def)
    }

    fn class_types(&self) -> Vec<Arc<str>> {
        self.classes.iter().map(|class| class.def.class_type.clone()).collect()
    }
}

/// A registry whose run-time options were looked up for one validation.
pub(crate) struct CurrentDefs<'a> {
    registry: &'a Registry,
    fresh: Map<Arc<str>, NodeDef>,
}

impl<'a> CurrentDefs<'a> {
    /// Looks up the options of those among `used` that have any.
    pub(crate) fn new<'n>(registry: &'a Registry, host: &Host, used: impl Iterator<Item = &'n Arc<str>>) -> Self {
        let mut fresh = Map::default();
        if registry.classes.iter().any(|class| !class.behaviour.choices.is_empty()) {
            for name in used {
                let Some(class) = registry.get(name) else { continue };
                if !class.behaviour.choices.is_empty() && !fresh.contains_key(name) {
                    fresh.insert(Arc::clone(name), class.def_now(host));
                }
            }
        }
        Self { registry, fresh }
    }
}

impl Definitions for CurrentDefs<'_> {
    fn get(&self, class_type: &str) -> Option<&NodeDef> {
        if !self.fresh.is_empty()
            && let Some(def) = self.fresh.get(class_type)
        {
            return Some(def);
        }
        self.registry.get(class_type).map(Class::def)
    }

    fn class_types(&self) -> Vec<Arc<str>> {
        self.registry.classes.iter().map(|class| class.def.class_type.clone()).collect()
    }
}
