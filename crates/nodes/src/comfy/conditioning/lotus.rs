//! The prompt of Lotus.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::Conditioning as Conditions;

use crate::payload::Conditioning;
use crate::runtime::environment::CxExt;

/// Gives Lotus, which draws the depth or the normals of an image, the only prompt that it takes.
#[derive(Node)]
#[node(unnamed, category = "conditioning/lotus", module = "comfy_extras.nodes_lotus", outputs("conditioning"))]
pub struct LotusConditioning {}

impl Execute for LotusConditioning {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(Conditions::lotus(cx.environment()?.device())))
    }
}
