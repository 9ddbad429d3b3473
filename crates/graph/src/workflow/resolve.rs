//! Following a link to the node that really makes its value: through reroutes, bypassed nodes, and in and out of
//! subgraphs.
//!
//! Iterative, and every stretch is walked once.

use std::rc::Rc;

use super::broadcast::Feed;
use super::error::WorkflowError;
use super::everywhere::{self, Fed, Feeds};
use super::instance::Instance;
use super::names::Setters;
use super::ui::{INPUTS, Mode, OUTPUTS, UiInput, UiNode, compatible};
use super::virtuals::{self, Virtual};
use crate::def::Definitions;
use crate::map::Map;

/// What a link leads to.
#[derive(Clone, Copy)]
pub(super) enum Source<'w> {
    /// An output of a node that is sent.
    Node { instance: usize, node: &'w str, slot: usize },
    /// The value that an instance has for one of its inputs, or of what it shows there.
    Own { instance: usize, input: usize },
    /// Nothing: a muted node, a loose end.
    Nothing,
}

/// An output, and the type of the input that it goes to.
type Stop<'w> = (usize, &'w str, usize, &'w str);

#[derive(Clone, Copy)]
enum At<'w> {
    /// About to follow a link.
    Link {
        instance: usize,
        link: &'w str,
        wanted: &'w str,
    },
    /// At an output.
    Output(Stop<'w>),
    Done(Source<'w>),
}

pub(super) struct Resolver<'i, 'w> {
    instances: &'i [Instance<'w>],
    /// Outgoing ends of each instance: the link that ends at output `k` of the definition.
    exits: Vec<Map<usize, &'w str>>,
    setters: Setters<'w>,
    /// What is sent everywhere, for each instance.
    feeds: Vec<Rc<Feeds<'w>>>,
    known: Map<Stop<'w>, Source<'w>>,
}

impl<'i, 'w> Resolver<'i, 'w> {
    pub(super) fn new(instances: &'i [Instance<'w>], definitions: &'w dyn Definitions) -> Result<Self, WorkflowError> {
        let ends = |instance: &Instance<'w>| {
            let links = instance.graph.links.iter().filter(|(_, link)| link.to == OUTPUTS);
            // The first link that ends there counts.
            links.rev().map(|(id, link)| (link.to_slot, id.as_str())).collect()
        };
        let mut of_graph: Map<*const super::ui::Graph, Rc<Feeds<'w>>> = Map::default();
        let mut feeds = Vec::with_capacity(instances.len());
        for instance in instances {
            let graph = std::ptr::from_ref(instance.graph);
            if !of_graph.contains_key(&graph) {
                of_graph.insert(graph, Rc::new(everywhere::feeds(instance.graph, definitions)?));
            }
            feeds.push(Rc::clone(&of_graph[&graph]));
        }
        Ok(Self {
            instances,
            exits: instances.iter().map(ends).collect(),
            setters: Setters::of(instances),
            feeds,
            known: Map::default(),
        })
    }

    /// What a node is sent at inputs that its file does not list.
    pub(super) fn unlisted(&self, instance: usize, id: &str, node: &UiNode) -> Vec<Fed<'w>> {
        let fed = self.feeds[instance].get(id).map_or(&[][..], Vec::as_slice);
        let listed = |fed: &&Fed<'w>| node.inputs.iter().any(|input| input.name == fed.input);
        fed.iter().filter(|fed| !listed(fed)).copied().collect()
    }

    /// Where a listed input gets its value: from what is sent to it, else over its link.
    fn feed(&self, instance: usize, id: &str, input: &'w UiInput) -> Option<Feed<'w>> {
        let fed = self.feeds[instance].get(id).and_then(|fed| fed.iter().find(|fed| fed.input == input.name));
        fed.map(|fed| fed.feed).or_else(|| input.link.as_deref().map(Feed::Link))
    }

    /// What leads into an input that the file lists; `None` if nothing does.
    pub(super) fn input(
        &mut self,
        instance: usize,
        id: &str,
        input: &'w UiInput,
    ) -> Result<Option<Source<'w>>, WorkflowError> {
        let feed = self.feed(instance, id, input);
        feed.map(|feed| self.resolve(instance, feed, &input.ty)).transpose()
    }

    /// What is behind a feed, for an input that wants that type.
    pub(super) fn resolve(
        &mut self,
        instance: usize,
        feed: Feed<'w>,
        wanted: &'w str,
    ) -> Result<Source<'w>, WorkflowError> {
        let mut at = Self::at(instance, feed, wanted);
        let mut path: Map<Stop<'w>, ()> = Map::default();
        let source = loop {
            at = match at {
                At::Done(source) => break source,
                At::Link { instance, link, wanted } => self.follow(instance, link, wanted),
                At::Output(stop) => match self.known.get(&stop) {
                    Some(source) => At::Done(*source),
                    None if path.insert(stop, ()).is_some() => return Err(self.circle(&path, stop)),
                    None => self.pass(stop),
                },
            };
        };
        self.known.extend(path.into_keys().map(|stop| (stop, source)));
        Ok(source)
    }

    fn at(instance: usize, feed: Feed<'w>, wanted: &'w str) -> At<'w> {
        match feed {
            Feed::Link(link) => At::Link { instance, link, wanted },
            Feed::Output(node, slot) => At::Output((instance, node, slot, wanted)),
        }
    }

    fn circle(&self, path: &Map<Stop<'w>, ()>, again: Stop<'w>) -> WorkflowError {
        let first = path.get_index_of(&again).unwrap_or_default();
        let name = |stop: &Stop<'w>| format!("{}{}", self.instances[stop.0].prefix, stop.1);
        WorkflowError::LinkLoop { nodes: path.keys().skip(first).chain([&again]).map(name).collect() }
    }

    fn follow(&self, instance: usize, link: &str, wanted: &'w str) -> At<'w> {
        let Some(link) = self.instances[instance].graph.links.get(link) else { return At::Done(Source::Nothing) };
        if link.from == INPUTS {
            self.outside(instance, link.from_slot, wanted)
        } else {
            At::Output((instance, &link.from, link.from_slot, wanted))
        }
    }

    /// From input `slot` of a subgraph to what stands there around it.
    fn outside(&self, instance: usize, slot: usize, wanted: &'w str) -> At<'w> {
        let inner = &self.instances[instance];
        let Some(parent) = inner.parent else { return At::Done(Source::Nothing) };
        let inputs = &parent.node.inputs;
        let by_name = parent.def.inputs.get(slot).and_then(|name| inputs.iter().find(|input| input.name == *name));
        // Names may have changed since; places only count when nothing was left out.
        let by_place = || inputs.get(slot).filter(|_| inputs.len() == parent.def.inputs.len());
        let around = &self.instances[parent.instance].graph;
        let own = inner.own.get(slot).is_some_and(Option::is_some);
        let shown = parent.def.shows.get(slot).is_some_and(Option::is_some);
        // A primitive's value was copied into the instance; its link leads nowhere.
        let copied = |link: &str| {
            let source = around.links.get(link).and_then(|link| around.nodes.get(&link.from));
            own && source.is_some_and(|source| source.ty == "PrimitiveNode")
        };
        let feed = |input: &'w UiInput| Some((input, self.feed(parent.instance, parent.id, input)?));
        match by_name.or_else(by_place).and_then(feed) {
            Some((input, feed)) if !matches!(feed, Feed::Link(link) if copied(link)) => {
                let wanted = if input.ty.is_empty() { wanted } else { input.ty.as_str() };
                Self::at(parent.instance, feed, wanted)
            }
            _ if own || shown => At::Done(Source::Own { instance, input: slot }),
            _ => At::Done(Source::Nothing),
        }
    }

    /// From an output to what stands behind it.
    fn pass(&self, (instance, id, slot, wanted): Stop<'w>) -> At<'w> {
        let here = &self.instances[instance];
        let Some(node) = here.graph.nodes.get(id) else { return At::Done(Source::Nothing) };
        let through = |place: usize, wanted: &'w str| match node.input_at(place).and_then(|i| i.link.as_deref()) {
            Some(link) => At::Link { instance, link, wanted },
            None => At::Done(Source::Nothing),
        };
        match node.mode {
            // What only passes links on has nothing that muting could stop.
            Mode::Muted if !node.is_virtual() => return At::Done(Source::Nothing),
            Mode::Bypassed => {
                return match bypass(node, slot, wanted) {
                    Some(place) => through(place, &node.inputs[place].ty),
                    None => At::Done(Source::Nothing),
                };
            }
            Mode::Muted | Mode::Always => {}
        }
        if let Some(inner) = here.children.get(id) {
            return match self.exits[*inner].get(&slot) {
                Some(link) => At::Link { instance: *inner, link, wanted },
                None => At::Done(Source::Nothing),
            };
        }
        match virtuals::of(&node.ty) {
            None => At::Done(Source::Node { instance, node: id, slot }),
            Some(Virtual::Primitive | Virtual::Everywhere) => At::Done(Source::Nothing),
            Some(Virtual::Reroute) => through(0, wanted),
            Some(Virtual::PassesOn | Virtual::Set(_)) => through(slot, wanted),
            Some(Virtual::Get(names)) => {
                let setter = self.setters.find(self.instances, instance, names, node);
                match setter.and_then(|(level, setter)| Some((level, setter.input_at(slot)?.link.as_deref()?))) {
                    Some((instance, link)) => At::Link { instance, link, wanted },
                    None => At::Done(Source::Nothing),
                }
            }
        }
    }
}

/// The input whose value stands in for an output of a bypassed node.
fn bypass(node: &UiNode, slot: usize, wanted: &str) -> Option<usize> {
    let inputs = &node.inputs;
    if matches!(wanted, "" | "*" | "0") {
        return (!inputs.is_empty()).then_some(if slot < inputs.len() { slot } else { 0 });
    }
    let output = node.outputs.get(slot).map_or("*", String::as_str);
    let fits = |ty: &str| compatible(ty, output) && compatible(ty, wanted);
    if inputs.get(slot).is_some_and(|input| fits(&input.ty)) {
        return Some(slot);
    }
    let equal = inputs.iter().position(|input| input.ty == wanted);
    equal.or_else(|| inputs.iter().position(|input| fits(&input.ty)))
}
