//! A misspelt attribute is an error at that attribute.
use kiln_exec::*;

#[derive(Node)]
#[node(categorie = "x")]
struct Typo {}

fn main() {}
