//! Small questions to `syn`'s items: their attributes, and whether a `cfg` leaves them to tests.

use syn::punctuated::Punctuated;
use syn::{Attribute, Item, Meta, Token};

/// `#[path = "..."]`.
pub(crate) fn stated_path(attributes: &[Attribute]) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    match &value.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// An identifier without `r#`.
pub(crate) fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map_or(text.clone(), str::to_owned)
}

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether something exists in builds of tests alone.
pub(crate) fn only_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| attribute.path().is_ident("test");
    attributes.iter().any(is_test) || !can_hold(attributes, &|meta| meta.path().is_ident("test"))
}

/// Whether something exists with the feature `testing` alone.
pub(crate) fn only_with_testing(attributes: &[Attribute]) -> bool {
    !can_hold(attributes, &|meta| match meta {
        Meta::NameValue(pair) if pair.path.is_ident("feature") => {
            matches!(&pair.value, syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) if text.value() == "testing")
        }
        _ => false,
    })
}

/// Whether every `cfg` can hold where what `off` names is off.
fn can_hold(attributes: &[Attribute], off: &dyn Fn(&Meta) -> bool) -> bool {
    let cfgs = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    cfgs.filter_map(|cfg| cfg.parse_args::<Meta>().ok()).all(|condition| possible(&condition, off))
}

fn possible(condition: &Meta, off: &dyn Fn(&Meta) -> bool) -> bool {
    let parts = |list: &syn::MetaList| {
        let parsed = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        parsed.map(|parts| parts.into_iter().collect::<Vec<_>>()).unwrap_or_default()
    };
    match condition {
        Meta::List(list) if list.path.is_ident("all") => parts(list).iter().all(|part| possible(part, off)),
        Meta::List(list) if list.path.is_ident("any") => parts(list).iter().any(|part| possible(part, off)),
        Meta::List(_) => true,
        condition => !off(condition),
    }
}
