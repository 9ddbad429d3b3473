//! The form of spilled values: one after the other, a letter for the kind and then the content, little-endian.
//!
//! Plain values need no help; payloads write themselves. Knows bytes, no files. Nothing but the process that wrote it
//! ever reads it, so there is no version in it.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::value::{Blocker, Restore, Value, Values};

/// Bytes that a list is worth spilling for, roughly. Other than [`Values::bytes`] this counts plain values as well.
pub(super) fn weight(values: &Values) -> u64 {
    let one = |value: &Value| match value {
        Value::Object(object) => object.bytes(),
        Value::String(text) => text.len() as u64,
        Value::Json(json) => json_weight(json),
        _ => 0,
    };
    values.iter().map(|value| size_of::<Value>() as u64 + one(value)).sum()
}

fn json_weight(json: &serde_json::Value) -> u64 {
    let mut stack = vec![json];
    let mut bytes = 0;
    while let Some(json) = stack.pop() {
        bytes += size_of::<serde_json::Value>() as u64;
        match json {
            serde_json::Value::String(text) => bytes += text.len() as u64,
            serde_json::Value::Array(list) => stack.extend(list),
            serde_json::Value::Object(dict) => {
                bytes += dict.keys().map(|key| key.len() as u64).sum::<u64>();
                stack.extend(dict.values());
            }
            _ => {}
        }
    }
    bytes
}

/// Whether every value can be written: payloads may have no way out.
pub(super) fn can_go(values: &Values) -> bool {
    values.iter().all(|value| !matches!(value, Value::Object(object) if object.spillable().is_none()))
}

/// Writes a list. Returns how its payloads are read back, in order.
pub(super) fn write(values: &Values, to: &mut (impl Write + Seek)) -> io::Result<Vec<Restore>> {
    let mut restores = Vec::new();
    to.write_all(&(values.len() as u64).to_le_bytes())?;
    for value in values {
        match value {
            Value::Null => to.write_all(b"n")?,
            Value::Bool(b) => to.write_all(&[b'b', u8::from(*b)])?,
            Value::Int(i) => {
                to.write_all(b"i")?;
                to.write_all(&i.to_le_bytes())?;
            }
            Value::Float(x) => {
                to.write_all(b"f")?;
                to.write_all(&x.to_bits().to_le_bytes())?;
            }
            Value::String(text) => write_text(b's', text, to)?,
            Value::Json(json) => write_text(b'j', &serde_json::to_string(json)?, to)?,
            Value::Blocker(blocker) => match blocker.message() {
                Some(message) => write_text(b'k', message, to)?,
                None => to.write_all(b"q")?,
            },
            Value::Object(object) => {
                let spillable = object.spillable().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
                to.write_all(b"o")?;
                let length_at = to.stream_position()?;
                to.write_all(&[0; 8])?;
                spillable.spill(to)?;
                let end = to.stream_position()?;
                to.seek(SeekFrom::Start(length_at))?;
                to.write_all(&(end - length_at - 8).to_le_bytes())?;
                to.seek(SeekFrom::Start(end))?;
                restores.push(spillable.restore());
            }
        }
    }
    Ok(restores)
}

fn write_text(kind: u8, text: &str, to: &mut impl Write) -> io::Result<()> {
    to.write_all(&[kind])?;
    to.write_all(&(text.len() as u64).to_le_bytes())?;
    to.write_all(text.as_bytes())
}

/// Reads a list back.
pub(super) fn read(from: &mut impl Read, restores: &[Restore]) -> io::Result<Values> {
    let mut restores = restores.iter();
    let count = u64::from_le_bytes(bytes(from)?);
    let mut values = Vec::new();
    for _ in 0..count {
        let [kind] = bytes(from)?;
        values.push(match kind {
            b'n' => Value::Null,
            b'b' => Value::Bool(bytes::<1>(from)? == [1]),
            b'i' => Value::Int(i128::from_le_bytes(bytes(from)?)),
            b'f' => Value::Float(f64::from_bits(u64::from_le_bytes(bytes(from)?))),
            b's' => Value::String(read_text(from)?.into()),
            b'j' => Value::Json(serde_json::from_str::<serde_json::Value>(&read_text(from)?)?.into()),
            b'k' => Value::Blocker(Blocker::with_message(read_text(from)?)),
            b'q' => Value::Blocker(Blocker::silent()),
            b'o' => {
                let restore = restores.next().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
                let length = u64::from_le_bytes(bytes(from)?);
                let mut content = from.by_ref().take(length);
                let value = Value::Object(restore(&mut content)?);
                io::copy(&mut content, &mut io::sink())?;
                value
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        });
    }
    Ok(values.into())
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut found = [0; N];
    from.read_exact(&mut found)?;
    Ok(found)
}

fn read_text(from: &mut impl Read) -> io::Result<String> {
    let length = u64::from_le_bytes(bytes(from)?);
    let mut text = String::new();
    from.by_ref().take(length).read_to_string(&mut text)?;
    if text.len() as u64 == length { Ok(text) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
