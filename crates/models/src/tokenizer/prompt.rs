//! The prompt syntax: brackets raise a weight, `(text:1.2)` sets it, a backslash escapes a bracket.
//!
//! Source: ComfyUI `comfy/sd1_clip.py` (`token_weights`), whose odd corners people's prompts rely on.

/// Stands for an escaped `)` while a prompt is taken apart.
const CLOSE: &str = "\0\u{1}";
/// Stands for an escaped `(`.
const OPEN: &str = "\0\u{2}";

/// A piece of a prompt and its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The text; escaped brackets are still markers (`unescape` turns them back).
    pub text: String,
    /// The weight, 1 outside of brackets.
    pub weight: f64,
}

/// Takes a prompt apart: `((a))` has weight 1.1², `(a (b:1.5) c:0.8)` is `a ` and ` c` at 0.8 and `b` at 1.5.
///
/// Unbalanced brackets are text. Works without recursion, so nesting has no limit.
pub fn parse_weights(prompt: &str) -> Vec<Segment> {
    let escaped = prompt.replace("\\)", CLOSE).replace("\\(", OPEN);
    let mut segments = Vec::new();
    // Pieces still to look at, the next one on top; a piece of plain text is taken as it is.
    let mut pending = vec![(escaped, 1.0, false)];
    while let Some((text, weight, plain)) = pending.pop() {
        if plain {
            segments.push(Segment { text, weight });
            continue;
        }
        pending.extend(top_level(&text).into_iter().rev().map(|piece| match group(piece, weight) {
            Some((inner, weight)) => (inner.to_owned(), weight, false),
            None => (piece.to_owned(), weight, true),
        }));
    }
    segments
}

/// The whole prompt as one segment: brackets are text, escaped ones too.
pub(super) fn unweighted(prompt: &str) -> Segment {
    Segment { text: prompt.replace("\\)", CLOSE).replace("\\(", OPEN), weight: 1.0 }
}

/// Turns the markers of escaped brackets into brackets.
pub(super) fn unescape(text: &str) -> String {
    text.replace(CLOSE, ")").replace(OPEN, "(")
}

/// Splits at nesting level 0: text outside, and groups from `(` to the matching `)`.
///
/// A `)` too many takes the level below 0, where a later `(` opens no group.
fn top_level(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut level) = (0, 0i64);
    for (at, c) in text.char_indices() {
        match c {
            '(' => {
                if level == 0 && at > start {
                    pieces.push(&text[start..at]);
                    start = at;
                }
                level += 1;
            }
            ')' => {
                level -= 1;
                if level == 0 {
                    pieces.push(&text[start..=at]);
                    start = at + 1;
                }
            }
            _ => {}
        }
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

/// The inside of a piece in brackets and the weight it sets, if the piece is one.
fn group(piece: &str, weight: f64) -> Option<(&str, f64)> {
    let inner = piece.strip_prefix('(')?.strip_suffix(')')?;
    if let Some(colon) = inner.rfind(':').filter(|&at| at > 0)
        && let Some(number) = python_float(&inner[colon + 1..])
    {
        return Some((&inner[..colon], number));
    }
    Some((inner, weight * 1.1))
}

/// What Python's `float()` makes of a text: blanks around it, single underscores between digits, `inf`, `nan`.
fn python_float(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.contains('_') {
        return text.parse().ok();
    }
    let bytes = text.as_bytes();
    let digit = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
    let between_digits =
        (0..bytes.len()).filter(|&i| bytes[i] == b'_').all(|i| digit(i.checked_sub(1)) && digit(Some(i + 1)));
    between_digits.then(|| text.replace('_', "").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(prompt: &str) -> Vec<(String, f64)> {
        parse_weights(prompt).into_iter().map(|s| (unescape(&s.text), s.weight)).collect()
    }

    #[test]
    fn brackets_multiply_and_numbers_replace() {
        assert_eq!(parsed("((a))"), [("a".to_owned(), 1.0 * 1.1 * 1.1)]);
        let nested = parsed("(a (b:1.5) c:0.8)");
        assert_eq!(nested, [("a ".to_owned(), 0.8), ("b".to_owned(), 1.5), (" c".to_owned(), 0.8)]);
    }

    #[test]
    fn a_bracket_too_many_keeps_later_groups_from_opening() {
        assert_eq!(parsed("a) b (x:1.1"), [("a) b (x:1.1".to_owned(), 1.0)]);
        assert_eq!(parsed("a) (b)"), [("a) (b)".to_owned(), 1.0)]);
    }

    #[test]
    fn an_unclosed_group_is_text_with_its_bracket() {
        assert_eq!(parsed("a (b"), [("a ".to_owned(), 1.0), ("(b".to_owned(), 1.0)]);
    }

    #[test]
    fn numbers_are_what_python_takes_for_numbers() {
        assert_eq!(parsed("(x: +1_0.5e-1 )"), [("x".to_owned(), 1.05)]);
        assert_eq!(parsed("(x:1__0)"), [("x:1__0".to_owned(), 1.1)]);
        assert_eq!(parsed("(x:-inf)"), [("x".to_owned(), f64::NEG_INFINITY)]);
    }

    #[test]
    fn three_thousand_brackets_are_no_problem() {
        let deep = format!("{}a{}", "(".repeat(3_000), ")".repeat(3_000));
        assert_eq!(parsed(&deep).len(), 1);
    }
}
