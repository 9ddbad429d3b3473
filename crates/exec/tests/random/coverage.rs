//! Coverage: random cases are worth something only if they reach every behaviour. Counted here, over a fixed seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kiln_exec::Event;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::case::{CACHES, RETENTIONS, cases};
use crate::oracle::Oracle;
use crate::properties::Bench;

const CASES: usize = 3000;

/// What must be reached, and how often at least.
const WANTED: [(&str, u32); 28] = [
    ("lazy inputs asked for", 300),
    ("lazy inputs asked for in a second round", 100),
    ("lists", 300),
    ("empty lists", 300),
    ("blockers inside lists", 100),
    ("whole lists as inputs", 300),
    ("lists as outputs", 300),
    ("expansions", 300),
    ("expansions inside expansions", 300),
    ("expansions three deep", 100),
    ("expansions without a node", 100),
    ("expanding nodes that answer with values", 100),
    ("links to elsewhere", 300),
    ("output nodes inside expansions", 100),
    ("waiting nodes", 300),
    ("nodes on the pool", 100),
    ("nodes on a lane", 100),
    ("nodes that must not run twice", 300),
    ("dropped outputs", 300),
    ("late edges to dropped outputs", 100),
    ("late edges to dropped outputs of expansions", 15),
    ("spilled values", 100),
    ("values back from where they were spilled to", 10),
    ("failures", 100),
    ("failures inside expansions", 15),
    ("panics", 100),
    ("cancels inside nodes", 100),
    ("cancels between nodes", 100),
];

#[test]
fn random_cases_reach_every_behaviour_many_times() {
    crate::hush();
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut modes: BTreeMap<(usize, u8, bool), u32> = BTreeMap::new();
    for _ in 0..CASES {
        let mut case = cases().new_tree(&mut runner).unwrap().current();
        case.recipe.names = case.mode.cache == 0 && case.mode.keep_ephemeral > 1000;
        let prompt = case.recipe.prompt();
        let oracle = Oracle::new(&case.recipe, &prompt, case.mode.targets(&prompt).as_deref());
        if oracle.is_too_big() {
            continue;
        }
        *modes
            .entry((case.mode.retention % RETENTIONS.len(), case.mode.cache % CACHES, case.mode.restrict))
            .or_insert(0) += 1;
        oracle.seen.iter().for_each(|(what, n)| *seen.entry(what).or_insert(0) += n);
        run(&case, &mut seen);
    }
    assert_eq!(modes.len(), RETENTIONS.len() * usize::from(CACHES) * 2, "every retention × cache × late-edge mode");
    for (what, at_least) in WANTED {
        let n = seen.get(what).copied().unwrap_or(0);
        assert!(n >= at_least, "{what}: {n} in {CASES} cases, wanted {at_least}; all: {seen:#?}");
    }
}

/// Runs a case once without faults and once with them, and counts what was met.
fn run(case: &crate::case::Case, seen: &mut BTreeMap<&'static str, u32>) {
    let bench = Bench::new(&case.recipe, case.mode.policy());
    let told: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let mode = &case.mode;
    let listening = Arc::clone(&told);
    let note = move |event: &Event| {
        let what = match event {
            Event::Dropped { .. } => "dropped outputs",
            Event::Reexecuted { node, .. } if node.as_str().contains('.') => {
                "late edges to dropped outputs of expansions"
            }
            Event::Reexecuted { .. } => "late edges to dropped outputs",
            _ => return,
        };
        listening.lock().unwrap().push(what);
    };
    let _ = bench.engine.start(bench.prompt.clone()).options(mode.options(&bench.prompt)).on_event(note).run();
    let _ = bench.run(mode, mode.options(&bench.prompt), &case.faults);
    let mut saw = |what: &'static str, n: u32| *seen.entry(what).or_insert(0) += n;
    told.lock().unwrap().iter().for_each(|what| saw(what, 1));
    bench.watch.seen.lock().unwrap().iter().for_each(|(what, n)| saw(what, *n));
    let script = bench.watch.script.lock().unwrap();
    script.came.iter().for_each(|what| saw(what, 1));
}
