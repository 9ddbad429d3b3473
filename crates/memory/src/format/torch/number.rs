//! Plain values of a pickle as text, NumPy's scalars among them. Knows no tensor.

use crate::format::pickle::{Class, Made, Object, Pickle, Value, long};
use std::borrow::Cow;

/// A text, number or truth value as text; nothing for anything else.
pub(super) fn as_text(pickle: &Pickle<'_>, value: Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Text(_) | Value::Bytes(_) => pickle.text(value).map(Cow::into_owned),
        Value::Object(_) => numpy(pickle, value),
        Value::None | Value::Long(_) | Value::Class(_) => None,
    }
}

fn made<'a>(pickle: &'a Pickle<'_>, value: Value, class: Class) -> Option<&'a Made> {
    match pickle.object(value) {
        Some(Object::Made(made)) if made.class == class => Some(made),
        _ => None,
    }
}

/// NumPy's `scalar(dtype(code, ..), bytes)`.
fn numpy(pickle: &Pickle<'_>, value: Value) -> Option<String> {
    let [dtype, bytes] = made(pickle, value, Class::NumpyScalar)?.args[..] else { return None };
    let dtype = made(pickle, dtype, Class::NumpyDtype)?;
    let mut bytes = plain_bytes(pickle, bytes)?;
    // State: version, byte order, ...
    let order = pickle.sequence(dtype.state).and_then(|state| pickle.text(*state.get(1)?));
    if order.as_deref() == Some(">") {
        bytes.reverse();
    }
    let code = pickle.text(*dtype.args.first()?)?;
    decode(&code, &bytes)
}

/// Bytes, or the text of characters below 256 that protocol 2 writes in their place.
fn plain_bytes(pickle: &Pickle<'_>, value: Value) -> Option<Vec<u8>> {
    if let Some(encoded) = made(pickle, value, Class::Encode) {
        let text = pickle.text(*encoded.args.first()?)?;
        return text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    }
    matches!(value, Value::Bytes(_)).then(|| pickle.bytes(value).map(<[u8]>::to_vec))?
}

/// A number of NumPy's type `code`, little-endian.
fn decode(code: &str, bytes: &[u8]) -> Option<String> {
    match code {
        "f8" => Some(f64::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "f4" => Some(f32::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "f2" => Some(half::f16::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "b1" => Some((bytes != [0]).to_string()),
        "i1" | "i2" | "i4" | "i8" => long(bytes).map(|number| number.to_string()),
        "u1" | "u2" | "u4" | "u8" => unsigned(bytes).map(|number| number.to_string()),
        _ => None,
    }
}

/// A little-endian number of at most 64 bits.
fn unsigned(bytes: &[u8]) -> Option<u64> {
    let mut all = [0; 8];
    all.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(all))
}
