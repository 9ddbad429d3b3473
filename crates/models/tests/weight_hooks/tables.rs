//! Keyframes: made, followed, cut into segments, and what a group of hooks is.

use std::sync::Arc;

use kiln_models::schedule::ModelSampling;
use kiln_models::weight_hooks::{
    HookError, HookGroup, HookSource, HookWeights, Interpolation, Keyframe, KeyframeClock, Keyframes,
};
use serde_json::Value as Json;

use crate::{file, hook, keyframe};

/// Made by a script in torch 2.6 and numpy from the formulas alone: `linspace`, squares and a cosine in f32; a walk over the
/// noise levels of Stable Diffusion's schedule; cuts at keyframes.
fn table(name: &str) -> Vec<Json> {
    let tables: Json = serde_json::from_str(include_str!("../data/keyframes.json")).unwrap();
    tables[name].as_array().unwrap().clone()
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap()
}

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(number).collect()
}

/// `[[start, strength, guaranteed steps], ...]`.
fn keyframes(json: &Json) -> Keyframes {
    json.as_array().unwrap().iter().fold(Keyframes::default(), |all, frame| {
        let guarantee_steps = frame[2].as_u64().unwrap() as usize;
        all.with(Keyframe { start: number(&frame[0]), strength: number(&frame[1]), guarantee_steps }).unwrap()
    })
}

#[test]
fn keyframes_between_two_strengths_are_torchs() {
    for case in table("interpolated") {
        let way = Interpolation::named(case["way"].as_str().unwrap()).unwrap();
        let (strengths, starts) = (numbers(&case["strengths"]), numbers(&case["starts"]));
        let count = case["count"].as_u64().unwrap() as usize;
        let before = Keyframes::default();
        let found = before.interpolated(way, (strengths[0], strengths[1]), (starts[0], starts[1]), count).unwrap();
        let expected = keyframes(&case["frames"]);
        assert_eq!(found.list().len(), count);
        for (found, expected) in found.list().iter().zip(expected.list()) {
            assert_eq!(found.guarantee_steps, expected.guarantee_steps, "{case}");
            // A cosine differs by its last bit from one library to the other.
            assert!((found.strength - expected.strength).abs() < 3e-7, "{case}: {found:?}");
            assert!((found.start - expected.start).abs() < 1e-7, "{case}: {found:?}");
        }
    }
}

#[test]
fn a_keyframe_holds_from_its_noise_level_on_and_for_its_guaranteed_steps() {
    let sampling = ModelSampling::eps();
    for case in table("walks") {
        let run = numbers(&case["run"]);
        let highest = run.iter().fold(0.0, |a: f64, b| a.max(*b)) as f32;
        let keyframes = Arc::new(keyframes(&case["frames"]));
        let mut clock = KeyframeClock::new(&keyframes, highest, |p| sampling.levels.percent_to_sigma(p) as f32);
        let strengths = numbers(&case["asked"]).into_iter().map(|sigma| {
            clock.tick(sigma as f32);
            clock.strength()
        });
        assert_eq!(strengths.collect::<Vec<_>>(), numbers(&case["strengths"]), "{}", case["name"]);
    }
}

#[test]
fn a_text_has_a_segment_for_each_strength() {
    for case in table("segments") {
        let hooks = case["hooks"].as_array().unwrap().iter().fold(HookGroup::default(), |all, frames| {
            let hook = hook(file(&[("x", &[1], 0.0)]), 1.0);
            let frames = keyframes(frames);
            all.with(&if frames.list().is_empty() { hook } else { hook.with_keyframes(&frames) })
        });
        let found = hooks.segments().unwrap();
        let expected = case["segments"].as_array().unwrap();
        assert_eq!(found.len(), expected.len(), "{}", case["name"]);
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(vec![found.range.0, found.range.1], numbers(&expected["range"]), "{}", case["name"]);
            assert_eq!(found.strengths, numbers(&expected["strengths"]), "{}", case["name"]);
        }
    }
    let late =
        hook(file(&[("x", &[1], 0.0)]), 1.0).with_keyframes(&Keyframes::default().with(keyframe(1.0, 2.0)).unwrap());
    assert!(matches!(late.segments(), Err(HookError::NoSegment)));
}

#[test]
fn a_hook_is_in_a_group_once_and_keeps_its_first_keyframes() {
    let (a, b) = (hook(file(&[("a", &[1], 0.0)]), 1.0), hook(file(&[("b", &[1], 0.0)]), 1.0));
    let late = b.with_keyframes(&Keyframes::default().with(keyframe(0.5, 0.25)).unwrap());
    let both = a.with(&late).with(&b);
    assert_eq!(both.hooks().len(), 2);
    assert_eq!(both.hooks()[1].keyframes.list()[0].strength, 0.25);
    assert!(a.with(&late).is_same(&both) && !a.with(&b).is_same(&both));
}

#[test]
fn numbers_that_are_none_are_refused() {
    assert!(matches!(Keyframes::default().with(keyframe(0.0, f64::NAN)), Err(HookError::Number { .. })));
    assert!(matches!(Keyframes::default().spread(&[], 0.0, 1.0), Err(HookError::Empty { .. })));
    let source = HookSource::Lora(file(&[("x", &[1], 0.0)]));
    let weights = HookWeights { source, strength_model: f64::INFINITY, strength_clip: 0.0 };
    assert!(matches!(HookGroup::of(weights), Err(HookError::Number { .. })));
}
