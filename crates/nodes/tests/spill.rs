//! `--spill DIR`: images, latents and conditionings out of memory while nobody reads them, and the image the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::Bench;
use kiln_exec::{FileSpill, GraphBuilder, Out, Report, RunOptions};
use kiln_nodes::files::DirKind;
use kiln_nodes::image::ImageBatch;
use kiln_nodes::{
    CLIPTextEncode, CheckpointLoaderSimple, EmptyLatentImage, Image, ImageScale, KSampler, SaveImage, VAEDecode,
};

/// An image of 128x128, saved twice: as it is, and beside a larger one that is made of it.
fn graph(width: u32) -> GraphBuilder {
    let g = GraphBuilder::new();
    let (model, clip, vae) = g.add(CheckpointLoaderSimple::node().ckpt_name("fluent-tiny.safetensors"));
    let positive = g.add(CLIPTextEncode::node().text("a red apple").clip(&clip));
    let negative = g.add(CLIPTextEncode::node().text("").clip(clip));
    let latent = g.add(EmptyLatentImage::node().width(128).height(128).batch_size(4));
    let sampler = KSampler::node().model(model).positive(positive).negative(negative).latent_image(latent);
    let sampler = sampler.seed(7).steps(2).cfg(3.0).sampler_name("euler").scheduler("normal").denoise(1.0);
    let samples = g.add(sampler);
    let image: Out<Image> = g.add(VAEDecode::node().samples(samples).vae(vae));
    let small = ImageScale::node().image(&image).upscale_method("area").width(width).height(64).crop("disabled");
    let small = g.add(small);
    g.add(SaveImage::node().images(&image).filename_prefix("whole"));
    let all = g.add(ImageBatch::node().image1(image).image2(small));
    g.add(SaveImage::node().images(all).filename_prefix("all"));
    g
}

fn run(bench: &Bench, width: u32) -> Report {
    let options = RunOptions::default().with_trace(true);
    bench.engine.start(graph(width).into_prompt()).options(options).run().unwrap()
}

fn saved(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    let folder = bench.folder(DirKind::Output);
    bench
        .files(DirKind::Output)
        .into_iter()
        .map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()))
        .collect()
}

fn bytes_on_disk(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn images_and_latents_leave_memory_and_every_image_is_the_same_to_the_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, spilling) = (Bench::new(), Bench::new());
    spilling.engine.set_spill(Some(Arc::new(FileSpill::new(folder.path()))));
    for width in [64, 96] {
        // The second prompt finds everything but what the width changes, on disk.
        let (kept, spilled) = (run(&plain, width), run(&spilling, width));
        assert_eq!(spilled.summary.executed, kept.summary.executed);
        assert_eq!(spilled.summary.cached, kept.summary.cached);
        assert_eq!(saved(&spilling), saved(&plain), "width {width}");
    }
    let images = 4 * 128 * 128 * 3 * 4;
    assert!(plain.engine.live_bytes() > images, "{} bytes are kept in memory", plain.engine.live_bytes());
    assert!(spilling.engine.live_bytes() < 4096, "{} bytes are still in memory", spilling.engine.live_bytes());
    assert!(bytes_on_disk(folder.path()) > images, "they are on disk");
    drop(spilling);
    assert_eq!(bytes_on_disk(folder.path()), 0, "files go with what they hold");
}

#[test]
fn a_damaged_folder_costs_time_and_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, spilling) = (Bench::new(), Bench::new());
    spilling.engine.set_spill(Some(Arc::new(FileSpill::new(folder.path()))));
    for width in [64, 96] {
        run(&plain, width);
        run(&spilling, width);
        assert_eq!(saved(&spilling), saved(&plain), "width {width}");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            std::fs::write(path, bytes).unwrap();
        }
    }
}
