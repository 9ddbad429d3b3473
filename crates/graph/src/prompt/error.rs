//! Why a text is no prompt. Knows positions and shapes, nothing of reading.

use serde_json::Value;

use crate::id::NodeId;
use crate::text::non_finite;

/// Why a text is no prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptReadError {
    /// The text is not JSON.
    #[error("not JSON, line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The text is JSON, but not a prompt.
    #[error("{}", shape_text(node.as_ref(), *key, expected, found))]
    Shape {
        /// The node that is wrong; `None` when it is the whole.
        node: Option<NodeId>,
        /// The key of the node that is wrong; `None` when it is the node itself.
        key: Option<&'static str>,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
}

fn shape_text(node: Option<&NodeId>, key: Option<&str>, expected: &str, found: &str) -> String {
    match (node, key) {
        (None, _) => format!("a prompt is {expected}, this is {found}"),
        (Some(node), None) => format!("node \"{node}\" must be {expected}, found {found}"),
        (Some(node), Some(key)) => format!("node \"{node}\": `{key}` must be {expected}, found {found}"),
    }
}

/// What a JSON value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Reads JSON as it stands, and where that fails as Python reads it: with NaN and the infinities as numbers.
///
/// # Errors
/// Those of `read`; their columns are those of `text`.
pub(crate) fn as_python<T>(
    text: &[u8],
    read: impl Fn(&[u8]) -> Result<T, PromptReadError>,
) -> Result<T, PromptReadError> {
    let error = match read(text) {
        Err(error @ PromptReadError::Syntax { .. }) => error,
        other => return other,
    };
    let Some(new) = non_finite::rewrite(text) else { return Err(error) };
    read(&new.text).map_err(|error| match error {
        PromptReadError::Syntax { line, column, message } => {
            PromptReadError::Syntax { line, column: new.column(line, column), message }
        }
        other => other,
    })
}

/// serde_json's error with its position apart from its words, and a word about Python's NaN.
pub(crate) fn syntax(text: &[u8], error: &serde_json::Error) -> PromptReadError {
    let (line, column) = (error.line(), error.column());
    let mut message = error.to_string();
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    let row = text.split(|b| *b == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let here = |back: usize, word: &str| {
        row.get(column.saturating_sub(back)..).is_some_and(|rest| rest.starts_with(word.as_bytes()))
    };
    if (0..3).any(|back| here(back, "NaN") || here(back, "Infinity")) {
        message.push_str("; JSON has no NaN and no infinity, write a number");
    }
    PromptReadError::Syntax { line, column, message }
}
