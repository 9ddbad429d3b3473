//! External caches: a store of results outside the engine, shared with other processes or machines.

use std::io::{Read, Write};

use crate::cache::key::Key;
use crate::codec::{CodecError, Codecs, Decoder, json, json_text, open, seal};
use crate::node::Ui;
use crate::value::Values;

/// What is known of a result that may be stored or looked for.
#[derive(Debug)]
pub struct CacheItem<'a> {
    /// The digest over class, literals and sources.
    pub key: &'a Key,
    /// The node's class.
    pub class_type: &'a str,
    /// What turns values into bytes and back.
    pub codecs: &'a Codecs,
}

/// A result as it is stored.
#[derive(Clone, Debug, Default)]
pub struct CachedResult {
    /// Values per socket.
    pub outputs: Vec<Values>,
    /// What the node showed.
    pub ui: Option<Ui>,
}

impl CachedResult {
    /// Writes the result, sealed with a digest.
    ///
    /// # Errors
    /// When a payload has no codec or its codec refuses it; those of the writer. What was written until then is of no
    /// use.
    pub fn write(&self, codecs: &Codecs, to: &mut dyn Write) -> Result<(), CodecError> {
        seal(to, |encoder| {
            encoder.count(self.outputs.len())?;
            self.outputs.iter().try_for_each(|list| codecs.encode(list, encoder))?;
            encoder.option(self.ui.as_ref(), |encoder, ui| {
                let shown = json_text(&ui.as_json().clone().into())?;
                Ok(encoder.text(&shown)?)
            })
        })
    }

    /// Reads a result out of exactly `length` bytes.
    ///
    /// # Errors
    /// When they are not, to the last bit, what [`write`](Self::write) wrote, when a codec is missing or of another
    /// version; those of the reader.
    pub fn read(codecs: &Codecs, from: &mut dyn Read, length: u64) -> Result<Self, CodecError> {
        open(from, length, |decoder| {
            let mut outputs = Vec::new();
            for _ in 0..decoder.count()? {
                outputs.push(codecs.decode(decoder)?);
            }
            Ok(Self { outputs, ui: decoder.option(read_ui)? })
        })
    }
}

fn read_ui(decoder: &mut Decoder<'_>) -> Result<Ui, CodecError> {
    match json(&decoder.text()?)? {
        serde_json::Value::Object(shown) => Ok(shown.into()),
        _ => Err(CodecError::damaged("what a node showed is no dict")),
    }
}

/// A key-value store outside the engine. Asked only for nodes of the prompt itself, not of expansions, and only for
/// nodes that have a key. All calls come from the scheduler's thread.
pub trait CacheProvider: Send + Sync {
    /// Whether this result is worth the trip.
    fn should_cache(&self, _item: &CacheItem<'_>) -> bool {
        true
    }
    /// The result, if it is there.
    fn lookup(&self, item: &CacheItem<'_>) -> Option<CachedResult>;
    /// Keeps a result.
    fn store(&self, item: &CacheItem<'_>, result: &CachedResult);
    /// A prompt begins.
    fn prompt_start(&self, _prompt_id: &str) {}
    /// A prompt is over.
    fn prompt_end(&self, _prompt_id: &str) {}
}
