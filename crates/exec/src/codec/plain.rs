//! The form of values that need no codec: a letter for the kind and then the content. And what values weigh.

use serde_json::Value as Json;

use crate::codec::decoder::Decoder;
use crate::codec::encoder::Encoder;
use crate::codec::error::CodecError;
use crate::value::{Blocker, Value, Values};

/// JSON nested deeper than this is not read back by the parser.
const DEEPEST: usize = 120;

/// The letter of a payload.
pub(super) const PAYLOAD: u8 = b'o';

/// Writes a value that is no payload.
pub(super) fn write(value: &Value, to: &mut Encoder<'_>) -> Result<(), CodecError> {
    match value {
        Value::Null | Value::Object(_) => to.u8(b'n')?,
        Value::Bool(b) => to.raw(&[b'b', u8::from(*b)])?,
        Value::Int(i) => {
            to.u8(b'i')?;
            to.raw(&i.to_le_bytes())?;
        }
        Value::Float(x) => {
            to.u8(b'f')?;
            to.f64(*x)?;
        }
        Value::String(text) => {
            to.u8(b's')?;
            to.text(text)?;
        }
        Value::Json(json) => {
            to.u8(b'j')?;
            to.text(&json_text(json)?)?;
        }
        Value::Blocker(blocker) => {
            to.u8(b'k')?;
            to.option(blocker.message(), Encoder::text)?;
        }
    }
    Ok(())
}

/// Reads a value of the kind `kind` that is no payload.
pub(super) fn read(kind: u8, from: &mut Decoder<'_>) -> Result<Value, CodecError> {
    Ok(match kind {
        b'n' => Value::Null,
        b'b' => Value::Bool(from.bool()?),
        b'i' => Value::Int(from.i128()?),
        b'f' => Value::Float(from.f64()?),
        b's' => Value::String(from.text()?.into()),
        b'j' => Value::Json(json(&from.text()?)?.into()),
        b'k' => Value::Blocker(match from.option(Decoder::text)? {
            Some(message) => Blocker::with_message(message),
            None => Blocker::silent(),
        }),
        other => return Err(CodecError::damaged(format!("there is no kind of value {other}"))),
    })
}

/// A JSON value as text. `float_roundtrip` brings its numbers back bit for bit.
pub(crate) fn json_text(json: &Json) -> Result<String, CodecError> {
    if depth(json) > DEEPEST {
        return Err(CodecError::unencodable("JSON", format!("it is nested deeper than {DEEPEST} levels")));
    }
    serde_json::to_string(json).map_err(|error| CodecError::unencodable("JSON", error.to_string()))
}

pub(crate) fn json(text: &str) -> Result<Json, CodecError> {
    serde_json::from_str(text).map_err(|error| CodecError::damaged(format!("JSON that does not parse: {error}")))
}

fn depth(json: &Json) -> usize {
    let (mut stack, mut deepest) = (vec![(json, 1)], 0);
    while let Some((json, depth)) = stack.pop() {
        deepest = deepest.max(depth);
        match json {
            Json::Array(list) => stack.extend(list.iter().map(|item| (item, depth + 1))),
            Json::Object(dict) => stack.extend(dict.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    deepest
}

/// Bytes that a list takes in memory, roughly. Other than [`Values::bytes`] this counts plain values as well.
pub(crate) fn weight(values: &Values) -> u64 {
    let one = |value: &Value| match value {
        Value::Object(object) => object.bytes(),
        Value::String(text) => text.len() as u64,
        Value::Json(json) => json_weight(json),
        _ => 0,
    };
    values.iter().map(|value| size_of::<Value>() as u64 + one(value)).sum()
}

fn json_weight(json: &Json) -> u64 {
    let mut stack = vec![json];
    let mut bytes = 0;
    while let Some(json) = stack.pop() {
        bytes += size_of::<Json>() as u64;
        match json {
            Json::String(text) => bytes += text.len() as u64,
            Json::Array(list) => stack.extend(list),
            Json::Object(dict) => {
                bytes += dict.keys().map(|key| key.len() as u64).sum::<u64>();
                stack.extend(dict.values());
            }
            _ => {}
        }
    }
    bytes
}
