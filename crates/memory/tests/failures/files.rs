//! What can happen to a file: 5, 6, 12, 14, 15 and 17.

use crate::support::{Dice, files};
use kiln_memory::{
    Acquired, Budget, ComputedSource, Dtype, Kind, MemoryError, MemorySource, Patch, PatchSet, Problem, Reading,
    SourceError, WeightFile, Weights, open_weights,
};
use std::{fs::OpenOptions, path::Path, sync::mpsc};

fn weights(path: &Path, budget: &std::sync::Arc<Budget>) -> Weights {
    Weights::shared(WeightFile::open(path).unwrap(), "unet", budget)
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn changed(error: &MemoryError) -> bool {
    matches!(error, MemoryError::Source(SourceError::File(file)) if matches!(file.problem, Problem::Changed { .. }))
}

#[test]
fn f05_a_file_cut_under_a_decoded_weight_is_an_error_of_that_load_however_soon() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    for reading in [Reading::Cached, Reading::PastCache] {
        files::write(&path, Dtype::F16, 8, 1 << 20);
        let file = WeightFile::open(&path).unwrap();
        file.set_reading(reading);
        let unet = Weights::shared(file, "unet", &Budget::unlimited("host"));
        drop(unet.weight("0").unwrap().read().unwrap());
        cut(&path, 9 << 20);
        // Asked at once, before the file is looked at again: the read itself is short.
        let error = unet.weight("7").unwrap().read().unwrap_err();
        assert!(changed(&error) && error.to_string().contains("m.safetensors: the file changed"), "{error}");
        assert_eq!(unet.pager().audit(), Vec::<String>::new());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn f05_a_file_cut_under_its_map_reads_as_zeros_and_is_told_instead_of_ending_the_process() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    files::write(&path, Dtype::F32, 4, 1 << 20);
    let unet = weights(&path, &Budget::unlimited("host"));
    let held = unet.weight("3").unwrap().read().unwrap();
    assert_eq!((held.how(), held[5]), (Acquired::Hit, files::value(3, 5)));
    cut(&path, 5 << 20);
    assert!(held.iter().skip(4096).all(|v| *v == 0.0));
    let error = unet.check().unwrap_err();
    assert!(error.to_string().contains("the file changed"), "{error}");
    assert!(changed(&unet.weight("0").unwrap().read().unwrap_err()), "and so is every later load");
}

#[test]
fn f05_a_file_written_over_is_an_error_and_one_replaced_by_renaming_is_not() {
    let dir = files::folder();
    let (path, other) = (dir.path().join("m.safetensors"), dir.path().join("other"));
    files::write(&path, Dtype::F16, 2, 1000);
    let unet = weights(&path, &Budget::unlimited("host"));
    files::write(&other, Dtype::F16, 1, 500);
    std::fs::rename(&other, &path).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(unet.weight("1").unwrap().read().unwrap()[..], files::values(1, 1000), "the map and descriptor keep it");

    let unet = weights(&path, &Budget::unlimited("host"));
    std::thread::sleep(std::time::Duration::from_millis(30));
    files::write(&path, Dtype::F16, 1, 500);
    let error = unet.weight("0").unwrap().read().unwrap_err();
    assert!(changed(&error) && error.to_string().contains("it was written to"), "{error}");
}

#[test]
fn f06_while_one_models_disk_stalls_the_others_go_on() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let stalled = ComputedSource::new("network drive", [("w", vec![4])], move |_, _, out| {
        _ = wait.lock().unwrap().recv();
        out.fill(1.0);
    });
    let budget = Budget::unlimited("host");
    let slow = Weights::new(stalled, "slow", &budget);
    let mut source = MemorySource::new("fast");
    source.insert("w", Dtype::U8, &[4096], vec![3; 4096]).unwrap();
    let fast = Weights::new(source, "fast", &budget);
    let reader = {
        let slow = slow.weight("w").unwrap();
        std::thread::spawn(move || slow.read().unwrap()[0])
    };
    for _ in 0..100 {
        assert_eq!(fast.weight("w").unwrap().read().unwrap()[0], 3.0);
    }
    assert!(!reader.is_finished());
    while slow.longest_read().is_none() {
        std::thread::yield_now();
    }
    assert_eq!(slow.longest_read().map(|(name, _)| name).as_deref(), Some("w"), "and who waits is told");
    go.send(()).unwrap();
    assert_eq!(reader.join().unwrap(), 1.0);
    assert_eq!(slow.longest_read(), None);
}

struct Add(f32);

impl Patch for Add {
    fn name(&self) -> String {
        "add".into()
    }
    fn key(&self) -> u128 {
        u128::from(self.0.to_bits())
    }
    fn apply(&self, _: &[usize], values: &mut [f32]) -> Result<(), String> {
        for v in values {
            *v += self.0;
        }
        Ok(())
    }
}

#[test]
fn f12_two_patch_sets_that_alternate_never_reload_what_neither_touches_nor_serve_each_others() {
    let mut source = MemorySource::new("m");
    (0..10).for_each(|i| source.insert(i.to_string(), Dtype::U8, &[64], vec![i as u8; 64]).unwrap());
    let base = Weights::new(source, "unet", &Budget::unlimited("host"));
    let set = |by: f32| {
        let mut set = PatchSet::new();
        set.add("3", Add(by));
        base.patched(set)
    };
    let views = [set(0.5), set(0.25)];
    let pass = |view: &Weights, by: f32| {
        for i in 0..10u8 {
            let expected = f32::from(i) + if i == 3 { by } else { 0.0 };
            assert_eq!(view.weight(&i.to_string()).unwrap().read().unwrap()[..], [expected; 64]);
        }
    };
    pass(&views[0], 0.5);
    let before = base.pager().counters();
    for _ in 0..5 {
        pass(&views[1], 0.25);
        pass(&views[0], 0.5);
    }
    let after = base.pager().counters();
    assert_eq!((after.fills - before.fills, after.streams), (10, 0), "one weight per change");
}

#[test]
fn f14_a_misaligned_tensor_is_copied_once_and_counted() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    let header = r#"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"w":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}}"#;
    let header = format!("{header:width$}", width = header.len().next_multiple_of(8));
    let numbers = [1.5f32, -2.0].map(f32::to_le_bytes).concat();
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[0; 3], &numbers].concat())
        .unwrap();
    let budget = Budget::unlimited("host");
    let weight = weights(&path, &budget).weight("w").unwrap();
    for how in [Acquired::Fill, Acquired::Hit, Acquired::Hit] {
        let got = weight.read().unwrap();
        assert_eq!((got.how(), &got[..]), (how, &[1.5, -2.0][..]));
    }
    assert!(budget.report().used_for(Kind::Weights) > 0);
}

#[test]
fn f15_overlapping_and_out_of_range_tensors_are_refused_when_the_header_is_read() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    let complaint = |second: &str, data: usize| {
        let header = format!(
            r#"{{"a":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}},"b":{{"dtype":"U8","shape":[4],"data_offsets":{second}}}}}"#
        );
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat();
        std::fs::write(&path, bytes).unwrap();
        open_weights(&path).map(|_| ()).unwrap_err().to_string()
    };
    assert!(complaint("[2,6]", 6).contains("tensor `b`: its data starts inside a"));
    assert!(complaint("[4,8]", 6).contains("tensor `b`: its data ends at byte"));
    assert!(complaint("[18446744073709551612,0]", 8).contains("tensor `b`"));
}

#[test]
#[cfg(target_os = "linux")]
fn f17_maps_and_descriptors_close_in_programs_that_are_started() {
    let dir = files::folder();
    let path = dir.path().join("closed.safetensors");
    files::write(&path, Dtype::F16, 4, 1 << 16);
    let file = WeightFile::open(&path).unwrap();
    file.set_reading(Reading::PastCache);
    let unet = Weights::shared(file, "unet", &Budget::new("host", 0));
    drop(unet.weight("0").unwrap().read().unwrap());
    let own = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(own.contains("closed.safetensors"), "this process does map it");
    let script = "ls -l /proc/self/fd; cat /proc/self/maps";
    let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !listing.contains("closed.safetensors"), "{listing}");
    let mut dice = Dice(3);
    let i = dice.below(4);
    assert_eq!(unet.weight(&i.to_string()).unwrap().read().unwrap()[9], files::value(i, 9), "and goes on using it");
}
