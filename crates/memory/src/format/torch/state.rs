//! The names in a pickle: which of its dicts is the one of tensors, and what its entries are called.
//!
//! As ComfyUI and spandrel look for them: `state_dict` first, then the wrappers of training programs, then a dict that is
//! all there is. Dicts and lists inside are part of the names, joined by dots.

use super::{
    number::as_text,
    tensor::{Tensor, name, tensor},
};
use crate::format::pickle::{Class, Object, Pickle, Value};
use indexmap::IndexMap;

/// Keys under which a file keeps its tensors beside other things; the first that is there wins.
const WRAPPERS: [&str; 7] = ["state_dict", "model_state_dict", "params_ema", "params-ema", "params", "model", "net"];
/// How often one may stand in another.
const WRAPPED: usize = 4;
/// How deep dicts and lists may stand in each other.
const DEPTH: usize = 32;
/// Values of a list that are kept in the metadata's text; longer lists are given by their length.
const SHOWN: usize = 16;
/// The name of a tensor that is all there is.
const ALONE: &str = "tensor";

/// What a pickle holds.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In the pickle's order. A name may occur twice.
    pub(super) tensors: Vec<(String, Tensor)>,
    /// Texts, numbers and truth values beside the tensors, as text.
    pub(super) metadata: IndexMap<String, String>,
}

/// What is wrong with a state, with the name at which it is.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) name: String,
    pub(super) what: String,
}

/// Finds tensors and metadata.
pub(super) fn state(pickle: &Pickle<'_>) -> Result<State, Bad> {
    // What the names and texts of an honest pickle come to is no longer than the pickle, but for what it names twice.
    let left = pickle.len().saturating_mul(4).saturating_add(1 << 16);
    let mut collector = Collector { pickle, left, state: State::default() };
    let mut root = pickle.root();
    for round in 0..WRAPPED {
        let Some(inner) = collector.wrapped(root, round == 0) else { break };
        for (key, value) in entries(pickle, root).unwrap_or_default() {
            let key = name(pickle, *key).unwrap_or_default().into_owned();
            collector.describe(key, *value)?;
        }
        root = inner;
    }
    collector.collect(root)?;
    Ok(collector.state)
}

/// The entries of a dict, or of something that is one in all but its class.
fn entries<'a>(pickle: &'a Pickle<'_>, value: Value) -> Option<&'a [(Value, Value)]> {
    if let Some(Object::Made(made)) = pickle.object(value)
        && made.class == Class::ParameterDict
    {
        let parameters = |(key, _): &&(Value, Value)| pickle.text(*key).is_some_and(|key| key == "_parameters");
        return pickle.dict(pickle.dict(made.state)?.iter().find(parameters)?.1);
    }
    pickle.dict(value)
}

struct Collector<'a> {
    pickle: &'a Pickle<'a>,
    /// Bytes that names and texts may still have: a few bytes of a pickle could describe more than there is memory for.
    left: usize,
    state: State,
}

impl Collector<'_> {
    /// The dict inside of a wrapper.
    fn wrapped(&self, root: Value, alone: bool) -> Option<Value> {
        let entries = entries(self.pickle, root)?;
        let is_dict = |value: &Value| self::entries(self.pickle, *value).is_some();
        let is = |key: Value, wrapper: &str| self.pickle.text(key).is_some_and(|key| key == wrapper);
        let under = |wrapper: &str| entries.iter().find(|(key, value)| is(*key, wrapper) && is_dict(value));
        let found = WRAPPERS.into_iter().find_map(under).map(|(_, value)| *value);
        let only = || match entries {
            [(_, only)] if alone && is_dict(only) => Some(*only),
            _ => None,
        };
        found.or_else(only)
    }

    /// Lists everything below `root`.
    fn collect(&mut self, root: Value) -> Result<(), Bad> {
        let mut todo = vec![(String::new(), root, 0)];
        while let Some((path, value, depth)) = todo.pop() {
            if let Some(tensor) = tensor(self.pickle, value) {
                self.list(path, tensor)?;
            } else if !self.describe(path.clone(), value)? {
                let first = todo.len();
                self.below(&path, value, |name, value| todo.push((name, value, depth + 1)))?;
                if depth == DEPTH && todo.len() > first {
                    return Err(Bad { name: path, what: format!("stands in more than {DEPTH} dicts and lists") });
                }
                todo[first..].reverse();
            }
        }
        Ok(())
    }

    fn list(&mut self, path: String, tensor: Result<Tensor, String>) -> Result<(), Bad> {
        let name = if path.is_empty() { ALONE.to_owned() } else { path };
        // The shortest way to describe a tensor and its storage takes more than 16 bytes.
        if self.state.tensors.len() > self.pickle.len() / 16 {
            return Err(endless(&name));
        }
        match tensor {
            Ok(tensor) => self.state.tensors.push((name, tensor)),
            Err(what) => return Err(Bad { name, what }),
        }
        Ok(())
    }

    /// The parts of a dict or list, with their names.
    fn below(&mut self, path: &str, value: Value, mut each: impl FnMut(String, Value)) -> Result<(), Bad> {
        let named = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let pickle = self.pickle;
        if let Some(entries) = entries(pickle, value) {
            // Keys that are neither text nor number are classes or tuples: what training programs keep for themselves.
            for (key, value) in entries.iter().filter_map(|(key, value)| Some((name(pickle, *key)?, *value))) {
                self.spend(path, path.len() + key.len() + 16)?;
                each(named(&key), value);
            }
        }
        for (number, value) in pickle.sequence(value).unwrap_or_default().iter().enumerate() {
            self.spend(path, path.len() + 16)?;
            each(named(&number.to_string()), *value);
        }
        Ok(())
    }

    /// Keeps a plain value, or a list of such values; says whether it was one.
    fn describe(&mut self, path: String, value: Value) -> Result<bool, Bad> {
        let Some(text) = self.text(&path, value)? else { return Ok(false) };
        self.spend(&path, path.len() + text.len())?;
        if !path.is_empty() {
            self.state.metadata.insert(path, text);
        }
        Ok(true)
    }

    fn text(&mut self, path: &str, value: Value) -> Result<Option<String>, Bad> {
        if let Some(text) = as_text(self.pickle, value) {
            return Ok(Some(text));
        }
        let values = self.pickle.sequence(value).unwrap_or_default();
        let mut texts = Vec::new();
        for value in values {
            let Some(text) = as_text(self.pickle, *value) else { return Ok(None) };
            self.spend(path, 1)?;
            if texts.len() < SHOWN {
                texts.push(text);
            }
        }
        let shown = || {
            if values.len() > SHOWN { format!("{} values", values.len()) } else { format!("[{}]", texts.join(", ")) }
        };
        Ok((!values.is_empty()).then(shown))
    }

    fn spend(&mut self, path: &str, bytes: usize) -> Result<(), Bad> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| endless(path))?;
        Ok(())
    }
}

fn endless(name: &str) -> Bad {
    let name = name.chars().take(200).collect();
    Bad { name, what: "the pickle repeats itself without end".into() }
}
