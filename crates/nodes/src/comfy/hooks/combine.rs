//! Hooks of several nodes put together.

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::Hooks;

/// All hooks of those that are linked, one behind the other; none of them twice.
fn combined(groups: impl IntoIterator<Item = Option<Hooks>>) -> Option<Hooks> {
    let mut groups = groups.into_iter().flatten();
    let first = groups.next()?;
    Some(groups.fold(first, |all, group| Hooks::new(all.0.with(&group.0))))
}

/// Puts the hooks of up to two nodes together.
#[derive(Node)]
#[allow(clippy::struct_field_names, reason = "the inputs have ComfyUI's names")]
#[node(
    display_name = "Combine Hooks [2]",
    category = "advanced/hooks/combine",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct CombineHooks2 {
    /// Hooks that act first.
    #[input(name = "hooks_A")]
    hooks_a: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_B")]
    hooks_b: Option<Hooks>,
}

impl Execute for CombineHooks2 {
    type Output = Option<Hooks>;

    fn execute(self, _: &mut Cx) -> Result<Option<Hooks>, NodeError> {
        Ok(combined([self.hooks_a, self.hooks_b]))
    }
}

/// Puts the hooks of up to four nodes together.
#[derive(Node)]
#[allow(clippy::struct_field_names, reason = "the inputs have ComfyUI's names")]
#[node(
    display_name = "Combine Hooks [4]",
    category = "advanced/hooks/combine",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct CombineHooks4 {
    /// Hooks that act first.
    #[input(name = "hooks_A")]
    hooks_a: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_B")]
    hooks_b: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_C")]
    hooks_c: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_D")]
    hooks_d: Option<Hooks>,
}

impl Execute for CombineHooks4 {
    type Output = Option<Hooks>;

    fn execute(self, _: &mut Cx) -> Result<Option<Hooks>, NodeError> {
        Ok(combined([self.hooks_a, self.hooks_b, self.hooks_c, self.hooks_d]))
    }
}

/// Puts the hooks of up to eight nodes together.
#[derive(Node)]
#[allow(clippy::struct_field_names, reason = "the inputs have ComfyUI's names")]
#[node(
    display_name = "Combine Hooks [8]",
    category = "advanced/hooks/combine",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct CombineHooks8 {
    /// Hooks that act first.
    #[input(name = "hooks_A")]
    hooks_a: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_B")]
    hooks_b: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_C")]
    hooks_c: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_D")]
    hooks_d: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_E")]
    hooks_e: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_F")]
    hooks_f: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_G")]
    hooks_g: Option<Hooks>,
    /// Hooks that act after those before.
    #[input(name = "hooks_H")]
    hooks_h: Option<Hooks>,
}

impl Execute for CombineHooks8 {
    type Output = Option<Hooks>;

    fn execute(self, _: &mut Cx) -> Result<Option<Hooks>, NodeError> {
        Ok(combined([
            self.hooks_a,
            self.hooks_b,
            self.hooks_c,
            self.hooks_d,
            self.hooks_e,
            self.hooks_f,
            self.hooks_g,
            self.hooks_h,
        ]))
    }
}
