//! Warnings on standard error: what libraries find odd and go on with. Each is shown once.
//!
//! Knows `tracing`'s events. Knows nothing of graphs: the library that warns says what about.

use std::collections::HashSet;
use std::fmt::{Debug, Write};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes warnings and errors of libraries to a stream that the embedder chooses.
#[derive(Debug)]
pub struct Warnings<W> {
    told: Mutex<HashSet<String>>,
    write: W,
}

impl<W: Fn(&str)> Warnings<W> {
    /// Hands every warning, once, to `write` as one line.
    pub fn new(write: W) -> Self {
        Self { told: Mutex::default(), write }
    }
}

impl<W: Fn(&str) + Send + Sync + 'static> Subscriber for Warnings<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let line = format!("warning: {}{}", line.message, line.fields);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(line.clone()) {
            (self.write)(&line);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event's message and its other fields, as text.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn add(&mut self, field: &Field, value: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, "; {name} {value}"),
        };
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use super::Warnings;

    #[test]
    fn a_warning_is_told_once_with_its_fields_and_other_levels_are_not() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let warnings = Warnings::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
        tracing::subscriber::with_default(warnings, || {
            for _ in 0..2 {
                tracing::warn!(width = 64, name = "style", "an embedding is too wide");
                tracing::error!("not good");
                tracing::info!("all is well");
            }
        });
        let told = lines.lock().unwrap().clone();
        assert_eq!(told, ["warning: an embedding is too wide; width 64; name style", "warning: not good"]);
    }
}
