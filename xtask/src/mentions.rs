//! Every path that an item writes: in `use` lines, in code, and between the parentheses of macros.
//!
//! Knows syntax. What a path means is not its matter, but for one thing: a plain name that the function around it
//! binds to a value (`let order = ...`) is no path.

use crate::syntax::{attributes, only_tests, plain};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Ident, UseTree};

/// A path, where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Its parts; `$crate` for the crate of a macro.
    pub path: Vec<String>,
    /// The line in the file.
    pub line: usize,
    /// How it is written.
    pub kind: Kind,
}

/// Where a path stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In a `use` that keeps the name to the module.
    Import,
    /// In code.
    Code,
    /// As the name of a macro that is called.
    Macro,
}

/// One name that a `use` brings in; none for `*`. A name `_` brings in a trait without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Where it comes from.
    pub path: Vec<String>,
    /// What it is called here.
    pub name: Option<String>,
}

/// What [`of`] finds.
#[derive(Debug, Default)]
pub struct Found {
    /// The paths.
    pub mentions: Vec<Mention>,
    /// What `use` lines inside of functions bring in.
    pub local: Vec<Leaf>,
}

/// The paths that an item writes. A `pub use` writes none: it hands on.
pub fn of(item: &syn::Item) -> Found {
    let mut visitor = Visitor::default();
    match item {
        syn::Item::Use(item) => visitor.import(item),
        item => visitor.visit_item(item),
    }
    visitor.found
}

/// What a `use` brings in. Paths that begin with `::` lead out of the crate and are left out.
pub fn leaves(item: &syn::ItemUse) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
    }
    leaves
}

fn flatten(tree: &UseTree, before: &mut Vec<String>, leaves: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            before.push(plain(&path.ident));
            flatten(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, leaves)),
        UseTree::Glob(_) => leaves.push(Leaf { path: before.clone(), name: None }),
        UseTree::Name(name) => leaves.push(leaf(before, &name.ident, None)),
        UseTree::Rename(rename) => leaves.push(leaf(before, &rename.ident, Some(&rename.rename))),
    }
}

/// `a::b`, `a::b as c`, `a::{self}`, `a::{self as c}`.
fn leaf(before: &[String], last: &Ident, rename: Option<&Ident>) -> Leaf {
    let mut path = before.to_vec();
    if last != "self" || path.is_empty() {
        path.push(plain(last));
    }
    let name = rename.map(plain).or_else(|| path.last().cloned());
    Leaf { path, name }
}

/// What the tokens of a macro that makes items seem to define: the word behind `struct`, `fn` and the like.
pub fn defined(tokens: &TokenStream) -> BTreeSet<String> {
    const DEFINERS: &[&str] = &["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union"];
    let mut found = BTreeSet::new();
    let mut is_next = false;
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) => {
                let word = plain(&ident);
                let definer = DEFINERS.contains(&word.as_str());
                if is_next && !definer {
                    found.insert(word);
                }
                is_next = definer;
            }
            TokenTree::Group(group) => found.extend(defined(&group.stream())),
            _ => is_next = false,
        }
    }
    found
}

#[derive(Default)]
struct Visitor {
    found: Found,
    /// Names that the functions around bind to values.
    bound: Vec<BTreeSet<String>>,
}

impl Visitor {
    fn import(&mut self, item: &syn::ItemUse) {
        if matches!(item.vis, syn::Visibility::Inherited) {
            let line = item.use_token.span.start().line;
            for leaf in leaves(item) {
                self.found.mentions.push(Mention { path: leaf.path, line, kind: Kind::Import });
            }
        }
    }

    fn mention(&mut self, path: Vec<String>, line: usize, kind: Kind) {
        let is_value = |name: &String| self.bound.iter().any(|bound| bound.contains(name));
        match path.as_slice() {
            [first] if kind == Kind::Code && is_value(first) => {}
            [first, ..] if first == "Self" => {}
            _ => self.found.mentions.push(Mention { path, line, kind }),
        }
    }

    /// A function's own names, while its body is visited.
    fn within<'a>(&mut self, signature: &'a syn::Signature, block: Option<&'a syn::Block>, go: impl FnOnce(&mut Self)) {
        let mut values = Values::default();
        values.visit_signature(signature);
        if let Some(block) = block {
            values.visit_block(block);
        }
        self.bound.push(values.0);
        go(self);
        self.bound.pop();
    }

    /// Paths between a macro's parentheses, where there is no syntax but tokens.
    fn tokens(&mut self, tokens: &TokenStream) {
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => {
                    self.tokens(&group.stream());
                    at += 1;
                }
                TokenTree::Ident(first) if !is_member(&tokens[..at]) => at += self.token_path(first, &tokens, at),
                _ => at += 1,
            }
        }
    }

    /// Takes the path that begins at `at`, and returns how many tokens it has.
    fn token_path(&mut self, first: &Ident, tokens: &[TokenTree], at: usize) -> usize {
        let from_macro = is_punct(tokens, at.wrapping_sub(1), '$');
        if from_macro && first != "crate" {
            return 1;
        }
        let mut path = vec![if from_macro { "$crate".to_owned() } else { plain(first) }];
        let mut end = at + 1;
        while is_punct(tokens, end, ':') && is_punct(tokens, end + 1, ':') {
            let Some(TokenTree::Ident(next)) = tokens.get(end + 2) else { break };
            path.push(plain(next));
            end += 3;
        }
        let is_field = path.len() == 1 && is_punct(tokens, end, ':') && !is_punct(tokens, end + 1, ':');
        let is_call = is_punct(tokens, end, '!') && matches!(tokens.get(end + 1), Some(TokenTree::Group(_)));
        if !is_field {
            self.mention(path, first.span().start().line, if is_call { Kind::Macro } else { Kind::Code });
        }
        end - at
    }
}

/// Behind `.` or `'`, or in a path that did not begin here.
fn is_member(before: &[TokenTree]) -> bool {
    let is = |back: usize, sign: char| before.len() >= back && is_punct(before, before.len() - back, sign);
    (is(1, '.') && !is(2, '.')) || is(1, '\'') || (is(1, ':') && is(2, ':'))
}

fn is_punct(tokens: &[TokenTree], at: usize, sign: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

impl<'a> Visit<'a> for Visitor {
    fn visit_item(&mut self, item: &'a syn::Item) {
        if !only_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    /// Inside of a function: the name serves the module's own code.
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.import(item);
        self.found.local.extend(leaves(item));
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.within(&item.sig, Some(&item.block), |visitor| visit::visit_item_fn(visitor, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if !only_tests(&item.attrs) {
            self.within(&item.sig, Some(&item.block), |visitor| visit::visit_impl_item_fn(visitor, item));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        self.within(&item.sig, item.default.as_ref(), |visitor| visit::visit_trait_item_fn(visitor, item));
    }

    fn visit_field(&mut self, field: &'a syn::Field) {
        if !only_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if let Some(first) = path.segments.first().filter(|_| path.leading_colon.is_none()) {
            let parts = path.segments.iter().map(|segment| plain(&segment.ident)).collect();
            self.mention(parts, first.ident.span().start().line, Kind::Code);
        }
        visit::visit_path(self, path);
    }

    /// A pattern of one capital name may be a constant or a variant.
    fn visit_pat_ident(&mut self, pattern: &'a syn::PatIdent) {
        let name = plain(&pattern.ident);
        if is_constant(&name) {
            self.mention(vec![name], pattern.ident.span().start().line, Kind::Code);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        if let Some(first) = call.path.segments.first() {
            let parts = call.path.segments.iter().map(|segment| plain(&segment.ident)).collect();
            self.mention(parts, first.ident.span().start().line, Kind::Macro);
        }
        self.tokens(&call.tokens);
    }

    /// `derive`, `serde` and the like: what they name is no import.
    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}

    /// `pub(in crate::a)` names a place, not a thing.
    fn visit_visibility(&mut self, _: &'a syn::Visibility) {}
}

/// The names that patterns bind.
#[derive(Default)]
struct Values(BTreeSet<String>);

impl<'a> Visit<'a> for Values {
    fn visit_pat_ident(&mut self, pattern: &'a syn::PatIdent) {
        let name = plain(&pattern.ident);
        if !is_constant(&name) {
            self.0.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_item(&mut self, _: &'a syn::Item) {}
}

fn is_constant(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}
