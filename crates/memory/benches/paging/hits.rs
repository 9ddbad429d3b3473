//! What an acquisition costs when everything is here.

use crate::Targets;
use kiln_memory::{Budget, ContentKey, HostVm, Kind, Lease, Pager};
use std::time::Instant;

/// 96 units, round and round; the fastest of many rounds, so that a busy machine doesn't count.
pub(crate) fn run(targets: &mut Targets) {
    let pager = Pager::new(HostVm::new(), u64::MAX);
    let vbar = pager.register(Budget::unlimited("host").account("unet", Kind::Weights), 96 << 12).unwrap();
    let units: Vec<_> = (0..96).map(|_| vbar.add_unit(4096).unwrap()).collect();
    let pass = || {
        for unit in &units {
            if let Lease::Fill(vacant) = vbar.acquire(*unit, ContentKey(1)) {
                drop(vacant.fill(&mut |_| Ok(())).unwrap());
            }
        }
    };
    pass();
    let round = || {
        let started = Instant::now();
        (0..100).for_each(|_| pass());
        started.elapsed().as_nanos() as f64 / 100.0 / 96.0
    };
    let fastest = (0..60).map(|_| round()).fold(f64::MAX, f64::min);
    println!();
    targets.at_most("acquisition and release of a resident unit, ns", fastest, 100.0);
}
