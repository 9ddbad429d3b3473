//! What a crate's root exports: small made-up crates.
#![allow(clippy::unwrap_used)]

use xtask::exports::Exports;

#[test]
fn exports_are_names_that_another_crate_can_write() {
    let lib = "
        mod hidden; pub mod open; pub(crate) mod near;
        pub use hidden::{A, B as Renamed, inner};
        pub use open::deep::*;
        pub use elsewhere::Foreign;
        use hidden::A as Private;
        pub fn own() {}
        pub(crate) fn crate_only() {}
        #[macro_export] macro_rules! said { () => {} }
        #[cfg(feature = \"testing\")] pub use hidden::Double;
        #[cfg(test)] pub use hidden::OnlyInTests;
    ";
    let hidden =
        "pub struct A; pub struct B; pub struct Double; pub struct Unseen; pub mod inner { pub fn f() {} fn g() {} }";
    let open = "pub struct C; struct D; pub mod deep { pub enum E { F } }";
    let files = [("lib.rs", lib), ("hidden.rs", hidden), ("open.rs", open), ("near.rs", "pub struct N;")];
    let sources = files.iter().map(|(name, text)| (format!("crates/a/src/{name}"), (*text).to_owned())).collect();

    let exports = Exports::read(&sources, "crates/a").unwrap();
    let names: Vec<&str> = exports.names.iter().map(String::as_str).collect();
    assert_eq!(names, ["A", "E", "Foreign", "Renamed", "inner::f", "open::C", "open::deep::E", "own", "said"]);
    assert_eq!(exports.testing.iter().collect::<Vec<_>>(), ["Double"]);
}

#[test]
fn a_package_without_a_library_exports_nothing() {
    assert_eq!(Exports::read(&[].into_iter().collect(), "crates/a"), Ok(Exports::default()));
}
