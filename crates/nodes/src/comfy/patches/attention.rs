//! Attention weights times numbers.

use std::sync::Arc;

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::{Clip, Model};

/// Factors on a layer's projections: queries, keys, values, output.
type Factors = [(&'static str, f32); 4];

/// The factor for a weight; 1 for those that no ending fits.
fn factor(key: &str, layer: &str, factors: &Factors) -> f32 {
    let fits = |end: &str| {
        ["weight", "bias"].iter().any(|kind| {
            let rest = key.strip_suffix(kind).and_then(|key| key.strip_suffix('.'));
            rest.and_then(|key| key.strip_suffix(end)).is_some_and(|key| key.ends_with(layer))
        })
    };
    factors.iter().find(|(end, _)| fits(end)).map_or(1.0, |(_, factor)| *factor)
}

fn model_times(model: Model, share: impl Fn(&str) -> f32) -> Result<Model, NodeError> {
    let network = model.network.merged(&model.network, |key| (share(key), 0.0))?;
    Ok(Model { network: Arc::new(network), ..model })
}

fn unet_factors([q, k, v, out]: [f32; 4]) -> Factors {
    [("to_q", q), ("to_k", k), ("to_v", v), ("to_out.0", out)]
}

/// Multiplies the weights with which the network attends to the image.
#[derive(Node)]
#[node(
    unnamed,
    category = "_for_testing/attention_experiments",
    module = "comfy_extras.nodes_attention_multiply",
    experimental
)]
pub struct UNetSelfAttentionMultiply {
    /// The model.
    model: Model,
    /// Factor on the queries.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    q: f32,
    /// Factor on the keys.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    k: f32,
    /// Factor on the values.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    v: f32,
    /// Factor on the result.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    out: f32,
}

impl Execute for UNetSelfAttentionMultiply {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let factors = unet_factors([self.q, self.k, self.v, self.out]);
        model_times(self.model, |key| factor(key, "attn1.", &factors))
    }
}

/// Multiplies the weights with which the network attends to the prompt.
#[derive(Node)]
#[node(
    unnamed,
    category = "_for_testing/attention_experiments",
    module = "comfy_extras.nodes_attention_multiply",
    experimental
)]
pub struct UNetCrossAttentionMultiply {
    /// The model.
    model: Model,
    /// Factor on the queries.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    q: f32,
    /// Factor on the keys.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    k: f32,
    /// Factor on the values.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    v: f32,
    /// Factor on the result.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    out: f32,
}

impl Execute for UNetCrossAttentionMultiply {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let factors = unet_factors([self.q, self.k, self.v, self.out]);
        model_times(self.model, |key| factor(key, "attn2.", &factors))
    }
}

/// Multiplies the results of attention, apart for layers within an image and between images of a video.
#[derive(Node)]
#[node(
    unnamed,
    category = "_for_testing/attention_experiments",
    module = "comfy_extras.nodes_attention_multiply",
    experimental
)]
pub struct UNetTemporalAttentionMultiply {
    /// The model.
    model: Model,
    /// Factor on self-attention within an image.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    self_structural: f32,
    /// Factor on self-attention between images.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    self_temporal: f32,
    /// Factor on attention to the prompt within an image.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    cross_structural: f32,
    /// Factor on attention to the prompt between images.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    cross_temporal: f32,
}

impl Execute for UNetTemporalAttentionMultiply {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, self_structural, self_temporal, cross_structural, cross_temporal } = self;
        model_times(model, |key| {
            let between = key.contains(".time_stack.");
            let own = if between { self_temporal } else { self_structural };
            let cross = if between { cross_temporal } else { cross_structural };
            factor(key, "attn1.", &unet_factors([1.0, 1.0, 1.0, own]))
                * factor(key, "attn2.", &unet_factors([1.0, 1.0, 1.0, cross]))
        })
    }
}

/// Multiplies the weights with which text encoders attend.
#[derive(Node)]
#[node(
    unnamed,
    category = "_for_testing/attention_experiments",
    module = "comfy_extras.nodes_attention_multiply",
    experimental
)]
pub struct CLIPAttentionMultiply {
    /// The text encoders.
    clip: Clip,
    /// Factor on the queries.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    q: f32,
    /// Factor on the keys.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    k: f32,
    /// Factor on the values.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    v: f32,
    /// Factor on the result.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    out: f32,
}

impl Execute for CLIPAttentionMultiply {
    type Output = Clip;

    fn execute(self, _: &mut Cx) -> Result<Clip, NodeError> {
        let factors = [("q_proj", self.q), ("k_proj", self.k), ("v_proj", self.v), ("out_proj", self.out)];
        let text = self.clip.text()?;
        let text = text.merged(text, |key| (factor(key, "self_attn.", &factors), 0.0))?;
        Ok(self.clip.with_text(text))
    }
}
