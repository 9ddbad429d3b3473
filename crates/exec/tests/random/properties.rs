//! Properties: what has to hold for every case, each by its name.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use kiln_exec::*;
use proptest::prelude::*;

use crate::case::{Case, Fault, Mode, RETENTIONS};
use crate::nodes::{Script, Watch, number, registry};
use crate::oracle::{Oracle, is_shown};
use crate::recipe::{Kind, Recipe};

pub type Checked = Result<(), TestCaseError>;

/// What has to hold for a case.
pub type Property = fn(&Case) -> Checked;

/// Every property by its name.
pub const PROPERTIES: [(&str, Property); 9] = [
    ("values", every_mode_shows_what_plain_recursion_shows),
    ("alive", nothing_is_alive_after_a_run),
    ("once", without_late_links_each_node_runs_once),
    ("again", the_same_prompt_again_runs_nothing),
    ("failure", after_a_failure_the_engine_is_as_before),
    ("cancel", a_cancel_leaves_nothing_behind),
    ("alone", a_failure_that_may_stay_alone_does),
    ("restrict", restricted_runs_refuse_links_to_elsewhere_and_nothing_else),
    ("prompts", prompt_after_prompt_shows_what_each_alone_would),
];

/// An engine, what is watched on it, and the prompt.
pub struct Bench {
    pub watch: Arc<Watch>,
    pub engine: Engine,
    pub prompt: Prompt,
}

impl Bench {
    pub fn new(recipe: &Recipe, policy: CachePolicy) -> Self {
        let watch = Arc::new(Watch::default());
        let registry = registry(&watch, &Arc::new(recipe.clone()));
        Self { engine: Engine::builder(registry).cache(policy).build(), watch, prompt: recipe.prompt() }
    }

    /// Runs the prompt as `mode` says, with faults at their steps.
    pub fn run(&self, mode: &Mode, options: RunOptions, faults: &[Fault]) -> Result<Report, RunError> {
        self.watch.ran.lock().unwrap().clear();
        let shelf = |fails| -> Option<Arc<dyn Spill>> {
            Some(Arc::new(Shelf { watch: Arc::clone(&self.watch), fails, calls: AtomicU32::new(0) }))
        };
        // For this run alone, or the engine's, to which results that are kept go as well.
        let (spill, engines) = match mode.spill % 5 {
            1 => (shelf(false), None),
            2 => (shelf(true), None),
            3 => (None, shelf(false)),
            4 => (None, shelf(true)),
            _ => (None, None),
        };
        self.engine.set_spill(engines);
        let mut run = self.engine.start(self.prompt.clone()).options(RunOptions { spill, ..options });
        *self.watch.script.lock().unwrap() = Script::new(faults, Some(run.cancel()));
        if mode.listened_to {
            let watch = Arc::clone(&self.watch);
            run = run.on_event(move |event| watch.heard(event));
        }
        run.run()
    }

    pub fn alive(&self) -> i64 {
        self.watch.alive.load(Ordering::SeqCst)
    }

    /// What went wrong in the last run.
    fn went_wrong(&self) -> (Vec<NodeId>, bool, u32) {
        let script = self.watch.script.lock().unwrap();
        (script.failed.clone(), script.cancelled, script.late_calls)
    }
}

/// Takes numbers out of memory; sometimes it cannot.
struct Shelf {
    watch: Arc<Watch>,
    fails: bool,
    calls: AtomicU32,
}

struct Shelved(Arc<Watch>, Vec<Option<i64>>);

impl Spill for Shelf {
    fn store(&self, values: &Values, _: &Codecs) -> Result<Option<Box<dyn Spilled>>, CodecError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match (self.fails, call % 3) {
            (true, 0) => return Err(io::Error::other("the disk is full").into()),
            (true, 1) => return Ok(None),
            _ => {}
        }
        let one = |value: &Value| value.as_blocker().is_none().then(|| number(value));
        self.watch.saw("spilled values");
        Ok(Some(Box::new(Shelved(Arc::clone(&self.watch), values.iter().map(one).collect()))))
    }
}

impl Spilled for Shelved {
    fn load(&self) -> Result<Values, CodecError> {
        self.0.saw("values back from where they were spilled to");
        let one = |n: &Option<i64>| n.map_or(Value::Blocker(Blocker::silent()), |n| self.0.token(n));
        Ok(self.1.iter().map(one).collect())
    }
}

fn shown(report: &Report) -> BTreeMap<NodeId, Vec<i64>> {
    let list = |output: &NodeOutput| Some(output.ui.as_ref()?.get("v")?.iter().map(|v| v.as_i64().unwrap()).collect());
    report.outputs.iter().filter_map(|(id, output)| Some((id.clone(), list(output)?))).collect()
}

/// Outputs of the prompt itself; what expansions showed is theirs to show once.
fn top(all: &BTreeMap<NodeId, Vec<i64>>) -> BTreeMap<NodeId, Vec<i64>> {
    all.iter().filter(|(id, _)| !id.as_str().contains('.')).map(|(id, v)| (id.clone(), v.clone())).collect()
}

/// Those of the nodes that the run is for; another one may have been served from the cache without showing anything.
fn wanted(all: &BTreeMap<NodeId, Vec<i64>>, targets: Option<&[NodeId]>) -> BTreeMap<NodeId, Vec<i64>> {
    let wanted = |id: &NodeId| targets.is_none_or(|targets| targets.contains(id));
    top(all).into_iter().filter(|(id, _)| wanted(id)).collect()
}

fn failed(error: &RunError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

/// A bench and what should come of it; `None` for cases too big to teach anything.
fn prepare(recipe: &Recipe, policy: CachePolicy, mode: &Mode) -> Option<(Bench, Expected)> {
    let bench = Bench::new(recipe, policy);
    let targets = mode.targets(&bench.prompt);
    let expected = expect(recipe, &bench.prompt, targets)?;
    Some((bench, expected))
}

/// What plain recursion finds.
struct Expected {
    shown: BTreeMap<NodeId, Vec<i64>>,
    needed: BTreeMap<NodeId, String>,
    links_elsewhere: bool,
    targets: Option<Vec<NodeId>>,
}

fn expect(recipe: &Recipe, prompt: &Prompt, targets: Option<Vec<NodeId>>) -> Option<Expected> {
    let oracle = Oracle::new(recipe, prompt, targets.as_deref());
    (!oracle.is_too_big()).then(|| Expected {
        needed: oracle.needed().map(|id| (id.clone(), oracle.class(id).to_owned())).collect(),
        shown: oracle.shown,
        links_elsewhere: oracle.links_elsewhere,
        targets,
    })
}

impl Expected {
    fn matches(&self, report: &Report) -> Checked {
        let targets = self.targets.as_deref();
        prop_assert_eq!(wanted(&shown(report), targets), wanted(&self.shown, targets));
        Ok(())
    }

    fn needs_what_ran(&self, bench: &Bench) -> Checked {
        for (id, (count, _)) in &*bench.watch.ran.lock().unwrap() {
            let class = self.needed.get(id);
            prop_assert!(class.is_some(), "\"{}\" ran and was not needed", id);
            let once = class.is_some_and(|class| is_shown(class) || matches!(&**class, "Once" | "Always"));
            prop_assert!(!once || *count <= 1, "\"{}\" ran {} times for one value", id, count);
        }
        Ok(())
    }
}

/// Every mode shows what plain recursion shows, and runs nothing that is not needed.
fn every_mode_shows_what_plain_recursion_shows(case: &Case) -> Checked {
    let mode = &case.mode;
    let Some((bench, expected)) = prepare(&case.recipe, mode.policy(), mode) else { return Ok(()) };
    let report = bench.run(mode, mode.options(&bench.prompt), &[]).map_err(|e| failed(&e))?;
    expected.matches(&report)?;
    expected.needs_what_ran(&bench)
}

/// Without a cache nothing is alive after a run, and what expansions show is shown once.
fn nothing_is_alive_after_a_run(case: &Case) -> Checked {
    let mode = &case.mode;
    // Nothing is forgotten and nothing served: every node that was can be named.
    let recipe = Recipe { names: mode.keep_ephemeral > 1000, ..case.recipe.clone() };
    let Some((bench, expected)) = prepare(&recipe, CachePolicy::None, mode) else { return Ok(()) };
    let report = bench.run(mode, mode.options(&bench.prompt), &[]).map_err(|e| failed(&e))?;
    prop_assert_eq!(shown(&report), expected.shown);
    prop_assert_eq!(report.summary.live_bytes_at_end, 0);
    drop(report);
    prop_assert_eq!(bench.alive(), 0);
    Ok(())
}

/// Without late links each node runs exactly once, unless lazy links do not count.
fn without_late_links_each_node_runs_once(case: &Case) -> Checked {
    let recipe = Recipe { late: false, raw: false, ..case.recipe.clone() };
    // Level 2 in place of `Eager`, for which a lazy request may come too late.
    let retention = if RETENTIONS[case.mode.retention % 5] == Retention::Eager { 2 } else { case.mode.retention };
    let mode = &Mode { retention, ..case.mode.clone() };
    let Some((bench, expected)) = prepare(&recipe, CachePolicy::None, mode) else { return Ok(()) };
    let report = bench.run(mode, mode.options(&bench.prompt), &[]).map_err(|e| failed(&e))?;
    prop_assert_eq!(shown(&report), expected.shown);
    for (id, (count, _)) in &*bench.watch.ran.lock().unwrap() {
        prop_assert!(*count <= 1, "\"{}\" ran {} times", id, count);
    }
    prop_assert_eq!(report.summary.reexecuted, 0);
    Ok(())
}

/// The same prompt again runs nothing but what changes by itself, and shows the same.
fn the_same_prompt_again_runs_nothing(case: &Case) -> Checked {
    let mode = &Mode { evict: None, ..case.mode.clone() };
    let policy = if mode.cache.is_multiple_of(2) { CachePolicy::Classic } else { CachePolicy::Lru(1000) };
    let Some((bench, expected)) = prepare(&case.recipe, policy, mode) else { return Ok(()) };
    let first = bench.run(mode, mode.options(&bench.prompt), &[]).map_err(|e| failed(&e))?;
    let again = bench.run(mode, mode.options(&bench.prompt), &[]).map_err(|e| failed(&e))?;
    let targets = expected.targets.as_deref();
    prop_assert_eq!(wanted(&shown(&first), targets), wanted(&shown(&again), targets));
    // Also an input that nobody asks for is part of the key, and what changes by itself has none.
    let mut specs = case.recipe.nodes.iter().chain(case.recipe.subs.iter().flatten());
    if !specs.any(|spec| spec.kind == Kind::Always) {
        prop_assert_eq!(again.summary.executed, 0, "{:?}", bench.watch.ran.lock().unwrap());
    }
    Ok(())
}

/// After a failure or a panic anywhere the engine runs the next prompt as if nothing had been.
fn after_a_failure_the_engine_is_as_before(case: &Case) -> Checked {
    let mode = &case.mode;
    let Some((bench, expected)) = prepare(&case.recipe, mode.policy(), mode) else { return Ok(()) };
    let ended = bench.run(mode, mode.options(&bench.prompt), &case.faults);
    judge(&bench, &expected, mode, &ended)?;
    drop(ended);
    let report = bench.run(mode, mode.options(&bench.prompt), &[]).map_err(|e| failed(&e))?;
    expected.matches(&report)?;
    drop(report);
    bench.engine.free();
    prop_assert_eq!(bench.alive(), 0);
    Ok(())
}

/// The end of a run is what its faults ask for.
fn judge(bench: &Bench, expected: &Expected, mode: &Mode, ended: &Result<Report, RunError>) -> Checked {
    let (victims, cancelled, late_calls) = bench.went_wrong();
    match ended {
        Ok(_) => prop_assert!(victims.is_empty(), "{:?} failed and the run did not", victims),
        Err(error) if error.is_interrupted() => prop_assert!(cancelled, "interrupted by nobody"),
        Err(error) => {
            let blamed = error.node_path().last();
            prop_assert!(blamed.is_some_and(|id| victims.contains(id)), "{:?} is blamed: {}", blamed, error);
            let real = blamed.and_then(|id| id.as_str().split('.').next());
            prop_assert_eq!(error.node().map(NodeId::as_str), real);
        }
    }
    // Waiting nodes have begun when they are launched, and land in that order.
    let waits = expected.needed.values().any(|class| matches!(&**class, "Wait" | "ExpandLater"));
    if mode.deterministic && !waits {
        prop_assert_eq!(late_calls, 0, "calls began after a failure");
    }
    Ok(())
}

/// A cancel anywhere ends the run and leaves nothing behind.
fn a_cancel_leaves_nothing_behind(case: &Case) -> Checked {
    let mode = &case.mode;
    let Some((bench, expected)) = prepare(&case.recipe, CachePolicy::None, mode) else { return Ok(()) };
    let ended = bench.run(mode, mode.options(&bench.prompt), &case.faults);
    judge(&bench, &expected, mode, &ended)?;
    drop(ended);
    prop_assert_eq!(bench.alive(), 0);
    prop_assert_eq!(bench.engine.live_bytes(), 0);
    Ok(())
}

/// A failure that may stay alone leaves the other outputs as they are.
fn a_failure_that_may_stay_alone_does(case: &Case) -> Checked {
    let mode = &case.mode;
    let Some((bench, expected)) = prepare(&case.recipe, mode.policy(), mode) else { return Ok(()) };
    let options = RunOptions { on_failure: OnFailure::Continue, ..mode.options(&bench.prompt) };
    match bench.run(mode, options, &case.faults) {
        Err(error) => {
            prop_assert!(error.is_interrupted(), "{}", error);
            prop_assert!(bench.went_wrong().1, "interrupted by nobody");
        }
        Ok(report) => {
            let victims = bench.watch.script.lock().unwrap().failed.len();
            prop_assert!(report.failures.len() <= victims && (victims == 0) == report.failures.is_empty());
            if victims == 0 {
                expected.matches(&report)?;
            }
            for (id, values) in top(&shown(&report)) {
                // Where lists are joined a failed element is missing; what is shown whole is shown right.
                let right = &expected.shown[&id];
                prop_assert!(values.len() < right.len() || values == *right, "\"{}\"", id);
            }
        }
    }
    // Nothing of the failure may have been kept.
    let next = bench.run(mode, mode.options(&bench.prompt), &[]).map_err(|e| failed(&e))?;
    expected.matches(&next)
}

/// Restricted runs refuse expansions that link to nodes which do not connect to the expanding one, and nothing else.
fn restricted_runs_refuse_links_to_elsewhere_and_nothing_else(case: &Case) -> Checked {
    let mode = &case.mode;
    let Some((bench, expected)) = prepare(&case.recipe, mode.policy(), mode) else { return Ok(()) };
    let options = RunOptions { late_edges: LateEdges::Restrict, ..mode.options(&bench.prompt) };
    match bench.run(mode, options, &[]) {
        Ok(report) => {
            prop_assert!(!expected.links_elsewhere, "a link to elsewhere was let through");
            expected.matches(&report)
        }
        Err(error) => {
            prop_assert_eq!(error.kind(), ErrorKind::RestrictedLink, "{}", error);
            prop_assert!(expected.links_elsewhere, "{}", error);
            Ok(())
        }
    }
}

/// Prompt after prompt, edited in between, in changing modes and with faults: each shows what it would show alone.
fn prompt_after_prompt_shows_what_each_alone_would(case: &Case) -> Checked {
    // What an expansion links to by name alone is not part of any key, in ComfyUI neither.
    let mut recipe = Recipe { late: false, ..case.recipe.clone() };
    let mut bench = Bench::new(&recipe, case.mode.policy());
    let first = crate::case::Step { edit: None, mode: case.mode.clone(), faults: case.faults.clone() };
    for step in std::iter::once(&first).chain(&case.then) {
        if let Some((at, spec)) = &step.edit {
            let at = *at as usize % recipe.nodes.len();
            recipe.nodes[at] = spec.clone();
            bench.prompt = recipe.prompt();
        }
        let mode = &step.mode;
        let Some(expected) = expect(&recipe, &bench.prompt, mode.targets(&bench.prompt)) else { return Ok(()) };
        let ended = bench.run(mode, mode.options(&bench.prompt), &step.faults);
        judge(&bench, &expected, mode, &ended)?;
        if let Ok(report) = ended {
            expected.matches(&report)?;
        }
    }
    bench.engine.free();
    prop_assert_eq!(bench.alive(), 0);
    Ok(())
}
