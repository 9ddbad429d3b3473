//! Python's regular expressions: a pattern is read as Python reads it and run by another engine.
//!
//! What Python refuses is refused here in its words; what Python takes and the engine can't do is another error, never
//! another result. Knows texts, no nodes.

mod class;
mod error;
mod flags;
mod item;
mod parse;
mod reader;
mod regex;
mod template;
#[cfg(test)]
mod tests;

pub(super) use error::PatternError;
pub(super) use flags::Flags;
pub(super) use regex::Regex;
