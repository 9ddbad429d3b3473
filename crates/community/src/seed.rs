//! A seed as a node, from rgthree.

use std::hash::{BuildHasher, Hasher, RandomState};

use kiln_exec::{
    ConstantInputs, Cx, Execute, ExtraPngInfo, Fingerprint, Node, NodeError, Registry, SubmittedPrompt, UniqueId,
};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<Seed>();
}

/// The largest seed, 2⁵⁰: the editor's numbers are exact up to there.
const LARGEST: i64 = 1_125_899_906_842_624;
/// What the editor puts another seed in place of: a random one, one more and one less than the last.
const SPECIAL: [i64; 3] = [-1, -2, -3];

/// A seed. -1, -2 and -3, which the editor replaces before it sends a graph (a random seed, one more or one less than the
/// last one), mean a random seed here, another one in each run.
#[derive(Node)]
#[node(
    class = "Seed (rgthree)",
    display_name = "Seed (rgthree)",
    category = "rgthree",
    module = "custom_nodes.rgthree-comfy",
    outputs(SEED)
)]
#[allow(clippy::struct_field_names, reason = "the input's name")]
struct Seed {
    /// The seed.
    #[input(default = 0, min = -LARGEST, max = LARGEST)]
    seed: i64,
    #[allow(dead_code, reason = "declared by the class; the graph that was sent stays as it is")]
    prompt: SubmittedPrompt,
    #[allow(dead_code, reason = "as above")]
    extra_pnginfo: ExtraPngInfo,
    unique_id: UniqueId,
}

impl Execute for Seed {
    type Output = i64;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let special = known.get_as::<i64>("seed").is_some_and(|seed| SPECIAL.contains(&seed));
        Ok(if special { Fingerprint::Always } else { Fingerprint::Stable })
    }

    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        if !SPECIAL.contains(&self.seed) {
            return Ok(self.seed);
        }
        let seed = random();
        tracing::warn!(node = %self.unique_id.0, seed, "`seed` is {}, so the node took a random one", self.seed);
        Ok(seed)
    }
}

/// From 1 to [`LARGEST`], another one each time.
fn random() -> i64 {
    // Keyed by the system's randomness.
    let bits = RandomState::new().build_hasher().finish();
    (bits % LARGEST as u64) as i64 + 1
}
