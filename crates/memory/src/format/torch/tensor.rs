//! What a pickle says of one tensor: which storage, how it lies in it. Believes nothing and checks nothing.

use crate::format::{
    dtype::Dtype,
    pickle::{Class, Made, Object, Pickle, Value},
};
use std::borrow::Cow;

/// How often a tensor may be wrapped in something.
const DEPTH: usize = 8;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 4096;

/// A storage as the pickle names it: `('storage', class, key, device, count, view)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) dtype: Dtype,
    /// How many numbers the whole has.
    pub(super) count: usize,
    /// In files of before 1.6: which of them are meant, first and how many.
    pub(super) view: Option<(usize, usize)>,
}

/// A tensor as the pickle describes it.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) dtype: Dtype,
    /// Numbers of the storage before its first.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// In numbers, outermost first.
    pub(super) strides: Vec<usize>,
    /// The byte of the pickle at which it is made.
    pub(super) at: usize,
}

/// The tensor that a value is, if it is one.
pub(super) fn tensor(pickle: &Pickle<'_>, value: Value) -> Option<Result<Tensor, String>> {
    let mut value = value;
    for _ in 0..DEPTH {
        let Some(Object::Made(made)) = pickle.object(value) else { return None };
        match (made.class, made.args.as_slice()) {
            (Class::Wrapped, [inner, ..]) => value = *inner,
            (Class::FromType, [Value::Class(Class::Wrapped), _, args, ..]) => {
                value = *pickle.sequence(*args)?.first()?;
            }
            (Class::FromType, [Value::Class(class), _, args, ..]) => {
                return rebuilt(pickle, *class, pickle.sequence(*args)?, made);
            }
            (class, args) => return rebuilt(pickle, class, args, made),
        }
    }
    None
}

fn rebuilt(pickle: &Pickle<'_>, class: Class, args: &[Value], made: &Made) -> Option<Result<Tensor, String>> {
    let typed = class == Class::TypedTensor;
    (typed || class == Class::Tensor).then(|| read(pickle, typed, args, made.at as usize))
}

fn read(pickle: &Pickle<'_>, typed: bool, args: &[Value], at: usize) -> Result<Tensor, String> {
    let [storage, offset, shape, strides, rest @ ..] = args else { return Err("is made of too little".into()) };
    let Some(Object::Persistent(key)) = pickle.object(*storage) else { return Err("has no storage".into()) };
    let storage = self::storage(pickle, *key)?;
    let dtype = match (typed, rest.get(2)) {
        (true, Some(Value::Class(Class::Dtype(dtype)))) => *dtype,
        (true, _) => return Err("has numbers of an unknown type".into()),
        (false, _) => storage.dtype,
    };
    let metadata = rest.get(if typed { 3 } else { 2 });
    if let Some(flag) = metadata.and_then(|metadata| changed(pickle, *metadata)) {
        return Err(format!("is stored {flag}; save it with resolve_{flag}()"));
    }
    let (shape, strides) = (sizes(pickle, *shape, "shape")?, sizes(pickle, *strides, "strides")?);
    if shape.len() != strides.len() {
        return Err(format!("has shape {shape:?} and strides {strides:?}"));
    }
    Ok(Tensor { storage, dtype, offset: size(*offset).ok_or("begins before its storage")?, shape, strides, at })
}

/// A mark of the tensor by which its numbers are others than those stored.
fn changed(pickle: &Pickle<'_>, metadata: Value) -> Option<&'static str> {
    let entries = pickle.dict(metadata)?;
    let set = |flag: &str| {
        let is = |(key, value): &(Value, Value)| {
            pickle.text(*key).is_some_and(|key| key == flag) && *value == Value::Bool(true)
        };
        entries.iter().any(is)
    };
    ["neg", "conj"].into_iter().find(|flag| set(flag))
}

/// What a persistent key says.
pub(super) fn storage(pickle: &Pickle<'_>, key: Value) -> Result<Storage, String> {
    let wrong = || "has a storage that is none".to_owned();
    let parts = pickle.sequence(key).ok_or_else(wrong)?;
    let [kind, class, key, _device, count, rest @ ..] = parts else { return Err(wrong()) };
    if pickle.text(*kind).as_deref() != Some("storage") {
        return Err(wrong());
    }
    let dtype = match class {
        Value::Class(Class::Storage(dtype)) => *dtype,
        Value::Class(Class::Bytes) => Dtype::U8,
        _ => return Err("has a storage of an unknown type".into()),
    };
    let key = name(pickle, *key).ok_or_else(wrong)?.into_owned();
    let count = size(*count).ok_or("has a storage of an impossible length")?;
    let view = match rest.first() {
        None | Some(Value::None) => None,
        Some(view) => match pickle.sequence(*view) {
            Some([_, offset, count]) => Some(size(*offset).zip(size(*count)).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        },
    };
    Ok(Storage { key, dtype, count, view })
}

/// A text or a number as a name; nothing when it is longer than any name.
pub(super) fn name<'a>(pickle: &'a Pickle<'_>, value: Value) -> Option<Cow<'a, str>> {
    match value {
        Value::Int(number) => Some(number.to_string().into()),
        value if pickle.bytes(value).is_some_and(|bytes| bytes.len() <= LONGEST_NAME) => pickle.text(value),
        _ => None,
    }
}

fn sizes(pickle: &Pickle<'_>, value: Value, what: &str) -> Result<Vec<usize>, String> {
    let values = pickle.sequence(value).ok_or_else(|| format!("has {what} that are no list of numbers"))?;
    if values.len() > 64 {
        return Err(format!("has {} dimensions", values.len()));
    }
    let all = values.iter().map(|value| size(*value)).collect::<Option<Vec<_>>>();
    all.ok_or_else(|| format!("has {what} that are no sizes: {values:?}"))
}

fn size(value: Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(number).ok(),
        _ => None,
    }
}
