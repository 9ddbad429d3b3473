//! Wall time behind a slow bus: real threads, real ranges, copies that queue as on a device's stream.
//!
//! Computing is a deadline: the device begins a unit when the one before is done and its bytes are there, and is done a
//! fixed time later; the host sleeps until then. So a host that is woken late by a busy machine delays the copies that
//! it asks for too late, as it would in truth, and nothing else. Configurations alternate, and the best of a few counts.

use crate::targets::Targets;
use kiln_memory::{
    Budget, Kind, Policy, Schedule,
    pager::{Acquisition, ContentKey, Pager, UnitId, Vbar},
    provider::{HostVm, Provider, Ticket},
    testing::{ReadAhead, Throttled},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const UNITS: usize = 32;
const UNIT: usize = 3 << 20;
const SPEED: f64 = 200e6;
const ROUNDS: usize = 2;
const PASSES: usize = 3;

struct Bench {
    bus: Arc<Throttled<HostVm>>,
    vbar: Arc<Vbar<Arc<Throttled<HostVm>>>>,
    units: Vec<UnitId>,
    ahead: Option<ReadAhead<UnitId, (Ticket, Instant)>>,
}

impl Bench {
    fn new(ratio: f64, slots: usize, policy: Policy) -> Self {
        let bus = Arc::new(Throttled::new(HostVm::new(), SPEED));
        let pager = Pager::new(bus.clone(), ((UNITS * UNIT) as f64 / ratio) as u64);
        pager.set_policy(policy);
        pager.set_slots(slots.max(2) as u64);
        pager.set_schedule(Schedule::new().then("unet", 1000));
        let account = Budget::unlimited("device").account("unet", Kind::Weights);
        let vbar = Arc::new(pager.register(account, UNITS * UNIT).unwrap());
        let units: Vec<_> = (0..UNITS).map(|_| vbar.add_unit(UNIT).unwrap()).collect();
        let (behind, other) = (vbar.clone(), bus.clone());
        let ahead = (slots > 0).then(|| {
            let load = move |unit: &UnitId| bring(behind.acquire_ahead(*unit, ContentKey(1)), &other);
            let ahead = ReadAhead::new(slots, load).unwrap();
            ahead.set_order(units.clone(), true);
            ahead
        });
        Self { bus, vbar, units, ahead }
    }

    /// One pass; `device` is when the device is done with what it has.
    fn pass(&self, compute: Duration, device: &mut Instant) {
        self.follow(compute, device, &mut |_, _| {});
    }

    /// As [`pass`](Self::pass); `seen` is told when each unit's copy was done, if there was one, and when its computing is.
    fn follow(&self, compute: Duration, device: &mut Instant, seen: &mut dyn FnMut(Option<Instant>, Instant)) {
        for unit in &self.units {
            let brought = self.ahead.as_ref().and_then(|ahead| ahead.take(unit));
            let copy = match brought {
                Some(copy) => {
                    self.vbar.note_use(*unit);
                    Some(copy)
                }
                None => bring(self.vbar.acquire(*unit, ContentKey(1)), &self.bus),
            };
            // A copy that was only asked for now begins now; one that is done was done when it was.
            let ready = copy.map_or(*device, |(ticket, done)| {
                self.bus.wait(ticket).unwrap();
                done
            });
            *device = (*device).max(ready) + compute;
            seen(copy.map(|(_, done)| done), *device);
            std::thread::sleep(device.saturating_duration_since(Instant::now()));
        }
    }

    /// One pass as two lines, a column per 4 ms: when the bus carried something, and when the device computed.
    fn trace(&self, compute: Duration) -> [String; 2] {
        let mut device = Instant::now();
        (0..2).for_each(|_| self.pass(compute / UNITS as u32, &mut device));
        let from = device;
        let (mut copies, mut works) = (Vec::new(), Vec::new());
        let carried = Duration::from_secs_f64(UNIT as f64 / SPEED);
        self.follow(compute / UNITS as u32, &mut device, &mut |copied, done| {
            copies.extend(copied.map(|end| (end.checked_sub(carried).unwrap(), end)));
            works.push((done.checked_sub(compute / UNITS as u32).unwrap(), done));
        });
        let columns = (device - from).as_millis() as usize / 4;
        [copies, works].map(|spans| {
            let busy = |at: Instant| spans.iter().any(|(start, end)| *start <= at && at < *end);
            (0..columns).map(|c| if busy(from + Duration::from_millis(c as u64 * 4 + 2)) { '#' } else { '.' }).collect()
        })
    }

    /// Bytes of a steady pass, and how long the bus takes for them.
    fn steady(&self) -> (u64, Duration) {
        let mut device = Instant::now();
        (0..2).for_each(|_| self.pass(Duration::ZERO, &mut device));
        let before = self.bus.uploaded();
        self.pass(Duration::ZERO, &mut device);
        let bytes = self.bus.uploaded() - before;
        (bytes, Duration::from_secs_f64(bytes as f64 / SPEED))
    }

    /// Seconds per steady pass with so much computing in it.
    fn measure(&self, compute: Duration) -> f64 {
        let mut device = Instant::now();
        self.pass(compute / UNITS as u32, &mut device);
        let started = device;
        (0..PASSES).for_each(|_| self.pass(compute / UNITS as u32, &mut device));
        (device - started).as_secs_f64() / PASSES as f64
    }
}

/// What a use costs the bus: nothing, or a copy through a slot.
fn bring(lease: Acquisition<Arc<Throttled<HostVm>>>, bus: &Throttled<HostVm>) -> Option<(Ticket, Instant)> {
    match lease {
        Acquisition::Hit(_) => None,
        Acquisition::Fill(vacant) => {
            let fill = |to: &mut [u8]| {
                to.fill(1);
                Ok(())
            };
            drop(vacant.fill(&mut { fill }).unwrap());
            None
        }
        Acquisition::Stream => Some(bus.send(UNIT)),
    }
}

pub(crate) fn run(targets: &mut Targets) {
    println!(
        "\n| S/C | MB per pass | copy ms | compute/copy | nothing ahead | 2 slots | 4 slots |\n|---|---|---|---|---|---|---|"
    );
    let mut worst = [0.0f64; 2];
    for ratio in [1.05, 1.2, 1.5, 2.0, 4.0] {
        let benches = [0, 2, 4].map(|slots| Bench::new(ratio, slots, Policy::Plan));
        let steady = benches.each_ref().map(Bench::steady);
        for share in [0.5, 1.0, 2.0] {
            let mut best = [f64::MAX; 3];
            for _ in 0..ROUNDS {
                for ((bench, (_, copy)), best) in benches.iter().zip(steady).zip(&mut best) {
                    let longer = copy.as_secs_f64() * f64::max(share, 1.0);
                    *best = best.min(bench.measure(copy.mul_f64(share)) / longer);
                }
            }
            let (bytes, copy) = steady[1];
            let (mb, ms) = (bytes as f64 / 1e6, copy.as_secs_f64() * 1e3);
            println!("| {ratio} | {mb:.0} | {ms:.0} | {share} | {:.2} | {:.2} | {:.2} |", best[0], best[1], best[2]);
            if ratio <= 2.0 {
                worst[0] = worst[0].max(best[1]);
            }
            worst[1] = worst[1].max(best[2]);
        }
    }
    println!("(time per pass / the longer of computing and copying)\n");
    println!("One pass at S/C 2, compute = copy, a column per 4 ms:");
    for (how, slots) in [("2 slots", 2), ("nothing ahead", 0)] {
        let bench = Bench::new(2.0, slots, Policy::Plan);
        let [bus, device] = bench.trace(bench.steady().1);
        println!("{how}\n  bus    {bus}\n  device {device}");
    }
    println!();
    targets.at_most("wall / max(compute, copy), 2 slots up to S/C 2", worst[0], 1.08);
    targets.at_most("wall / max(compute, copy), 4 slots up to S/C 4", worst[1], 1.08);
    naive(targets);
    second_run(targets);
}

/// Against bringing the whole model anew in each pass, one unit after the other, as without any of this.
fn naive(targets: &mut Targets) {
    let (planned, reloaded) = (Bench::new(1.2, 2, Policy::Plan), Bench::new(1.2, 0, Policy::None));
    let compute = planned.steady().1;
    let (planned, reloaded) = (planned.measure(compute), reloaded.measure(compute));
    targets.at_least("naive reloading / plan, S/C 1.2, compute = copy", reloaded / planned, 3.0);
}

/// A prompt of eight passes with nothing here yet, and the same again: there is no load phase.
fn second_run(targets: &mut Targets) {
    let bench = Bench::new(1.5, 2, Policy::Plan);
    let compute = Duration::from_secs_f64((UNITS * UNIT) as f64 / SPEED);
    let mut device = Instant::now();
    let mut prompt = || {
        let started = device.max(Instant::now());
        device = started;
        (0..8).for_each(|_| bench.pass(compute / UNITS as u32, &mut device));
        (device - started).as_secs_f64()
    };
    let (first, second) = (prompt(), prompt());
    targets.at_most(
        "first run / second run, S/C 1.5, a pass computes as long as the model copies",
        first / second,
        1.10,
    );
}
