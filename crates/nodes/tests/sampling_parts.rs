//! Guiders, samplers and noise put together from nodes, against other graphs that must give the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Bench, Start, distance, node};
use kiln_exec::{GraphBuilder, Link};
use serde_json::{Value as Json, json};

const MODEL: &str = "fluent-tiny.safetensors";

fn latent(g: &GraphBuilder) -> Link {
    node(g, "EmptyLatentImage", &[], &json!({"width": 64, "height": 64, "batch_size": 1}))
}

fn sigmas(g: &GraphBuilder, s: &Start) -> Link {
    let widgets = json!({"scheduler": "normal", "steps": 4, "denoise": 1.0});
    node(g, "BasicScheduler", &[("model", &s.model)], &widgets)
}

fn sampler(g: &GraphBuilder, class: &str, widgets: &Json) -> Link {
    node(g, class, &[], widgets)
}

fn seeded(g: &GraphBuilder) -> Link {
    node(g, "RandomNoise", &[], &json!({"noise_seed": 4}))
}

/// A run from its parts.
fn sampled(bench: &Bench, g: GraphBuilder, [noise, guider, sampler, sigmas, latent]: [&Link; 5]) -> Vec<f32> {
    let links =
        [("noise", noise), ("guider", guider), ("sampler", sampler), ("sigmas", sigmas), ("latent_image", latent)];
    let sampled = node(&g, "SamplerCustomAdvanced", &links, &json!({}));
    bench.latent(g, &sampled)
}

/// A run of a guider and a sampler, from noise.
fn run(bench: &Bench, parts: impl FnOnce(&GraphBuilder, &mut Start) -> (Link, Link)) -> Vec<f32> {
    let g = GraphBuilder::new();
    let mut s = Start::new(&g, MODEL);
    let (guider, sampler) = parts(&g, &mut s);
    let (noise, sigmas, latent) = (seeded(&g), sigmas(&g, &s), latent(&g));
    sampled(bench, g, [&noise, &guider, &sampler, &sigmas, &latent])
}

fn cfg(g: &GraphBuilder, s: &Start, scale: f64) -> Link {
    let links = [("model", &s.model), ("positive", &s.positive), ("negative", &s.negative)];
    node(g, "CFGGuider", &links, &json!({"cfg": scale}))
}

fn perp(g: &GraphBuilder, s: &Start, empty: &Link, share: f64) -> Link {
    let links =
        [("model", &s.model), ("positive", &s.positive), ("negative", &s.negative), ("empty_conditioning", empty)];
    node(g, "PerpNegGuider", &links, &json!({"cfg": 3.0, "neg_scale": share}))
}

fn euler(g: &GraphBuilder) -> Link {
    sampler(g, "KSamplerSelect", &json!({"sampler_name": "euler"}))
}

#[test]
fn a_negative_that_is_the_empty_prompt_has_nothing_at_right_angles() {
    let bench = Bench::new();
    let plain = run(&bench, |g, s| (cfg(g, s, 3.0), euler(g)));
    let perpendicular = run(&bench, |g, s| (perp(g, s, &s.negative, 1.0), euler(g)));
    assert!(distance(&perpendicular, &plain) < 1e-4, "{}", distance(&perpendicular, &plain));
}

#[test]
fn the_node_that_perp_neg_guider_replaces_does_the_same() {
    let bench = Bench::new();
    let empty = |g: &GraphBuilder, s: &Start| node(g, "CLIPTextEncode", &[("clip", &s.clip)], &json!({"text": ""}));
    let guider = run(&bench, |g, s| (perp(g, s, &empty(g, s), 0.7), euler(g)));
    let patched = run(&bench, |g, s| {
        let links = [("model", &s.model), ("empty_conditioning", &empty(g, s))];
        s.model = node(g, "PerpNeg", &links, &json!({"neg_scale": 0.7}));
        (cfg(g, s, 3.0), euler(g))
    });
    assert_eq!(guider, patched);
    assert!(distance(&guider, &run(&bench, |g, s| (cfg(g, s, 3.0), euler(g)))) > 1e-3);
}

#[test]
fn samplers_with_ksamplers_numbers_are_ksamplers() {
    let bench = Bench::new();
    let of = |class: &str, widgets: Json| run(&bench, |g, s| (cfg(g, s, 3.0), sampler(g, class, &widgets)));
    let named = |name: &str| of("KSamplerSelect", json!({"sampler_name": name}));
    let er_sde = json!({"solver_type": "ER-SDE", "max_stage": 3, "eta": 1.0, "s_noise": 1.0});
    assert_eq!(of("SamplerER_SDE", er_sde), named("er_sde"));
    assert_eq!(of("SamplerEulerCFGpp", json!({"version": "regular"})), named("euler_cfg_pp"));
    assert_ne!(of("SamplerEulerCFGpp", json!({"version": "alternative"})), named("euler_cfg_pp"));
    let sa_solver = |pece: bool| {
        run(&bench, |g, s| {
            let widgets = json!({
                "eta": 1.0, "sde_start_percent": 0.2, "sde_end_percent": 0.8, "s_noise": 1.0,
                "predictor_order": 3, "corrector_order": 4, "use_pece": pece, "simple_order_2": false
            });
            (cfg(g, s, 3.0), node(g, "SamplerSASolver", &[("model", &s.model)], &widgets))
        })
    };
    assert_eq!(sa_solver(false), named("sa_solver"));
    assert_eq!(sa_solver(true), named("sa_solver_pece"));
}

#[test]
fn a_latent_grows_while_it_is_sampled() {
    let bench = Bench::new();
    let widgets = json!({"scale_ratio": 1.5, "scale_steps": -1, "upscale_method": "bislerp"});
    let grown = run(&bench, |g, s| (cfg(g, s, 1.0), sampler(g, "SamplerLCMUpscale", &widgets)));
    assert_eq!(grown.len(), 4 * 12 * 12);
    assert!(grown.iter().all(|v| v.is_finite()));
}

#[test]
fn noise_added_beforehand_is_the_noise_of_the_run() {
    let bench = Bench::new();
    // The second half of a run, so that its start is no pure noise.
    let part = |g: &GraphBuilder, s: &Start| {
        let halves = node(g, "SplitSigmas", &[("sigmas", &sigmas(g, s))], &json!({"step": 2}));
        Link::new(&halves.node, 1)
    };
    let base = |g: &GraphBuilder, s: &Start| {
        let image =
            node(g, "EmptyImage", &[], &json!({"width": 64, "height": 64, "batch_size": 1, "color": 0x0040_c0f0}));
        node(g, "VAEEncode", &[("pixels", &image), ("vae", &s.vae)], &json!({}))
    };
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let (noise, guider, euler_, sigmas_, latent) =
        (seeded(&g), cfg(&g, &s, 3.0), euler(&g), part(&g, &s), base(&g, &s));
    let whole = sampled(&bench, g, [&noise, &guider, &euler_, &sigmas_, &latent]);
    let g = GraphBuilder::new();
    let s = Start::new(&g, MODEL);
    let (guider, euler_, sigmas_, latent) = (cfg(&g, &s, 3.0), euler(&g), part(&g, &s), base(&g, &s));
    let links = [("model", &s.model), ("noise", &seeded(&g)), ("sigmas", &sigmas_), ("latent_image", &latent)];
    let noisy = node(&g, "AddNoise", &links, &json!({}));
    let none = node(&g, "DisableNoise", &[], &json!({}));
    let apart = sampled(&bench, g, [&none, &guider, &euler_, &sigmas_, &noisy]);
    // Scaled out and in again in between.
    assert!(distance(&apart, &whole) < 1e-4, "{}", distance(&apart, &whole));
}
