//! CLIP's image encoder and style adapters in whole runs of the bundled model, and what they refuse.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, Start, distance, node, write_computed};
use kiln_exec::{GraphBuilder, Link};
use kiln_models::clip::Activation;
use kiln_models::vision::{StyleConfig, VisionConfig};
use kiln_nodes::Conditioning;
use serde_json::json;

const MODEL: &str = "fluent-tiny.safetensors";

fn bench() -> Bench {
    let bench = Bench::new();
    let activation = Activation::QuickGelu;
    let vision =
        VisionConfig { patch: 8, image: 32, width: 64, layers: 1, heads: 1, mlp: 128, activation, projection: None };
    write_computed(&bench.model_path("clip_vision", "eye.safetensors"), &vision.tensors().unwrap());
    for (name, context) in [("style.safetensors", 64), ("other.safetensors", 32)] {
        let style = StyleConfig { width: 64, context, words: 3, layers: 1 };
        write_computed(&bench.model_path("style_models", name), &style.tensors().unwrap());
    }
    bench
}

/// The condition with words of a plain image's style.
fn styled(g: &GraphBuilder, condition: &Link, style: &str, strength: f64, kind: &str) -> Link {
    let eye = node(g, "CLIPVisionLoader", &[], &json!({"clip_name": "eye.safetensors"}));
    let size = json!({"width": 40, "height": 24, "batch_size": 1, "color": 0x0040_c0f0});
    let image = node(g, "EmptyImage", &[], &size);
    let links = [("clip_vision", &eye), ("image", &image)];
    let seen = node(g, "CLIPVisionEncode", &links, &json!({"crop": "center"}));
    let style = node(g, "StyleModelLoader", &[], &json!({"style_model_name": style}));
    let links = [("conditioning", condition), ("style_model", &style), ("clip_vision_output", &seen)];
    node(g, "StyleModelApply", &links, &json!({"strength": strength, "strength_type": kind}))
}

fn refused(bench: &Bench, build: impl FnOnce(&GraphBuilder, &Start) -> Link) -> String {
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let shown = build(&g, &s);
    node(&g, "PreviewAny", &[("source", &shown)], &json!({}));
    bench.run(g).unwrap_err().to_string()
}

#[test]
fn words_of_a_style_stand_behind_those_of_the_prompt_and_change_the_run() {
    let bench = bench();
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let condition = styled(&g, &s.positive, "style.safetensors", 1.0, "multiply");
    node(&g, "PreviewAny", &[("source", &condition)], &json!({}));
    let found: Conditioning = common::one(&bench.fetch(g, &common::out::<Conditioning>(&condition)).unwrap());
    assert_eq!(found.0.entries[0].context.dims(), [1, 80, 64]);
    let run = |strength: Option<f64>| {
        let g = GraphBuilder::new();
        let mut s = Start::new(&g, MODEL);
        if let Some(strength) = strength {
            s.positive = styled(&g, &s.positive, "style.safetensors", strength, "multiply");
        }
        s.sampled(&bench, g)
    };
    let (plain, full, half) = (run(None), run(Some(1.0)), run(Some(0.5)));
    assert!(full.iter().all(|v| v.is_finite()));
    assert!(distance(&full, &plain) > 1e-4 && distance(&full, &half) > 1e-5);
}

#[test]
fn a_style_of_another_family_or_another_kind_of_strength_is_told() {
    let bench = bench();
    let family = refused(&bench, |g, s| styled(g, &s.positive, "other.safetensors", 1.0, "multiply"));
    assert!(family.contains("words of width 32") && family.contains("another family"), "{family}");
    let kind = refused(&bench, |g, s| styled(g, &s.positive, "style.safetensors", 0.5, "attn_bias"));
    assert!(kind.contains("attn_bias") && kind.contains("multiply"), "{kind}");
}

#[test]
fn files_of_something_else_are_told_by_what_they_hold() {
    let bench = bench();
    let model = common::assets().join(MODEL);
    std::fs::copy(&model, bench.model_path("clip_vision", "model.safetensors")).unwrap();
    std::fs::copy(&model, bench.model_path("style_models", "model.safetensors")).unwrap();
    let eye = refused(&bench, |g, _| node(g, "CLIPVisionLoader", &[], &json!({"clip_name": "model.safetensors"})));
    assert!(eye.contains("no CLIP image encoder") && eye.contains("a UNet"), "{eye}");
    let widgets = json!({"style_model_name": "model.safetensors"});
    let style = refused(&bench, |g, _| node(g, "StyleModelLoader", &[], &widgets));
    assert!(style.contains("no style adapter") && style.contains("a UNet"), "{style}");
}
