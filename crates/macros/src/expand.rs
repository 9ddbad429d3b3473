//! Expansion: the implementations that a node struct gets. Reads attributes through `attributes`, decides nothing else.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Ident, Type};

use crate::attributes::{InputAttributes, NodeAttributes, doc};

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
    let fields = fields(item)?;
    let class = class_impl(item, &attributes, &fields);
    let builder = builder(item, &attributes, &fields);
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

/// The type of the sockets that the node's `Output` stands for.
fn outputs(item: &DeriveInput, attributes: &NodeAttributes) -> TokenStream {
    let this = &item.ident;
    let execute = if attributes.is_async { quote!(ExecuteAsync) } else { quote!(Execute) };
    quote!(<<#this as ::kiln_exec::#execute>::Output as ::kiln_exec::IntoOutcome>::Outputs)
}

fn class_impl(item: &DeriveInput, attributes: &NodeAttributes, fields: &[Field<'_>]) -> TokenStream {
    let this = &item.ident;
    let class = attributes.class.clone().unwrap_or_else(|| this.unraw().to_string());
    let (description, outputs) = (doc(&item.attrs), outputs(item, attributes));
    let (statements, calls, output_names) = (&attributes.def, &attributes.behaviour, &attributes.outputs);
    let declares = fields.iter().map(declare);
    let takes = fields.iter().map(|field| {
        let (ident, ty, name) = (field.ident, field.ty, &field.name);
        quote!(#ident: <#ty as ::kiln_exec::Socket>::take(args, #name)?)
    });
    let choices = fields.iter().filter_map(|field| {
        let (name, of) = (&field.name, field.attributes.choices.as_ref()?);
        Some(quote!(.choices(#name, #of)))
    });
    let of = if attributes.is_async { quote!(of_async) } else { quote!(of) };
    let arguments = if fields.is_empty() { quote!(_) } else { quote!(args) };
    quote! {
        impl ::kiln_exec::NodeClass for #this {
            const CLASS: &'static str = #class;
            fn def() -> ::kiln_exec::graph::NodeDef {
                let mut def = ::kiln_exec::graph::NodeDef::new(#class).description(#description);
                #(#declares)*
                def.outputs = <#outputs as ::kiln_exec::Outputs>::defs();
                let names: &[&str] = &[#(#output_names),*];
                for (output, name) in def.outputs.iter_mut().zip(names) {
                    output.name = (*name).into();
                }
                #(#statements)*
                def
            }
            fn decode(#arguments: &mut ::kiln_exec::Args) -> ::core::result::Result<Self, ::kiln_exec::NodeError> {
                ::core::result::Result::Ok(Self { #(#takes),* })
            }
            fn behaviour() -> ::kiln_exec::Behaviour {
                ::kiln_exec::Behaviour::#of::<Self>() #(#calls)* #(#choices)*
            }
        }
    }
}

fn declare(field: &Field<'_>) -> TokenStream {
    let (ty, name, tooltip, statements) = (field.ty, &field.name, &field.tooltip, &field.attributes.def);
    let refine = if statements.is_empty() {
        quote!(|input| input.tooltip(#tooltip))
    } else {
        quote!(|input| { let mut input = input; #(#statements)* input.tooltip(#tooltip) })
    };
    quote!(def = ::kiln_exec::declare::<#ty>(def, #name, #refine);)
}

fn builder(item: &DeriveInput, attributes: &NodeAttributes, fields: &[Field<'_>]) -> TokenStream {
    let (this, vis) = (&item.ident, &item.vis);
    let builder = format_ident!("{}Node", this.unraw());
    let outputs = outputs(item, attributes);
    let setters = fields.iter().map(|field| {
        let (ident, ty, name, tooltip) = (field.ident, field.ty, &field.name, &field.tooltip);
        let kind = if field.attributes.is_combo {
            quote!(::kiln_exec::kind::Combo)
        } else {
            quote!(<#ty as ::kiln_exec::Socket>::Kind)
        };
        let text = if tooltip.is_empty() { format!("The input `{name}`.") } else { tooltip.clone() };
        quote! {
            #[doc = #text]
            #[must_use]
            pub fn #ident(self, value: impl ::kiln_exec::IntoArg<#kind>) -> Self {
                Self(self.0.arg(#name, value))
            }
        }
    });
    let text = format!("Builder of `{this}` nodes; made by [`{this}::node`].");
    quote! {
        impl #this {
            /// Begins a node of this class for a graph.
            #[must_use]
            #vis fn node() -> #builder {
                #builder(::kiln_exec::NodeSpec::new(<Self as ::kiln_exec::NodeClass>::CLASS))
            }
        }
        #[doc = #text]
        #[derive(Clone, Debug)]
        #vis struct #builder(::kiln_exec::NodeSpec);
        #[allow(dead_code, reason = "a builder offers every input, a program uses some")]
        impl #builder { #(#setters)* }
        impl ::kiln_exec::TypedNode for #builder {
            type Outputs = #outputs;
            fn into_draft(self) -> ::kiln_exec::NodeSpec { self.0 }
        }
    }
}
