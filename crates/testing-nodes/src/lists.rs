//! Lists on sockets, and lists as payloads.

use std::sync::Arc;

use kiln_exec::{Any, ConstantInputs, Cx, Execute, List, Node, NodeError, Registry, Value, object};

use crate::common::variant;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestAccumulateNode>();
    registry.add::<TestAccumulationHeadNode>();
    registry.add::<TestAccumulationTailNode>();
    registry.add::<TestAccumulationToListNode>();
    registry.add::<TestListToAccumulationNode>();
    registry.add::<TestAccumulationGetLengthNode>();
    registry.add::<TestAccumulationGetItemNode>();
    registry.add::<TestAccumulationSetItemNode>();
    registry.add::<TestMakeListNode>();
}

/// A list that travels as one value.
#[derive(Clone, Debug)]
pub struct Accumulation(Arc<[Value]>);

object!(Accumulation, "ACCUMULATION", |a| a.0.iter().map(Value::bytes).sum());

impl Accumulation {
    fn at(&self, index: i64) -> Result<usize, NodeError> {
        let count = self.0.len() as i64;
        let at = if index < 0 { index + count } else { index };
        if (0..count).contains(&at) {
            return Ok(at as usize);
        }
        Err(NodeError::new(format!("`index` is {index}, but the accumulation holds {count} items")))
    }
}

/// Appends a value to an accumulation, or begins a new one.
#[derive(Node)]
#[node(
    display_name = "Accumulate",
    category = "Testing/Lists",
    module = "custom_nodes.testing_nodes",
    validates(types)
)]
pub struct TestAccumulateNode {
    to_add: Any,
    accumulation: Option<Accumulation>,
}

impl Execute for TestAccumulateNode {
    type Output = Accumulation;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<Accumulation, NodeError> {
        let before = self.accumulation.map(|a| a.0.to_vec()).unwrap_or_default();
        Ok(Accumulation(before.into_iter().chain([self.to_add.0]).collect()))
    }
}

/// The first item, and the rest.
#[derive(Node)]
#[node(
    display_name = "Accumulation Head",
    category = "Testing/Lists",
    module = "custom_nodes.testing_nodes",
    validates(types)
)]
pub struct TestAccumulationHeadNode {
    accumulation: Accumulation,
}

impl Execute for TestAccumulationHeadNode {
    type Output = (Accumulation, Any);

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<(Accumulation, Any), NodeError> {
        Ok(match self.accumulation.0.split_first() {
            Some((first, rest)) => (Accumulation(rest.into()), Any(first.clone())),
            None => (self.accumulation, Any(Value::Null)),
        })
    }
}

/// The last item, and what comes before.
#[derive(Node)]
#[node(display_name = "Accumulation Tail", category = "Testing/Lists", module = "custom_nodes.testing_nodes")]
pub struct TestAccumulationTailNode {
    accumulation: Accumulation,
}

impl Execute for TestAccumulationTailNode {
    type Output = (Option<Accumulation>, Any);

    fn execute(self, _: &mut Cx) -> Result<(Option<Accumulation>, Any), NodeError> {
        Ok(match self.accumulation.0.split_last() {
            Some((last, rest)) => (Some(Accumulation(rest.into())), Any(last.clone())),
            None => (None, Any(Value::object(self.accumulation))),
        })
    }
}

/// The items as a list on the socket.
#[derive(Node)]
#[node(
    display_name = "Accumulation to List",
    category = "Testing/Lists",
    module = "custom_nodes.testing_nodes",
    validates(types)
)]
pub struct TestAccumulationToListNode {
    accumulation: Accumulation,
}

impl Execute for TestAccumulationToListNode {
    type Output = List<Any>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<List<Any>, NodeError> {
        Ok(self.accumulation.0.iter().cloned().map(Any).collect())
    }
}

/// The list on a socket as one value.
#[derive(Node)]
#[node(
    display_name = "List to Accumulation",
    category = "Testing/Lists",
    module = "custom_nodes.testing_nodes",
    validates(types)
)]
pub struct TestListToAccumulationNode {
    list: List<Any>,
}

impl Execute for TestListToAccumulationNode {
    type Output = Accumulation;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<Accumulation, NodeError> {
        Ok(Accumulation(self.list.into_iter().map(|item| item.0).collect()))
    }
}

/// How many items there are.
#[derive(Node)]
#[node(
    display_name = "Accumulation Get Length",
    category = "Testing/Lists",
    module = "custom_nodes.testing_nodes",
    validates(types)
)]
pub struct TestAccumulationGetLengthNode {
    accumulation: Accumulation,
}

impl Execute for TestAccumulationGetLengthNode {
    type Output = usize;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<usize, NodeError> {
        Ok(self.accumulation.0.len())
    }
}

/// One item; negative numbers count from the end.
#[derive(Node)]
#[node(
    display_name = "Accumulation Get Item",
    category = "Testing/Lists",
    module = "custom_nodes.testing_nodes",
    validates(types)
)]
pub struct TestAccumulationGetItemNode {
    accumulation: Accumulation,
    #[input(default = 0)]
    index: i64,
}

impl Execute for TestAccumulationGetItemNode {
    type Output = Any;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<Any, NodeError> {
        Ok(Any(self.accumulation.0[self.accumulation.at(self.index)?].clone()))
    }
}

/// A copy with one item replaced.
#[derive(Node)]
#[node(
    display_name = "Accumulation Set Item",
    category = "Testing/Lists",
    module = "custom_nodes.testing_nodes",
    validates(types)
)]
pub struct TestAccumulationSetItemNode {
    accumulation: Accumulation,
    #[input(default = 0)]
    index: i64,
    value: Any,
}

impl Execute for TestAccumulationSetItemNode {
    type Output = Accumulation;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<Accumulation, NodeError> {
        let at = self.accumulation.at(self.index)?;
        let mut items = self.accumulation.0.to_vec();
        items[at] = self.value.0;
        Ok(Accumulation(items.into()))
    }
}

/// Up to nine values as a list on the socket.
#[derive(Node)]
#[node(display_name = "Make List", category = "Testing/Lists", module = "custom_nodes.testing_nodes", validates(types))]
pub struct TestMakeListNode {
    value1: Any,
    value2: Option<Any>,
    value3: Option<Any>,
    value4: Option<Any>,
    value5: Option<Any>,
    value6: Option<Any>,
    value7: Option<Any>,
    value8: Option<Any>,
    value9: Option<Any>,
}

impl Execute for TestMakeListNode {
    type Output = List<Any>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<List<Any>, NodeError> {
        let Self { value1, value2, value3, value4, value5, value6, value7, value8, value9 } = self;
        let all = [Some(value1), value2, value3, value4, value5, value6, value7, value8, value9];
        Ok(all.into_iter().flatten().collect())
    }
}
