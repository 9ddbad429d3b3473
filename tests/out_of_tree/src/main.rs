use kiln::exec::GraphBuilder;
use kiln::nodes::files::Folders;
use kiln::nodes::{
    CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, Environment, KSampler, SaveImage, VAEDecode,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One engine per app. It keeps models and results from run to run; there are no globals.
    let engine = Environment::new(Folders::under("data").with_bundled("assets")).into_engine();

    // A MODEL linked into a CLIP input does not compile, and the compiler says what to put between.
    let graph = GraphBuilder::new();
    let (model, clip, vae) = graph.add(CheckpointLoaderSimple::node().ckpt_name("fluent-tiny.safetensors"));
    let positive = graph.add(CLIPTextEncode::node().clip(clip.clone()).text("a frog"));
    let negative = graph.add(CLIPTextEncode::node().clip(clip).text(""));
    let empty = graph.add(EmptyLatentImage::node().width(128).height(128).batch_size(1));
    let sampler = KSampler::node().model(model).positive(positive).negative(negative).latent_image(empty);
    let sampler = sampler.seed(42).steps(8).cfg(4.0).sampler_name("euler").scheduler("normal").denoise(1.0);
    let samples = graph.add(sampler);
    let image = graph.add(VAEDecode::node().samples(samples).vae(vae));
    graph.add(SaveImage::node().images(image).filename_prefix("frog"));

    let report = engine.start(graph.into_prompt()).on_event(|event| println!("{event:?}")).run()?;
    println!("{} nodes ran; the frog is in data/output", report.summary.executed);
    Ok(())
}
