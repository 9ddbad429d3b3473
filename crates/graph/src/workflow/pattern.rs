//! Expressions by which a node that sends everywhere chooses titles, inputs and groups.
//!
//! Knows the settings that hold them, and texts. The pack's own expressions are known without the feature `regex`.

use serde_json::Value;

use super::error::WorkflowError;

/// An expression that takes longer than this for a name does not match it.
#[cfg(feature = "regex")]
const MOST_STEPS: usize = 2_000;

/// An expression, and whether what matches it is meant or what does not.
pub(super) struct Pattern {
    expression: Expression,
    invert: bool,
}

/// What a text must be like.
#[derive(Debug)]
pub(super) enum Expression {
    /// The pack's own for seeds.
    Seed,
    /// The pack's own for positive prompts.
    Positive,
    /// The pack's own for negative prompts.
    Negative,
    /// Anybody's.
    #[cfg(feature = "regex")]
    Any(Box<fancy_regex::Regex>),
}

/// How the pack writes its own.
pub(super) const SEED: &str = "seed|随机种";
const POSITIVE: &str = r"(_|\b)pos(itive|_|\b)|^prompt|正面";
const NEGATIVE: &str = r"(_|\b)neg(ative|_|\b)|负面";

impl Pattern {
    /// The setting `NAME_regex`, else the default. One that says nothing, or that is no expression, restricts nothing.
    ///
    /// # Errors
    /// [`WorkflowError::Expression`] where the feature `regex` is off and the expression is not the pack's own.
    pub(super) fn of(settings: &Value, name: &str, default: Option<Expression>) -> Result<Option<Self>, WorkflowError> {
        let text = settings.get(format!("{name}_regex")).and_then(Value::as_str);
        let expression = match text.filter(|text| !matches!(*text, "" | ".*")) {
            Some(text) => Expression::of(text)?,
            None => default,
        };
        let invert = settings.get(format!("{name}_regex_invert")).is_some_and(crate::python::truthy);
        Ok(expression.map(|expression| Self { expression, invert }))
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        self.expression.matches(text) != self.invert
    }
}

impl Expression {
    fn of(text: &str) -> Result<Option<Self>, WorkflowError> {
        match text {
            SEED => Ok(Some(Self::Seed)),
            POSITIVE => Ok(Some(Self::Positive)),
            NEGATIVE => Ok(Some(Self::Negative)),
            other => Self::any(other),
        }
    }

    #[cfg(feature = "regex")]
    #[allow(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
    fn any(text: &str) -> Result<Option<Self>, WorkflowError> {
        let regex = fancy_regex::RegexBuilder::new(text).backtrack_limit(MOST_STEPS).build();
        Ok(regex.ok().map(|regex| Self::Any(Box::new(regex))))
    }

    #[cfg(not(feature = "regex"))]
    fn any(text: &str) -> Result<Option<Self>, WorkflowError> {
        Err(WorkflowError::Expression { text: text.to_owned() })
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Seed => text.contains("seed") || text.contains("随机种"),
            Self::Positive => has_word(text, "pos", "itive") || text.starts_with("prompt") || text.contains("正面"),
            Self::Negative => has_word(text, "neg", "ative") || text.contains("负面"),
            #[cfg(feature = "regex")]
            Self::Any(regex) => regex.is_match(text).unwrap_or_default(),
        }
    }
}

/// Whether `start` stands in a text at the beginning of a word, and is all of it or goes on as `rest`. An underscore
/// ends a word, too.
fn has_word(text: &str, start: &str, rest: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric();
    text.match_indices(start).any(|(at, _)| {
        let behind = &text[at + start.len()..];
        !text[..at].ends_with(letter) && (behind.starts_with(rest) || !behind.starts_with(letter))
    })
}

#[cfg(all(test, feature = "regex"))]
mod tests {
    use super::*;

    #[test]
    fn the_packs_own_expressions_say_what_their_texts_say() {
        let parts = ["pos", "neg", "itive", "ative", "prompt", "_", " ", "x", "正面", "负面", "", "seed", "POS", "é"];
        for (own, text) in
            [(Expression::Seed, SEED), (Expression::Positive, POSITIVE), (Expression::Negative, NEGATIVE)]
        {
            let Ok(Some(regex)) = Expression::any(text) else { panic!("{text} is an expression") };
            for i in 0..parts.len().pow(3) {
                let part = |divisor: usize| parts[i / divisor % parts.len()];
                let name = format!("{}{}{}", part(1), part(parts.len()), part(parts.len().pow(2)));
                assert_eq!(own.matches(&name), regex.matches(&name), "{own:?} of {name}");
            }
        }
    }
}
