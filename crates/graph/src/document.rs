//! A file that a graph can be read from, whichever of the two forms it has.
//!
//! Knows how the forms are told apart. Knows nothing of what is in either.

use serde_json::Value;

use crate::def::Definitions;
use crate::prompt::{Prompt, Read, as_python, read_any, syntax};
use crate::text::{encoding, non_finite};
use crate::workflow::{LowerOptions, Workflow, WorkflowError};

/// A file that a graph can be read from, whichever of the two forms it has.
#[derive(Clone, Debug)]
pub enum Document {
    /// API format: nodes by id.
    Prompt(Prompt),
    /// What the page saves.
    Workflow(Workflow),
}

impl Document {
    /// Reads either form, and the body of a `/prompt` request, which holds a prompt under `prompt`.
    ///
    /// A prompt is read without a tree of JSON values in between. Text may be UTF-8, UTF-16 or UTF-32, with a byte order
    /// mark or without. Python's NaN and infinities are null in a workflow, as the page has it; in a prompt they are the
    /// numbers that they are ([`non_finite`](crate::non_finite)), which validation refuses where an input wants one.
    ///
    /// # Errors
    /// [`WorkflowError`] when the text is not JSON or is neither form.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, WorkflowError> {
        Self::with_source(text).map(|(document, _)| document)
    }

    /// Same as [`from_json`](Self::from_json), with the JSON of a workflow besides, which images carry. A prompt has
    /// none.
    ///
    /// # Errors
    /// Those of [`from_json`](Self::from_json).
    pub fn with_source(text: impl AsRef<[u8]>) -> Result<(Self, Option<Value>), WorkflowError> {
        let text = &*encoding::utf8(text.as_ref());
        if let Read::Prompt(prompt) = read_any(text)? {
            return Ok((Self::Prompt(prompt), None));
        }
        let mut value: Value = as_python(text, |text| serde_json::from_slice(text).map_err(|e| syntax(text, &e)))?;
        if value.get("nodes").is_some_and(Value::is_array) {
            non_finite::to_null(&mut value);
            return Ok((Self::Workflow(Workflow::from_value(&value)?), Some(value)));
        }
        Ok((Self::Prompt(Prompt::from_value(body(value))?), None))
    }

    /// The prompt: as it stands, or lowered.
    ///
    /// # Errors
    /// Those of [`Workflow::lower`].
    pub fn into_prompt(self, defs: &dyn Definitions, options: &LowerOptions) -> Result<Prompt, WorkflowError> {
        match self {
            Self::Prompt(prompt) => Ok(prompt),
            Self::Workflow(workflow) => workflow.lower(defs, options),
        }
    }
}

/// The prompt of a request; the value itself if it is none.
fn body(mut value: Value) -> Value {
    let inner = value.get_mut("prompt").filter(|inner| inner.is_object() && inner.get("class_type").is_none());
    match inner {
        Some(inner) => inner.take(),
        None => value,
    }
}
