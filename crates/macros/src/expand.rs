//! Expansion: the implementations that a node struct gets. Reads attributes through `attributes` and the engine's path
//! through `engine`, decides nothing else.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Ident, Type};

use crate::attributes::{InputAttributes, NodeAttributes, doc};
use crate::engine;

/// A node struct, read.
struct Node<'a> {
    item: &'a DeriveInput,
    attributes: NodeAttributes,
    fields: Vec<Field<'a>>,
    /// The path of the engine's crate.
    engine: TokenStream,
}

struct Field<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: String,
    tooltip: String,
    attributes: InputAttributes,
}

pub(crate) fn node(item: &DeriveInput) -> syn::Result<TokenStream> {
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "a node class has no type parameters"));
    }
    let attributes = NodeAttributes::read(&item.attrs)?;
    let engine = engine::path(attributes.engine.as_ref())?;
    let node = Node { item, attributes, fields: fields(item)?, engine };
    let (class, builder) = (node.class(), node.builder());
    Ok(quote!(#class #builder))
}

fn fields(item: &DeriveInput) -> syn::Result<Vec<Field<'_>>> {
    let Data::Struct(data) = &item.data else {
        return Err(Error::new_spanned(&item.ident, "a node is a struct whose fields are its inputs"));
    };
    let named = match &data.fields {
        Fields::Named(named) => named.named.iter().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(unnamed) => return Err(Error::new_spanned(unnamed, "inputs have names, so fields do")),
    };
    named.into_iter().map(field).collect()
}

fn field(field: &syn::Field) -> syn::Result<Field<'_>> {
    let ident = field.ident.as_ref().ok_or_else(|| Error::new_spanned(field, "inputs have names, so fields do"))?;
    let attributes = InputAttributes::read(&field.attrs)?;
    let name = attributes.name.clone().unwrap_or_else(|| ident.unraw().to_string());
    Ok(Field { ident, ty: &field.ty, name, tooltip: doc(&field.attrs), attributes })
}

impl Node<'_> {
    /// The type of the sockets that the node's `Output` stands for.
    fn outputs(&self) -> TokenStream {
        let (this, engine) = (&self.item.ident, &self.engine);
        let execute = if self.attributes.is_async { quote!(ExecuteAsync) } else { quote!(Execute) };
        quote!(<<#this as #engine::#execute>::Output as #engine::IntoOutcome>::Outputs)
    }

    fn class(&self) -> TokenStream {
        let (this, engine) = (&self.item.ident, &self.engine);
        let class = self.attributes.class.clone().unwrap_or_else(|| this.unraw().to_string());
        let (def, decode, behaviour) = (self.def(&class), self.decode(), self.behaviour());
        quote! {
            impl #engine::NodeClass for #this {
                const CLASS: &'static str = #class;
                #def
                #decode
                #behaviour
            }
        }
    }

    fn def(&self, class: &str) -> TokenStream {
        let (engine, outputs, description) = (&self.engine, self.outputs(), doc(&self.item.attrs));
        let (statements, output_names) = (&self.attributes.def, &self.attributes.outputs);
        let declares = self.fields.iter().map(Field::declare);
        quote! {
            fn def() -> #engine::graph::NodeDef {
                use #engine as __kiln;
                let mut def = __kiln::graph::NodeDef::new(#class).description(#description);
                #(#declares)*
                def.outputs = <#outputs as __kiln::Outputs>::defs();
                let names: &[&str] = &[#(#output_names),*];
                for (output, name) in def.outputs.iter_mut().zip(names) {
                    output.name = (*name).into();
                }
                #(#statements)*
                def
            }
        }
    }

    fn decode(&self) -> TokenStream {
        let engine = &self.engine;
        let takes = self.fields.iter().map(|field| {
            let (ident, ty, name) = (field.ident, field.ty, &field.name);
            quote!(#ident: <#ty as #engine::Socket>::take(args, #name)?)
        });
        let arguments = if self.fields.is_empty() { quote!(_) } else { quote!(args) };
        quote! {
            fn decode(#arguments: &mut #engine::Args) -> ::core::result::Result<Self, #engine::NodeError> {
                ::core::result::Result::Ok(Self { #(#takes),* })
            }
        }
    }

    fn behaviour(&self) -> TokenStream {
        let (engine, calls) = (&self.engine, &self.attributes.behaviour);
        let choices = self.fields.iter().filter_map(|field| {
            let (name, of) = (&field.name, field.attributes.choices.as_ref()?);
            Some(quote!(.choices(#name, #of)))
        });
        let resources = self.fields.iter().flat_map(|field| {
            let name = &field.name;
            field.attributes.behaviour.iter().map(move |(method, arguments)| quote!(.#method(#name, #arguments)))
        });
        let of = if self.attributes.is_async { quote!(of_async) } else { quote!(of) };
        quote! {
            fn behaviour() -> #engine::Behaviour {
                use #engine as __kiln;
                __kiln::Behaviour::#of::<Self>() #(#calls)* #(#choices)* #(#resources)*
            }
        }
    }

    fn builder(&self) -> TokenStream {
        let (this, vis, engine, outputs) = (&self.item.ident, &self.item.vis, &self.engine, self.outputs());
        let builder = format_ident!("{}Node", this.unraw());
        let setters = self.fields.iter().map(|field| field.setter(engine));
        let text = format!("Builder of `{this}` nodes; made by [`{this}::node`].");
        quote! {
            impl #this {
                /// Begins a node of this class for a graph.
                #[must_use]
                #vis fn node() -> #builder {
                    #builder(#engine::NodeSpec::new(<Self as #engine::NodeClass>::CLASS))
                }
            }
            #[doc = #text]
            #[derive(Clone, Debug)]
            #vis struct #builder(#engine::NodeSpec);
            #[allow(dead_code, reason = "a builder offers every input, a program uses some")]
            impl #builder { #(#setters)* }
            impl #engine::TypedNode for #builder {
                type Outputs = #outputs;
                fn into_spec(self) -> #engine::NodeSpec { self.0 }
            }
        }
    }
}

impl Field<'_> {
    /// The statement that adds the input to `def`.
    fn declare(&self) -> TokenStream {
        let (ty, name, tooltip, statements) = (self.ty, &self.name, &self.tooltip, &self.attributes.def);
        let refine = if statements.is_empty() {
            quote!(|input| input.tooltip(#tooltip))
        } else {
            quote!(|input| { let mut input = input; #(#statements)* input.tooltip(#tooltip) })
        };
        quote!(def = __kiln::declare::<#ty>(def, #name, #refine);)
    }

    /// The builder's method that sets the input.
    fn setter(&self, engine: &TokenStream) -> TokenStream {
        let (ident, ty, name, tooltip) = (self.ident, self.ty, &self.name, &self.tooltip);
        let kind = if self.attributes.is_combo {
            quote!(#engine::kind::Combo)
        } else {
            quote!(<#ty as #engine::Socket>::Kind)
        };
        let text = if tooltip.is_empty() { format!("The input `{name}`.") } else { tooltip.clone() };
        quote! {
            #[doc = #text]
            #[must_use]
            pub fn #ident(self, value: impl #engine::IntoArg<#kind>) -> Self {
                Self(self.0.arg(#name, value))
            }
        }
    }
}
