//! The compositing rules of Porter and Duff 1984, and those that later programs added.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::comfy::image::resize::{Crop, Method, fit};
use crate::payload::{Image, Mask};

/// Lays one transparent image over another by a named rule.
#[derive(Node)]
#[node(
    display_name = "Porter-Duff Image Composite",
    category = "mask/compositing",
    module = "comfy_extras.nodes_compositing"
)]
pub struct PorterDuffImageComposite {
    /// The upper image.
    source: Image,
    /// White where it is transparent.
    source_alpha: Mask,
    /// The lower image.
    destination: Image,
    /// White where it is transparent.
    destination_alpha: Mask,
    /// The rule.
    #[input(
        options = [
            "ADD", "CLEAR", "DARKEN", "DST", "DST_ATOP", "DST_IN", "DST_OUT", "DST_OVER", "LIGHTEN", "MULTIPLY",
            "OVERLAY", "SCREEN", "SRC", "SRC_ATOP", "SRC_IN", "SRC_OUT", "SRC_OVER", "XOR"
        ],
        default = "DST",
        option("multiselect" = false)
    )]
    mode: String,
}

impl Execute for PorterDuffImageComposite {
    type Output = (Image, Mask);

    fn execute(self, _: &mut Cx) -> Result<(Image, Mask), NodeError> {
        let batch = [
            self.source.dims()[0],
            self.source_alpha.dims()[0],
            self.destination.dims()[0],
            self.destination_alpha.dims()[0],
        ];
        let batch = batch.into_iter().min().unwrap_or(0);
        let [_, height, width, _] = self.destination.dims();
        let sized = |planes: Tensor<4>| fit(planes.narrow(0, 0, batch), [height, width], Method::Bicubic, Crop::Center);
        let opacity = |mask: &Mask| Ok::<_, NodeError>(sized(mask.planes())? * -1.0 + 1.0);
        let (sa, da) = (opacity(&self.source_alpha)?, opacity(&self.destination_alpha)?);
        let src = sized(self.source.rgb().planes())? * spread(&sa);
        let dst = sized(self.destination.rgb().planes())? * spread(&da);
        let Layers { colour, opacity } =
            composite(&self.mode, Layers { colour: src, opacity: sa }, Layers { colour: dst, opacity: da })?;
        let shown = spread(&opacity).greater_elem(1e-5);
        let plain = colour.clone() / spread(&opacity);
        let colour = colour.zeros_like().mask_where(shown, plain).clamp(0.0, 1.0);
        Ok((Image::from_planes(colour), Mask::from_planes(opacity * -1.0 + 1.0)))
    }
}

/// Colours multiplied by their opacity, `[B, 3, H, W]`, and the opacity, `[B, 1, H, W]`.
struct Layers {
    colour: Tensor<4>,
    opacity: Tensor<4>,
}

/// One channel as three.
fn spread(x: &Tensor<4>) -> Tensor<4> {
    x.clone().repeat_dim(1, 3)
}

fn inverse(x: &Tensor<4>) -> Tensor<4> {
    x.clone() * -1.0 + 1.0
}

fn composite(mode: &str, s: Layers, d: Layers) -> Result<Layers, NodeError> {
    let (src, sa, dst, da) = (s.colour, s.opacity, d.colour, d.opacity);
    let (s3, d3) = (spread(&sa), spread(&da));
    let union = || sa.clone() + da.clone() - sa.clone() * da.clone();
    let both = || sa.clone() * da.clone();
    // What each shows where the other is transparent.
    let (s_alone, d_alone) = (inverse(&d3) * src.clone(), inverse(&s3) * dst.clone());
    let (colour, opacity) = match mode {
        "ADD" => ((src + dst).clamp(0.0, 1.0), (sa + da).clamp(0.0, 1.0)),
        "CLEAR" => (dst.zeros_like(), da.zeros_like()),
        "DARKEN" => (s_alone + d_alone + src.min_pair(dst), union()),
        "LIGHTEN" => (s_alone + d_alone + src.max_pair(dst), union()),
        "DST" => (dst, da),
        "SRC" => (src, sa),
        "DST_ATOP" => (s3 * dst + s_alone, sa),
        "SRC_ATOP" => (d3 * src + d_alone, da),
        "DST_IN" => (dst * s3, both()),
        "SRC_IN" => (src * d3, both()),
        "DST_OUT" => (d_alone, inverse(&sa) * da),
        "SRC_OUT" => (s_alone, inverse(&da) * sa),
        "DST_OVER" => (dst + s_alone, union()),
        "SRC_OVER" => (src + d_alone, union()),
        "MULTIPLY" => (src * dst, both()),
        "SCREEN" => (src.clone() + dst.clone() - src * dst, union()),
        "OVERLAY" => {
            let dark = (dst.clone() * 2.0).lower(d3.clone());
            let low = src.clone() * dst.clone() * 2.0;
            let high = s3.clone() * d3.clone() - (d3 - src) * (s3 - dst) * 2.0;
            (high.mask_where(dark, low), union())
        }
        "XOR" => (s_alone + d_alone, inverse(&da) * sa.clone() + inverse(&sa) * da),
        other => return Err(NodeError::new(format!("`mode` is `{other}`, which does not exist"))),
    };
    Ok(Layers { colour, opacity })
}
