//! Python's pickles read as data: what they describe, and which classes they name. Runs no code and makes no object.
//!
//! Protocols 0 to 5, as documented in Python's `pickletools`. A class that is not in the list of
//! [`Class`] ends the reading with its name.

mod class;
mod code;
mod machine;
mod memo;
mod value;

pub(crate) use class::Class;
pub(crate) use code::{Fault, Wrong};
pub(crate) use machine::{long, read};
pub(crate) use value::{Made, Object, Pickle, Value};
