//! `CLIP`: text encoders, how they are to be used, and what changes them.

use std::sync::Arc;

use kiln_exec::{NodeError, object};
use kiln_models::TextEncoders;
use kiln_models::text::T5Length;
use kiln_models::weight_hooks::{HookGroup, Keyframe};

use super::part::{MissingPart, Part};

/// The text encoders of a model.
#[derive(Clone, Debug)]
pub struct Clip {
    text: Part<TextEncoders>,
    /// The layer to stop at, counted from the end; the family's own without.
    pub(crate) stop_at: Option<i32>,
    /// How long T5's rows are; the family's own way without.
    pub(crate) t5: T5Length,
    hooks: ClipHooks,
}

object!(Clip, "CLIP");

/// Hooks on text encoders, and what becomes of them.
#[derive(Clone, Debug, Default)]
struct ClipHooks {
    /// What changes the encoders.
    forced: Arc<HookGroup>,
    /// Whether prompts are encoded once for each part of the run that has its own strengths.
    scheduled: bool,
    /// What encoded prompts take along for the model.
    for_conditions: Option<Arc<HookGroup>>,
}

/// Text encoders for a part of the run.
#[derive(Clone, Debug)]
pub(crate) struct Encoding {
    /// The networks.
    pub(crate) text: Arc<TextEncoders>,
    /// From where to where, when the networks change over the run.
    pub(crate) range: Option<(f64, f64)>,
}

impl Clip {
    /// Text encoders as their family uses them.
    pub fn new(text: TextEncoders) -> Self {
        Self { text: Part::There(Arc::new(text)), stop_at: None, t5: T5Length::default(), hooks: ClipHooks::default() }
    }

    /// Text encoders that a file lacks.
    pub fn missing(part: MissingPart) -> Self {
        Self {
            text: Part::Missing(Arc::new(part)),
            stop_at: None,
            t5: T5Length::default(),
            hooks: ClipHooks::default(),
        }
    }

    /// The networks, before any hook.
    ///
    /// # Errors
    /// When the file has none.
    pub fn text(&self) -> Result<&Arc<TextEncoders>, NodeError> {
        self.text.get()
    }

    /// Whether there are networks.
    pub fn is_there(&self) -> bool {
        self.text.is_there()
    }

    /// The same, stopped at a layer counted from the end.
    pub(crate) fn stopped_at(self, layer: i32) -> Self {
        Self { stop_at: Some(layer), ..self }
    }

    /// The same with other lengths of T5's rows.
    pub(crate) fn with_t5(self, t5: T5Length) -> Self {
        Self { t5, ..self }
    }

    /// The same with other networks.
    pub(crate) fn with_text(self, text: TextEncoders) -> Self {
        Self { text: Part::There(Arc::new(text)), ..self }
    }

    /// The same under hooks, in the place of those it had. Scheduled, they follow their keyframes; else they act at their
    /// own strengths. With `for_conditions` encoded prompts take them along; without, those that are there stay.
    pub(crate) fn with_hooks(self, hooks: &Arc<HookGroup>, scheduled: bool, for_conditions: bool) -> Self {
        let for_conditions = if for_conditions { Some(hooks.clone()) } else { self.hooks.for_conditions.clone() };
        Self { hooks: ClipHooks { forced: hooks.clone(), scheduled, for_conditions }, ..self }
    }

    /// What encoded prompts take along for the model.
    pub(crate) fn hooks_for_conditions(&self) -> Option<&Arc<HookGroup>> {
        self.hooks.for_conditions.as_ref()
    }

    /// The networks to encode with, for each part of the run: one for all of it unless hooks are scheduled.
    pub(crate) fn encodings(&self) -> Result<Vec<Encoding>, NodeError> {
        let ClipHooks { forced, scheduled, .. } = &self.hooks;
        if !scheduled || forced.is_empty() {
            return Ok(vec![Encoding { text: self.encoding()?, range: None }]);
        }
        let segments = forced.segments().map_err(|error| NodeError::new(error.to_string()))?;
        let encoding = |(range, strengths): ((f64, f64), Vec<f64>)| {
            let text = Arc::new(self.text()?.hooked(forced, &strengths)?);
            Ok(Encoding { text, range: Some(range) })
        };
        segments.into_iter().map(|segment| (segment.range, segment.strengths)).map(encoding).collect()
    }

    /// The networks to encode with where one encoding is wanted: at the strengths that a run begins with.
    pub(crate) fn encoding(&self) -> Result<Arc<TextEncoders>, NodeError> {
        let (text, ClipHooks { forced, scheduled, .. }) = (self.text()?, &self.hooks);
        if forced.is_empty() {
            return Ok(text.clone());
        }
        let first =
            |keyframes: &[Keyframe]| keyframes.first().filter(|_| *scheduled).map_or(1.0, |first| first.strength);
        let strengths: Vec<f64> = forced.hooks().iter().map(|hook| first(hook.keyframes.list())).collect();
        Ok(Arc::new(text.hooked(forced, &strengths)?))
    }
}
