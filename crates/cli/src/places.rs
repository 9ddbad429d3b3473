//! Places: where a value stands in a JSON text, for whoever shows it. Knows text, and no graph.

use std::ops::Range;

/// A part of an object or a list: the key's bytes (none in a list), and those of the value.
type Member = (Range<usize>, Range<usize>);

/// The bytes of the whole value that the text holds.
pub(crate) fn whole(text: &str) -> Option<Range<usize>> {
    let start = skip(text.as_bytes(), 0, b"");
    Some(start..end_of(text.as_bytes(), start)?)
}

/// The key of that name in the object that stands at `within`, and its value.
pub(crate) fn member(text: &str, within: Range<usize>, name: &str) -> Option<Member> {
    let quoted = |key: &Range<usize>| {
        let key = &text[key.clone()];
        key.get(1..key.len().saturating_sub(1)) == Some(name)
            || (key.contains('\\') && serde_json::from_str::<String>(key).is_ok_and(|key| key == name))
    };
    members(text, within).find(|(key, _)| quoted(key))
}

/// What the object or list that stands at `within` is made of.
pub(crate) fn members(text: &str, within: Range<usize>) -> impl Iterator<Item = Member> {
    let bytes = &text.as_bytes()[..within.end];
    let is_object = bytes.get(within.start) == Some(&b'{');
    let mut at = within.start + 1;
    std::iter::from_fn(move || {
        at = skip(bytes, at, b",");
        if matches!(bytes.get(at)?, b'}' | b']') {
            return None;
        }
        let key = at..if is_object { end_of(bytes, at)? } else { at };
        let start = skip(bytes, key.end, b":");
        at = end_of(bytes, start)?;
        Some((key, start..at))
    })
}

/// The first place from `at` on that holds neither space nor one of `also`.
fn skip(bytes: &[u8], at: usize, also: &[u8]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let idle = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || also.contains(byte));
    at + idle.count()
}

/// Where the value that begins at `start` ends. Walks, whatever is nested how deep.
fn end_of(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match *bytes.get(at)? {
            b'"' => at = end_of_text(bytes, at)?,
            b'{' | b'[' => (depth, at) = (depth + 1, at + 1),
            b'}' | b']' => (depth, at) = (depth.checked_sub(1)?, at + 1),
            _ if depth > 0 => at += 1,
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b",]}".contains(byte);
                let length = bytes[at..].iter().position(ends).unwrap_or(bytes.len() - at);
                return (length > 0).then_some(at + length);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn end_of_text(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#" { "a": {"b\u0031": [1, {"c": "}\"]"}, null]}, "d": 7}"#;

    fn at(path: &[&str]) -> Option<&'static str> {
        let mut found = whole(TEXT)?;
        for name in path {
            found = match name.parse::<usize>() {
                Ok(n) => members(TEXT, found).nth(n)?.1,
                Err(_) => member(TEXT, found, name)?.1,
            };
        }
        Some(&TEXT[found])
    }

    #[test]
    fn values_are_found_by_keys_and_numbers_whatever_stands_in_texts() {
        assert_eq!(at(&["d"]), Some("7"));
        assert_eq!(at(&["a", "b1", "1"]), Some(r#"{"c": "}\"]"}"#));
        assert_eq!(at(&["a", "b1", "1", "c"]), Some(r#""}\"]""#));
        assert_eq!(at(&["a", "b1", "2"]), Some("null"));
    }

    #[test]
    fn what_is_not_there_or_never_ends_is_nowhere() {
        assert_eq!(at(&["a", "c"]), None);
        assert_eq!(at(&["d", "c"]), None);
        for text in ["", "{", "\"a", "{\"a\": [", "]", "{\"a\" }"] {
            let found = whole(text).map(|all| members(text, all).count());
            assert!(found.is_none_or(|count| count == 0), "{text}: {found:?}");
        }
    }
}
