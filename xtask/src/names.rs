//! What a path means: the file that defines the name at its end, through every `use` on the way.
//!
//! A name that nothing defines, in a module that the path states, is taken for one that a macro makes there.

use crate::modules::{Meaning, Tree};
use std::collections::BTreeSet;

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// To a module.
    Module(usize),
    /// To an item in a file; what stands behind it in the path (a variant, a method) belongs to it.
    Item {
        /// The file.
        file: String,
        /// The item's name where it is defined.
        name: String,
    },
}

/// Names that were followed already, each with its module: `use` lines can lead in a circle.
type Seen = BTreeSet<(usize, String)>;

impl Tree {
    /// Where `path`, written in module `from`, leads within the crate; nowhere if it leads out of it.
    pub fn resolve(&self, from: usize, path: &[String]) -> BTreeSet<Target> {
        self.walk(from, path, &mut Seen::new())
    }

    /// Where `path`, written behind the crate's name in another crate, leads.
    pub fn follow(&self, path: &[String]) -> BTreeSet<Target> {
        self.inside(0, path, &mut Seen::new())
    }

    /// The module in which a path begins that states it (`crate`, `self`, `super`), and what is left of the path.
    pub fn anchor<'p>(&self, from: usize, path: &'p [String]) -> Option<(usize, &'p [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" | "$crate" => 0,
            "self" => from,
            "super" => self.modules[from].parent?,
            _ => return None,
        };
        while let Some((_, behind)) = rest.split_first().filter(|(next, _)| *next == "super") {
            (module, rest) = (self.modules[module].parent?, behind);
        }
        Some((module, rest))
    }

    /// Whether a module has this name by a `use` alone.
    pub fn only_hands_on(&self, module: usize, name: &str) -> bool {
        let bindings = self.modules[module].names.get(name);
        let is_path = |meaning: &Meaning| matches!(meaning, Meaning::Path(_));
        match bindings {
            Some(bindings) => bindings.iter().all(|binding| is_path(&binding.meaning)),
            None => !self.modules[module].made.contains(name),
        }
    }

    fn walk(&self, from: usize, path: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        if let Some((module, rest)) = self.anchor(from, path) {
            return self.inside(module, rest, seen);
        }
        let Some((first, rest)) = path.split_first() else { return BTreeSet::new() };
        let mut found = self.look_up(from, first, seen);
        found.extend(self.local(from, first, seen));
        self.behind(found, rest, seen)
    }

    /// Follows `path` from within a module that is stated.
    fn inside(&self, module: usize, path: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        let Some((first, rest)) = path.split_first() else { return BTreeSet::from([Target::Module(module)]) };
        let found = self.look_up(module, first, seen);
        if found.is_empty() && !seen.contains(&(module, first.clone())) {
            return BTreeSet::from([self.item(module, first)]);
        }
        self.behind(found, rest, seen)
    }

    fn behind(&self, found: BTreeSet<Target>, rest: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        if rest.is_empty() {
            return found;
        }
        let modules: Vec<usize> = found.iter().filter_map(Target::module).collect();
        if modules.is_empty() {
            return found;
        }
        modules.into_iter().flat_map(|module| self.inside(module, rest, seen)).collect()
    }

    /// What a module has under a name: defined, declared, handed on, taken in by a glob, made by a macro.
    fn look_up(&self, module: usize, name: &str, seen: &mut Seen) -> BTreeSet<Target> {
        let first = seen.insert((module, name.to_owned()));
        let mut found = BTreeSet::new();
        for binding in self.modules[module].names.get(name).into_iter().flatten() {
            match &binding.meaning {
                Meaning::Item => drop(found.insert(self.item(module, name))),
                Meaning::Module(child) => drop(found.insert(Target::Module(*child))),
                Meaning::Path(path) if first => found.extend(self.walk(module, path, seen)),
                Meaning::Path(_) => {}
            }
        }
        if found.is_empty() && self.modules[module].made.contains(name) {
            found.insert(self.item(module, name));
        }
        if found.is_empty() && first {
            found = self.through_globs(module, name, seen);
        }
        if first {
            seen.remove(&(module, name.to_owned()));
        }
        found
    }

    fn through_globs(&self, module: usize, name: &str, seen: &mut Seen) -> BTreeSet<Target> {
        let globs = self.modules[module].globs.iter();
        let modules: BTreeSet<usize> = globs
            .flat_map(|(path, _)| self.walk(module, path, &mut seen.clone()))
            .filter_map(|target| target.module())
            .collect();
        modules.into_iter().flat_map(|module| self.look_up(module, name, seen)).collect()
    }

    /// What a `use` inside of one of the module's functions brings in.
    fn local(&self, module: usize, name: &str, seen: &mut Seen) -> BTreeSet<Target> {
        let key = (module, format!("{name} within"));
        if !seen.insert(key.clone()) {
            return BTreeSet::new();
        }
        let mut found = BTreeSet::new();
        for binding in self.modules[module].local.get(name).into_iter().flatten() {
            if let Meaning::Path(path) = &binding.meaning {
                found.extend(self.walk(module, path, seen));
            }
        }
        seen.remove(&key);
        found
    }

    fn item(&self, module: usize, name: &str) -> Target {
        Target::Item { file: self.modules[module].file.clone(), name: name.to_owned() }
    }
}

impl Target {
    fn module(&self) -> Option<usize> {
        match self {
            Self::Module(id) => Some(*id),
            Self::Item { .. } => None,
        }
    }
}
