//! Random graphs against an oracle that evaluates recursively and keeps everything: every retention, cache and
//! late-edge mode, evictions, failures and cancels at any point.
//!
//! `KILN_CASES` sets the number of cases per property (default 6 000, nine properties). A failing case is made small,
//! written to `tests/random/saved/` as JSON, and replayed from there in every run until somebody removes the file.
//! `KILN_CASE=FILE cargo test -p kiln-exec --test random replay` replays one file from anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod case;
mod coverage;
mod nodes;
mod oracle;
mod properties;
mod recipe;

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};

use crate::case::{Case, Saved, cases, folder};
use crate::properties::{Checked, PROPERTIES, Property};

/// Panics on purpose are no news.
fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"on purpose") {
                usual(info);
            }
        }));
    });
}

fn property(name: &str) -> Property {
    PROPERTIES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("there is no property `{name}`")).1
}

/// Looks for a case that breaks a property. One that is found is made small and saved.
fn search(name: &str, test: impl Fn(&Case) -> Checked, cases_wanted: u32, folder: &Path) -> Result<(), String> {
    hush();
    let config = ProptestConfig {
        cases: cases_wanted,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    match TestRunner::new(config).run(&cases(), |case| test(&case)) {
        Ok(()) => Ok(()),
        Err(TestError::Fail(reason, case)) => {
            let saved = Saved::new(name, reason.message(), case);
            let path = saved.write(folder).map_err(|error| format!("{reason}; not saved: {error}\n{saved:#?}"))?;
            Err(format!("{reason}\nsaved as {}; replay it with KILN_CASE={0}", path.display()))
        }
        Err(other) => Err(other.to_string()),
    }
}

fn check(name: &str) {
    let wanted = std::env::var("KILN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(6000);
    search(name, property(name), wanted, &folder()).unwrap_or_else(|failure| panic!("{failure}"));
}

/// Runs a saved case again.
fn replay(path: &Path) -> Result<(), String> {
    hush();
    let saved = Saved::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // Threads make some cases fail only now and then.
    (0..20).try_for_each(|_| {
        property(&saved.property)(&saved.case).map_err(|failure| format!("{}: {failure}", path.display()))
    })
}

#[test]
fn every_mode_shows_what_plain_recursion_shows_and_runs_nothing_that_is_not_needed() {
    check("values");
}

#[test]
fn without_a_cache_nothing_is_alive_after_a_run_and_what_expansions_show_is_shown_once() {
    check("alive");
}

#[test]
fn without_late_links_each_node_runs_exactly_once_unless_lazy_links_do_not_count() {
    check("once");
}

#[test]
fn the_same_prompt_again_runs_nothing_and_shows_the_same() {
    check("again");
}

#[test]
fn after_a_failure_anywhere_the_engine_runs_the_next_prompt_as_if_nothing_had_been() {
    check("failure");
}

#[test]
fn a_cancel_anywhere_ends_the_run_and_leaves_nothing_behind() {
    check("cancel");
}

#[test]
fn a_failure_that_may_stay_alone_leaves_the_other_outputs_as_they_are() {
    check("alone");
}

#[test]
fn a_restricted_run_refuses_links_to_elsewhere_and_nothing_else() {
    check("restrict");
}

#[test]
fn prompt_after_prompt_shows_what_each_would_show_alone() {
    check("prompts");
}

#[test]
fn replay_of_every_case_that_was_saved() {
    let mut files: Vec<_> =
        std::fs::read_dir(folder()).into_iter().flatten().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.extend(std::env::var_os("KILN_CASE").map(Into::into));
    files.sort();
    let failures: Vec<String> = files.iter().filter_map(|path| replay(path).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_case_that_breaks_a_property_is_made_small_saved_and_read_back_as_it_was() {
    // A property that is wrong: no graph of more than one node contains a list node.
    let wrong = |case: &Case| {
        let nodes = &case.recipe.nodes;
        prop_assert!(nodes.len() < 2 || !nodes.iter().any(|node| node.kind == recipe::Kind::Many), "it does");
        Ok(())
    };
    let folder = std::env::temp_dir().join(format!("kiln-saved-{}", std::process::id()));
    let told = search("values", wrong, 1000, &folder).unwrap_err();
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    let [path] = files.as_slice() else { panic!("{files:?}") };
    assert!(told.contains(path.to_str().unwrap()), "{told}");
    let saved = Saved::read(path).unwrap();
    assert_eq!(saved.case.recipe.nodes.len(), 2, "as small as can be");
    assert!(saved.prompt.as_object().unwrap().values().any(|node| node["class_type"] == "Many"), "{}", saved.prompt);
    assert!(wrong(&saved.case).is_err(), "what was read back breaks it too");
    replay(path).expect("the property of that name holds for it");
    std::fs::remove_dir_all(&folder).unwrap();
}
