//! A node that does not say what it does.
use kiln_exec::*;

#[derive(Node)]
struct Lazybones {
    x: i64,
}

fn main() {}
