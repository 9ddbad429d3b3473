//! A LoRA file: which adapters it holds, for which weights.
//!
//! Finding them reads names and shapes; the numbers are read when an adapter is asked for.

use std::{collections::HashSet, path::Path, sync::Arc};

use kiln_memory::{TensorInfo, TensorSource};

use super::{
    adapter::{Adapter, Factors},
    convert::{Converted, converted},
    error::AdapterError,
    low_rank::{Factor, Glora, LoHa, LoKr, LowRank},
    matrix::Matrix,
    orthogonal::Rotation,
    prefixes::{Part, Place, Prefixes},
};
use crate::{error::ModelError, weights::open};

/// An opened LoRA file.
#[derive(Clone)]
pub struct LoraFile {
    source: Arc<dyn TensorSource>,
    /// Prefixes whose weight grows to a shape that the file doesn't write down.
    grown: Arc<[(String, Vec<usize>)]>,
}

impl std::fmt::Debug for LoraFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LoraFile({})", self.source.label())
    }
}

/// An adapter in a file, not read yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The weight it changes, by its model key.
    pub key: String,
    /// Which part of that weight.
    pub part: Part,
    /// The prefix of its tensors.
    prefix: String,
    kind: Kind,
}

/// What a file holds for a model.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Adapters, in the order of the prefixes.
    pub targets: Vec<Target>,
    /// Tensors that belong to no weight of the model.
    pub unmatched: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Index into [`PAIRS`].
    LowRank(usize),
    LoHa,
    LoKr,
    Glora,
    Rotation,
    /// Index into [`ADDED`].
    Added(usize),
    Set,
}

/// Endings of up and down, tried in this order.
const PAIRS: [(&str, &str); 8] = [
    (".lora_up.weight", ".lora_down.weight"),
    ("_lora.up.weight", "_lora.down.weight"),
    (".lora_B.weight", ".lora_A.weight"),
    (".lora.up.weight", ".lora.down.weight"),
    (".lora_B", ".lora_A"),
    (".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"),
    (".lora_B.default.weight", ".lora_A.default.weight"),
    // Control-LoRAs.
    (".up", ".down"),
];

/// Endings of tensors that are added as they are, and whether they change the bias beside the weight.
const ADDED: [(&str, bool); 4] = [(".w_norm", false), (".b_norm", true), (".diff", false), (".diff_b", true)];

const BESIDE: [&str; 14] = [
    ".alpha",
    ".dora_scale",
    ".reshape_weight",
    ".lora_mid.weight",
    ".hada_t1",
    ".hada_t2",
    ".hada_w2_a",
    ".hada_w2_b",
    ".hada_w1_b",
    ".lokr_t2",
    ".rescale",
    ".a2.weight",
    ".b1.weight",
    ".b2.weight",
];

impl Target {
    /// Whether it puts a value in the weight's place, at whatever strength.
    pub fn sets(&self) -> bool {
        self.kind == Kind::Set
    }

    /// Every tensor that it may have in a file.
    fn tensors(&self) -> Vec<String> {
        let ends: Vec<&str> = match self.kind {
            Kind::LowRank(i) => vec![PAIRS[i].0, PAIRS[i].1],
            Kind::LoHa => vec![".hada_w1_a"],
            Kind::LoKr => vec![".lokr_w1", ".lokr_w1_a", ".lokr_w1_b", ".lokr_w2", ".lokr_w2_a", ".lokr_w2_b"],
            Kind::Glora => vec![".a1.weight"],
            Kind::Rotation => vec![".oft_blocks"],
            Kind::Added(i) => vec![ADDED[i].0],
            Kind::Set => vec![".set_weight"],
        };
        ends.iter().chain(&BESIDE).map(|end| format!("{}{end}", self.prefix)).collect()
    }
}

/// A tensor of an adapter that can't change a weight of its target's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The tensor in the file.
    pub tensor: String,
    /// Its shape.
    pub found: Vec<usize>,
    /// The shape of the weight.
    pub weight: Vec<usize>,
}

impl LoraFile {
    /// Opens a file by pointer.
    ///
    /// # Errors
    /// When it is missing, truncated or no weight file.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Ok(Self::new(open(path)?))
    }

    /// Over any source of tensors.
    pub fn new(source: Arc<dyn TensorSource>) -> Self {
        let Converted { source, grown } = converted(source);
        Self { source, grown: grown.into() }
    }

    /// What to call it in messages: its path, as a rule.
    pub fn label(&self) -> String {
        self.source.label()
    }

    /// The adapters for the weights that `prefixes` name.
    pub fn find(&self, prefixes: &Prefixes) -> Found {
        let (mut found, mut used) = (Found::default(), HashSet::new());
        for (prefix, Place { key, part }) in prefixes.iter() {
            for kind in self.kinds(prefix) {
                let bias = matches!(kind, Kind::Added(i) if ADDED[i].1);
                let key = if bias { key.replace(".weight", ".bias") } else { key.clone() };
                let target = Target { key, part: *part, prefix: prefix.to_owned(), kind };
                used.extend(target.tensors());
                // A later prefix that means the same weight, or the same part of it, takes the earlier one's place.
                found.targets.retain(|other| other.key != target.key || other.part != target.part);
                found.targets.push(target);
            }
        }
        found.unmatched =
            self.source.names().into_iter().filter(|name| !used.contains(*name)).map(str::to_owned).collect();
        found
    }

    /// What keeps an adapter from changing a weight of this shape, as far as the header shows: the sides of low-rank
    /// factors, the shape of what is added or set. `None` also for kinds whose factors don't say.
    pub fn shape_mismatch(&self, target: &Target, weight: &[usize]) -> Option<ShapeMismatch> {
        let shape = |end: &str| self.source.info(&format!("{}{end}", target.prefix)).map(|info| info.shape.clone());
        let wrong = |end: &str, found: Vec<usize>, weight: &[usize]| {
            Some(ShapeMismatch { tensor: format!("{}{end}", target.prefix), found, weight: weight.to_vec() })
        };
        let mut weight = weight.to_vec();
        if let (Part::Rows { len, .. }, Some(rows)) = (target.part, weight.first_mut()) {
            *rows = len;
        }
        let wrong = |end: &str, found| wrong(end, found, &weight);
        let (rows, columns) = (weight.first().copied()?, weight.iter().skip(1).product::<usize>());
        match target.kind {
            Kind::LowRank(_) if shape(".reshape_weight").is_some() || self.grown(&target.prefix).is_some() => None,
            Kind::LowRank(i) => {
                let (up, down) = (shape(PAIRS[i].0)?, shape(PAIRS[i].1)?);
                if up.first() != Some(&rows) {
                    return wrong(PAIRS[i].0, up);
                }
                let through = shape(".lora_mid.weight").map_or(1, |mid| mid.iter().skip(2).product());
                let fits = down.iter().skip(1).product::<usize>() * through == columns;
                if fits { None } else { wrong(PAIRS[i].1, down) }
            }
            Kind::Added(i) => {
                shape(ADDED[i].0).filter(|found| *found != weight).and_then(|found| wrong(ADDED[i].0, found))
            }
            Kind::Set => {
                shape(".set_weight").filter(|found| *found != weight).and_then(|found| wrong(".set_weight", found))
            }
            _ => None,
        }
    }

    fn grown(&self, prefix: &str) -> Option<&[usize]> {
        self.grown.iter().find(|(own, _)| own == prefix).map(|(_, shape)| shape.as_slice())
    }

    fn has(&self, prefix: &str, end: &str) -> bool {
        self.source.info(&format!("{prefix}{end}")).is_some()
    }

    /// What a prefix has: one adapter of the first kind that fits, and tensors that are added beside it.
    fn kinds(&self, prefix: &str) -> Vec<Kind> {
        let has = |end: &str| self.has(prefix, end);
        let pair = PAIRS.iter().position(|(up, down)| has(up) && has(down)).map(Kind::LowRank);
        let first = pair
            .or_else(|| has(".hada_w1_a").then_some(Kind::LoHa))
            .or_else(|| {
                let factor = |n: u8| has(&format!(".lokr_w{n}")) || has(&format!(".lokr_w{n}_a"));
                (factor(1) && factor(2)).then_some(Kind::LoKr)
            })
            .or_else(|| has(".a1.weight").then_some(Kind::Glora))
            .or_else(|| has(".oft_blocks").then_some(Kind::Rotation));
        let added = (0..ADDED.len()).filter(|i| has(ADDED[*i].0)).map(Kind::Added);
        first.into_iter().chain(added).chain(has(".set_weight").then_some(Kind::Set)).collect()
    }

    /// Reads the adapter of a target.
    ///
    /// # Errors
    /// When one of its tensors is missing or can't be read.
    pub fn adapter(&self, target: &Target) -> Result<Adapter, AdapterError> {
        let need = |end: &str| self.need(&target.prefix, end);
        let maybe = |end: &str| self.maybe(&target.prefix, end);
        let factors = match target.kind {
            Kind::Added(i) => return Ok(Adapter::Diff(need(ADDED[i].0)?)),
            Kind::Set => return Ok(Adapter::Set(need(".set_weight")?)),
            Kind::Rotation => {
                let rotation = Rotation { blocks: need(".oft_blocks")?, rescale: maybe(".rescale")? };
                let limit = maybe(".alpha")?.and_then(|alpha| alpha.values.first().copied()).unwrap_or(0.0);
                return Ok(Adapter::Rotation { rotation, limit });
            }
            Kind::LowRank(i) => Factors::LowRank(LowRank {
                up: need(PAIRS[i].0)?,
                down: need(PAIRS[i].1)?,
                mid: maybe(".lora_mid.weight")?,
            }),
            Kind::LoHa => Factors::Hadamard(LoHa {
                w1: [need(".hada_w1_a")?, need(".hada_w1_b")?],
                w2: [need(".hada_w2_a")?, need(".hada_w2_b")?],
                cores: maybe(".hada_t1")?.zip(maybe(".hada_t2")?).map(|(t1, t2)| [t1, t2]),
            }),
            Kind::LoKr => {
                let factor = |n: u8, core| {
                    Ok::<_, AdapterError>(match maybe(&format!(".lokr_w{n}"))? {
                        Some(whole) => Factor::Whole(whole),
                        None => Factor::Product {
                            a: need(&format!(".lokr_w{n}_a"))?,
                            b: need(&format!(".lokr_w{n}_b"))?,
                            core,
                        },
                    })
                };
                Factors::Kronecker(LoKr { w1: factor(1, None)?, w2: factor(2, maybe(".lokr_t2")?)? })
            }
            Kind::Glora => Factors::Glora(Glora {
                a1: need(".a1.weight")?,
                a2: need(".a2.weight")?,
                b1: need(".b1.weight")?,
                b2: need(".b2.weight")?,
            }),
        };
        let reshape = maybe(".reshape_weight")?;
        let reshape = reshape.map(|shape| shape.values.iter().map(|side| *side as usize).collect());
        Ok(Adapter::Delta {
            factors: Box::new(factors),
            alpha: maybe(".alpha")?.and_then(|alpha| alpha.values.first().copied()),
            dora: maybe(".dora_scale")?,
            reshape: reshape.or_else(|| self.grown(&target.prefix).map(<[usize]>::to_vec)),
        })
    }

    fn need(&self, prefix: &str, end: &str) -> Result<Matrix, AdapterError> {
        let missing = || AdapterError::Read(format!("{}: `{prefix}{end}` is missing", self.source.label()));
        self.maybe(prefix, end)?.ok_or_else(missing)
    }

    fn maybe(&self, prefix: &str, end: &str) -> Result<Option<Matrix>, AdapterError> {
        let name = format!("{prefix}{end}");
        let Some(TensorInfo { shape, .. }) = self.source.info(&name) else { return Ok(None) };
        let mut values = vec![0.0; shape.iter().product()];
        self.source.read_f32(&name, &mut values).map_err(|error| AdapterError::Read(error.to_string()))?;
        Ok(Matrix::new(shape.clone(), values))
    }
}
