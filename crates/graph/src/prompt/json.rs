//! JSON of any shape, as Python and Windows write it. Knows nothing of prompts but their errors.

use serde_json::Value;

use super::error::{PromptReadError, as_python, syntax};
use crate::text::encoding;

/// Reads JSON as a prompt's file is read: any Unicode encoding, with Python's NaN and infinities as objects
/// ([`non_finite`](crate::non_finite)).
///
/// # Errors
/// [`PromptReadError::Syntax`] with line and column.
pub fn read_json(text: impl AsRef<[u8]>) -> Result<Value, PromptReadError> {
    let text = &*encoding::utf8(text.as_ref());
    as_python(text, |text| serde_json::from_slice(text).map_err(|error| syntax(text, &error)))
}
