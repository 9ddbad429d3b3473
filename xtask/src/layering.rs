//! Which crate may reach which, checked against what cargo resolved.
//!
//! Only normal dependencies count: a test may use what it likes.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What one package must never reach, directly or through others.
pub struct Rule {
    /// The package.
    pub package: &'static str,
    /// Names (or prefixes, where they end in `*`) of packages out of its reach.
    pub must_not_reach: &'static [&'static str],
}

/// The layers of ARCHITECTURE.md, as what each must not know.
pub const RULES: &[Rule] = &[
    Rule { package: "kiln-graph", must_not_reach: &["burn*", "rayon", "tokio", "memmap2", "image", "kiln-*"] },
    Rule {
        package: "kiln-exec",
        must_not_reach: &[
            "burn",
            "burn-*",
            "tokio",
            "memmap2",
            "image",
            "kiln-models",
            "kiln-memory",
            "kiln-nodes",
            "axum",
            "hyper",
        ],
    },
    Rule { package: "kiln-macros", must_not_reach: &["burn", "burn-*", "kiln-*"] },
    Rule { package: "kiln-memory", must_not_reach: &["burn-flex", "kiln-*", "tokio", "image"] },
    Rule { package: "kiln-kernels", must_not_reach: &["burn", "burn-*", "kiln-*", "tokio"] },
    Rule { package: "kiln-models", must_not_reach: &["kiln-graph", "kiln-exec", "kiln-nodes", "tokio", "axum"] },
    Rule { package: "kiln-nodes", must_not_reach: &["kiln-cli", "kiln-server", "tokio", "axum", "hyper", "clap"] },
    Rule {
        package: "kiln-testing-nodes",
        must_not_reach: &["kiln-cli", "kiln-server", "tokio", "axum", "hyper", "clap"],
    },
];

/// Every breach of [`RULES`], in words.
pub fn check() -> Vec<String> {
    match Dependencies::read() {
        Ok(dependencies) => RULES.iter().flat_map(|rule| breaches(rule, &dependencies)).collect(),
        Err(error) => vec![format!("layering: {error}")],
    }
}

fn breaches(rule: &Rule, dependencies: &Dependencies) -> Vec<String> {
    let reached = dependencies.reach(rule.package);
    let mut faults: Vec<String> = reached
        .iter()
        .filter(|name| name.as_str() != rule.package && rule.must_not_reach.iter().any(|bad| matches(bad, name)))
        .map(|name| format!("layering: {} must not reach {name}", rule.package))
        .collect();
    if reached.is_empty() {
        faults.push(format!("layering: no package {}", rule.package));
    }
    faults
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

/// The normal dependencies of every package, default features, as `cargo tree` tells them.
struct Dependencies(BTreeMap<&'static str, BTreeSet<String>>);

impl Dependencies {
    fn read() -> Result<Self, String> {
        RULES.iter().map(|rule| Ok((rule.package, tree(rule.package)?))).collect::<Result<_, _>>().map(Self)
    }

    fn reach(&self, package: &str) -> BTreeSet<String> {
        self.0.get(package).cloned().unwrap_or_default()
    }
}

/// Asks cargo for one package at a time: features of one crate must not leak into another's answer.
fn tree(package: &str) -> Result<BTreeSet<String>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}", "-p", package])
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
/// Cargo does not start, or answers something that is not its metadata.
pub fn members() -> Result<BTreeSet<String>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(crate::workspace::root())
        .output()
        .map_err(|error| format!("cargo metadata does not start: {error}"))?;
    let json: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let packages = json["packages"].as_array().cloned().unwrap_or_default();
    Ok(packages.iter().filter_map(|package| package["name"].as_str()).map(str::to_owned).collect())
}
