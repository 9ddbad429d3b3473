//! Nodes that return a graph: loops unrolled while the graph runs.

use kiln_exec::{Cx, Execute, Node, NodeError, Out, Outcome, RawLink};

use crate::comfy::image::batch::ImageBatch;
use crate::comfy::sampling::ksampler::KSampler;
use crate::comfy::sampling::names::{sampler_names, scheduler_names};
use crate::comfy::vae::VAEDecode;
use crate::payload::{Conditioning, Image, Latent, Model, Vae};

crate::comfy::classes::classes! {
    KilnSeedLoop,
}

/// Samples with several seeds, one after the other, and joins the images to one batch.
///
/// It does nothing itself: while the graph runs it grows one KSampler and one VAEDecode per seed. Each of them is
/// scheduled, cached and cancelled like any other node, so a later run with more seeds only computes the new ones.
#[derive(Node)]
#[node(display_name = "Seed Loop", category = "kiln/flow", module = "kiln", aliases("loop", "for each", "batch"))]
pub struct KilnSeedLoop {
    /// The model that denoises.
    model: RawLink<Model>,
    /// What to draw.
    positive: RawLink<Conditioning>,
    /// What to move away from.
    negative: RawLink<Conditioning>,
    /// The latent to start from.
    latent_image: RawLink<Latent>,
    /// The autoencoder of the model.
    vae: RawLink<Vae>,
    /// The first seed; each image takes the next one.
    #[input(default = 0, min = 0, max = u64::MAX, control_after_generate)]
    seed: u64,
    /// How many seeds.
    #[input(default = 4, min = 1, max = 4096)]
    count: u64,
    /// How many steps to take for each.
    #[input(default = 20, min = 1, max = 10000)]
    steps: usize,
    /// How closely to follow the prompts.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg: f64,
    /// The way of taking steps.
    #[input(combo = sampler_names())]
    sampler_name: String,
    /// How noise falls from step to step.
    #[input(combo = scheduler_names())]
    scheduler: String,
    /// How much of the latent to draw anew.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    denoise: f64,
}

impl Execute for KilnSeedLoop {
    type Output = Outcome<Image>;

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Image>, NodeError> {
        if self.count == 0 {
            return Err(NodeError::new("`count` is 0; a loop needs at least one seed"));
        }
        Ok(cx.expand(|graph| {
            let (model, vae) = (linked(&self.model), linked(&self.vae));
            let (positive, negative) = (linked(&self.positive), linked(&self.negative));
            let latent = linked(&self.latent_image);
            let image = |i: u64| {
                let sampled = graph.add(
                    KSampler::node()
                        .model(&model)
                        .seed(self.seed.wrapping_add(i))
                        .steps(self.steps)
                        .cfg(self.cfg)
                        .sampler_name(self.sampler_name.as_str())
                        .scheduler(self.scheduler.as_str())
                        .positive(&positive)
                        .negative(&negative)
                        .latent_image(&latent)
                        .denoise(self.denoise),
                );
                graph.add(VAEDecode::node().samples(sampled).vae(&vae))
            };
            let first = image(0);
            (1..self.count).fold(first, |all, i| graph.add(ImageBatch::node().image1(all).image2(image(i))))
        }))
    }
}

/// The handle that a raw link stands for.
fn linked<T>(raw: &RawLink<T>) -> Out<T> {
    Out::link(&raw.link().node, raw.link().socket)
}
