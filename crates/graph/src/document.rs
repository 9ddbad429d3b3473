//! A file that a graph can be read from, whichever of the two forms it has.
//!
//! Knows how the forms are told apart. Knows nothing of what is in either.

use serde_json::Value;

use crate::carrier::{self, Carried};
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
    /// Reads either form, and the body of a `/prompt` request, which holds a prompt under `prompt`; also a file that
    /// carries a graph besides what it is: an image, a video, a sound, a latent.
    ///
    /// A prompt is read without a tree of JSON values in between. Text may be UTF-8, UTF-16 or UTF-32, with a byte order
    /// mark or without. Python's NaN and infinities are null in a workflow, as the page has it; in a prompt they are the
    /// numbers that they are ([`non_finite`](crate::non_finite)), which validation refuses where an input wants one.
    ///
    /// # Errors
    /// [`WorkflowError`] when the text is not JSON or is neither form, or when a file of another kind carries no graph.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, WorkflowError> {
        Self::with_source(text).map(|(document, _)| document)
    }

    /// Same as [`from_json`](Self::from_json), with the JSON of a workflow besides, which images carry. A prompt has
    /// none, unless an image carries both: then the prompt is what ran.
    ///
    /// # Errors
    /// Those of [`from_json`](Self::from_json).
    pub fn with_source(text: impl AsRef<[u8]>) -> Result<(Self, Option<Value>), WorkflowError> {
        match carrier::read(text.as_ref()) {
            Some(carried) => carried_by(carried),
            None => Self::with_source_of_text(text.as_ref()),
        }
    }

    fn with_source_of_text(text: &[u8]) -> Result<(Self, Option<Value>), WorkflowError> {
        let text = &*encoding::utf8(text);
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

/// What a file carries: its prompt, which is what ran, else its workflow.
fn carried_by(carried: Carried) -> Result<(Document, Option<Value>), WorkflowError> {
    let Carried { kind, prompt, workflow, parameters } = carried;
    let read = |part: &'static str, text: Option<&String>| {
        let read = Document::with_source_of_text(text?.as_bytes());
        Some(read.map_err(|problem| WorkflowError::Carried { kind, part, problem: Box::new(problem) }))
    };
    match (read("prompt", prompt.as_ref()), read("workflow", workflow.as_ref())) {
        (Some(Ok((prompt, own))), workflow) => {
            let around = workflow.and_then(Result::ok).and_then(|(_, workflow)| workflow);
            Ok((prompt, around.or(own)))
        }
        (_, Some(Ok(workflow))) => Ok(workflow),
        (Some(Err(error)), _) | (None, Some(Err(error))) => Err(error),
        (None, None) => Err(WorkflowError::NoGraph { kind, parameters }),
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
