//! Which crate may reach which, checked against what cargo resolved.
//!
//! Only normal dependencies count: a test may use what it likes.

use std::collections::BTreeSet;
use std::process::Command;

/// What one package must never reach, directly or through others.
pub struct Rule {
    /// The package.
    pub package: &'static str,
    /// Whether with its default features.
    pub default_features: bool,
    /// Names (or prefixes, where they end in `*`) of packages out of its reach.
    pub must_not_reach: &'static [&'static str],
}

/// The rule of a package as it is with its default features.
const fn rule(package: &'static str, must_not_reach: &'static [&'static str]) -> Rule {
    Rule { package, default_features: true, must_not_reach }
}

/// The layers of ARCHITECTURE.md, as what each must not know.
pub const RULES: &[Rule] = &[
    rule("kiln-graph", &["burn*", "rayon", "tokio", "memmap2", "image", "kiln-*"]),
    rule(
        "kiln-exec",
        &["burn", "burn-*", "tokio", "memmap2", "image", "kiln-models", "kiln-memory", "kiln-nodes", "axum", "hyper"],
    ),
    rule("kiln-macros", &["burn", "burn-*", "kiln-*"]),
    rule("kiln-memory", &["burn-flex", "kiln-*", "tokio", "image"]),
    rule("kiln-kernels", &["burn", "burn-*", "kiln-*", "tokio"]),
    rule("kiln-models", &["kiln-graph", "kiln-exec", "kiln-nodes", "tokio", "axum"]),
    rule("kiln-nodes", &["kiln-cli", "kiln-server", "tokio", "axum", "hyper", "clap"]),
    rule("kiln-community", &["kiln-cli", "kiln-server", "tokio", "axum", "hyper", "clap"]),
    rule("kiln-testing-nodes", &["kiln-cli", "kiln-server", "tokio", "axum", "hyper", "clap"]),
    // The facade of an app with nodes of its own: graph, exec and memory, built in seconds.
    Rule {
        package: "kiln",
        default_features: false,
        must_not_reach: &[
            "burn*",
            "cubecl*",
            "image",
            "png",
            "regex*",
            "flate2",
            "jiff",
            "clap",
            "tokio",
            "axum",
            "kiln-kernels",
            "kiln-models",
            "kiln-nodes",
            "kiln-testing-nodes",
            "kiln-community",
            "kiln-cli",
        ],
    },
];

/// Every breach of [`RULES`], in words.
pub fn check() -> Vec<String> {
    RULES.iter().flat_map(breaches).collect()
}

fn breaches(rule: &Rule) -> Vec<String> {
    match reach(rule.package, rule.default_features) {
        Ok(reached) => reached
            .iter()
            .filter(|name| name.as_str() != rule.package && rule.must_not_reach.iter().any(|bad| matches(bad, name)))
            .map(|name| format!("layering: {} must not reach {name}", rule.package))
            .collect(),
        Err(error) => vec![format!("layering: {}: {error}", rule.package)],
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// The package and everything that it depends on, without what only its tests use, as `cargo tree` lists it.
///
/// Asks cargo for one package at a time: features of one crate must not leak into another's list.
///
/// # Errors
/// Cargo does not start, or knows no such package.
pub fn reach(package: &str, default_features: bool) -> Result<BTreeSet<String>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "-p", package])
        .args(if default_features { &[][..] } else { &["--no-default-features"] })
        .current_dir(crate::workspace::root())
        .output()
        .map_err(|error| format!("cargo tree does not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// The packages of the workspace as cargo's metadata names them.
///
/// # Errors
/// As [`crate::workspace::metadata`].
pub fn members() -> Result<BTreeSet<String>, String> {
    let json = crate::workspace::metadata()?;
    let packages = json["packages"].as_array().cloned().unwrap_or_default();
    Ok(packages.iter().filter_map(|package| package["name"].as_str()).map(str::to_owned).collect())
}
