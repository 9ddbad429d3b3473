//! `derive(Node)`: one struct is the schema, the input decoder and the typed builder of a node.
//!
//! The struct's doc comment is the node's description, a field's doc comment its tooltip.
//!
//! On the struct, `#[node(…)]`:
//!
//! | attribute | meaning |
//! |---|---|
//! | `class = "KSampler"` | class name in prompts; else the struct's name |
//! | `display_name = "…"`, `category = "…"`, `module = "…"` | for people and menus |
//! | `aliases("…", …)` | other words by which people look for it |
//! | `outputs(model, clip = "CLIP", …)` | names of the outputs, as identifiers or texts |
//! | `unnamed` | `/object_info` has null in the place of the display name, as ComfyUI has for some |
//! | `output_node`, `not_idempotent`, `deprecated`, `experimental`, `dev_only`, `api_node`, `intermediate_output`, `accept_all_inputs` | flags of the class |
//! | `input_is_list` | the node gets all inputs as whole lists (implied by a `List` field) |
//! | `async` | implements `ExecuteAsync` in place of `Execute` |
//! | `parallel` | may run beside others on a pool |
//! | `lane = "cuda:0"` | runs on the serial thread of that name |
//! | `validates(a, b)`, `validates(all)`, `validates(types, …)` | `validate` looks at those inputs, at all, at link types |
//! | `version = 2` | results of older versions are not reused |
//! | `uncached` | results never outlive a prompt |
//! | `crate = "path::to::exec"` | where the engine is, if the manifest does not say |
//!
//! On a field, `#[input(…)]`: `name`, `type`, `min`, `max`, `step`, `round`, `default`, `display`, `tooltip`, `multiline`,
//! `force_input`, `control_after_generate`, `dynamic_prompts`, `combo = [..]` (list type), `options = [..]` (`COMBO`),
//! `choices = function` (list looked up when needed), `lazy`, `optional`, `hidden`, `raw_link`, `option("key" = value)`.
//!
//! What a field has to do with models and other things that are loaded once and used in passes, for whoever plans before a
//! run: `uses` (the node runs what the input leads to, once) or `uses = function` (as often as the function reads off the
//! prompt), `carries` (whoever uses an output of the node runs it), `provides(MODEL = "unet", …)` (the file that the input
//! names has the part `unet` of what leaves through sockets of type `MODEL`).
//!
//! The derived code names the engine's crate as the manifest of the deriving crate does: `kiln-exec`, else the facade
//! `kiln`, renamed or not. A crate that has neither, because another one re-exports the engine, says where it is with
//! `#[node(crate = "…")]`.
//!
//! ```ignore
//! /// Repeatedly smooths an image.
//! #[derive(Node)]
//! #[node(category = "image/filter")]
//! struct Smooth {
//!     image: Image,
//!     /// How many passes to run.
//!     #[input(min = 1, max = 100, default = 3)]
//!     passes: u32,
//! }
//! ```

mod attributes;
mod engine;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct a node class: its fields are the inputs. See the crate's page for the attributes.
#[proc_macro_derive(Node, attributes(node, input))]
pub fn derive_node(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    expand::node(&item).unwrap_or_else(|error| error.to_compile_error()).into()
}
