//! What an acquisition costs when everything is here.

use crate::targets::Targets;
use kiln_memory::{
    Budget, Dtype, Kind, MemorySource, Weights,
    pager::{Acquisition, ContentKey, Pager},
    provider::HostVm,
};
use std::time::Instant;

/// 96 units, round and round; the fastest of many rounds, so that a busy machine doesn't count.
pub(crate) fn run(targets: &mut Targets) {
    let pager = Pager::new(HostVm::new(), u64::MAX);
    let vbar = pager.register(Budget::unlimited("host").account("unet", Kind::Weights), 96 << 12).unwrap();
    let units: Vec<_> = (0..96).map(|_| vbar.add_unit(4096).unwrap()).collect();
    let pass = || {
        for unit in &units {
            if let Acquisition::Fill(vacant) = vbar.acquire(*unit, ContentKey(1)) {
                drop(vacant.fill(&mut |_| Ok(())).unwrap());
            }
        }
    };
    pass();
    let fastest = best(&pass);
    println!();
    targets.at_most("acquisition and release of a resident unit, ns", fastest, 100.0);

    let mut source = MemorySource::new("m");
    (0..96).for_each(|i| source.insert(i.to_string(), Dtype::I8, &[1024], vec![1; 1024]).unwrap());
    let unet = Weights::new(source, "unet", &Budget::unlimited("host"));
    let handles: Vec<_> = (0..96).map(|i| unet.weight(&i.to_string()).unwrap()).collect();
    let read = || handles.iter().for_each(|weight| drop(weight.read().unwrap()));
    read();
    // A step of the main job takes 95 ms and uses about 700 weights: one per cent of it is 1350 ns each.
    targets.at_most("use of a resident weight, ns", best(&read), 1350.0);
}

/// Nanoseconds per unit of a pass over 96.
fn best(pass: &dyn Fn()) -> f64 {
    let round = || {
        let started = Instant::now();
        (0..100).for_each(|_| pass());
        started.elapsed().as_nanos() as f64 / 100.0 / 96.0
    };
    (0..60).map(|_| round()).fold(f64::MAX, f64::min)
}
