//! The address ranges of three models over two prompts, drawn: `cargo run -p kiln-memory --example timeline`.
//!
//! A text encoder, a network that loops and an autoencoder share too little memory. One line per pass, one sign per
//! unit: `#` here, `+` to be filled when used next, `-` streamed.
#![allow(clippy::print_stdout)]

use kiln_memory::{Budget, ContentKey, Kind, Lease, Pager, ProviderError, Schedule, Tally, UnitId, Vbar, human_bytes};

const UNIT: usize = 64 << 20;

struct Model {
    name: &'static str,
    vbar: Vbar<Tally>,
    units: Vec<UnitId>,
}

impl Model {
    fn new(
        pager: &Pager<Tally>,
        budget: &std::sync::Arc<Budget>,
        name: &'static str,
        n: usize,
    ) -> Result<Self, ProviderError> {
        let vbar = pager.register(budget.account(name, Kind::Weights), n * UNIT)?;
        let units = (0..n).map(|_| vbar.add_unit(UNIT)).collect::<Result<_, _>>()?;
        Ok(Self { name, vbar, units })
    }

    /// One pass; answers the bytes it moved.
    fn pass(&self) -> u64 {
        let before = self.vbar.counters().moved();
        for unit in &self.units {
            if let Lease::Fill(vacant) = self.vbar.acquire(*unit, ContentKey::UNPATCHED) {
                drop(vacant.fill(&mut |_| Ok(())));
            }
        }
        self.vbar.counters().moved() - before
    }
}

fn main() -> Result<(), ProviderError> {
    let limit = 26 * UNIT as u64;
    let pager = Pager::new(Tally::default(), limit);
    let budget = Budget::unlimited("device");
    pager.set_schedule(Schedule::new().then("clip", 1).then("unet", 4).then("vae", 1).repeating());
    let models = [("clip", 12), ("unet", 32), ("vae", 4)].map(|(name, n)| Model::new(&pager, &budget, name, n));
    let [clip, unet, vae] = models;
    let (clip, unet, vae) = (clip?, unet?, vae?);
    println!("{} for weights; clip 0.8 GiB, unet 2.0 GiB, vae 0.3 GiB\n", human_bytes(limit));
    println!("{:14} {:12} {:32} {:4} {:>9}", "pass", "clip", "unet", "vae", "moved");
    for prompt in 1..=2 {
        for model in [&clip, &unet, &unet, &unet, &unet, &vae] {
            let moved = model.pass();
            let map = pager.describe();
            let units = |name: &str| map.rows.iter().find(|r| r.name == name).map_or("", |r| r.units.as_str());
            let what = format!("{prompt}: {}", model.name);
            let (c, u, v) = (units("clip"), units("unet"), units("vae"));
            println!("{what:14} {c:12} {u:32} {v:4} {:>9}", human_bytes(moved));
        }
    }
    Ok(())
}
