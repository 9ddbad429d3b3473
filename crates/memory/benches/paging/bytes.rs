//! Bytes moved per policy over models of real sizes and no bytes, beside what a clairvoyant would move.

use kiln_memory::{
    Budget, Kind, Policy, Schedule,
    pager::{Acquisition, ContentKey, Pager, UnitId, Vbar},
    provider::NullProvider,
};
use std::collections::HashMap;

const MB: u64 = 1 << 20;
const GB: f64 = (1u64 << 30) as f64;

/// A model by the sizes of its modules.
pub(crate) struct Model {
    name: &'static str,
    units: Vec<u64>,
}

/// A transformer of `blocks` blocks of six modules: four of attention's size, two of the MLP's.
fn dit(name: &'static str, blocks: usize, megabytes: u64) -> Model {
    let block = megabytes as f64 / blocks as f64;
    let sizes = [0.115, 0.115, 0.115, 0.115, 0.27, 0.27].map(|f| ((block * f).round() as u64).max(1) * MB);
    Model { name, units: (0..blocks).flat_map(|_| sizes).collect() }
}

fn even(name: &'static str, units: u64, megabytes: u64) -> Model {
    Model { name, units: vec![megabytes * MB / units; units as usize] }
}

/// Which model makes how many passes, in order: one prompt.
type Prompt = Vec<(usize, u32)>;

pub(crate) struct Workload {
    pub(crate) title: String,
    models: Vec<Model>,
    prompt: Prompt,
    limit: u64,
    prompts: usize,
    /// The bytes of what to report: from this prompt on, divided by so much.
    from: usize,
    divide: f64,
}

impl Workload {
    fn largest(&self) -> u64 {
        self.models.iter().flat_map(|m| &m.units).copied().max().unwrap()
    }

    /// (prompt, model, unit) in order.
    fn accesses(&self) -> Vec<(usize, usize, usize)> {
        let mut all = Vec::new();
        for prompt in 0..self.prompts {
            for (model, passes) in &self.prompt {
                for _ in 0..*passes {
                    all.extend((0..self.models[*model].units.len()).map(|unit| (prompt, *model, unit)));
                }
            }
        }
        all
    }

    fn steady(&self, moved: &[u64]) -> f64 {
        let accesses = self.accesses();
        let sum: u64 = accesses.iter().zip(moved).filter(|((p, ..), _)| *p >= self.from).map(|(_, b)| b).sum();
        sum as f64 / GB / self.divide
    }

    /// The real pager under a policy, without memory below it.
    pub(crate) fn run(&self, policy: Policy) -> f64 {
        let pager = Pager::new(NullProvider::default(), self.limit);
        pager.set_policy(policy);
        if policy == Policy::Watermark {
            // The reference's budget has its two cast buffers in it as the plan's has its ring.
            pager.set_limit(self.limit - 2 * self.largest());
        }
        let budget = Budget::unlimited("device");
        let vbars: Vec<(Vbar<NullProvider>, Vec<UnitId>)> = self
            .models
            .iter()
            .map(|m| {
                let vbar = pager
                    .register(budget.account(m.name, Kind::Weights), m.units.iter().sum::<u64>() as usize)
                    .unwrap();
                let units = m.units.iter().map(|s| vbar.add_unit(*s as usize).unwrap()).collect();
                (vbar, units)
            })
            .collect();
        let runs = self.prompt.iter().fold(Schedule::new(), |s, (m, passes)| s.then(self.models[*m].name, *passes));
        pager.set_schedule(runs.repeating());
        let moved: Vec<u64> = self
            .accesses()
            .into_iter()
            .map(|(_, model, unit)| {
                let (vbar, units) = &vbars[model];
                match vbar.acquire(units[unit], ContentKey(1)) {
                    Acquisition::Hit(_) => return 0,
                    Acquisition::Fill(vacant) => drop(vacant.fill(&mut |_| Ok(())).unwrap()),
                    Acquisition::Stream => {}
                }
                self.models[model].units[unit]
            })
            .collect();
        self.steady(&moved)
    }

    /// Belady with bypass, knowing everything, with two staging slots.
    pub(crate) fn optimum(&self) -> f64 {
        let accesses = self.accesses();
        let limit = self.limit - 2 * self.largest();
        let mut next = vec![usize::MAX; accesses.len()];
        let mut seen = HashMap::new();
        for (i, (_, model, unit)) in accesses.iter().enumerate().rev() {
            next[i] = seen.insert((*model, *unit), i).unwrap_or(usize::MAX);
        }
        let mut here: HashMap<(usize, usize), usize> = HashMap::new();
        let mut used = 0;
        let mut moved = Vec::with_capacity(accesses.len());
        for (i, (_, model, unit)) in accesses.iter().enumerate() {
            let size = self.models[*model].units[*unit];
            if let Some(when) = here.get_mut(&(*model, *unit)) {
                *when = next[i];
                moved.push(0);
                continue;
            }
            moved.push(size);
            let mut victims: Vec<_> =
                here.iter().filter(|(_, when)| **when > next[i]).map(|(u, when)| (*when, *u)).collect();
            victims.sort_unstable();
            let (mut freed, mut gone) = (0, Vec::new());
            while used - freed + size > limit
                && let Some((_, (m, u))) = victims.pop()
            {
                freed += self.models[m].units[u];
                gone.push((m, u));
            }
            if next[i] == usize::MAX || used - freed + size > limit {
                continue;
            }
            here.retain(|unit, _| !gone.contains(unit));
            used = used - freed + size;
            here.insert((*model, *unit), next[i]);
        }
        self.steady(&moved)
    }
}

pub(crate) fn loops() -> Vec<Workload> {
    let limit = 8192 * MB;
    let one = |ratio: f64| Workload {
        title: format!("loop, S/C {ratio}, 20 passes: GB per pass"),
        models: vec![dit("unet", 48, (8192.0 * ratio) as u64)],
        prompt: vec![(0, 20)],
        limit,
        prompts: 3,
        from: 1,
        divide: 40.0,
    };
    [1.05, 1.2, 1.5, 2.0, 4.0].map(one).into()
}

pub(crate) fn mixes() -> Vec<Workload> {
    let mix = |title: String, models: Vec<Model>, prompt: Prompt, gigabytes: u64| Workload {
        title,
        models,
        prompt,
        limit: gigabytes * 1024 * MB,
        prompts: 8,
        from: 4,
        divide: 4.0,
    };
    let mut all = Vec::new();
    for (ratio, passes) in [(0.6, 1), (0.9, 1), (1.2, 1), (2.0, 1), (0.6, 20), (1.2, 20), (2.0, 20)] {
        let size = (8192.0 * ratio) as u64;
        let models = vec![dit("a", 40, size), dit("b", 40, size)];
        all.push(mix(
            format!("two models of {ratio} C, {passes} passes each"),
            models,
            vec![(0, passes), (1, passes)],
            8,
        ));
    }
    let real = [
        ("klein 9B", 15622, 17316, 4, [6, 14, 22]),
        ("Z-Image", 8192, 12600, 8, [6, 10, 14]),
        ("SDXL", 1640, 5220, 20, [4, 5, 6]),
    ];
    for (name, encoder, network, passes, limits) in real {
        for limit in limits {
            let models = vec![dit("clip", 36, encoder), dit("unet", 48, network), even("vae", 8, 160)];
            all.push(mix(
                format!("{name}, {passes} passes, {limit} GB"),
                models,
                vec![(0, 1), (1, passes), (2, 1)],
                limit,
            ));
        }
    }
    for ratio in [1.2, 2.0] {
        let total = (8192.0 * ratio) as u64;
        let unet = (total as f64 / 1.3) as u64;
        let models = vec![dit("unet", 40, unet), dit("controlnet", 20, total - unet)];
        let prompt = (0..20).flat_map(|_| [(1, 1), (0, 1)]).collect();
        all.push(mix(format!("ControlNet in each step, {ratio} C"), models, prompt, 8));
    }
    for ram in [24, 40, 56] {
        let models = vec![dit("t5", 24, 10854), dit("high", 40, 27251), dit("low", 40, 27251)];
        all.push(mix(format!("Wan 2.2 from disk, {ram} GB of RAM"), models, vec![(0, 1), (1, 2), (2, 2)], ram));
    }
    all
}
