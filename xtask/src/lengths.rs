//! How long functions are: from the word `fn` to the closing brace.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A function and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub line: usize,
    /// How many lines it has.
    pub lines: usize,
}

/// Every function with a body in a file. A file that is not Rust has none: the compiler says more.
pub fn functions(text: &str) -> Vec<Length> {
    let mut visitor = Visitor::default();
    if let Ok(file) = syn::parse_file(text) {
        visitor.visit_file(&file);
    }
    visitor.0
}

#[derive(Default)]
struct Visitor(Vec<Length>);

impl Visitor {
    fn take(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let (line, end) = (signature.span().start().line, body.span().end().line);
        self.0.push(Length { name: signature.ident.to_string(), line, lines: end + 1 - line });
    }
}

impl<'a> Visit<'a> for Visitor {
    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        self.take(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.take(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'a syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.take(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_counts_from_its_name_to_its_brace() {
        let text = "/// Docs.\n#[inline]\nfn a() {}\nimpl X {\n    fn b(\n        x: u8,\n    ) {\n    }\n}\ntrait T { fn c(); }\n";
        let found: Vec<(String, usize, usize)> =
            functions(text).into_iter().map(|Length { name, line, lines }| (name, line, lines)).collect();
        assert_eq!(found, [("a".to_owned(), 3, 1), ("b".to_owned(), 5, 4)]);
    }
}
