//! What the host does to a process: other programs, control groups, limits. 4, 7 and 8, with processes of their own.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, clippy::print_stdout)] // what was skipped, and what a parent waits for

use crate::{
    MIB,
    support::{child, files},
};
use kiln_memory::{
    Budget, ComputedSource, Dtype, Kind, PressureMonitor, Reading, Schedule, WeightFile, Weights, available_memory,
    process_memory,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// `n` weights of 4 MiB, all of whose numbers are the weight's own.
fn computed(n: usize, budget: &Arc<Budget>) -> Weights {
    let shapes = (0..n).map(|i| (i.to_string(), vec![1 << 20]));
    let rule = |name: &str, _: &[usize], out: &mut [f32]| out.fill(name.parse().unwrap_or(-1.0));
    Weights::new(ComputedSource::new("computed", shapes, rule), "unet", budget)
}

fn pass(weights: &Weights, n: usize) {
    for i in 0..n {
        let values = weights.weight(&i.to_string()).unwrap().read().unwrap();
        assert!(values.iter().step_by(1024).all(|v| *v == i as f32));
    }
}

/// A control group of this test's own below the one it runs in, if the machine lets it make one.
struct Group(PathBuf);

impl Group {
    fn new(name: &str, bytes: u64) -> Option<Self> {
        let table = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = table.lines().find_map(|l| l.split_once(":memory:"))?.1.trim_start_matches('/');
        let path = Path::new("/sys/fs/cgroup/memory").join(own).join(format!("kiln-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        let group = Self(path);
        std::fs::write(group.0.join("memory.limit_in_bytes"), bytes.to_string()).ok()?;
        Some(group)
    }

    /// The same, telling when it can't be: version 2 lets only a manager divide a group that has processes in it.
    fn or_told(name: &str, bytes: u64) -> Option<Self> {
        let group = Self::new(name, bytes);
        if group.is_none() {
            eprintln!("no control group can be made here: the limit is set by RLIMIT_DATA instead");
        }
        group
    }

    fn enter(path: &str) {
        std::fs::write(Path::new(path).join("cgroup.procs"), std::process::id().to_string()).unwrap();
    }

    fn number(&self, name: &str) -> u64 {
        std::fs::read_to_string(self.0.join(name)).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        _ = std::fs::remove_dir(&self.0);
    }
}

const GROUP: &str = "KILN_TEST_GROUP";
const FILE: &str = "KILN_TEST_FILE";

/// Enters what the parent prepared: a control group, or a limit on data of `bytes` more than there is.
fn enter_limits(bytes: u64) {
    match std::env::var(GROUP) {
        Ok(path) => Group::enter(&path),
        Err(_) => limit_data(bytes),
    }
}

fn limit_data(more: u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmData:")).unwrap();
    let now = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
    setrlimit(Resource::Data, Rlimit { current: Some(now + more), maximum: None }).unwrap();
}

#[test]
fn f08_without_a_limit_of_our_own_a_limit_of_the_system_makes_weights_stream_and_nothing_fail() {
    const TEST: &str =
        "host::f08_without_a_limit_of_our_own_a_limit_of_the_system_makes_weights_stream_and_nothing_fail";
    if child::role().is_none() {
        child::run(TEST, "limited", |_| {});
        return;
    }
    limit_data(48 * MIB);
    assert!(available_memory().unwrap() <= 48 * MIB, "the process's own limit is seen");
    let budget = Budget::unlimited("host");
    let unet = computed(32, &budget);
    assert_eq!(unet.reserve_slots().unwrap(), 2);
    for _ in 0..3 {
        pass(&unet, 32);
    }
    let counters = unet.pager().counters();
    assert!(counters.fills > 0 && counters.streams > 0, "{counters:?}");
    assert!(budget.used() <= 48 * MIB && unet.pager().audit().is_empty());
}

#[test]
fn i14_a_model_whose_largest_weight_has_no_slot_is_refused_by_the_one_call_that_may() {
    const TEST: &str = "host::i14_a_model_whose_largest_weight_has_no_slot_is_refused_by_the_one_call_that_may";
    if child::role().is_none() {
        child::run(TEST, "limited", |_| {});
        return;
    }
    limit_data(20 * MIB);
    let shapes = [("large", vec![16 << 20]), ("small", vec![1 << 20])];
    let source = ComputedSource::new("computed", shapes, |_, _, out| out.fill(1.0));
    let budget = Budget::new("host", 0);
    let unet = Weights::new(source, "unet", &budget);
    let error = unet.reserve_slots().unwrap_err();
    assert!(error.to_string().contains("unet asked for 64.0 MiB of staging"), "{error}");
    let error = unet.weight("large").unwrap().read().unwrap_err().to_string();
    assert!(error.starts_with("weight `large` has no place to pass through"), "{error}");
    assert_eq!(budget.used(), 0);
    assert_eq!(unet.weight("small").unwrap().read().unwrap()[7], 1.0, "what has room still passes");
}

#[test]
fn f08_inside_a_control_group_smaller_than_the_model_the_model_runs_and_stays_within_it() {
    const TEST: &str = "host::f08_inside_a_control_group_smaller_than_the_model_the_model_runs_and_stays_within_it";
    if child::role().is_some() {
        return in_a_small_group();
    }
    let dir = files::folder();
    let path = dir.path().join("unet.safetensors");
    files::write(&path, Dtype::F16, 48, 1 << 20); // 96 MiB; 192 as f32
    let group = Group::or_told("small", 80 * MIB);
    child::run(TEST, "limited", |command| {
        command.env(FILE, &path);
        if let Some(group) = &group {
            command.env(GROUP, &group.0);
        }
    });
    if let Some(group) = &group {
        let peak = group.number("memory.max_usage_in_bytes");
        assert!(peak <= 80 * MIB, "{} MiB", peak / MIB);
    }
}

fn in_a_small_group() {
    enter_limits(80 * MIB);
    let room = available_memory().unwrap();
    assert!(room <= 80 * MIB, "{} MiB available", room / MIB);
    let budget = Budget::unlimited("host");
    let pressure_monitor = PressureMonitor::new(budget.clone(), 16 * MIB).counting_the_process();
    let file = WeightFile::open(std::env::var(FILE).unwrap()).unwrap();
    assert_eq!(file.reading(), Reading::PastCache, "96 MiB of file don't fit beside anything");
    let unet = Weights::shared(file, "unet", &budget);
    unet.pager().set_schedule(Schedule::new().then("unet", 3));
    for _ in 0..3 {
        for i in 0..48 {
            pressure_monitor.poll();
            let values = unet.weight(&i.to_string()).unwrap().read().unwrap();
            assert_eq!((values[3], values[77_777]), (files::value(i, 3), files::value(i, 77_777)));
        }
    }
    let counters = unet.pager().counters();
    assert!(counters.streams > 0, "{counters:?}, limit {} MiB", budget.limit() / MIB);
    assert!(budget.limit() <= 80 * MIB);
}

#[test]
fn f04_when_a_second_process_takes_memory_weights_are_given_back_and_return_when_it_ends() {
    const TEST: &str = "host::f04_when_a_second_process_takes_memory_weights_are_given_back_and_return_when_it_ends";
    match child::role().as_deref() {
        Some("hog") => hog(),
        Some(_) => beside_a_hog(TEST),
        None => {
            let group = Group::or_told("two", 512 * MIB);
            if group.is_none() {
                eprintln!("the machine's own MemAvailable is watched instead");
            }
            child::run(TEST, "model", |command| {
                if let Some(group) = &group {
                    command.env(GROUP, &group.0);
                }
            });
        }
    }
}

/// Takes memory, says so, and holds it until its input ends.
fn hog() {
    if let Ok(path) = std::env::var(GROUP) {
        Group::enter(&path);
    }
    let held = vec![1u8; 340 << 20];
    println!("\nholding");
    _ = std::io::stdin().read(&mut [0]);
    assert!(held.iter().step_by(4096).all(|b| *b == 1));
}

fn beside_a_hog(test: &str) {
    if let Ok(path) = std::env::var(GROUP) {
        Group::enter(&path);
    }
    let budget = Budget::new("host", 256 * MIB);
    let unet = computed(32, &budget); // 128 MiB
    // In a group of its own nothing else moves; without one, the machine keeps what it has now but for a little.
    let room = available_memory().unwrap();
    let headroom = if room < 1 << 30 { 64 * MIB } else { room - 300 * MIB };
    let pressure_monitor = PressureMonitor::new(budget.clone(), headroom);
    pressure_monitor.poll();
    pass(&unet, 32);
    let resident = || budget.report().used_for(Kind::Weights);
    let before = (budget.limit(), resident(), process_memory().unwrap().anonymous);
    assert_eq!(before.1, 128 * MIB, "all of it is here, under {} MiB", before.0 / MIB);

    let mut other = child::start(test, "hog");
    let mut said = BufReader::new(other.stdout.take().unwrap()).lines();
    assert!(said.by_ref().map_while(Result::ok).any(|line| line == "holding"));
    poll_until(&pressure_monitor, || resident() < before.1);
    let after = process_memory().unwrap().anonymous;
    assert!(budget.limit() < before.0 && after + 32 * MIB < before.2, "{} of {} MiB left", after / MIB, before.2 / MIB);
    pass(&unet, 32);
    assert!(budget.used() <= budget.limit());

    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
    poll_until(&pressure_monitor, || budget.limit() == before.0);
    pass(&unet, 32);
    assert_eq!(resident(), before.1);
}

fn poll_until(pressure_monitor: &PressureMonitor, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "nothing moved: {pressure_monitor:?}");
        pressure_monitor.poll();
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn f07_under_a_memlock_limit_slots_are_ordinary_memory_and_streaming_goes_on() {
    const TEST: &str = "host::f07_under_a_memlock_limit_slots_are_ordinary_memory_and_streaming_goes_on";
    if child::role().is_none() {
        child::run(TEST, "limited", |_| {});
        return;
    }
    // A privileged process may lock what it likes; the limit is there all the same for everyone else.
    setrlimit(Resource::Memlock, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    let unet = computed(6, &Budget::new("host", 0)).with_pinned_slots(1 << 30);
    assert!(unet.reserve_slots().is_ok());
    for _ in 0..3 {
        pass(&unet, 6);
    }
}

#[test]
fn f08_the_ram_limit_is_one_of_the_whole_process_when_the_pressure_monitor_measures_it() {
    let budget = Budget::new("host", 300 * MIB);
    let pressure_monitor = PressureMonitor::new(budget.clone(), 0).counting_the_process();
    let unet = computed(50, &budget);
    pass(&unet, 50);
    assert_eq!(budget.report().used_for(Kind::Weights), 200 * MIB);
    pressure_monitor.measure(200 * MIB + 180 * MIB); // a library holds 180 MiB that it told nobody of
    assert_eq!(budget.report().used_for(Kind::Process), 180 * MIB);
    assert!(budget.used() <= 300 * MIB && budget.report().used_for(Kind::Weights) == 120 * MIB);
    pressure_monitor.measure(120 * MIB);
    pass(&unet, 50);
    assert_eq!(budget.report().used_for(Kind::Weights), 200 * MIB, "and what it frees is the weights' again");
}
