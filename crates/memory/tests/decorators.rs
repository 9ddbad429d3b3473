//! Sources that stand over others: whatever a decorator is told reaches the file below.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use indexmap::IndexMap;
use kiln_memory::{
    Dtype, FormatError, KeyMap, MemorySource, Outgoing, Problem, Reading, RenamedSource, SourceError, TensorInfo,
    TensorShapes, TensorSource, WeightFile, apply_scales, write_safetensors,
};
use std::{
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Notes what it is told, and says that its file has changed.
#[derive(Default)]
struct Witness {
    tensors: MemorySource,
    told: Mutex<Vec<String>>,
}

impl Witness {
    fn note(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

impl TensorSource for Witness {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &[]
    }
    fn label(&self) -> String {
        "witness".to_owned()
    }
    fn names(&self) -> Vec<&str> {
        self.tensors.names()
    }
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.info(name)
    }
    fn slice(&self, name: &str) -> Option<Bytes> {
        self.tensors.slice(name)
    }
    fn check(&self) -> Result<(), FormatError> {
        self.note("check".to_owned());
        let problem = Problem::Changed { what: "its length".to_owned() };
        Err(FormatError { path: "witness".into(), problem })
    }
    fn set_reading(&self, reading: Reading) {
        self.note(format!("{reading:?}"));
    }
    fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.note(format!("{timeout:?}"));
    }
    fn touch(&self, name: &str, bytes: Range<usize>) -> Result<(), SourceError> {
        self.note(format!("touch {name} {bytes:?}"));
        Ok(())
    }
    fn done_with(&self, name: &str) {
        self.note(format!("done with {name}"));
    }
}

/// Says nothing but what it must.
struct Silent(Arc<dyn TensorSource>);

impl TensorSource for Silent {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        std::slice::from_ref(&self.0)
    }
    fn label(&self) -> String {
        self.0.label()
    }
    fn names(&self) -> Vec<&str> {
        self.0.names()
    }
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.0.info(name)
    }
    fn slice(&self, name: &str) -> Option<Bytes> {
        self.0.slice(name)
    }
}

/// Two weights of fp8, the first with a scale.
fn scaled_tensors() -> MemorySource {
    let mut tensors = MemorySource::new("scaled");
    tensors.insert("a.weight", Dtype::F8E4M3, &[2, 2], vec![0x38, 0x40, 0xbc, 0x7e]).unwrap();
    tensors.insert_f32("a.scale_weight", &[1], vec![0.25]).unwrap();
    tensors
}

/// Every kind of decorator over `source`, each with a name that `a.weight` has there.
fn decorators(source: &Arc<Witness>) -> Vec<(&'static str, Arc<dyn TensorSource>)> {
    let source: Arc<dyn TensorSource> = source.clone();
    let mut map = KeyMap::default();
    map.whole("a", "a.weight", &[2, 2]);
    let scaled = apply_scales(source.clone());
    vec![
        ("a.weight", Arc::new(Silent(source.clone()))),
        ("a", Arc::new(RenamedSource::new(source, &map))),
        ("a", Arc::new(RenamedSource::new(scaled.clone(), &map))),
        ("a.weight", scaled),
    ]
}

#[test]
fn a_decorator_passes_on_whatever_it_is_told() {
    let witness = Arc::new(Witness { tensors: scaled_tensors(), ..Witness::default() });
    for (name, decorator) in decorators(&witness) {
        assert!(decorator.check().is_err(), "what the file finds is what a decorator reports");
        decorator.set_reading(Reading::PastCache);
        decorator.set_reading(Reading::Cached);
        decorator.set_read_timeout(Some(Duration::from_secs(7)));
        decorator.touch(name, 1..3).unwrap();
        decorator.done_with(name);
        let all = ["check", "PastCache", "Cached", "Some(7s)", "touch a.weight 1..3", "done with a.weight"];
        assert_eq!(witness.told(), all);
    }
}

#[test]
fn the_scale_of_a_weight_is_found_through_every_decorator_above_it() {
    let scaled = apply_scales(Arc::new(scaled_tensors()));
    let mut map = KeyMap::default();
    map.whole("a", "a.weight", &[4]);
    let renamed = RenamedSource::new(Arc::new(Silent(scaled.clone())), &map);
    assert_eq!(renamed.scale("a").unwrap(), Some(0.25));
    assert_eq!(Silent(Arc::new(scaled_tensors())).scale("a.weight").unwrap(), None);
}

/// Twice the value, and no way of its own to read a part.
struct Twice(Arc<dyn TensorSource>);

impl TensorSource for Twice {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        std::slice::from_ref(&self.0)
    }
    fn label(&self) -> String {
        self.0.label()
    }
    fn names(&self) -> Vec<&str> {
        self.0.names()
    }
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.0.info(name)
    }
    fn slice(&self, _: &str) -> Option<Bytes> {
        None
    }
    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        self.0.read_f32(name, out)?;
        for value in out {
            *value *= 2.0;
        }
        Ok(())
    }
}

#[test]
fn a_decorator_that_changes_values_lets_none_by_unchanged() {
    let mut tensors = MemorySource::new("plain");
    tensors.insert_f32("w", &[4], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    let mut part = [0.0; 2];
    Twice(Arc::new(tensors)).read_part("w", 1..3, &mut part).unwrap();
    assert_eq!(part, [4.0, 6.0]);
}

#[test]
fn a_scaled_fp8_file_is_read_past_the_cache_when_it_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scaled.safetensors");
    let tensors = scaled_tensors();
    let outgoing: Vec<_> = tensors.names().into_iter().map(|name| outgoing(&tensors, name)).collect();
    let mut file = std::fs::File::create(&path).unwrap();
    write_safetensors(&mut file, &IndexMap::new(), &outgoing, |i, out| {
        out.write_all(&tensors.slice(&outgoing[i].name).unwrap())
    })
    .unwrap();

    let file = WeightFile::open(&path).unwrap();
    let scaled = apply_scales(file.clone());
    assert_eq!(TensorShapes::of(&*scaled).len(), 1, "the scale is no tensor");
    for reading in [Reading::PastCache, Reading::Cached] {
        scaled.set_reading(reading);
        assert_eq!(file.reading(), reading);
        let mut values = [0.0; 4];
        scaled.read_f32("a.weight", &mut values).unwrap();
        assert_eq!(values, [0.25, 0.5, -0.375, 112.0]);
    }
}

fn outgoing(tensors: &MemorySource, name: &str) -> Outgoing {
    let info = tensors.info(name).unwrap();
    Outgoing { name: name.to_owned(), dtype: info.dtype, shape: info.shape.clone() }
}
