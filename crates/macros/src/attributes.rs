//! Attributes: what stands in `#[node(…)]` and `#[input(…)]`, read into data. Writes no code for the traits.
//!
//! Statements here call the engine's crate `__kiln`; the functions that `expand` puts them into import it by that name.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, Token};

/// `#[node(…)]`.
#[derive(Default)]
pub(crate) struct NodeAttributes {
    pub class: Option<String>,
    /// Where the engine's crate is, if the node says so itself.
    pub engine: Option<Path>,
    pub is_async: bool,
    pub outputs: Vec<String>,
    /// Statements on `def`, a `NodeDef`.
    pub def: Vec<TokenStream>,
    /// Method calls on the behaviour.
    pub behaviour: Vec<TokenStream>,
}

/// `#[input(…)]`.
#[derive(Default)]
pub(crate) struct InputAttributes {
    pub name: Option<String>,
    pub is_combo: bool,
    /// Statements on `input`, an `InputDef`.
    pub def: Vec<TokenStream>,
    /// A function that looks the options up.
    pub choices: Option<Expr>,
    /// Method calls on the behaviour: the method, and what it gets after the input's name.
    pub behaviour: Vec<(Ident, TokenStream)>,
}

/// The doc comment as one paragraph per paragraph, lines joined.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let mut paragraphs: Vec<String> = vec![String::new()];
    for line in attributes.iter().filter_map(doc_line) {
        match paragraphs.last_mut() {
            Some(last) if !line.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(&line);
            }
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs.retain(|p| !p.is_empty());
    paragraphs.join("\n")
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if pair.path.is_ident("doc") => {
            Some(text.value().trim().to_owned())
        }
        _ => None,
    }
}

const FLAGS: [&str; 9] = [
    "unnamed",
    "output_node",
    "not_idempotent",
    "deprecated",
    "experimental",
    "dev_only",
    "api_node",
    "accept_all_inputs",
    "input_is_list",
];

impl NodeAttributes {
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut this = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("node")) {
            attribute.parse_nested_meta(|meta| this.item(&meta))?;
        }
        Ok(this)
    }

    fn item(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let ident = meta.path.require_ident()?;
        match ident.to_string().as_str() {
            "class" => self.class = Some(text(meta)?),
            "crate" => self.engine = Some(meta.value()?.parse::<LitStr>()?.parse_with(Path::parse_mod_style)?),
            "async" | "asynchronous" => self.is_async = true,
            "outputs" => self.outputs = names(meta)?,
            "aliases" => {
                let aliases = names(meta)?;
                self.def.push(quote!(def.search_aliases = vec![#(#aliases.into()),*];));
            }
            "display_name" => {
                let value = text(meta)?;
                self.def.push(quote!(def.display_name = ::core::option::Option::Some(#value.into());));
            }
            "category" | "module" => {
                let value = text(meta)?;
                self.def.push(quote!(def.#ident = #value.into();));
            }
            "intermediate_output" => self.def.push(quote!(def.has_intermediate_output = true;)),
            flag if FLAGS.contains(&flag) => self.def.push(quote!(def.#ident = true;)),
            "validates" => self.validates(meta)?,
            "parallel" => self.behaviour.push(quote!(.on(__kiln::Lane::Parallel))),
            "lane" => {
                let lane = text(meta)?;
                self.behaviour.push(quote!(.on(__kiln::Lane::Serial(#lane.into()))));
            }
            "version" => {
                let version: Expr = meta.value()?.parse()?;
                self.behaviour.push(quote!(.version(#version)));
            }
            "uncached" => self.behaviour.push(quote!(.uncached())),
            other => return Err(meta.error(format!("a node has no attribute `{other}`; see kiln_macros for the list"))),
        }
        Ok(())
    }

    fn validates(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let mut names = names(meta)?;
        let (all, types) = (names.iter().any(|n| n == "all"), names.iter().any(|n| n == "types"));
        names.retain(|n| n != "all" && n != "types");
        self.def.push(quote! {
            def.validator = ::core::option::Option::Some(__kiln::graph::ValidatorDef {
                inputs: vec![#(#names.into()),*],
                takes_kwargs: #all,
                wants_input_types: #types,
            });
        });
        Ok(())
    }
}

impl InputAttributes {
    pub(crate) fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut this = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("input")) {
            attribute.parse_nested_meta(|meta| this.item(&meta))?;
        }
        Ok(this)
    }

    fn item(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let key = meta.path.require_ident()?.to_string();
        match key.as_str() {
            "name" => self.name = Some(text(meta)?),
            "type" | "ty" => {
                let ty = text(meta)?;
                self.def.push(quote!(input.ty = #ty.into();));
            }
            "tooltip" | "min" | "max" | "step" | "round" | "default" | "display" => {
                let value: Expr = meta.value()?.parse()?;
                self.option(&key, &value);
            }
            "multiline" | "control_after_generate" | "image_upload" | "multiselect" | "advanced" => self.flag(&key),
            "force_input" => self.flag("forceInput"),
            "dynamic_prompts" => self.flag("dynamicPrompts"),
            "combo" => {
                let words: Expr = meta.value()?.parse()?;
                self.is_combo = true;
                self.def.push(quote!(input.ty = __kiln::graph::SocketType::combo(#words);));
            }
            "options" => {
                let words: Expr = meta.value()?.parse()?;
                self.is_combo = true;
                self.def.push(quote! {
                    input.ty = "COMBO".into();
                    input.options.insert("options".into(), __kiln::json!(#words));
                });
            }
            "choices" => {
                self.is_combo = true;
                self.choices = Some(meta.value()?.parse()?);
                self.def.push(quote! {
                    input.ty = __kiln::graph::SocketType::combo(::core::iter::empty::<&str>());
                });
            }
            "uses" => {
                let passes = if meta.input.peek(Token![=]) { Some(meta.value()?.parse::<Expr>()?) } else { None };
                let passes = passes.map_or_else(|| quote!(|_| 1), |passes| quote!(#passes));
                self.behaviour.push((Ident::new("uses", Span::call_site()), passes));
            }
            "carries" => self.behaviour.push((Ident::new("carries", Span::call_site()), TokenStream::new())),
            "provides" => {
                for (socket_type, name) in pairs(meta)? {
                    self.behaviour.push((Ident::new("provides", Span::call_site()), quote!(#socket_type, #name)));
                }
            }
            "lazy" | "raw_link" => {
                let field = Ident::new(&key, Span::call_site());
                self.def.push(quote!(input.#field = true;));
            }
            "optional" => self.def.push(quote!(input.group = __kiln::graph::Group::Optional;)),
            "hidden" => self.def.push(quote!(input.group = __kiln::graph::Group::Hidden;)),
            "option" => self.free_option(meta)?,
            other => {
                return Err(meta.error(format!(
                    "an input has no attribute `{other}`; use `option(\"{other}\" = …)` for what only clients read"
                )));
            }
        }
        Ok(())
    }

    fn flag(&mut self, key: &str) {
        self.def.push(quote!(input.options.insert(#key.into(), __kiln::json!(true));));
    }

    fn option(&mut self, key: &str, value: &Expr) {
        self.def.push(quote!(input.options.insert(#key.into(), __kiln::json!(#value));));
    }

    fn free_option(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let content;
        syn::parenthesized!(content in meta.input);
        let key: LitStr = content.parse()?;
        content.parse::<Token![=]>()?;
        let value: Expr = content.parse()?;
        self.option(&key.value(), &value);
        Ok(())
    }
}

fn text(meta: &ParseNestedMeta<'_>) -> syn::Result<String> {
    Ok(meta.value()?.parse::<LitStr>()?.value())
}

/// `(A = "a", B = "b")`: names with their texts.
fn pairs(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<(String, String)>> {
    let content;
    syn::parenthesized!(content in meta.input);
    let pair = |input: syn::parse::ParseStream<'_>| {
        let name = input.call(Ident::parse_any)?.unraw().to_string();
        input.parse::<Token![=]>()?;
        Ok((name, input.parse::<LitStr>()?.value()))
    };
    Ok(content.parse_terminated(pair, Token![,])?.into_iter().collect())
}

/// `(a, "b c", d = "D")`: a list of names. `d = "D"` stands for its text.
fn names(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<String>> {
    let content;
    syn::parenthesized!(content in meta.input);
    let mut names = Vec::new();
    while !content.is_empty() {
        if content.peek(LitStr) {
            names.push(content.parse::<LitStr>()?.value());
        } else {
            let ident = content.call(Ident::parse_any)?;
            if content.peek(Token![=]) {
                content.parse::<Token![=]>()?;
                names.push(content.parse::<LitStr>()?.value());
            } else {
                names.push(ident.unraw().to_string());
            }
        }
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    Ok(names)
}
