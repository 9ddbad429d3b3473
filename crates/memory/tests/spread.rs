//! A looping model behind a limit, from its file, with its worker: what is kept, and what each pass moves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kiln_memory::{Budget, Dtype, Schedule, WeightFile, Weights};
use support::files;

const UNIT: u64 = 1 << 18;

#[test]
fn a_loop_from_a_file_settles_on_an_even_spread_within_the_limit_and_moves_what_does_not_fit() {
    let dir = files::folder();
    let path = dir.path().join("m.safetensors");
    files::write(&path, Dtype::F16, 40, 1 << 16);
    for kept in [10u64, 20, 30] {
        let budget = Budget::new("host", kept * UNIT);
        let unet = Weights::shared(WeightFile::open(&path).unwrap(), "unet", &budget);
        unet.pager().set_schedule(Schedule::new().then("unet", 16));
        let mut moved = Vec::new();
        for _ in 0..14 {
            let before = unet.pager().counters().moved();
            (0..40).for_each(|i| drop(unet.weight(&i.to_string()).unwrap().read().unwrap()));
            moved.push((unet.pager().counters().moved() - before) / UNIT);
        }
        assert!(budget.peak() <= budget.limit(), "{budget:?}, {} at most", budget.peak());
        // What doesn't fit, the slots (one in use and two ahead), and one that the worker is in the middle of.
        let usual = 40 - kept + 3 + 1;
        let steady = &moved[4..];
        assert!(steady.iter().sum::<u64>() <= steady.len() as u64 * usual, "{moved:?} for {kept}");
        let units = unet.pager().describe().rows[0].units.replace('+', "-");
        let longest = |of: char| units.split(|c| c != of).map(str::len).max().unwrap();
        assert!(longest('-') <= 3 * (40 / kept as usize) && longest('#') <= 3 * 40 / (40 - kept as usize), "{units}");
    }
}
