//! Numbers that JSON cannot say: NaN and the infinities, which Python writes into JSON all the same.
//!
//! A tree of JSON values has no place for them either; there such a number is an object with one key. Knows the text
//! and the object, nothing of who reads them.

use serde_json::Value;

/// The key of the object that stands for such a number.
const KEY: &str = "__float__";
/// How Python writes them.
const WORDS: [(&str, f64); 3] = [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

/// The number that the value stands for, if it is NaN or infinite: JSON text with Python's `NaN` is read as
/// `{"__float__": "NaN"}`.
pub fn non_finite(value: &Value) -> Option<f64> {
    let word = value.as_object().filter(|object| object.len() == 1)?.get(KEY)?.as_str()?;
    WORDS.iter().find(|(name, _)| *name == word).map(|(_, number)| *number)
}

/// How Python writes the number that the value stands for, if it is NaN or infinite.
pub(crate) fn word(value: &Value) -> Option<&str> {
    non_finite(value)?;
    value.get(KEY)?.as_str()
}

/// Whether there is a NaN anywhere in the value. Such a value equals nothing, not even itself.
pub fn has_nan(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_nan),
        Value::Object(object) => non_finite(value).is_some_and(f64::is_nan) || object.values().any(has_nan),
        _ => false,
    }
}

/// Replaces every such number by null, as the page does.
pub fn to_null(value: &mut Value) {
    if non_finite(value).is_some() {
        *value = Value::Null;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(to_null),
        Value::Object(object) => object.values_mut().for_each(to_null),
        _ => {}
    }
}

/// JSON in which these numbers stand as objects, and where everything stood before.
pub(crate) struct Rewritten {
    pub(crate) text: Vec<u8>,
    /// Where each object ends, and by how much the text had grown there.
    grown: Vec<(usize, isize)>,
}

/// The text without these numbers; `None` if there is none outside of its strings. A number too large for 64 bits is
/// infinite, as it is for Python.
pub(crate) fn rewrite(text: &[u8]) -> Option<Rewritten> {
    let mut new = Rewritten { text: Vec::new(), grown: Vec::new() };
    let (mut copied, mut at) = (0, 0);
    while at < text.len() {
        match number_at(text, at) {
            Ok((start, end, word)) => {
                new.replace(&text[copied..start], word, end);
                (at, copied) = (end, end);
            }
            Err(next) => at = next,
        }
    }
    if new.grown.is_empty() {
        return None;
    }
    new.text.extend_from_slice(&text[copied..]);
    Some(new)
}

/// Where the number that stands at `at` begins and ends, and its word; otherwise where to look next.
fn number_at(text: &[u8], at: usize) -> Result<(usize, usize, &'static str), usize> {
    match text[at] {
        b'"' => Err(end_of_string(text, at + 1)),
        b'N' | b'I' => {
            let word = word_at(text, at).ok_or(at + 1)?;
            let start = at - usize::from(word.starts_with('-'));
            Ok((start, start + word.len(), word))
        }
        b'-' | b'0'..=b'9' => {
            let end = end_of_number(text, at);
            too_large(&text[at..end]).map(|word| (at, end, word)).ok_or(end)
        }
        _ => Err(at + 1),
    }
}

/// Behind the number that begins at `at`.
fn end_of_number(text: &[u8], at: usize) -> usize {
    let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    at + 1 + text[at + 1..].iter().take_while(|byte| part(byte)).count()
}

/// The word for a number that 64 bits do not hold.
fn too_large(number: &[u8]) -> Option<&'static str> {
    let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    WORDS.iter().find(|(_, value)| number.is_infinite() && number == *value).map(|(word, _)| *word)
}

impl Rewritten {
    /// Adds what stands before a number, and an object for the number, which ends at `end` of the old text.
    fn replace(&mut self, before: &[u8], word: &str, end: usize) {
        self.text.extend_from_slice(before);
        self.text.extend_from_slice(format!("{{\"{KEY}\":\"{word}\"}}").as_bytes());
        // A number of hundreds of digits may be longer than its object.
        self.grown.push((self.text.len(), self.text.len() as isize - end as isize));
    }

    /// The column in the text as it came, for a line and a column of the new one, both from 1.
    pub(crate) fn column(&self, line: usize, column: usize) -> usize {
        let start = match line.checked_sub(2) {
            None => 0,
            Some(breaks) => memchr::memchr_iter(b'\n', &self.text).nth(breaks).map_or(0, |end| end + 1),
        };
        let before = |offset: usize| match self.grown.partition_point(|(end, _)| *end <= offset) {
            0 => 0,
            count => self.grown[count - 1].1,
        };
        column.saturating_add_signed(before(start) - before(start + column))
    }
}

/// Behind the closing quote of the string whose contents begin at `at`.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The word of which the first letter stands at `at`, if it stands there for itself.
fn word_at(text: &[u8], at: usize) -> Option<&'static str> {
    let word = ["NaN", "Infinity"].into_iter().find(|word| text[at..].starts_with(word.as_bytes()))?;
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+');
    let alone = |before: usize| before == 0 || !part(&text[before - 1]);
    if text.get(at + word.len()).is_some_and(part) {
        return None;
    }
    match word {
        "Infinity" if at > 0 && text[at - 1] == b'-' => alone(at - 1).then_some("-Infinity"),
        word => alone(at).then_some(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Option<String> {
        rewrite(text.as_bytes()).map(|new| String::from_utf8(new.text).unwrap_or_default())
    }

    #[test]
    fn only_words_that_stand_for_themselves_outside_of_strings_are_numbers() {
        let text = r#"[NaN,-Infinity , "NaN \" NaN", {"Infinity":Infinity}]"#;
        let expected =
            r#"[{"__float__":"NaN"},{"__float__":"-Infinity"} , "NaN \" NaN", {"Infinity":{"__float__":"Infinity"}}]"#;
        assert_eq!(rewritten(text).as_deref(), Some(expected));
        for text in [r#""NaN""#, "nan", "NaNs", "1NaN", "-NaN", "+Infinity", "--Infinity", "Inf", "\"", "\"\\", "", "N"]
        {
            assert_eq!(rewritten(text), None, "{text}");
        }
        assert!(rewritten("NaN").is_some());
        let long = format!("[1e999,-2E+400, 1e308, {}, \"1e999\"]", "9".repeat(400));
        let expected =
            r#"[{"__float__":"Infinity"},{"__float__":"-Infinity"}, 1e308, {"__float__":"Infinity"}, "1e999"]"#;
        assert_eq!(rewritten(&long).as_deref(), Some(expected));
        for text in ["1e5", "-", "1e", "--1e999", "1e-999", "0", "[1,2]"] {
            assert_eq!(rewritten(text), None, "{text}");
        }
    }

    #[test]
    fn a_column_is_that_of_the_text_as_it_came() {
        let text = "[NaN,\n NaN, Infinity, 1e999, x,\n NaN, q]";
        let new = rewrite(text.as_bytes()).map(|new| (String::from_utf8(new.text.clone()).unwrap_or_default(), new));
        let Some((written, new)) = new else { panic!("there are numbers") };
        for wanted in ["x", "q"] {
            let place = |text: &str| {
                let line = text.lines().position(|line| line.contains(wanted)).unwrap_or_default();
                (line + 1, text.lines().nth(line).and_then(|line| line.find(wanted)).unwrap_or_default() + 1)
            };
            let ((line, column), (_, original)) = (place(&written), place(text));
            assert_eq!(new.column(line, column), original, "{wanted}");
        }
        assert_eq!(new.column(1, 1), 1);
    }

    #[test]
    fn a_value_says_what_it_stands_for() {
        let nan = serde_json::json!({"__float__": "NaN"});
        let infinite = serde_json::json!({"__float__": "-Infinity"});
        assert!(non_finite(&nan).is_some_and(f64::is_nan));
        assert_eq!(non_finite(&infinite), Some(f64::NEG_INFINITY));
        assert!(has_nan(&serde_json::json!([1, {"a": nan}])) && !has_nan(&infinite));
        for other in [serde_json::json!({"__float__": "1"}), serde_json::json!({"__float__": "NaN", "b": 1})] {
            assert_eq!(non_finite(&other), None);
        }
        let mut value = serde_json::json!([1, {"a": nan, "b": [infinite]}]);
        to_null(&mut value);
        assert_eq!(value, serde_json::json!([1, {"a": null, "b": [null]}]));
    }
}
