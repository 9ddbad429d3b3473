//! What a union ControlNet has beside an ordinary one: it is told what kind of image it is given.
//!
//! Source: xinsir's ControlNetPlus; ComfyUI `comfy/cldm/cldm.py`, `union_controlnet_merge` and `ControlAddEmbedding`.

use burn::tensor::{Device, Tensor};
use kiln_memory::{TensorShapes, Weight};

use crate::{
    error::ModelError,
    nets::{
        layers::{LayerNorm, Linear},
        unet::sinusoidal,
    },
    ops::{self, Mask},
    weights::WeightBuilder,
};

/// Attention heads; a file doesn't say.
const HEADS: usize = 8;

/// The sizes of what a union ControlNet adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnionConfig {
    /// How many kinds of images it knows.
    pub kinds: usize,
    /// Channels of its transformer; those of the image after its convolutions.
    pub width: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Channels that a kind's number is spread over.
    pub spread: usize,
}

impl UnionConfig {
    /// Reads the configuration off names and shapes; `None` for an ordinary ControlNet.
    pub(super) fn from_names(names: &TensorShapes) -> Option<Self> {
        let [kinds, width] = *names.shape("task_embedding")? else { return None };
        let spread = names.side("control_add_embedding.linear_1.weight", 1)?.checked_div(kinds)?;
        Some(Self { kinds, width, layers: names.count("transformer_layes."), spread })
    }
}

/// The parts that look at the kind.
#[derive(Debug)]
pub(super) struct Union {
    kinds: usize,
    spread: usize,
    width: usize,
    tasks: Weight,
    layers: Vec<Layer>,
    projection: Linear,
    embedding: [Linear; 2],
}

/// Attention and a wider layer, each over a norm and added to its input.
#[derive(Debug)]
struct Layer {
    norms: [LayerNorm; 2],
    qkv: Linear,
    out: Linear,
    widen: Linear,
    narrow: Linear,
}

impl Union {
    /// `outputs`: channels of the image after its convolutions; `embed`: those of the time embedding.
    pub(super) fn new(
        config: &UnionConfig,
        wb: &WeightBuilder<'_>,
        outputs: usize,
        embed: usize,
    ) -> Result<Self, ModelError> {
        let UnionConfig { kinds, width, layers, spread } = *config;
        if width % HEADS != 0 || [kinds, width, spread].contains(&0) {
            let detail =
                format!("{kinds} kinds, {width} channels for {HEADS} heads, {spread} channels for a kind's number");
            return Err(ModelError::Unrecognised { what: "a union ControlNet".into(), detail });
        }
        let linear = |name: &str, inputs, outputs| Linear::new(wb, name, inputs, outputs);
        Ok(Self {
            tasks: wb.get("task_embedding", &[kinds, width])?,
            layers: (0..layers).map(|n| Layer::new(wb, n, width)).collect::<Result<_, _>>()?,
            projection: linear("spatial_ch_projs", width, outputs)?,
            embedding: [
                linear("control_add_embedding.linear_1", spread * kinds, embed)?,
                linear("control_add_embedding.linear_2", embed, embed)?,
            ],
            kinds,
            spread,
            width,
        })
    }

    /// What is added to the time embedding, `[1, embed]`; without a kind none is marked.
    pub(super) fn embedding(&self, kind: Option<usize>, device: &Device) -> Result<Tensor<2>, ModelError> {
        self.check(kind)?;
        let marked: Vec<f32> = (0..self.kinds).map(|n| f32::from(u8::from(kind == Some(n)))).collect();
        let spread = sinusoidal(&marked, self.spread, device).reshape([1, self.kinds * self.spread]);
        let [first, second] = &self.embedding;
        second.forward2(ops::silu(first.forward2(spread)?)?)
    }

    /// The image after its convolutions, each channel moved by what the kind makes of its mean.
    ///
    /// # Shapes
    /// `image` `[batch, width, h, w]`, kept.
    pub(super) fn merged(&self, image: Tensor<4>, kind: usize) -> Result<Tensor<4>, ModelError> {
        self.check(Some(kind))?;
        let [batch, channels, height, width] = image.dims();
        if channels != self.width {
            let expected = format!("[batch, {}, h, w]", self.width);
            let found = image.dims().to_vec();
            return Err(ModelError::Input { network: "union ControlNet", what: "image", expected, found });
        }
        let device = image.device();
        let task = self.tasks.acquire::<2>(&device)?.tensor().narrow(0, kind, 1);
        let mean = image.clone().reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels]);
        let token = (mean + task).reshape([batch, 1, channels]);
        let token = self.layers.iter().try_fold(token, |token, layer| layer.forward(token))?;
        let moved = self.projection.forward(token)?.reshape([batch, channels, 1, 1]);
        Ok(image + moved)
    }

    fn check(&self, kind: Option<usize>) -> Result<(), ModelError> {
        let Some(kind) = kind.filter(|kind| *kind >= self.kinds) else { return Ok(()) };
        let expected = format!("a type below {}: this ControlNet knows no more of them", self.kinds);
        Err(ModelError::Input { network: "union ControlNet", what: "type", expected, found: vec![kind] })
    }
}

impl Layer {
    fn new(wb: &WeightBuilder<'_>, number: usize, width: usize) -> Result<Self, ModelError> {
        let name = |end: &str| format!("transformer_layes.{number}.{end}");
        let linear = |end: &str, inputs, outputs| Linear::new(wb, &name(end), inputs, outputs);
        Ok(Self {
            norms: [LayerNorm::new(wb, &name("ln_1"), width)?, LayerNorm::new(wb, &name("ln_2"), width)?],
            qkv: linear("attn.in_proj", width, width * 3)?,
            out: linear("attn.out_proj", width, width)?,
            widen: linear("mlp.c_fc", width, width * 4)?,
            narrow: linear("mlp.c_proj", width * 4, width)?,
        })
    }

    /// # Shapes
    /// `x` `[batch, tokens, width]`, kept.
    fn forward(&self, x: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let width = x.dims()[2];
        let qkv = self.qkv.forward(self.norms[0].forward(x.clone())?)?;
        let part = |n: usize| qkv.clone().narrow(2, n * width, width);
        let x = self.out.forward(ops::attention(part(0), part(1), part(2), HEADS, Mask::None)?)? + x;
        let wide = ops::quick_gelu(self.widen.forward(self.norms[1].forward(x.clone())?)?)?;
        Ok(self.narrow.forward(wide)? + x)
    }
}
