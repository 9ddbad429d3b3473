//! Weights by name: in place where the file allows it, kept while there is room, streamed otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{
    Acquired, Budget, Dtype, Kind, MemoryError, MemorySource, Patch, PatchSet, Residency, Rounding, Schedule,
    WeightFile, Weights, encode_f32, process_memory,
};
use std::path::Path;

fn values(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32 * 0.5 - 8.0).collect()
}

/// A file of one F32 and one F16 tensor of 64 values each; `pad` bytes of a U8 tensor before them.
fn write(path: &Path, pad: usize) {
    let header = format!(
        r#"{{"pad":{{"dtype":"U8","shape":[{pad}],"data_offsets":[0,{pad}]}},"f32":{{"dtype":"F32","shape":[8,8],"data_offsets":[{pad},{}]}},"f16":{{"dtype":"F16","shape":[64],"data_offsets":[{},{}]}}}}"#,
        pad + 256,
        pad + 256,
        pad + 384
    );
    let header = format!("{header:width$}", width = header.len().next_multiple_of(8));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(vec![0; pad]);
    bytes.extend(encode_f32(Dtype::F32, &values(64)).unwrap());
    bytes.extend(encode_f32(Dtype::F16, &values(64)).unwrap());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_aligned_f32_tensor_is_used_where_it_lies_in_the_map() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    write(&path, 0);
    let file = WeightFile::open(&path).unwrap();
    let budget = Budget::new("host", 0);
    let weights = Weights::shared(file.clone(), "unet", &budget);
    let got = weights.weight("f32").unwrap().read().unwrap();
    assert_eq!((got.how(), &got[..]), (Acquired::Hit, &values(64)[..]));
    assert_eq!(got.as_ptr().cast(), file.bytes("f32").unwrap().as_ptr());
    assert_eq!(budget.peak(), 0);
}

#[test]
fn a_misaligned_f32_tensor_is_copied_once_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    write(&path, 3);
    let budget = Budget::unlimited("host");
    let weights = Weights::shared(WeightFile::open(&path).unwrap(), "unet", &budget);
    let weight = weights.weight("f32").unwrap();
    assert_eq!(weight.read().unwrap().how(), Acquired::Fill);
    let again = weight.read().unwrap();
    assert_eq!((again.how(), &again[..]), (Acquired::Hit, &values(64)[..]));
    assert_eq!(budget.report().used_for(Kind::Weights), 4096);
}

#[test]
fn a_half_is_decoded_once_while_there_is_room_and_each_time_when_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    write(&path, 0);
    let file = WeightFile::open(&path).unwrap();
    for (limit, expected) in [(8192, [Acquired::Fill, Acquired::Hit]), (100, [Acquired::Stream; 2])] {
        let budget = Budget::new("host", limit);
        let weight = Weights::shared(file.clone(), "unet", &budget).weight("f16").unwrap();
        for how in expected {
            let got = weight.read().unwrap();
            assert_eq!((got.how(), &got[..]), (how, &values(64)[..]));
        }
        drop(weight);
        assert_eq!(budget.used(), 0, "dropping the model gives everything back");
    }
}

#[test]
fn a_model_that_is_never_to_stay_streams() {
    let mut source = MemorySource::new("m");
    source.insert("w", Dtype::I8, &[2], vec![1, 255]).unwrap();
    let budget = Budget::unlimited("host");
    let weight = Weights::new(source, "te", &budget).with_residency(Residency::Never).weight("w").unwrap();
    let got = weight.read().unwrap();
    assert_eq!((got.how(), &got[..], budget.used()), (Acquired::Stream, &[1.0, -1.0][..], 8));
    drop(got);
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_was_never_asked_for_can_be_told() {
    let mut source = MemorySource::new("m");
    for name in ["a", "b"] {
        source.insert_f32(name, &[], vec![1.0]).unwrap();
    }
    let weights = Weights::new(source, "unet", &Budget::unlimited("host"));
    weights.weight("b").unwrap();
    assert_eq!((weights.names(), weights.used_names()), (vec!["a", "b"], vec!["b".to_owned()]));
    assert_eq!(weights.weight("c").unwrap_err().to_string(), "m: there is no tensor `c`");
}

#[test]
fn a_file_cut_while_a_model_uses_it_is_an_error_of_that_load() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    write(&path, 0);
    let weight =
        Weights::shared(WeightFile::open(&path).unwrap(), "unet", &Budget::unlimited("host")).weight("f32").unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(64).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(40));
    let error = weight.read().unwrap_err();
    assert!(matches!(error, MemoryError::Source(_)));
    assert!(error.to_string().contains("m.safetensors: the file changed"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn opening_a_large_file_costs_its_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big.safetensors");
    let n: u64 = 256 << 20;
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{n}]}}}}"#, n / 4);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    std::fs::write(&path, &bytes).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(bytes.len() as u64 + n).unwrap();
    let before = process_memory().unwrap();
    let weights = Weights::shared(WeightFile::open(&path).unwrap(), "unet", &Budget::unlimited("host"));
    assert_eq!(weights.info("w").unwrap().bytes() as u64, n);
    let after = process_memory().unwrap();
    // Tests beside this one may have given memory back meanwhile.
    assert!(after.anonymous.saturating_sub(before.anonymous) < 8 << 20);
    assert!(after.file_backed.saturating_sub(before.file_backed) < 8 << 20);
}

/// Adds `by` to every value.
struct Shift(f32);

impl Patch for Shift {
    fn name(&self) -> String {
        format!("shift by {}", self.0)
    }
    fn key(&self) -> u128 {
        u128::from(self.0.to_bits())
    }
    fn apply(&self, shape: &[usize], values: &mut [f32]) -> Result<(), String> {
        if shape.len() != 1 {
            return Err(format!("wants one dimension, got {shape:?}"));
        }
        for v in values {
            *v += self.0;
        }
        Ok(())
    }
}

fn shifts(of: &[(&str, f32)]) -> PatchSet {
    let mut set = PatchSet::new();
    for (name, by) in of {
        set.add(*name, Shift(*by));
    }
    set
}

#[test]
fn changing_patches_refills_the_touched_weights_only_and_nothing_stale_is_served() {
    let mut source = MemorySource::new("m");
    for i in 0..10 {
        source.insert_f32(format!("w{i}"), &[3], vec![i as f32; 3]).unwrap();
        source.insert(format!("h{i}"), Dtype::I8, &[3], vec![i as u8; 3]).unwrap();
    }
    let weights = Weights::new(source, "unet", &Budget::unlimited("host"));
    let names: Vec<String> = weights.names().into_iter().map(str::to_owned).collect();
    let pass = |view: &Weights, shifted: &[(&str, f32)]| -> u64 {
        let before = weights.pager().counters();
        for name in &names {
            let by: f32 = shifted.iter().filter(|(n, _)| n == name).map(|(_, by)| by).sum();
            let base: f32 = name[1..].parse().unwrap();
            assert_eq!(view.weight(name).unwrap().read().unwrap()[..], [base + by; 3], "{name}");
        }
        let after = weights.pager().counters();
        after.fills + after.streams - before.fills - before.streams
    };
    let (one, two) = ([("w1", 0.5), ("h2", 2.0)], [("w1", 0.5), ("h3", 1.0), ("h3", 4.0)]);
    assert_eq!(pass(&weights, &[]), 10, "the integers are decoded once");
    assert_eq!(pass(&weights.patched(shifts(&one)), &one), 2);
    assert_eq!(pass(&weights.patched(shifts(&one)), &one), 0, "the same set again");
    assert_eq!(pass(&weights.patched(shifts(&two)), &two), 2, "h2 back, h3 changed, w1 as it was");
    assert_eq!(pass(&weights, &[]), 1, "h3 back, h2 was; w1 is in the file");
    assert!(weights.patched(shifts(&one)).weight("w1").unwrap().is_patched());
}

/// Adds another weight's values, as a merge of models does; the number tells them from the same weight's under other patches.
struct AddOf(kiln_memory::Weight, u128);

impl Patch for AddOf {
    fn name(&self) -> String {
        format!("{} added", self.0.name())
    }
    fn key(&self) -> u128 {
        self.1
    }
    fn apply(&self, _: &[usize], values: &mut [f32]) -> Result<(), String> {
        let other = self.0.read().map_err(|error| error.to_string())?;
        values.iter_mut().zip(other.iter()).for_each(|(value, other)| *value += other);
        Ok(())
    }
}

#[test]
fn a_patch_may_read_weights_that_are_brought_ahead() {
    let source = |name: &str| {
        let mut source = MemorySource::new(name);
        for i in 0..8u8 {
            source.insert(format!("w{i}"), Dtype::I8, &[4 << 10], vec![i; 4 << 10]).unwrap();
        }
        source
    };
    let adding = |to: &Weights, of: &Weights, key: u128| {
        let mut set = PatchSet::new();
        to.names().iter().for_each(|name| set.add(*name, AddOf(of.weight(name).unwrap(), key)));
        to.patched(set)
    };
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // A weight's place holds one of its contents: while the changed one is made, the one it is made of is streamed, and so
        // brought ahead from the second pass on, whatever the limit.
        for limit in [0, 20, 40, 70, 100, 200, 1000].map(|kilobytes| kilobytes << 10) {
            let budget = Budget::new("host", limit);
            let base = Weights::new(source("base"), "unet", &budget);
            let doubled = adding(&base, &base, 1);
            for pass in 0..20 {
                let net = Weights::new(source("net"), "controlnet", &budget);
                for (view, times) in
                    [(&adding(&net, &doubled, 2), 3.0), (&doubled, 2.0), (&adding(&net, &base, 3), 2.0)]
                {
                    for i in 0..8u8 {
                        let values = view.weight(&format!("w{i}")).unwrap().read().unwrap();
                        let fit = values.iter().all(|value| *value == f32::from(i) * times);
                        assert!(fit, "limit {limit}, pass {pass}, weight {i}");
                    }
                }
            }
        }
        done.send(()).unwrap();
    });
    ended.recv_timeout(std::time::Duration::from_secs(20)).expect("no thread waits for itself");
}

#[test]
fn two_users_with_different_patches_at_once_both_see_their_own() {
    let mut source = MemorySource::new("m");
    source.insert("w", Dtype::I8, &[2], vec![1, 2]).unwrap();
    let weights = Weights::new(source, "unet", &Budget::unlimited("host"));
    let (a, b) = (weights.patched(shifts(&[("w", 1.0)])).weight("w").unwrap(), weights.weight("w").unwrap());
    let (first, second) = (a.read().unwrap(), b.read().unwrap());
    assert_eq!((first.how(), second.how()), (Acquired::Fill, Acquired::Stream));
    assert_eq!((&first[..], &second[..]), (&[2.0, 3.0][..], &[1.0, 2.0][..]));
}

#[test]
fn a_patched_text_encoder_weight_is_rounded_again() {
    let mut source = MemorySource::new("clip");
    source.insert_f32("w", &[1], vec![1.0]).unwrap();
    let clip = Weights::new(source, "clip", &Budget::unlimited("host")).with_rounding(Rounding::F16);
    let patched = clip.patched(shifts(&[("w", 0.0001)])).weight("w").unwrap();
    assert_eq!(patched.read().unwrap()[0], half::f16::from_f32(1.0001).to_f32());
}

#[test]
fn a_patch_that_does_not_fit_is_an_error_that_names_weight_and_patch() {
    let mut source = MemorySource::new("m");
    source.insert_f32("w", &[1, 1], vec![1.0]).unwrap();
    for budget in [Budget::unlimited("host"), Budget::new("host", 0)] {
        let weights = Weights::new(source.clone(), "unet", &budget);
        let error = weights.patched(shifts(&[("w", 3.0)])).weight("w").unwrap().read().unwrap_err();
        assert_eq!(error.to_string(), "weight `w`: patch shift by 3: wants one dimension, got [1, 1]");
        assert_eq!((budget.used(), weights.pager().audit()), (0, vec![]));
    }
}

#[test]
fn a_loop_model_keeps_its_place_beside_one_that_runs_once() {
    let model = |name: &str, budget: &std::sync::Arc<Budget>| {
        let mut source = MemorySource::new(name);
        (0..20).for_each(|i| source.insert(format!("{i}"), Dtype::U8, &[1024], vec![7; 1024]).unwrap());
        Weights::new(source, name, budget)
    };
    let budget = Budget::new("host", 28 * 4096);
    let (clip, unet) = (model("clip", &budget), model("unet", &budget));
    unet.pager().set_schedule(Schedule::new().then("clip", 1).then("unet", 4).repeating());
    let pass = |w: &Weights| (0..20).for_each(|i| _ = w.weight(&i.to_string()).unwrap().read().unwrap());
    for _ in 0..3 {
        pass(&clip);
        (0..4).for_each(|_| pass(&unet));
    }
    let map = unet.pager().describe();
    let unet_row = map.rows.iter().find(|r| r.name == "unet").unwrap();
    assert_eq!((unet_row.counters.evictions, unet_row.counters.fills), (0, 20), "{map}");
}

/// Forty halves of 8 KiB (16 KiB decoded) each.
fn halves() -> MemorySource {
    let mut source = MemorySource::new("unet");
    for i in 0..40u32 {
        let values: Vec<f32> = (0..4096u32).map(|k| ((i * 31 + k * 7) % 1000) as f32).collect();
        source.insert(format!("{i}"), Dtype::F16, &[4096], encode_f32(Dtype::F16, &values).unwrap()).unwrap();
    }
    source
}

#[test]
fn under_any_limit_the_numbers_are_the_same_to_the_last_bit_and_the_bytes_are_what_does_not_fit() {
    let whole = 40 * 4096 * 4u64;
    let mut sums = Vec::new();
    for quarter in 1..=4 {
        let budget = Budget::new("host", whole * quarter / 4);
        let unet = Weights::new(halves(), "unet", &budget);
        unet.pager().set_schedule(Schedule::new().then("unet", 8));
        let handles: Vec<_> = (0..40).map(|i| unet.weight(&i.to_string()).unwrap()).collect();
        let mut sum = 0.0f64;
        let mut last_pass = 0;
        for _ in 0..8 {
            let before = unet.pager().counters().moved();
            for w in &handles {
                sum = sum * 0.999 + w.read().unwrap().iter().map(|v| f64::from(*v)).sum::<f64>();
            }
            last_pass = unet.pager().counters().moved() - before;
        }
        sums.push(sum.to_bits());
        let missing = whole - whole * quarter / 4;
        let ring = if missing == 0 { 0 } else { 2 * 16384 + 2 * 16384 };
        assert!(last_pass <= missing + ring, "{quarter}/4: {last_pass} for {missing}");
        assert!(budget.used() <= budget.limit() + 3 * 16384);
        drop((handles, unet));
        assert_eq!(budget.used(), 0, "and nothing stays behind");
    }
    assert!(sums.iter().all(|s| *s == sums[0]));
}

#[test]
fn a_model_dropped_in_the_middle_of_a_pass_leaves_no_thread_and_no_bytes() {
    for stop in [0, 1, 17, 39] {
        let budget = Budget::new("host", 10 * 16384);
        let unet = Weights::new(halves(), "unet", &budget);
        unet.pager().set_schedule(Schedule::new().then("unet", 8));
        for pass in 0..3 {
            for i in 0..40 {
                if pass == 2 && i == stop {
                    break;
                }
                drop(unet.weight(&i.to_string()).unwrap().read().unwrap());
            }
        }
        drop(unet);
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn nothing_is_brought_ahead_when_that_is_switched_off() {
    let budget = Budget::new("host", 0);
    let unet = Weights::new(halves(), "unet", &budget);
    unet.pager().set_slots(0);
    for _ in 0..3 {
        for i in 0..40 {
            assert_eq!(unet.weight(&i.to_string()).unwrap().read().unwrap().how(), Acquired::Stream);
            assert_eq!(budget.used(), 0);
        }
    }
    assert_eq!(budget.peak(), 16384, "one at a time");
}

#[test]
fn a_few_rows_are_read_without_the_rest() {
    let table: Vec<f32> = (0..300u32).map(|i| i as f32).collect();
    let mut source = MemorySource::new("clip");
    source.insert_f32("f32", &[100, 3], table.clone()).unwrap();
    source.insert("f16", Dtype::F16, &[100, 3], encode_f32(Dtype::F16, &table).unwrap()).unwrap();
    let budget = Budget::unlimited("host");
    let clip = Weights::new(source, "clip", &budget);
    for name in ["f32", "f16"] {
        let rows = clip.weight(name).unwrap().read_rows(40..42).unwrap();
        assert_eq!(rows[..], [120.0, 121.0, 122.0, 123.0, 124.0, 125.0]);
    }
    assert_eq!(budget.peak(), 24, "two rows of the halves, nothing of the singles");
    let patched = clip.patched(shifts(&[("f16", 1.0)])).weight("f16").unwrap();
    assert!(patched.read_rows(0..1).is_err(), "the patch sees the whole weight and refuses its two dimensions");
    let error = clip.weight("f16").unwrap().read_rows(99..101).unwrap_err().to_string();
    assert_eq!(error, "weight `f16` has shape [100, 3], rows 99..101 was asked for");
}

/// Anchor A3 of the study: a new text runs the same models again, a new LoRA is as many bytes as the weights it touches.
#[test]
fn a_new_prompt_moves_no_byte_that_is_resident_and_a_new_lora_only_the_bytes_it_touches() {
    let unet = |budget: &std::sync::Arc<Budget>| Weights::new(halves(), "unet", budget);
    let pass = |weights: &Weights| {
        let before = weights.pager().counters();
        (0..40).for_each(|i| drop(weights.weight(&i.to_string()).unwrap().read().unwrap()));
        weights.pager().counters().moved() - before.moved()
    };
    for (limit, missing) in [(u64::MAX, 0), (30 * 16384, 10 + 4)] {
        let budget = Budget::new("host", limit);
        let unet = unet(&budget);
        unet.pager().set_slots(0);
        let prompt = || unet.pager().set_schedule(Schedule::new().then("unet", 4).repeating());
        prompt();
        (0..4).for_each(|_| _ = pass(&unet));
        prompt();
        let again: u64 = (0..4).map(|_| pass(&unet)).sum();
        assert!(again <= 4 * missing * 16384, "{} units again", again / 16384);
        if missing == 0 {
            let patched = unet.patched(shifts(&[("3", 1.0), ("17", 2.0)]));
            assert_eq!([pass(&patched), pass(&patched)], [2 * 16384, 0]);
            let other = unet.patched(shifts(&[("3", 1.0), ("18", 2.0)]));
            assert_eq!(pass(&other), 2 * 16384, "17 back to what it was, 18 changed, 3 the same");
        }
    }
}
