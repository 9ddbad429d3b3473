//! What a pickle remembers by number. Numbers that follow each other cost no more than the values; others are kept apart,
//! so that a large number costs no memory.

use super::value::Value;
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Memo {
    dense: Vec<Value>,
    sparse: HashMap<u32, Value>,
}

impl Memo {
    pub(super) fn put(&mut self, number: u32, value: Value) {
        let next = self.dense.len();
        match number as usize {
            known if known < next => self.dense[known] = value,
            number if number == next => self.dense.push(value),
            _ => _ = self.sparse.insert(number, value),
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<Value> {
        self.dense.get(number as usize).or_else(|| self.sparse.get(&number)).copied()
    }

    /// How many values it holds: the next number of a pickle that counts them.
    pub(super) fn len(&self) -> usize {
        self.dense.len() + self.sparse.len()
    }
}
