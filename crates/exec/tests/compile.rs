//! What a person sees who makes a mistake: compile errors, frozen.
#![allow(missing_docs)]

#[test]
fn mistakes_in_nodes_and_graphs_are_compile_errors_that_say_what_to_do() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile/*.rs");
}
