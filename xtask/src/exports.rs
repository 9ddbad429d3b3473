//! What a crate's `lib.rs` exports: every name that another crate can write, by its shortest spelling.
//!
//! A `pub mod` counts by what it holds. Methods, fields and variants belong to their type.

use crate::modules::{Meaning, Sources, Tree};
use crate::names::Target;
use std::collections::BTreeSet;

/// The names of a crate, as paths from its root.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// In every build.
    pub names: BTreeSet<String>,
    /// With the feature `testing` alone.
    pub testing: BTreeSet<String>,
}

impl Exports {
    /// What the library in `folder` exports; nothing if there is no library.
    ///
    /// # Errors
    /// A file is missing or is not Rust.
    pub fn read(sources: &Sources, folder: &str) -> Result<Self, String> {
        let file = format!("{folder}/src/lib.rs").trim_start_matches('/').to_owned();
        if !sources.contains_key(&file) {
            return Ok(Self::default());
        }
        let mut exports = Self::default();
        exports.module(&Tree::load(sources, &file)?, 0, "", false, &mut BTreeSet::new());
        Ok(exports)
    }

    fn module(&mut self, tree: &Tree, id: usize, prefix: &str, testing: bool, entered: &mut BTreeSet<usize>) {
        if !entered.insert(id) {
            return;
        }
        for (name, bindings) in &tree.modules[id].names {
            for binding in bindings.iter().filter(|binding| binding.public) {
                let testing = testing || binding.testing;
                let path = format!("{prefix}{name}");
                match &binding.meaning {
                    Meaning::Item => self.name(path, testing),
                    Meaning::Module(child) => self.module(tree, *child, &format!("{path}::"), testing, entered),
                    Meaning::Path(target) => self.handed_on(tree, id, target, &path, testing, entered),
                }
            }
        }
        for (target, _) in tree.modules[id].globs.iter().filter(|(_, public)| *public) {
            for target in tree.resolve(id, target) {
                if let Target::Module(module) = target {
                    self.module(tree, module, prefix, testing, entered);
                }
            }
        }
        entered.remove(&id);
    }

    /// A `pub use`: of a module, it exports what the module does.
    fn handed_on(
        &mut self,
        tree: &Tree,
        id: usize,
        target: &[String],
        path: &str,
        testing: bool,
        entered: &mut BTreeSet<usize>,
    ) {
        let found = tree.resolve(id, target);
        for target in &found {
            if let Target::Module(module) = target {
                self.module(tree, *module, &format!("{path}::"), testing, entered);
            }
        }
        if found.is_empty() || found.iter().any(|target| matches!(target, Target::Item { .. })) {
            self.name(path.to_owned(), testing);
        }
    }

    fn name(&mut self, path: String, testing: bool) {
        let names = if testing { &mut self.testing } else { &mut self.names };
        names.insert(path);
    }
}
