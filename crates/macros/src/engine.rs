//! The engine's crate as the deriving crate may name it. Knows Cargo's manifests, no nodes.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Ident, Path};

/// The path of kiln-exec: `said` by the node, or found in the manifest of the crate being compiled, under whatever name
/// it has there. kiln-exec comes first: a crate whose own dependency it is may have the facade for its tests alone.
pub(crate) fn path(said: Option<&Path>) -> syn::Result<TokenStream> {
    if let Some(path) = said {
        return Ok(quote!(#path));
    }
    if let Ok(found) = crate_name("kiln-exec") {
        let exec = name(found, "kiln_exec");
        return Ok(quote!(::#exec));
    }
    let facade = name(crate_name("kiln").map_err(neither)?, "kiln");
    Ok(quote!(::#facade::exec))
}

/// A crate's own tests, examples and doctests see it by the name of its library.
fn name(found: FoundCrate, own: &str) -> Ident {
    match found {
        FoundCrate::Itself => Ident::new(own, Span::call_site()),
        FoundCrate::Name(name) => Ident::new(&name, Span::call_site()),
    }
}

fn neither(error: proc_macro_crate::Error) -> Error {
    let text = match error {
        proc_macro_crate::Error::CrateNotFound { .. } => {
            "derive(Node) finds neither `kiln` nor `kiln-exec` among this crate's dependencies: add one of them, or, \
             where another crate re-exports the engine, say so: `#[node(crate = \"path::to::exec\")]`"
                .to_owned()
        }
        other => format!("derive(Node) looks for `kiln` or `kiln-exec` in this crate's manifest, in vain: {other}"),
    };
    Error::new(Span::call_site(), text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_crate_that_has_neither_is_told_what_to_add() {
        // This crate is one.
        let text = super::path(None).map_err(|error| error.to_string()).err();
        assert!(text.is_some_and(|text| text.contains("add one of them")));
    }

    #[test]
    fn a_node_that_says_where_the_engine_is_is_believed() {
        let said = syn::parse_quote!(crate::re::exec);
        assert_eq!(super::path(Some(&said)).map(|path| path.to_string()).ok().as_deref(), Some("crate :: re :: exec"));
    }
}
