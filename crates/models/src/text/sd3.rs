//! SD3's way with three encoders, any of which may be missing.
//!
//! Source: ComfyUI `comfy/text_encoders/sd3_clip.py`.

use burn::tensor::{Device, Tensor};

use super::encode::Prompt;

/// Widths of the full-size encoders, which zeros stand in for.
const L: usize = 768;
const G: usize = 1280;
const T5: usize = 4096;
/// Tokens of a prompt that no encoder has read.
const TOKENS: usize = 77;

/// What SD3's encoders gave.
#[derive(Debug, Clone, Default)]
pub struct Sd3Parts {
    /// CLIP-L: states `[1, T, 768]` and pooled `[1, 768]`, not projected.
    pub l: Option<(Tensor<3>, Tensor<2>)>,
    /// CLIP-G: states `[1, T, 1280]` and pooled `[1, 1280]`, projected.
    pub g: Option<(Tensor<3>, Tensor<2>)>,
    /// T5-XXL: states `[1, T, 4096]`.
    pub t5: Option<Tensor<3>>,
}

impl Sd3Parts {
    /// One prompt of them: L and G side by side, then T5's rows, all as wide as T5's. Zeros stand where an encoder is missing:
    /// 77 rows of them for no encoder at all.
    ///
    /// # Shapes
    /// Context `[1, T, 4096]`, pooled `[1, 2048]`.
    pub fn join(self, device: &Device) -> Prompt {
        let zeros = |width: usize| Tensor::<2>::zeros([1, width], device);
        let ((l, pooled_l), (g, pooled_g)) = (self.l.unzip(), self.g.unzip());
        let pooled = vec![pooled_l.unwrap_or_else(|| zeros(L)), pooled_g.unwrap_or_else(|| zeros(G))];
        let clips = match (l, g) {
            (Some(l), Some(g)) => {
                let tokens = l.dims()[1].min(g.dims()[1]);
                Some(Tensor::cat(vec![l.narrow(1, 0, tokens), g.narrow(1, 0, tokens)], 2))
            }
            (Some(l), None) => Some(l),
            (None, Some(g)) => {
                let [batch, tokens, width] = g.dims();
                let front = Tensor::zeros([batch, tokens, L], device);
                Some(if width == G { Tensor::cat(vec![front, g], 2) } else { g })
            }
            (None, None) => None,
        };
        let width = self.t5.as_ref().map_or(T5, |t5| t5.dims()[2]);
        let width = width.max(clips.as_ref().map_or(0, |clips| clips.dims()[2]));
        let rows: Vec<Tensor<3>> = clips.into_iter().chain(self.t5).map(|x| widened(x, width)).collect();
        let context = if rows.is_empty() { Tensor::zeros([1, TOKENS, T5], device) } else { Tensor::cat(rows, 1) };
        Prompt::new(context, Some(Tensor::cat(pooled, 1)))
    }
}

/// With zeros behind each row.
fn widened(x: Tensor<3>, width: usize) -> Tensor<3> {
    let [batch, tokens, own] = x.dims();
    if own == width {
        return x;
    }
    let rest = Tensor::zeros([batch, tokens, width - own], &x.device());
    Tensor::cat(vec![x, rest], 2)
}
