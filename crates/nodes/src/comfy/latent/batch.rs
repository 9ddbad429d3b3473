//! Batches of latents: take, repeat, join, cut into equal parts.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, List, Node, NodeError};

use crate::comfy::image::resize::{Crop, Method, fit, repeat_to};
use crate::payload::Latent;

/// Takes some of a batch. Each keeps the noise it would have had in the whole batch.
#[derive(Node)]
#[node(display_name = "Latent From Batch", category = "latent/batch")]
pub struct LatentFromBatch {
    /// The batch.
    samples: Latent,
    /// The first one to take, from 0.
    #[input(default = 0, min = 0, max = 63)]
    batch_index: usize,
    /// How many.
    #[input(default = 1, min = 1, max = 64)]
    length: usize,
}

impl Execute for LatentFromBatch {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let count = self.samples.dims()[0];
        let start = self.batch_index.min(count.saturating_sub(1));
        Ok(part(&self.samples, start, self.length.min(count - start)))
    }
}

/// Items `start..start + length` with their masks and noise.
fn part(latent: &Latent, start: usize, length: usize) -> Latent {
    let count = latent.dims()[0];
    let mask = latent.noise_mask.as_ref().map(|mask| match mask.dims()[0] {
        1 => mask.clone(),
        _ => Arc::new(repeat_to((**mask).clone(), count).narrow(0, start, length)),
    });
    let index = latent.batch_index.as_ref().map_or_else(
        || (start..start + length).collect(),
        |index| index.iter().skip(start).take(length).copied().collect(),
    );
    Latent {
        noise_mask: mask,
        batch_index: Some(index),
        ..latent.with_samples(latent.tensor().narrow(0, start, length))
    }
}

/// Repeats a whole batch. Repetitions get noise of their own.
#[derive(Node)]
#[node(display_name = "Repeat Latent Batch", category = "latent/batch")]
pub struct RepeatLatentBatch {
    /// The batch.
    samples: Latent,
    /// How often it stands in the result.
    #[input(default = 1, min = 1, max = 64)]
    amount: usize,
}

impl Execute for RepeatLatentBatch {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let Self { samples, amount } = self;
        let count = samples.dims()[0];
        let mask = samples.noise_mask.as_ref().map(|mask| match mask.dims()[0] {
            1 => mask.clone(),
            _ => Arc::new(repeat_to((**mask).clone(), count).repeat_dim(0, amount)),
        });
        let index = samples.batch_index.as_ref().map(|index| {
            let span = index.iter().max().unwrap_or(&0) - index.iter().min().unwrap_or(&0) + 1;
            (0..amount).flat_map(|i| index.iter().map(move |x| x + i * span)).collect()
        });
        let repeated = samples.tensor().repeat_dim(0, amount);
        Ok(Latent { noise_mask: mask, batch_index: index, ..samples.with_samples(repeated) })
    }
}

/// Joins two batches; the second is resized to the first if need be.
#[derive(Node)]
#[node(unnamed, category = "latent/batch", module = "comfy_extras.nodes_latent")]
pub struct LatentBatch {
    /// First in the result.
    samples1: Latent,
    /// Last in the result.
    samples2: Latent,
}

impl Execute for LatentBatch {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let [_, _, height, width] = self.samples1.dims();
        let second = fit(self.samples2.tensor(), [height, width], Method::Bilinear, Crop::Center)?;
        let index = [&self.samples1, &self.samples2].into_iter().flat_map(noise_index).collect();
        let joined = Tensor::cat(vec![self.samples1.tensor(), second], 0);
        Ok(Latent { batch_index: Some(index), ..self.samples1.with_samples(joined) })
    }
}

fn noise_index(latent: &Latent) -> Vec<usize> {
    latent.batch_index.as_ref().map_or_else(|| (0..latent.dims()[0]).collect(), |index| index.to_vec())
}

/// Gives all latents of a batch the same noise, or each its own.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced", module = "comfy_extras.nodes_latent")]
pub struct LatentBatchSeedBehavior {
    /// The batch.
    samples: Latent,
    /// Fixed: the same noise for all.
    #[input(options = ["random", "fixed"], default = "fixed", option("multiselect" = false))]
    seed_behavior: String,
}

impl Execute for LatentBatchSeedBehavior {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let first = self.samples.batch_index.as_ref().and_then(|index| index.first().copied()).unwrap_or(0);
        let index = (self.seed_behavior == "fixed").then(|| vec![first; self.samples.dims()[0]].into());
        Ok(Latent { batch_index: index, ..self.samples })
    }
}

/// Cuts all latents of all lists into batches of one size.
#[derive(Node)]
#[node(display_name = "Rebatch Latents", category = "latent/batch", module = "comfy_extras.nodes_rebatch")]
pub struct RebatchLatents {
    /// The latents.
    latents: List<Latent>,
    /// Size of each batch; the last one may be smaller.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for RebatchLatents {
    type Output = List<Latent>;

    fn execute(self, _: &mut Cx) -> Result<List<Latent>, NodeError> {
        let mut batches = Vec::new();
        let mut pending: Vec<Latent> = Vec::new();
        for item in self.latents.iter().flat_map(items) {
            // Only latents of one size share a batch.
            let fits = pending.first().is_none_or(|first| first.dims()[1..] == item.dims()[1..]);
            if !fits || pending.len() == self.batch_size {
                batches.extend(joined(&mut pending));
            }
            pending.push(item);
        }
        batches.extend(joined(&mut pending));
        Ok(List(batches))
    }
}

fn items(latent: &Latent) -> Vec<Latent> {
    (0..latent.dims()[0]).map(|i| part(latent, i, 1)).collect()
}

/// The pending items as one batch, if there are any.
fn joined(pending: &mut Vec<Latent>) -> Option<Latent> {
    let items = std::mem::take(pending);
    let first = items.first()?;
    let [_, _, height, width] = first.dims();
    let masked = items.iter().any(|item| item.noise_mask.is_some());
    let masks = items.iter().map(|item| match &item.noise_mask {
        Some(mask) => (**mask).clone(),
        None => Tensor::ones([1, 1, height * super::cell::CELL, width * super::cell::CELL], &item.samples.device()),
    });
    let noise_mask = if masked {
        let size = items.iter().find_map(|i| i.noise_mask.as_ref()).map_or([1, 1], |m| [m.dims()[2], m.dims()[3]]);
        let fitted: Option<Vec<_>> = masks.map(|m| fit(m, size, Method::Bilinear, Crop::Disabled).ok()).collect();
        fitted.map(|masks| Arc::new(Tensor::cat(masks, 0)))
    } else {
        None
    };
    let index = items.iter().flat_map(noise_index).collect();
    let samples = Tensor::cat(items.iter().map(Latent::tensor).collect(), 0);
    Some(Latent { noise_mask, batch_index: Some(index), ..first.with_samples(samples) })
}
