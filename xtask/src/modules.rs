//! The module tree of one target: which file holds which module, and what each module names and mentions.
//!
//! Reads Rust with `syn`. Knows nothing of meanings: [`crate::names`] follows a path to where it leads.
//! Code that exists for tests alone (`#[cfg(test)]`, `#[test]`) is left out.

use crate::mentions::{self, Leaf, Mention};
use crate::syntax::{attributes, only_tests, only_with_testing, plain, stated_path};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use syn::{Attribute, Item, Token, Visibility};

/// Rust files by their path from the root, with `/` between folders.
pub type Sources = BTreeMap<String, String>;

/// The modules of one target. The first is the root.
#[derive(Debug, Default)]
pub struct Tree {
    /// In the order in which they were met.
    pub modules: Vec<Module>,
    /// Where `macro_rules!` stand, by the macro's name: textual scope needs no path.
    pub macros: BTreeMap<String, BTreeSet<String>>,
}

/// One module, in a file of its own or inline.
#[derive(Debug, Default)]
pub struct Module {
    /// The file that holds it.
    pub file: String,
    /// The module around it; none for the root.
    pub parent: Option<usize>,
    /// What it defines, declares or re-exports.
    pub names: BTreeMap<String, Vec<Binding>>,
    /// `use` lines inside of functions, which only this module's own code sees.
    pub local: BTreeMap<String, Vec<Binding>>,
    /// Paths whose every name it takes in, and whether it hands them on to everyone.
    pub globs: Vec<(Vec<String>, bool)>,
    /// What the macros that it calls make, as far as their tokens show it.
    pub made: BTreeSet<String>,
    /// Every path that its code writes.
    pub mentions: Vec<Mention>,
}

/// What a name in a module stands for.
#[derive(Clone, Debug)]
pub struct Binding {
    /// What it is.
    pub meaning: Meaning,
    /// Whether it is `pub`, without a restriction.
    pub public: bool,
    /// Whether it exists with the feature `testing` alone.
    pub testing: bool,
}

/// The kinds of names.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// An item, defined in this module.
    Item,
    /// A module inside this one.
    Module(usize),
    /// Another name for what stands at a path.
    Path(Vec<String>),
}

impl Tree {
    /// Reads the target whose root file is `root`, and every file that it declares.
    ///
    /// # Errors
    /// A file is missing or is not Rust.
    pub fn load(sources: &Sources, root: &str) -> Result<Self, String> {
        let mut loader = Loader { sources, tree: Self::default() };
        loader.file(root, folder(root), None)?;
        Ok(loader.tree)
    }

    /// The files of the target.
    pub fn files(&self) -> BTreeSet<String> {
        self.modules.iter().map(|module| module.file.clone()).collect()
    }
}

struct Loader<'s> {
    sources: &'s Sources,
    tree: Tree,
}

impl Loader<'_> {
    /// A module in a file of its own; files of modules inside it lie in `inside`.
    fn file(&mut self, file: &str, inside: String, parent: Option<usize>) -> Result<usize, String> {
        let text = self.sources.get(file).ok_or_else(|| format!("{file}: no such file"))?;
        let parsed = syn::parse_file(text).map_err(|error| format!("{file}:{}: {error}", error.span().start().line))?;
        self.module(&parsed.items, file, &inside, parent)
    }

    fn module(&mut self, items: &[Item], file: &str, inside: &str, parent: Option<usize>) -> Result<usize, String> {
        let id = self.tree.modules.len();
        self.tree.modules.push(Module { file: file.to_owned(), parent, ..Module::default() });
        for item in items.iter().filter(|item| !only_tests(attributes(item))) {
            match item {
                Item::Mod(child) => self.child(child, id, inside)?,
                _ => self.item(item, id),
            }
        }
        Ok(id)
    }

    fn child(&mut self, child: &syn::ItemMod, parent: usize, inside: &str) -> Result<(), String> {
        let (name, file) = (plain(&child.ident), self.tree.modules[parent].file.clone());
        let within = format!("{inside}{name}/");
        let id = match &child.content {
            Some((_, items)) => self.module(items, &file, &within, Some(parent))?,
            None => match stated_path(&child.attrs) {
                Some(stated) => {
                    let stated = normal(&format!("{}{stated}", folder(&file)));
                    self.file(&stated, folder(&stated), Some(parent))?
                }
                None => self.file(&self.declared(inside, &name), within, Some(parent))?,
            },
        };
        self.bind(parent, &name, Meaning::Module(id), &child.vis, &child.attrs);
        Ok(())
    }

    /// `name.rs` or `name/mod.rs`.
    fn declared(&self, inside: &str, name: &str) -> String {
        let nested = format!("{inside}{name}/mod.rs");
        if self.sources.contains_key(&nested) { nested } else { format!("{inside}{name}.rs") }
    }

    fn item(&mut self, item: &Item, id: usize) {
        match item {
            Item::Use(item) => self.imports(item, id),
            Item::Macro(item) => self.item_macro(item, id),
            Item::ExternCrate(item) if item.ident == "self" => {
                let name = item.rename.as_ref().map_or_else(String::new, |(_, name)| plain(name));
                self.bind(id, &name, Meaning::Path(vec!["crate".to_owned()]), &item.vis, &item.attrs);
            }
            _ => {
                if let Some((name, visibility)) = defined(item) {
                    self.bind(id, &name, Meaning::Item, visibility, attributes(item));
                }
            }
        }
        let found = mentions::of(item);
        let module = &mut self.tree.modules[id];
        module.mentions.extend(found.mentions);
        for Leaf { path, name } in found.local {
            match name {
                Some(name) => module.local.entry(name).or_default().push(Binding {
                    meaning: Meaning::Path(path),
                    public: false,
                    testing: false,
                }),
                None => module.globs.push((path, false)),
            }
        }
    }

    fn imports(&mut self, item: &syn::ItemUse, id: usize) {
        for Leaf { path, name } in mentions::leaves(item) {
            match name {
                Some(name) => self.bind(id, &name, Meaning::Path(path), &item.vis, &item.attrs),
                None => self.tree.modules[id].globs.push((path, is_public(&item.vis))),
            }
        }
    }

    fn item_macro(&mut self, item: &syn::ItemMacro, id: usize) {
        let Some(name) = &item.ident else {
            let made = mentions::defined(&item.mac.tokens);
            self.tree.modules[id].made.extend(made);
            return;
        };
        let (name, file) = (plain(name), self.tree.modules[id].file.clone());
        self.bind(id, &name, Meaning::Item, &Visibility::Inherited, &item.attrs);
        if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
            let public = Visibility::Public(<Token![pub]>::default());
            self.bind(0, &name, Meaning::Item, &public, &item.attrs);
        }
        self.tree.macros.entry(name).or_default().insert(file);
    }

    fn bind(&mut self, id: usize, name: &str, meaning: Meaning, visibility: &Visibility, attributes: &[Attribute]) {
        let binding = Binding { meaning, public: is_public(visibility), testing: only_with_testing(attributes) };
        self.tree.modules[id].names.entry(name.to_owned()).or_default().push(binding);
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The folder of a file, with a slash behind it where it is not the root.
fn folder(file: &str) -> String {
    file.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"))
}

/// Without `a/../`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(path).iter().filter_map(|part| part.to_str()) {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn defined(item: &Item) -> Option<(String, &Visibility)> {
    let (ident, visibility) = match item {
        Item::Const(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Static(item) => (&item.ident, &item.vis),
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::TraitAlias(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        Item::Union(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((plain(ident), visibility))
}
