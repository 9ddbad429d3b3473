//! Batches of planes turned and mirrored, for images and latents alike.

use burn::tensor::Tensor;

/// How many quarter turns `90 degrees` is.
pub(crate) fn turns(rotation: &str) -> usize {
    ["none", "90", "180", "270"].iter().position(|r| rotation.starts_with(r)).unwrap_or(0)
}

/// `[B, C, H, W]` turned clockwise.
pub(crate) fn quarter_turns(x: Tensor<4>, turns: usize) -> Tensor<4> {
    match turns % 4 {
        1 => x.flip([2]).permute([0, 1, 3, 2]),
        2 => x.flip([2, 3]),
        3 => x.permute([0, 1, 3, 2]).flip([2]),
        _ => x,
    }
}

/// `[B, C, H, W]` mirrored as `flip_method` says.
pub(crate) fn flipped(x: Tensor<4>, method: &str) -> Tensor<4> {
    if method.starts_with('x') { x.flip([2]) } else { x.flip([3]) }
}
