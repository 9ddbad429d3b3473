//! Random graphs against an oracle that evaluates recursively and keeps everything: every retention, cache and
//! late-edge mode, evictions, failures and cancels at any point.
//!
//! `KILN_CASES` sets the number of cases per test (default 4 000, seven tests). A failing case shrinks, is saved under
//! `proptest-regressions/` and runs first from then on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod nodes;
mod oracle;
mod recipe;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_exec::*;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

use crate::nodes::{Watch, registry};
use crate::oracle::Oracle;
use crate::recipe::{Recipe, recipes};

const RETENTIONS: [Retention; 5] =
    [Retention::Keep, Retention::Unreferenced, Retention::Unreadable, Retention::Eager, Retention::StaticOnly];

fn cache(choice: u8) -> CachePolicy {
    match choice % 5 {
        0 => CachePolicy::None,
        1 => CachePolicy::Classic,
        2 => CachePolicy::Lru(3),
        3 => CachePolicy::Bytes(4000),
        _ => CachePolicy::RamPressure { headroom: 100, available: Arc::new(|| 50) },
    }
}

/// How one case is run.
#[derive(Clone, Debug)]
struct Mode {
    retention: usize,
    cache: u8,
    tail_depth: u32,
    keep_ephemeral: usize,
    deterministic: bool,
    evict: Option<u64>,
    peak_order: bool,
}

fn modes() -> impl Strategy<Value = Mode> {
    let numbers = (0..5_usize, any::<u8>(), 0..3_u32, prop_oneof![Just(4096_usize), 0..4_usize]);
    (numbers, any::<bool>(), prop::option::of(any::<u64>()), any::<bool>()).prop_map(
        |((retention, cache, tail_depth, keep_ephemeral), deterministic, evict, peak_order)| Mode {
            retention,
            cache,
            tail_depth,
            keep_ephemeral,
            deterministic,
            evict,
            peak_order,
        },
    )
}

impl Mode {
    fn options(&self) -> RunOptions {
        let evict = self.evict.map(|seed| -> Adversary {
            let round = AtomicU64::new(seed);
            Arc::new(move |key| (key ^ round.fetch_add(0x9e37_79b9, Ordering::Relaxed)).count_ones().is_multiple_of(2))
        });
        RunOptions {
            retention: RETENTIONS[self.retention],
            tail_depth: self.tail_depth,
            keep_ephemeral: self.keep_ephemeral,
            deterministic: self.deterministic,
            adversary: evict,
            order: if self.peak_order { Order::Peak } else { Order::Comfy },
            ..RunOptions::default()
        }
    }
}

struct Case {
    watch: Arc<Watch>,
    engine: Engine,
    prompt: Prompt,
}

impl Case {
    fn new(recipe: &Recipe, policy: CachePolicy) -> Self {
        let watch = Arc::new(Watch::default());
        let registry = registry(&watch, &Arc::new(recipe.clone()));
        Self { engine: Engine::builder(registry).cache(policy).build(), watch, prompt: recipe.prompt() }
    }

    fn run(&self, options: RunOptions) -> Result<Report, RunError> {
        self.watch.ran.lock().unwrap().clear();
        self.engine.start(self.prompt.clone()).options(options).run()
    }

    fn alive(&self) -> i64 {
        self.watch.alive.load(Ordering::SeqCst)
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

fn check<S: Strategy>(name: &'static str, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: std::fmt::Debug,
{
    let cases = std::env::var("KILN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(4000);
    let file = format!("{}/proptest-regressions/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let persistence = FileFailurePersistence::Direct(Box::leak(file.into_boxed_str()));
    let config = ProptestConfig {
        cases,
        failure_persistence: Some(Box::new(persistence)),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(&strategy, test).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn every_mode_shows_what_plain_recursion_shows_and_runs_nothing_that_is_not_needed() {
    check("values", (recipes(), modes()), |(recipe, mode)| {
        let case = Case::new(&recipe, cache(mode.cache));
        let oracle = Oracle::new(&recipe, &case.prompt);
        if oracle.is_too_big() {
            return Ok(());
        }
        let report = case.run(mode.options()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(top(&shown(&report)), top(&oracle.shown));
        for (id, (count, _)) in &*case.watch.ran.lock().unwrap() {
            prop_assert!(oracle.needed(id), "\"{}\" ran and was not needed", id);
            if matches!(oracle.class(id), "Once" | "Sink") {
                prop_assert!(*count <= 1, "\"{}\" ran {} times for one value", id, count);
            }
        }
        Ok(())
    });
}

#[test]
fn without_a_cache_nothing_is_alive_after_a_run_and_what_expansions_show_is_shown_once() {
    check("alive", (recipes(), modes()), |(recipe, mode)| {
        let case = Case::new(&recipe, CachePolicy::None);
        let oracle = Oracle::new(&recipe, &case.prompt);
        if oracle.is_too_big() {
            return Ok(());
        }
        let report = case.run(mode.options()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(shown(&report), oracle.shown.clone());
        prop_assert_eq!(report.summary.live_bytes_at_end, 0);
        drop(report);
        prop_assert_eq!(case.alive(), 0);
        Ok(())
    });
}

#[test]
fn without_late_links_each_node_runs_exactly_once_unless_lazy_links_do_not_count() {
    check("once", (recipes(), modes()), |(recipe, mode)| {
        let recipe = Recipe { late: false, raw: false, ..recipe };
        // Level 2 in place of `Eager`, for which a lazy request may come too late.
        let mode = if RETENTIONS[mode.retention] == Retention::Eager { Mode { retention: 2, ..mode } } else { mode };
        let case = Case::new(&recipe, CachePolicy::None);
        let oracle = Oracle::new(&recipe, &case.prompt);
        if oracle.is_too_big() {
            return Ok(());
        }
        let report = case.run(mode.options()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(shown(&report), oracle.shown.clone());
        for (id, (count, _)) in &*case.watch.ran.lock().unwrap() {
            prop_assert!(*count <= 1, "\"{}\" ran {} times", id, count);
        }
        prop_assert_eq!(report.summary.reexecuted, 0);
        Ok(())
    });
}

#[test]
fn the_same_prompt_again_runs_nothing_and_shows_the_same() {
    check("again", (recipes(), modes()), |(recipe, mode)| {
        let case = Case::new(&recipe, if mode.cache % 2 == 0 { CachePolicy::Classic } else { CachePolicy::Lru(1000) });
        if Oracle::new(&recipe, &case.prompt).is_too_big() {
            return Ok(());
        }
        let options = RunOptions { adversary: None, ..mode.options() };
        let first = case.run(options.clone()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let again = case.run(options).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(top(&shown(&first)), top(&shown(&again)));
        prop_assert_eq!(again.summary.executed, 0, "{:?}", case.watch.ran.lock().unwrap());
        Ok(())
    });
}

#[test]
fn after_a_failure_anywhere_the_engine_runs_the_next_prompt_as_if_nothing_had_been() {
    check("failure", (recipes(), modes(), any::<u16>()), |(recipe, mode, victim)| {
        let case = Case::new(&recipe, cache(mode.cache));
        let oracle = Oracle::new(&recipe, &case.prompt);
        if oracle.is_too_big() {
            return Ok(());
        }
        let victim = format!("n{}", victim as usize % recipe.nodes.len());
        *case.watch.fails.lock().unwrap() = victim.clone();
        let failed = case.run(mode.options());
        let ran = case.watch.count(&victim) > 0;
        prop_assert_eq!(failed.is_err(), ran);
        if let Err(error) = failed {
            prop_assert_eq!(error.node().map(NodeId::as_str), Some(victim.as_str()));
        }
        case.watch.fails.lock().unwrap().clear();
        let report = case.run(mode.options()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(top(&shown(&report)), top(&oracle.shown));
        drop(report);
        case.engine.free();
        prop_assert_eq!(case.alive(), 0);
        Ok(())
    });
}

#[test]
fn a_cancel_anywhere_ends_the_run_and_leaves_nothing_behind() {
    check("cancel", (recipes(), modes(), any::<u16>()), |(recipe, mode, victim)| {
        let case = Case::new(&recipe, CachePolicy::None);
        if Oracle::new(&recipe, &case.prompt).is_too_big() {
            return Ok(());
        }
        let victim = format!("n{}", victim as usize % recipe.nodes.len());
        let run = case.engine.start(case.prompt.clone()).options(mode.options());
        *case.watch.cancels.lock().unwrap() = Some((victim.clone(), run.cancel()));
        let ended = run.run();
        let ran = case.watch.count(&victim) > 0;
        prop_assert!(!ran || ended.as_ref().is_err_and(RunError::is_interrupted));
        drop(ended);
        prop_assert_eq!(case.alive(), 0);
        prop_assert_eq!(case.engine.live_bytes(), 0);
        Ok(())
    });
}

#[test]
fn a_failure_that_may_stay_alone_leaves_the_other_outputs_as_they_are() {
    check("alone", (recipes(), modes(), any::<u16>()), |(recipe, mode, victim)| {
        let case = Case::new(&recipe, cache(mode.cache));
        let oracle = Oracle::new(&recipe, &case.prompt);
        if oracle.is_too_big() {
            return Ok(());
        }
        let victim = format!("n{}", victim as usize % recipe.nodes.len());
        *case.watch.fails.lock().unwrap() = victim.clone();
        let options = RunOptions { on_failure: OnFailure::Continue, ..mode.options() };
        let report = case.run(options).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let ran = case.watch.count(&victim) > 0;
        prop_assert_eq!(report.failures.len(), usize::from(ran));
        let shown = top(&shown(&report));
        if !ran {
            prop_assert_eq!(&shown, &top(&oracle.shown));
        }
        for (id, values) in shown {
            // Where lists are joined a failed element is missing; what is shown whole is shown right.
            let right = &oracle.shown[&id];
            prop_assert!(values.len() < right.len() || values == *right, "\"{}\"", id);
        }
        // Nothing of the failure may have been kept.
        case.watch.fails.lock().unwrap().clear();
        let next = case.run(mode.options()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(top(&crate::shown(&next)), top(&oracle.shown));
        Ok(())
    });
}
