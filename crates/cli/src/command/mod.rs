//! The sub-commands, one per file.

pub(crate) mod nodes;
pub(crate) mod run;
pub(crate) mod validate;

/// What a sub-command answers when it fails: a message for a person.
pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;
