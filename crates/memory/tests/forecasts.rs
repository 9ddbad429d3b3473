//! What is said beforehand is what then happens.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Budget, Dtype, Forecast, MemorySource, Outline, Policy, Schedule, Weights};

fn source(name: &str, n: usize) -> MemorySource {
    let mut source = MemorySource::new(name);
    for i in 0..n {
        source.insert(format!("{name}.{i}"), Dtype::U8, &[1 << 16], vec![1; 1 << 16]).unwrap();
    }
    source.insert_f32(format!("{name}.in_place"), &[4], vec![0.0; 4]).unwrap();
    source
}

#[test]
fn a_forecast_says_what_the_weights_then_move() {
    let (clip, unet) = (source("clip", 10), source("unet", 30));
    let schedule = Schedule::new().then("clip", 1).then("unet", 5);
    let limit = 22 << 18;
    let outlines = [Outline::of("clip", &clip, |_| true), Outline::of("unet", &unet, |t| t.starts_with("unet."))];
    assert_eq!((outlines[0].units.len(), outlines[0].units[0]), (10, 1 << 18), "f32 in place takes no unit");
    let forecast = Forecast::new(&outlines, schedule.clone(), limit, Policy::Plan).unwrap();

    let budget = Budget::new("host", limit);
    let (clip, unet) = (Weights::new(clip, "clip", &budget), Weights::new(unet, "unet", &budget));
    unet.pager().set_slots(2);
    unet.pager().set_schedule(schedule.repeating());
    let pass = |weights: &Weights, n: usize| {
        let before = weights.pager().counters().moved();
        for i in 0..n {
            drop(weights.weight(&format!("{}.{i}", weights.owner())).unwrap().read().unwrap());
        }
        weights.pager().counters().moved() - before
    };
    let first = [pass(&clip, 10), (0..5).map(|_| pass(&unet, 30)).sum::<u64>()];
    let slack = 6 << 18; // what the worker has in its slots when a run ends
    for (said, moved) in forecast.first.iter().zip(first) {
        assert!(moved.abs_diff(said.1) <= slack, "{said:?}: {moved}");
    }
    let text = forecast.to_string();
    assert!(text.contains("unet: ") && text.contains("stay, spread over the pass"), "{text}");
    assert!(forecast.moved_again() < first.iter().sum());
}
