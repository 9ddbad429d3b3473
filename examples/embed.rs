//! Kiln inside an app: a node of one's own among ComfyUI's, a graph, events, a cancel.
//!
//!     cargo run --release --example embed
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln::exec::{Cancel, Cx, Event, Execute, GraphBuilder, Node, NodeError};
use kiln::nodes::files::{DirKind, Folders};
use kiln::nodes::{
    CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, Environment, Image, KSampler, SaveImage, Session,
    VAEDecode,
};

/// Turns an image into its negative.
#[derive(Node)]
#[node(category = "image/filter")]
struct Negative {
    image: Image,
    /// 0 leaves the image as it is, 1 inverts it.
    #[input(min = 0.0, max = 1.0, step = 0.01, default = 1.0)]
    strength: f64,
}

impl Execute for Negative {
    type Output = Image;
    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        cx.checkpoint()?;
        let strength = self.strength as f32;
        let pixels = self.image.pixels();
        // x (1 - 2s) + s: x where s is 0, 1 - x where s is 1.
        Ok(Image::new(pixels * (1.0 - 2.0 * strength) + strength))
    }
}

fn graph(steps: u32) -> GraphBuilder {
    let graph = GraphBuilder::new();
    let (model, clip, vae) = graph.add(CheckpointLoaderSimple::node().ckpt_name("fluent-tiny.safetensors"));
    let positive = graph.add(CLIPTextEncode::node().clip(clip.clone()).text("a frog"));
    let negative = graph.add(CLIPTextEncode::node().clip(clip).text(""));
    let latent = graph.add(EmptyLatentImage::node().width(128).height(128).batch_size(1));
    let sampler = KSampler::node().model(model).positive(positive).negative(negative).latent_image(latent);
    let samples =
        graph.add(sampler.seed(42).steps(steps).cfg(4.0).sampler_name("euler").scheduler("normal").denoise(1.0));
    let image = graph.add(VAEDecode::node().samples(samples).vae(vae));
    let image = graph.add(Negative::node().image(image).strength(1.0));
    graph.add(SaveImage::node().images(image).filename_prefix("embed"));
    graph
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = std::env::temp_dir().join("kiln-embed");
    let folders = Folders::under(&output).with_dir(DirKind::Output, &output).with_bundled(house.join("assets"));

    // One session per app: its engine keeps models and results between runs. Its nodes are ComfyUI's and ours.
    let registry = kiln::nodes::registry().with::<Negative>();
    let session = Session::new(Environment::new(folders), registry);

    // A run reports what happens as ComfyUI's messages.
    let report = session
        .start(graph(8).into_prompt())
        .on_event(|event| match event {
            Event::Progress { value, max, .. } => println!("step {value} of {max}"),
            Event::Executed { node, output: Some(shown), .. } => println!("node {node} shows {shown}"),
            _ => {}
        })
        .run()?;
    println!("{} nodes ran, {} bytes at most", report.summary.executed, report.summary.peak_bytes);
    println!("the image is in {}", output.display());

    // The same graph again: everything is known, nothing runs.
    let report = session.start(graph(8).into_prompt()).run()?;
    println!("again: {} nodes ran, {} came from the cache", report.summary.executed, report.summary.cached);

    // Cancel from anywhere; the run stops within a step and the engine takes the next prompt.
    let (cancel, steps) = (Cancel::new(), Arc::new(AtomicUsize::new(0)));
    let (stop, seen) = (cancel.clone(), steps.clone());
    let stopped = session
        .start(graph(1000).into_prompt())
        .cancelled_by(&cancel)
        .on_event(move |event| {
            if matches!(event, Event::Progress { .. }) && seen.fetch_add(1, Ordering::Relaxed) == 2 {
                stop.cancel();
            }
        })
        .run();
    match stopped {
        Err(error) if error.is_interrupted() => println!("cancelled after {} steps", steps.load(Ordering::Relaxed)),
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("a thousand steps ran in spite of the cancel".into()),
    }
    Ok(())
}
