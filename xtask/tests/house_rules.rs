//! The house rules, as tests, so that the README's test command covers them.
#![allow(clippy::unwrap_used)]

#[test]
fn no_crate_reaches_past_its_layer() {
    let faults = xtask::layering::check();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_facade_reaches_burn_by_its_default_features_alone() {
    let reached = |default_features| xtask::layering::reach("kiln", default_features).unwrap();
    assert!(reached(true).contains("burn"), "a list that never names burn says nothing");
    assert!(!reached(false).contains("burn"));
}

#[test]
fn every_crate_but_the_facade_the_command_and_the_server_has_a_layering_rule() {
    let free = ["kiln", "kiln-cli", "kiln-server", "xtask"];
    for member in xtask::layering::members().unwrap() {
        let ruled = xtask::layering::RULES.iter().any(|rule| rule.package == member);
        assert!(ruled || free.contains(&member.as_str()), "no layering rule for {member}");
    }
}

#[test]
fn every_feature_stands_on_its_crates_page() {
    let faults = xtask::features::check();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_stay_short_and_unsafe_stays_where_it_belongs() {
    let faults = xtask::tidy::check();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_import_along_the_wings_of_their_crate_and_never_in_a_circle() {
    let faults = xtask::imports::check(&xtask::workspace::root());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_crate_has_an_order_of_wings() {
    for folder in xtask::workspace::packages(&xtask::workspace::root()).unwrap() {
        let known = xtask::wings::HOUSES.iter().any(|house| house.folder == folder);
        assert!(known, "no wings for the crate in {folder:?}");
    }
}
