//! Which file imports which: small made-up crates.
#![allow(clippy::unwrap_used)]

use xtask::imports::Plan;
use xtask::modules::Sources;
use xtask::wings::House;

/// The crate `a`, from file names in `src` and texts.
fn plan(files: &[(&str, &str)]) -> Plan {
    Plan::read(&sources(files), "crates/a").unwrap()
}

fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(name, text)| (format!("crates/a/src/{name}"), (*text).to_owned())).collect()
}

/// Every arrow, without the folder in front of the names.
fn arrows(files: &[(&str, &str)]) -> String {
    let arrows: Vec<String> = plan(files).arrows().iter().map(|arrow| short(&arrow.to_string())).collect();
    arrows.join("; ")
}

fn short(text: &str) -> String {
    text.replace("crates/a/src/", "")
}

#[test]
fn a_use_is_an_arrow_with_its_names_whatever_its_form() {
    let two = "pub struct A; pub struct B; pub enum C { D, E } pub mod deep { pub fn f() {} }";
    for (text, names) in [
        ("use crate::two::A;", "A"),
        ("use super::two::{self, A, B as X};", "A, B"),
        ("use super::two::C::{self, D};", "C"),
        ("use crate::two::C::*;", "C"),
        ("use crate::{two::deep::f, two::A as _};", "A, f"),
        ("fn g() { use crate::two::A; }", "A"),
    ] {
        let found = arrows(&[("lib.rs", "mod one; mod two;"), ("one.rs", text), ("two.rs", two)]);
        assert_eq!(found, format!("one.rs -> two.rs: {names}"), "{text}");
    }
}

#[test]
fn a_path_in_code_is_an_arrow_without_a_use() {
    let two = "pub struct A; pub trait T {} pub fn f() {} pub const LIMIT: u8 = 3; pub mod deep { pub fn g() {} }";
    for (text, names) in [
        ("fn g() -> crate::two::A { super::two::f(); loop {} }", "A, f"),
        ("use crate::two; fn g(x: impl two::T) { two::deep::g() }", "T, g"),
        ("struct S(Vec<crate::two::A>);", "A"),
        ("fn g() { assert_eq!(crate::two::f(), vec![crate::two::A; 3], \"{}\", x); }", "A, f"),
        ("use super::two::*; fn g(x: u8) -> A { match x { LIMIT => A, _ => A } }", "A, LIMIT"),
    ] {
        let found = arrows(&[("lib.rs", "mod one; mod two;"), ("one.rs", text), ("two.rs", two)]);
        assert_eq!(found, format!("one.rs -> two.rs: {names}"), "{text}");
    }
}

#[test]
fn a_re_export_is_no_arrow_and_leads_to_the_file_that_defines() {
    let lib = ("lib.rs", "mod one; mod two;");
    let inner = ("two/inner.rs", "pub struct A; pub struct B;");
    let hands_on = ("two/mod.rs", "mod inner; pub use inner::A; pub(crate) use self::inner::B as Other;");
    let one = ("one.rs", "use crate::two::{A, Other};");
    assert_eq!(arrows(&[lib, one, hands_on, inner]), "one.rs -> two/inner.rs: A, B");

    let everything = ("two/mod.rs", "mod inner; pub use inner::*; pub struct Own;");
    let one = ("one.rs", "use crate::two::{A, Own};");
    assert_eq!(arrows(&[lib, one, everything, inner]), "one.rs -> two/inner.rs: A; one.rs -> two/mod.rs: Own");
}

#[test]
fn a_file_that_uses_what_it_re_exports_has_an_arrow() {
    let files = [("lib.rs", "mod two; pub use two::A; pub fn f() -> A { A }"), ("two.rs", "pub struct A;")];
    assert_eq!(arrows(&files), "lib.rs -> two.rs: A");
}

#[test]
fn a_name_that_a_child_takes_from_its_parents_use_leads_past_the_parent() {
    let files = [
        ("lib.rs", "mod one; mod two;"),
        ("one/mod.rs", "mod child; use crate::two::A; pub fn f(_: A) {}"),
        ("one/child.rs", "use super::*; pub fn g(_: A) { super::f(A) }"),
        ("two.rs", "pub struct A;"),
    ];
    assert_eq!(arrows(&files), "one/child.rs -> one/mod.rs: f; one/child.rs -> two.rs: A; one/mod.rs -> two.rs: A");
}

#[test]
fn a_value_with_the_name_of_a_function_is_no_arrow() {
    let files = [
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "use crate::two::*; fn g(order: u8) -> u8 { let first = order; first } fn h() { order() }"),
        ("two.rs", "pub fn order() {} pub fn first() {}"),
    ];
    assert_eq!(arrows(&files), "one.rs -> two.rs: order");
}

#[test]
fn macros_lead_to_the_file_that_defines_them_and_their_items_to_the_file_that_calls_them() {
    let files = [
        ("lib.rs", "#[macro_use] mod ids; mod one; mod two;"),
        (
            "ids.rs",
            "macro_rules! id { ($n:ident) => { pub struct $n(usize); $crate::one::made(); } } pub(crate) use id;",
        ),
        ("one.rs", "use crate::two::NodeId; use crate::two::Unseen; pub fn made() {}"),
        ("two.rs", "id!(NodeId); mod more { crate::ids::id! { struct Other } }"),
    ];
    assert_eq!(arrows(&files), "one.rs -> two.rs: NodeId, Unseen; two.rs -> ids.rs: id");
}

#[test]
fn tests_are_left_out() {
    let files = [
        ("lib.rs", "mod one; mod two; #[cfg(all(test, feature = \"x\"))] mod more; #[cfg(not(test))] mod real;"),
        (
            "one.rs",
            "#[cfg(test)] mod tests { use crate::two::A; } #[cfg(test)] use crate::two::A; #[test] fn t() { crate::two::f() }",
        ),
        ("two.rs", "pub struct A; pub fn f() {}"),
        ("real.rs", "struct R { #[cfg(test)] a: crate::two::A } impl R { #[cfg(test)] fn f(_: crate::two::A) {} }"),
    ];
    assert_eq!(arrows(&files), "");
    assert!(!plan(&files).files.contains("crates/a/src/more.rs"));
}

#[test]
fn commands_and_examples_point_into_their_library() {
    let mut files = sources(&[("lib.rs", "mod one; pub use one::A;"), ("one.rs", "pub struct A;")]);
    files.insert("crates/a/src/main.rs".into(), "use kiln_a::A; mod help;".into());
    files.insert("crates/a/src/help.rs".into(), String::new());
    files.insert("crates/a/examples/show.rs".into(), "fn main() { kiln_a::A; }".into());
    let plan = Plan::read(&files, "crates/a").unwrap();
    let found: Vec<String> = plan.arrows().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["crates/a/examples/show.rs -> crates/a/src/one.rs: A", "crates/a/src/main.rs -> crates/a/src/one.rs: A"]
    );
}

#[test]
fn files_that_reach_each_other_are_a_circle_and_its_arrows_have_names() {
    let files = [
        ("lib.rs", "mod one; mod two; mod three; mod four;"),
        ("one.rs", "use crate::two::Two; pub struct One;"),
        ("two.rs", "use crate::three::Three; pub struct Two;"),
        ("three.rs", "pub struct Three; pub fn f(_: crate::one::One) {}"),
        ("four.rs", "use crate::one::One;"),
    ];
    let plan = plan(&files);
    let circles = plan.circles();
    assert_eq!(circles.len(), 1);
    let arrows: Vec<String> = circles[0].iter().map(|arrow| short(&arrow.to_string())).collect();
    assert_eq!(arrows, ["one.rs -> two.rs: Two", "three.rs -> one.rs: One", "two.rs -> three.rs: Three"]);
    assert_eq!(plan.back_up(), 1);

    let faults = plan.faults(&House { folder: "crates/a", wings: &[&["one", "two", "three", "four"]] });
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("crates/a/src/three.rs -> crates/a/src/one.rs: One"), "{}", faults[0]);
}

#[test]
fn a_child_that_imports_from_the_file_that_imports_it_is_a_circle() {
    let files = [
        ("lib.rs", "mod one;"),
        ("one/mod.rs", "mod child; use child::f; pub struct One; pub fn g() { f() }"),
        ("one/child.rs", "pub fn f() { let _: Option<super::One> = None; }"),
    ];
    assert_eq!(plan(&files).circles().len(), 1);
}

#[test]
fn an_arrow_from_a_lower_wing_to_a_higher_one_is_a_fault() {
    let files = [
        ("lib.rs", "mod ground; mod top; pub use top::Top;"),
        ("ground/mod.rs", "mod deep; pub struct Ground;"),
        ("ground/deep.rs", "use crate::top::Top;"),
        ("top.rs", "use crate::ground::Ground; pub struct Top;"),
    ];
    let house = House { folder: "crates/a", wings: &[&["ground"], &["top"]] };
    let faults = plan(&files).faults(&house);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("crates/a/src/ground/deep.rs -> crates/a/src/top.rs: Top: runs back up"));

    let turned = House { folder: "crates/a", wings: &[&["top"], &["ground"]] };
    assert!(plan(&files).faults(&turned)[0].starts_with("crates/a/src/top.rs -> crates/a/src/ground/mod.rs: Ground"));
    let deep_is_high = House { folder: "crates/a", wings: &[&["ground"], &["top"], &["ground/deep"]] };
    assert_eq!(plan(&files).faults(&deep_is_high), Vec::<String>::new());
}

#[test]
fn every_file_has_a_wing_and_every_wing_a_file() {
    let files = [("lib.rs", "mod one; mod two;"), ("one.rs", ""), ("two.rs", "")];
    let faults = plan(&files).faults(&House { folder: "crates/a", wings: &[&["one", "three"]] });
    assert_eq!(
        faults,
        ["crates/a/src/two.rs: in no wing of xtask/src/wings.rs", "crates/a: no file in the wing `three`"]
    );
}

#[test]
fn nobody_imports_through_the_root_what_it_only_hands_on() {
    let files = [
        ("lib.rs", "mod one; mod two; pub use two::A; pub struct Own; extern crate self as kiln_a;"),
        ("one.rs", "use crate::{A, Own};\nfn f() -> super::A { crate::two::A }\nuse crate::two::A as B;"),
        ("two.rs", "pub struct A;"),
    ];
    let faults: Vec<String> = plan(&files).through_root.iter().map(|fault| short(fault)).collect();
    assert_eq!(
        faults,
        [
            "one.rs:1: `A` through the crate's root, which only hands it on from two.rs",
            "one.rs:2: `A` through the crate's root, which only hands it on from two.rs"
        ]
    );
}
