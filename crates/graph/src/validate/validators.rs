//! A class's own validator: the call to it, its verdict, and who makes the call.
//!
//! Knows no rule of validation, and not how nodes run.

use std::sync::Arc;

use serde_json::Value;

use crate::def::{NodeDef, SocketType};
use crate::id::NodeId;

/// One call to a class's own validator.
#[derive(Debug)]
pub struct ValidatorCall<'a> {
    /// The node that is validated.
    pub id: &'a NodeId,
    /// Its class.
    pub def: &'a NodeDef,
    /// The inputs that the validator takes and the prompt gives: literals as they are after coercion, `None` for a
    /// link or a payload, whose value is not known yet.
    pub inputs: Vec<(&'a Arc<str>, Option<&'a Value>)>,
    /// The type of what is linked into each linked input; empty unless the validator wants it.
    pub input_types: Vec<(&'a Arc<str>, &'a SocketType)>,
}

/// The verdict of a class's own validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Fit to run.
    Good,
    /// Not fit, with a reason if it gave one.
    Bad(Option<String>),
    /// It broke down: the type and the message of its error.
    Failed {
        /// The error's type (`ValueError`).
        exception_type: String,
        /// The error's message.
        message: String,
    },
}

/// Runs the validators of node classes. Whoever runs nodes implements this; a validator that waits is driven to its
/// end behind it.
pub trait Validators {
    /// Calls the class's validator. Called only for classes whose definition has a
    /// [`ValidatorDef`](crate::ValidatorDef).
    fn check(&self, call: &ValidatorCall<'_>) -> Verdict;
}

/// No class has a validator: everything passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoValidators;

impl Validators for NoValidators {
    fn check(&self, _: &ValidatorCall<'_>) -> Verdict {
        Verdict::Good
    }
}
