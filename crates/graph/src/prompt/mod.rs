//! The prompt: nodes by id, with their links in their inputs, as in the API-format JSON.
//!
//! Order of nodes and inputs is kept. Knows no node class: what an input should hold is [`crate::validate`]'s matter.

mod error;
mod ids;
mod json;
mod meta;
mod nodes;
mod read;
mod recent;
mod value;
mod write;

pub use self::error::PromptReadError;
pub(crate) use self::error::{as_python, kind, syntax};
pub use self::json::read_json;
pub use self::meta::Meta;
pub use self::nodes::{Prompt, PromptNode};
pub(crate) use self::read::{Read, read_any};
