//! Hooks on text encoders.

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::{Clip, Hooks};

/// Encodes prompts with text encoders that hooks change.
#[derive(Node)]
#[node(
    display_name = "Set CLIP Hooks",
    category = "advanced/hooks/clip",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct SetClipHooks {
    /// The text encoders.
    clip: Clip,
    /// Whether encoded prompts take the hooks along, so that they change the diffusion model, too.
    #[input(default = true)]
    apply_to_conds: bool,
    /// Whether the hooks follow their keyframes here: a prompt is then encoded once for each strength.
    #[input(default = false)]
    schedule_clip: bool,
    /// The hooks, in the place of those that the encoders have.
    hooks: Option<Hooks>,
}

impl Execute for SetClipHooks {
    type Output = Clip;

    fn execute(self, _: &mut Cx) -> Result<Clip, NodeError> {
        let Some(hooks) = self.hooks else { return Ok(self.clip) };
        Ok(self.clip.with_hooks(&hooks.0, self.schedule_clip, self.apply_to_conds))
    }
}
