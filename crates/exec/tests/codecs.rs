//! Values as bytes: they come back the same, and damaged ones never come back as others.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kiln_exec::graph::{InputDef, NodeDef, OutputDef};
use kiln_exec::*;
use proptest::prelude::*;

/// Numbers with a name.
#[derive(Clone, Debug)]
struct Row {
    numbers: Arc<[f32]>,
    name: Option<String>,
}
object!(Row, "ROW", |row| row.numbers.len() as u64 * 4);

/// Writes rows down, in the form of this version. One named "secret" is refused, one named "panic" is its end.
struct RowCodec(u32);
#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for RowCodec {
    fn socket_type(&self) -> &str {
        "ROW"
    }
    fn version(&self) -> u32 {
        self.0
    }
    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        let row = object.downcast_ref::<Row>().unwrap();
        match row.name.as_deref() {
            Some("secret") => return Err(CodecError::unencodable("ROW", "it is secret")),
            Some("panic") => panic!("at the disco"),
            _ => {}
        }
        to.f32s(&row.numbers)?;
        Ok(to.option(row.name.as_deref(), Encoder::text)?)
    }
    fn decode(&self, from: &mut Decoder<'_>, _: &Host) -> Result<Arc<dyn Object>, CodecError> {
        Ok(Arc::new(Row { numbers: from.f32s()?.into(), name: from.option(Decoder::text)? }))
    }
}

fn codecs() -> Codecs {
    Codecs::new().with(RowCodec(1))
}

fn row(numbers: Vec<f32>, name: Option<&str>) -> Value {
    Value::object(Row { numbers: numbers.into(), name: name.map(Into::into) })
}

fn written(values: &Values) -> Vec<u8> {
    let mut bytes = Vec::new();
    codecs().write(values, &mut bytes).unwrap();
    bytes
}

fn read(bytes: &[u8]) -> Result<Values, CodecError> {
    codecs().read(&mut &bytes[..], bytes.len() as u64)
}

/// Equal to the last bit; `==` would call NaN another NaN.
fn same(a: &Value, b: &Value) -> bool {
    let bits = |row: &Row| row.numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Object(a), Value::Object(b)) => {
            let (a, b) = (a.downcast_ref::<Row>().unwrap(), b.downcast_ref::<Row>().unwrap());
            bits(a) == bits(b) && a.name == b.name
        }
        (a, b) => a == b,
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::hash_map(".*", inner, 0..6).prop_map(|dict| dict.into_iter().collect()),
        ]
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let numbers = prop::collection::vec(any::<u32>().prop_map(f32::from_bits), 0..40);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i128>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        ".*".prop_map(|text| Value::String(text.into())),
        any_json().prop_map(|json| Value::Json(json.into())),
        prop::option::of(".*")
            .prop_map(|message| Value::Blocker(message.map_or_else(Blocker::silent, Blocker::with_message))),
        (numbers, prop::option::of("[a-o]*")).prop_map(|(numbers, name)| row(numbers, name.as_deref())),
    ]
}

proptest! {
    #[test]
    fn every_list_comes_back_to_the_last_bit(values in prop::collection::vec(any_value(), 0..5)) {
        let back = read(&written(&values.clone().into())).unwrap();
        prop_assert!(back.len() == values.len() && back.iter().zip(&values).all(|(a, b)| same(a, b)), "{back:?}");
    }

    #[test]
    fn no_damage_makes_another_value(values in prop::collection::vec(any_value(), 0..4), at: prop::sample::Index, bit in 0..8_u8, cut: prop::sample::Index) {
        let whole = written(&values.into());
        let mut bytes = whole.clone();
        bytes[at.index(whole.len())] ^= 1 << bit;
        prop_assert!(read(&bytes).is_err(), "bit {bit} of byte {} of {}", at.index(whole.len()), whole.len());
        prop_assert!(read(&whole[..cut.index(whole.len())]).is_err());
        bytes = whole;
        bytes.push(0);
        prop_assert!(read(&bytes).is_err(), "one too many");
    }

    #[test]
    fn bytes_that_were_never_values_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read(&bytes).is_err());
    }
}

#[test]
fn a_length_that_the_bytes_cannot_hold_asks_for_no_memory() {
    for length in [u64::MAX, u64::MAX / 4, 1 << 60] {
        let bytes = [&length.to_le_bytes()[..], &[0; 40]].concat();
        let mut from = &bytes[..];
        assert!(matches!(Decoder::new(&mut from, bytes.len() as u64).f32s(), Err(CodecError::Damaged(_))));
        let mut from = &bytes[..];
        assert!(matches!(Decoder::new(&mut from, bytes.len() as u64).text(), Err(CodecError::Damaged(_))));
        // A reader may promise more than it has.
        let mut from = &bytes[..];
        assert!(matches!(Decoder::new(&mut from, u64::MAX).text(), Err(CodecError::Damaged(_))));
    }
}

#[test]
fn what_cannot_be_written_says_why() {
    #[derive(Clone)]
    struct Secret;
    object!(Secret, "SECRET");
    let error = |value: Value| codecs().write(&value.into(), &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error(Value::object(Secret)), "there is no codec for SECRET; register one with `Registry::with_codec`");
    assert_eq!(error(row(vec![], Some("secret"))), "this ROW cannot be written down: it is secret");
    assert_eq!(error(row(vec![], Some("panic"))), "the codec for ROW panicked");
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    assert!(error(Value::Json(deep.into())).contains("nested deeper"));
    assert!(!codecs().cover(&Value::object(Secret).into()));
    assert!(codecs().cover(&vec![row(vec![], None), Value::Int(1)].into()));
}

#[test]
fn what_another_version_wrote_is_not_read() {
    let bytes = written(&row(vec![1.0], None).into());
    let error = Codecs::new().with(RowCodec(2)).read(&mut &bytes[..], bytes.len() as u64).unwrap_err();
    assert_eq!(error.to_string(), "ROW was written in version 1 of its form, this program reads version 2");
    let error = Codecs::new().read(&mut &bytes[..], bytes.len() as u64).unwrap_err();
    assert!(matches!(error, CodecError::NoCodec(name) if &*name == "ROW"));
}

/// A cache outside of the engine: results as bytes, as another process would see them.
#[derive(Default)]
struct Elsewhere(Mutex<HashMap<Key, Vec<u8>>>);

impl CacheProvider for Elsewhere {
    fn lookup(&self, item: &CacheItem<'_>) -> Option<CachedResult> {
        let bytes = self.0.lock().unwrap().get(item.key)?.clone();
        CachedResult::read(item.codecs, &mut &bytes[..], bytes.len() as u64).ok()
    }
    fn store(&self, item: &CacheItem<'_>, result: &CachedResult) {
        let mut bytes = Vec::new();
        if result.write(item.codecs, &mut bytes).is_ok() {
            self.0.lock().unwrap().insert(*item.key, bytes);
        }
    }
}

fn engine(provider: &Arc<Elsewhere>) -> Engine {
    let make = NodeDef::new("Make").input(InputDef::new("n", "INT")).output(OutputDef::new("ROW"));
    let show = NodeDef { output_node: true, ..NodeDef::new("Show").input(InputDef::new("row", "ROW")) };
    let registry = Registry::new()
        .with_codec(RowCodec(1))
        .with_dyn(DynNode::new(make, |args, _| Ok(row(vec![args.get_as::<f32>("n")?, f32::NAN], None))))
        .with_dyn(DynNode::new(show, |args, _| {
            let row: Row = args.get_as("row")?;
            Ok(DynReply::from(()).with_ui(Ui::new().with("first", json!(row.numbers[0]))))
        }));
    Engine::builder(registry).provider(Arc::clone(provider) as Arc<dyn CacheProvider>).build()
}

fn prompt(n: i64) -> Prompt {
    let graph = GraphBuilder::new();
    let made = graph.add_spec_as("make", NodeSpec::new("Make").input("n", json!(n)));
    graph.add_spec_as("show", NodeSpec::new("Show").input("row", Link::new(made, 0)));
    graph.into_prompt()
}

#[test]
fn another_engine_finds_results_by_their_keys_and_runs_nothing() {
    let elsewhere = Arc::default();
    let first = engine(&elsewhere).run(prompt(3)).unwrap();
    let second = engine(&elsewhere).run(prompt(3)).unwrap();
    assert_eq!((first.summary.executed, second.summary.executed), (2, 0));
    assert_eq!(second.ui("show"), first.ui("show"));
    assert_eq!(engine(&elsewhere).run(prompt(4)).unwrap().summary.executed, 2);
}

#[test]
fn a_damaged_result_is_a_miss() {
    let elsewhere: Arc<Elsewhere> = Arc::default();
    engine(&elsewhere).run(prompt(3)).unwrap();
    for bytes in elsewhere.0.lock().unwrap().values_mut() {
        bytes.truncate(bytes.len() / 2);
    }
    let again = engine(&elsewhere).run(prompt(3)).unwrap();
    assert_eq!(again.summary.executed, 2);
    assert_eq!(again.ui("show").unwrap().get("first").unwrap(), [json!(3.0)]);
}
