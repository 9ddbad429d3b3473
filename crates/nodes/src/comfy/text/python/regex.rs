//! A pattern ready to search: what it finds, one find after the other, as Python's `re` goes on. Knows the engine.

use std::collections::HashMap;

use fancy_regex::{Captures, RegexBuilder, RuntimeError};

use super::error::PatternError;
use super::flags::Flags;
use super::parse::{Translated, translate};
use super::template::Template;

/// Ways that a search may give up before it is given up itself; all together take about a second.
const MOST_WAYS: usize = 20_000_000;

/// A pattern for one text.
pub(in crate::comfy::text) struct Regex<'t> {
    text: &'t str,
    pattern: String,
    plain: fancy_regex::Regex,
    groups: usize,
    names: HashMap<String, usize>,
    doubtful: bool,
}

impl<'t> Regex<'t> {
    /// Reads a pattern that is to search `text`.
    ///
    /// # Errors
    /// `PatternError::Python` where Python's `re.compile` has one, `PatternError::Unsupported` for what the engine lacks.
    pub(in crate::comfy::text) fn new(pattern: &str, flags: Flags, text: &'t str) -> Result<Self, PatternError> {
        let Translated { pattern, groups, names, doubtful } = translate(pattern, flags, text)?;
        Ok(Self { text, plain: built(&pattern, text)?, pattern, groups, names, doubtful })
    }

    /// How many groups the pattern has.
    pub(in crate::comfy::text) fn groups(&self) -> usize {
        self.groups
    }

    /// What a group of a find kept; group 0 is the whole find.
    ///
    /// # Errors
    /// `PatternError::Unsupported` where Python's group may have kept another part.
    pub(in crate::comfy::text) fn group(
        &self,
        found: &Captures<'t>,
        group: usize,
    ) -> Result<Option<&'t str>, PatternError> {
        if group > 0 && self.doubtful {
            return Err(PatternError::unsure_group());
        }
        Ok(found.get(group).map(|part| part.as_str()))
    }

    /// The first find.
    ///
    /// # Errors
    /// `PatternError::Endless`.
    pub(in crate::comfy::text) fn first(&self) -> Result<Option<Captures<'t>>, PatternError> {
        searched(&self.plain, self.text, 0)
    }

    /// All finds. Behind an empty one the next may begin at the same place, if it isn't empty, as in Python since 3.7.
    pub(in crate::comfy::text) fn all(&self) -> impl Iterator<Item = Result<Captures<'t>, PatternError>> + '_ {
        let (mut start, mut advancing, mut ended, mut moving) = (0, false, false, None);
        std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let found = if advancing {
                // Python's way to say that a find must not be empty here.
                let moving = moving.get_or_insert_with(|| built(&format!("{}(?!\\G)", self.pattern), self.text));
                moving.as_ref().map_err(Clone::clone).and_then(|moving| searched(moving, self.text, start))
            } else {
                searched(&self.plain, self.text, start)
            };
            let whole = found.as_ref().ok().and_then(|found| found.as_ref()?.get(0));
            match whole {
                Some(whole) => (start, advancing) = (whole.end(), whole.start() == whole.end()),
                None => ended = true,
            }
            found.transpose()
        })
    }

    /// A replacement with groups of this pattern.
    ///
    /// # Errors
    /// `PatternError::Python`, and as [`group`](Self::group).
    pub(in crate::comfy::text) fn template(&self, replacement: &str) -> Result<Template, PatternError> {
        let template = Template::new(replacement, self.groups, &self.names)?;
        if self.doubtful && template.has_groups() {
            return Err(PatternError::unsure_group());
        }
        Ok(template)
    }

    /// The text with the first `count` finds replaced, or all for 0. `between` is called at each.
    ///
    /// # Errors
    /// `PatternError::Endless`, and those of `between`.
    pub(in crate::comfy::text) fn replaced<E: From<PatternError>>(
        &self,
        template: &Template,
        count: usize,
        mut between: impl FnMut() -> Result<(), E>,
    ) -> Result<String, E> {
        let (mut out, mut copied) = (String::new(), 0);
        for found in self.all().take(if count == 0 { usize::MAX } else { count }) {
            between()?;
            let found = found?;
            let Some(whole) = found.get(0) else { continue };
            out.push_str(&self.text[copied..whole.start()]);
            template.push(&mut out, |group| found.get(group).map(|part| part.as_str()));
            copied = whole.end();
        }
        out.push_str(&self.text[copied..]);
        Ok(out)
    }
}

fn built(pattern: &str, text: &str) -> Result<fancy_regex::Regex, PatternError> {
    let limit = MOST_WAYS.saturating_add(text.len().saturating_mul(8));
    let built = RegexBuilder::new(pattern).backtrack_limit(limit).build();
    built.map_err(|error| PatternError::Unsupported(error.to_string()))
}

fn searched<'t>(regex: &fancy_regex::Regex, text: &'t str, start: usize) -> Result<Option<Captures<'t>>, PatternError> {
    regex.captures_from_pos(text, start).map_err(|error| match error {
        fancy_regex::Error::RuntimeError(RuntimeError::BacktrackLimitExceeded | RuntimeError::StackOverflow) => {
            PatternError::Endless(error.to_string())
        }
        other => PatternError::Unsupported(other.to_string()),
    })
}
