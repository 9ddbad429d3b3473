//! Which file of a crate imports which, and what must not be: circles, arrows that run back up, the root as a shop.
//!
//! An arrow `A -> B: Name` says that code in A names something that B defines, by a `use` or by a path in the code, however
//! many `pub use` lie between. A `pub use` by itself is no arrow, nor is what a macro names through `$crate`: that belongs to
//! where the macro is called. Tests are left out.
//!
//! - **Circle**: files that reach each other along arrows.
//! - **Back up**: an arrow from a lower wing to a higher one ([`crate::wings`] has the order).
//! - **Through the root**: a path `crate::Name` where the root file only re-exports `Name`.

use crate::mentions::{Kind, Mention};
use crate::modules::{Sources, Tree};
use crate::names::Target;
use crate::wings::{self, House};
use petgraph::algo::{greedy_feedback_arc_set, tarjan_scc};
use petgraph::graphmap::DiGraphMap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// A crate as files and arrows.
#[derive(Debug, Default)]
pub struct Plan {
    /// Its files, without tests.
    pub files: BTreeSet<String>,
    /// The names that the first file takes from the second.
    pub arrows: BTreeMap<(String, String), BTreeSet<String>>,
    /// Imports through the root's re-exports, in words.
    pub through_root: BTreeSet<String>,
}

/// One arrow, with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow<'p> {
    /// The file that imports.
    pub from: &'p str,
    /// The file that defines.
    pub to: &'p str,
    /// What is imported.
    pub names: Vec<&'p str>,
}

impl fmt::Display for Arrow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}: {}", self.from, self.to, self.names.join(", "))
    }
}

/// Every breach in the crates whose wings are known, in words.
pub fn check(root: &Path) -> Vec<String> {
    wings::HOUSES.iter().flat_map(|house| check_house(root, house)).collect()
}

fn check_house(root: &Path, house: &House) -> Vec<String> {
    let plan = crate::workspace::sources(root, house.folder).and_then(|sources| Plan::read(&sources, house.folder));
    plan.map_or_else(|fault| vec![format!("imports: {fault}")], |plan| plan.faults(house))
}

impl Plan {
    /// Reads every target of the crate in `folder` but its tests.
    ///
    /// # Errors
    /// A file is missing or is not Rust.
    pub fn read(sources: &Sources, folder: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        let library = place(folder, "src/lib.rs");
        let library = sources.contains_key(&library).then(|| Tree::load(sources, &library)).transpose()?;
        if let Some(library) = &library {
            plan.add(library, None);
        }
        for target in sources.keys().filter(|file| is_target(file, folder)) {
            plan.add(&Tree::load(sources, target)?, library.as_ref().map(|library| (crate_name(folder), library)));
        }
        Ok(plan)
    }

    /// A target, and the library of its package with its name, if it is not that itself.
    fn add(&mut self, tree: &Tree, library: Option<(String, &Tree)>) {
        self.files.extend(tree.files());
        for (id, module) in tree.modules.iter().enumerate() {
            for mention in &module.mentions {
                let leads = leads(tree, id, mention);
                self.through_root.extend(through_root(tree, id, mention, &leads));
                self.take(&module.file, leads);
                if let Some((name, library)) = &library
                    && let Some((_, behind)) = mention.path.split_first().filter(|(first, _)| *first == name)
                {
                    self.take(&module.file, items(library.follow(behind)));
                }
            }
        }
    }

    fn take(&mut self, from: &str, leads: Vec<(String, String)>) {
        for (to, name) in leads.into_iter().filter(|(to, _)| to != from) {
            self.arrows.entry((from.to_owned(), to)).or_default().insert(name);
        }
    }

    /// Every arrow.
    pub fn arrows(&self) -> Vec<Arrow<'_>> {
        self.chosen(|_, _| true)
    }

    /// The arrows that `wanted` chooses by their two files.
    fn chosen(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<Arrow<'_>> {
        let chosen = self.arrows.iter().filter(|((from, to), _)| wanted(from, to));
        chosen
            .map(|((from, to), names)| Arrow { from, to, names: names.iter().map(String::as_str).collect() })
            .collect()
    }

    fn graph(&self) -> DiGraphMap<&str, ()> {
        self.arrows.keys().map(|(from, to)| (from.as_str(), to.as_str())).collect()
    }

    /// Files that reach each other, and the arrows between them.
    pub fn circles(&self) -> Vec<Vec<Arrow<'_>>> {
        let circles = tarjan_scc(&self.graph()).into_iter().filter(|files| files.len() > 1);
        let mut circles: Vec<_> =
            circles.map(|files| self.chosen(|from, to| files.contains(&from) && files.contains(&to))).collect();
        circles.sort_by_key(|arrows| arrows.first().map_or("", |arrow| arrow.from));
        circles
    }

    /// How many arrows run back up in the best order of the files that a heuristic finds.
    pub fn back_up(&self) -> usize {
        let graph = self.graph().into_graph::<u32>();
        greedy_feedback_arc_set(&graph).count()
    }

    /// What breaks the rules of a house.
    pub fn faults(&self, house: &House) -> Vec<String> {
        let mut faults: Vec<String> = self.through_root.iter().cloned().collect();
        for circle in self.circles() {
            let arrows: Vec<String> = circle.iter().map(|arrow| format!("    {arrow}")).collect();
            faults.push(format!("{}: files import each other in a circle\n{}", house.folder, arrows.join("\n")));
        }
        faults.extend(self.misplaced(house));
        let wing = |file: &str| house.wing(file);
        for arrow in self.chosen(|from, to| matches!((wing(from), wing(to)), (Some(a), Some(b)) if a < b)) {
            faults.push(format!("{arrow}: runs back up, from a lower wing to a higher one (xtask/src/wings.rs)"));
        }
        faults
    }

    /// Files without a wing, wings without a file.
    fn misplaced(&self, house: &House) -> Vec<String> {
        let homeless = self.files.iter().filter(|file| house.is_inside(file) && house.wing(file).is_none());
        let homeless = homeless.map(|file| format!("{file}: in no wing of xtask/src/wings.rs"));
        let empty = house.rooms().filter(|room| !self.files.iter().any(|file| house.holds(room, file)));
        homeless.chain(empty.map(|room| format!("{}: no file in the wing `{room}`", house.folder))).collect()
    }
}

/// A file of the package in `folder`.
fn place(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

/// What other targets call the library in `folder`.
fn crate_name(folder: &str) -> String {
    match folder.strip_prefix("crates/") {
        Some(name) => format!("kiln_{}", name.replace('-', "_")),
        None if folder.is_empty() => "kiln".to_owned(),
        None => folder.to_owned(),
    }
}

/// The root file of a command, an example or a benchmark.
fn is_target(file: &str, folder: &str) -> bool {
    let Some(file) = file.strip_prefix(folder) else { return false };
    let file = file.trim_start_matches('/');
    match file.split('/').collect::<Vec<_>>().as_slice() {
        ["src", "main.rs"] | ["src", "bin", _] | ["examples" | "benches", _] => true,
        ["examples" | "benches", _, name] => *name == "main.rs",
        _ => false,
    }
}

/// The files and names that a mention means, within its crate.
fn leads(tree: &Tree, id: usize, mention: &Mention) -> Vec<(String, String)> {
    // What a macro names through `$crate` belongs to where it is called.
    if mention.path.first().is_some_and(|first| first == "$crate") {
        return Vec::new();
    }
    let found = items(tree.resolve(id, &mention.path));
    match mention.path.as_slice() {
        [name] if mention.kind == Kind::Macro && found.is_empty() => {
            let files = tree.macros.get(name).into_iter().flatten();
            files.map(|file| (file.clone(), name.clone())).collect()
        }
        _ => found,
    }
}

fn items(targets: BTreeSet<Target>) -> Vec<(String, String)> {
    let item = |target| match target {
        Target::Item { file, name } => Some((file, name)),
        Target::Module(_) => None,
    };
    targets.into_iter().filter_map(item).collect()
}

/// A path that begins at the root and takes a name there that the root only hands on.
fn through_root(tree: &Tree, id: usize, mention: &Mention, leads: &[(String, String)]) -> Option<String> {
    if mention.path.first().is_some_and(|first| first == "$crate") || id == 0 {
        return None;
    }
    let (module, rest) = tree.anchor(id, &mention.path)?;
    let name = rest.first().filter(|_| module == 0)?;
    if !tree.only_hands_on(0, name) {
        return None;
    }
    let file = &tree.modules[id].file;
    let home = leads.first().map_or("elsewhere", |(file, _)| file);
    Some(format!("{file}:{}: `{name}` through the crate's root, which only hands it on from {home}", mention.line))
}
