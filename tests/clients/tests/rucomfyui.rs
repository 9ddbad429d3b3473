//! `rucomfyui`, a Rust client of ComfyUI, as its own examples use it.

use std::collections::HashSet;

use clients::Server;
use futures::StreamExt;
use rucomfyui::models::ModelCategory;
use rucomfyui::nodes::all::{
    CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, ImageInvert, KSampler, LoadImage, PreviewImage, VAEDecode,
};
use rucomfyui::upload::UploadType;
use rucomfyui::{Client, Event, Workflow, WorkflowGraph, WorkflowNodeId};

/// An apple, and the node that shows it.
fn apple(seed: i64) -> (Workflow, WorkflowNodeId) {
    let g = WorkflowGraph::new();
    let c = g.add(CheckpointLoaderSimple::new("fluent-tiny.safetensors"));
    let shown = g.add(PreviewImage::new(g.add(VAEDecode {
        vae: c.vae,
        samples: g.add(KSampler {
            model: c.model,
            seed,
            steps: 3,
            cfg: 4.0,
            sampler_name: "euler",
            scheduler: "normal",
            positive: g.add(CLIPTextEncode::new("a red apple", c.clip)),
            negative: g.add(CLIPTextEncode::new("", c.clip)),
            latent_image: g.add(EmptyLatentImage { width: 64, height: 64, batch_size: 2 }),
            denoise: 1.0,
        }),
    })));
    (g.into_workflow(), shown)
}

fn size(png: &[u8]) -> (u32, u32) {
    let image = image::load_from_memory(png).expect("a picture");
    (image.width(), image.height())
}

#[tokio::test]
async fn a_typed_workflow_runs_and_its_pictures_come() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = Client::new(&server.url);
    let (workflow, shown) = apple(7);
    let outputs = client.execute(&workflow).await.unwrap().outputs().await.unwrap();
    let sizes: Vec<_> = outputs[&shown].images.iter().map(|image| size(image)).collect();
    assert_eq!(sizes, [(64, 64), (64, 64)]);
    let history = client.get_history(10).await.unwrap();
    assert_eq!(history.data.len(), 1);
    let (id, entry) = history.data.first().unwrap();
    assert_eq!((entry.status.completed, entry.status.status_str.as_str()), (true, "success"));
    let image =
        &client.get_history_for_prompt(id).await.unwrap().data[id].outputs.nodes[&shown.0.to_string()].images[0];
    assert_eq!(size(&image.download(&client).await.unwrap()), (64, 64));
    client.delete_from_history(vec![id.clone()]).await.unwrap();
    assert!(client.get_history(10).await.unwrap().data.is_empty());
}

#[tokio::test]
async fn a_run_can_be_followed_step_by_step() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = Client::new(&server.url);
    let (workflow, shown) = apple(8);
    let mut execution = client.execute(&workflow).await.unwrap();
    let (mut steps, mut begun, mut ended, mut seen) = (Vec::new(), HashSet::new(), false, 0);
    while let Some(event) = execution.next().await {
        match event.unwrap() {
            Event::Progress { value, max, .. } => steps.push((value as u32, max as u32)),
            Event::Executing { node: Some(node), .. } => _ = begun.insert(node.0),
            Event::Executed { node, output, .. } if node == shown => seen = output.images.len(),
            Event::Completed { .. } => ended = true,
            Event::Error { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
    assert!(ended);
    assert_eq!((seen, begun.len()), (2, 7), "each node begins");
    assert!([(1, 3), (2, 3), (3, 3)].iter().all(|step| steps.contains(step)), "{steps:?}");
}

#[tokio::test]
async fn an_uploaded_picture_can_be_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = Client::new(&server.url);
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(5, 3, image::Rgb([255, 0, 255])).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let up = client.upload_image("red.png", png.into_inner(), UploadType::Input, false).await.unwrap();
    assert_eq!((up.name.as_str(), up.subfolder.as_str(), up.upload_type), ("red.png", "", UploadType::Input));
    let g = WorkflowGraph::new();
    let shown = g.add(PreviewImage::new(g.add(ImageInvert::new(g.add(LoadImage::new(up.name)).image))));
    let outputs = client.execute(&g.into_workflow()).await.unwrap().outputs().await.unwrap();
    let image = image::load_from_memory(&outputs[&shown].images[0]).unwrap().into_rgb8();
    assert_eq!((image.dimensions(), image.get_pixel(4, 2).0), ((5, 3), [0, 255, 0]));
}

#[tokio::test]
async fn everything_it_asks_about_the_server_it_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = Client::new(&server.url);
    let info = client.get_object_info().await.unwrap();
    assert!(info.len() > 300, "{} classes", info.len());
    for object in info.values() {
        // It looks each input up by the order that is told.
        assert_eq!(
            object.all_inputs().count(),
            object.input.required.len() + object.input.optional.iter().flatten().count()
        );
    }
    assert_eq!(client.get_object_for_name("KSampler").await.unwrap(), info["KSampler"]);
    let stats = client.system_stats().await.unwrap();
    assert!(stats.system.ram_total > stats.system.ram_free && stats.system.ram_free > 0);
    assert_eq!(stats.devices[0].device_type, "cpu");
    assert!(client.get_model_categories().await.unwrap().contains(&ModelCategory::Checkpoints));
    assert_eq!(client.get_models(ModelCategory::Checkpoints).await.unwrap(), ["fluent-tiny.safetensors"]);
    let queue = client.get_queue().await.unwrap();
    assert!(queue.running.is_empty() && queue.pending.is_empty());
    client.free(true, true).await.unwrap();
    client.interrupt().await.unwrap();
    client.clear_queue().await.unwrap();
    client.clear_history().await.unwrap();
}

#[tokio::test]
async fn a_graph_that_is_not_fit_is_an_error_for_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = Client::new(&server.url);
    let g = WorkflowGraph::new();
    let c = g.add(CheckpointLoaderSimple::new("no such.safetensors"));
    g.add(PreviewImage::new(
        g.add(VAEDecode { vae: c.vae, samples: g.add(EmptyLatentImage { width: 64, height: 64, batch_size: 1 }) }),
    ));
    let error = match client.execute(&g.into_workflow()).await {
        Err(error) => error.to_string(),
        Ok(execution) => execution.outputs().await.unwrap_err().to_string(),
    };
    assert!(error.contains("no such.safetensors"), "{error}");
}
