//! A socket's content: every output socket carries a list of values, mostly of one.
//!
//! Knows the mapping rule (a shorter list repeats its last element), nothing of who reads it.

use std::sync::Arc;

use crate::value::single::Value;

/// The list on a socket. One value is kept without a heap allocation.
#[derive(Clone, Debug)]
pub enum Values {
    /// Exactly one value, the usual case.
    One(Value),
    /// Any other number of values, shared.
    Many(Arc<[Value]>),
}

impl Values {
    /// The list without elements.
    pub fn empty() -> Self {
        Self::Many(Arc::new([]))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values in order.
    pub fn as_slice(&self) -> &[Value] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// All values in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.as_slice().iter()
    }

    /// The value that call `i` of a mapped node sees: the `i`-th, or the last when the list is shorter.
    pub fn at(&self, i: usize) -> Option<&Value> {
        let all = self.as_slice();
        all.get(i).or(all.last())
    }

    /// Bytes of all values together.
    pub fn bytes(&self) -> u64 {
        self.iter().map(Value::bytes).sum()
    }
}

impl From<Value> for Values {
    fn from(value: Value) -> Self {
        Self::One(value)
    }
}

impl From<Vec<Value>> for Values {
    fn from(mut values: Vec<Value>) -> Self {
        match values.pop() {
            Some(only) if values.is_empty() => Self::One(only),
            Some(last) => {
                values.push(last);
                Self::Many(values.into())
            }
            None => Self::empty(),
        }
    }
}

impl FromIterator<Value> for Values {
    fn from_iter<I: IntoIterator<Item = Value>>(iter: I) -> Self {
        iter.into_iter().collect::<Vec<_>>().into()
    }
}

impl<'a> IntoIterator for &'a Values {
    type Item = &'a Value;
    type IntoIter = std::slice::Iter<'a, Value>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}
