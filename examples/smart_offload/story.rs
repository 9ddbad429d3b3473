//! The run that node offload is about: a detector and a segmenter find and outline something, then a hungry node and a
//! sampler work with what was found. Who holds how much when the sampler starts?

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kiln::exec::{CachePolicy, Event, Host, Prompt, Retention, RunOptions};
use kiln::memory::{Kind, Report};
use kiln::nodes::files::{DirKind, Folders};
use kiln::nodes::{Environment, Session};
use serde_json::json;

const WORKFLOW: &str = include_str!("../workflows/detect_inpaint.json");
/// The node that samples, and the one that outlines what was found.
const SAMPLER: &str = "9";
const OUTLINER: &str = "4";
/// GiB of the hungry node between them.
const BALLAST: f64 = 0.125;

/// Bytes that one holder has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// What holds them: `detector of l`.
    pub(crate) holder: String,
    /// The most at once, in the whole run.
    pub(crate) peak: u64,
    /// When the sampler starts.
    pub(crate) at_sampler: u64,
}

/// Runs the story in a folder with models in it. Returns the holders of the models that see, and of the hungry node's ballast.
pub(crate) fn tell(root: &Path, retention: Retention) -> Result<Vec<Held>, Box<dyn std::error::Error>> {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = Folders::under(root).with_bundled(house.join("assets"));
    let folders = folders.with_dir(DirKind::Input, house.join("examples/input"));
    let mut registry = kiln::nodes::registry();
    kiln_testing_nodes::register(&mut registry);
    let host = kiln_testing_nodes::lend(Host::new());
    let environment = Environment::new(folders);
    let budget = environment.budget().clone();
    // A cache would hold on to the loaders' models on its own account.
    let session = Session::builder(environment, registry).host(host).cache(CachePolicy::None).build();
    let held = Arc::new(Mutex::new(Vec::new()));
    let seen = held.clone();
    let look = move |event: &Event| {
        let starts = |id: &str| matches!(event, Event::Executing { node: Some(node), .. } if *node == id);
        note(&mut seen.lock().unwrap_or_else(PoisonError::into_inner), &budget.report(), starts(SAMPLER));
    };
    let options = RunOptions { retention, deterministic: true, ..RunOptions::default() };
    session.start(prompt()?).options(options).on_event(look).run()?;
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner).clone();
    held.sort_by(|a: &Held, b: &Held| a.holder.cmp(&b.holder));
    Ok(held)
}

/// The workflow with a node between masks and sampler that takes memory for nothing.
fn prompt() -> Result<Prompt, Box<dyn std::error::Error>> {
    let mut graph: serde_json::Value = serde_json::from_str(WORKFLOW)?;
    graph["20"] = json!({"class_type": "AllocateVRAM", "inputs": {"anything": [OUTLINER, 1], "size": BALLAST}});
    graph["8"]["inputs"]["mask"] = json!(["20", 0]);
    graph[SAMPLER]["inputs"]["steps"] = json!(2);
    Ok(Prompt::from_json(graph.to_string())?)
}

/// Keeps of a report what it says of the models that see and of the ballast.
fn note(held: &mut Vec<Held>, report: &Report, at_sampler: bool) {
    let ours = |holder: &str, kind: Kind| {
        let models = ["detector of ", "clip of l", "segmenter of "];
        (kind == Kind::Weights && models.iter().any(|model| holder.starts_with(model)))
            || (kind == Kind::Outputs && holder.contains("AllocateVRAM"))
    };
    for row in report.rows.iter().filter(|row| ours(&row.owner, row.kind)) {
        let holder = row.owner.to_string();
        let at = held.iter().position(|known| known.holder == holder).unwrap_or_else(|| {
            held.push(Held { holder, peak: 0, at_sampler: 0 });
            held.len() - 1
        });
        held[at].peak = held[at].peak.max(row.peak);
        if at_sampler {
            held[at].at_sampler = row.used;
        }
    }
}

/// The rows of levels 0, 1 and 2 as a table.
pub(crate) fn table(levels: &[Vec<Held>]) -> String {
    let mut lines = vec![
        "| holder | peak | at the sampler, `--retention 0` | 1 | 2 |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for (i, held) in levels.first().into_iter().flatten().enumerate() {
        let bytes = |level: &Vec<Held>| level.get(i).map_or(0, |held| held.at_sampler);
        let columns: Vec<String> = levels.iter().map(|level| grouped(bytes(level))).collect();
        lines.push(format!("| {} | {} | {} |", held.holder, grouped(held.peak), columns.join(" | ")));
    }
    lines.join("\n")
}

/// A number with blanks between its thousands.
fn grouped(bytes: u64) -> String {
    let digits = bytes.to_string();
    let first = digits.len() % 3;
    let mut groups = vec![digits[..first].to_owned()];
    groups.extend(digits.as_bytes()[first..].chunks(3).map(|group| String::from_utf8_lossy(group).into_owned()));
    groups.retain(|group| !group.is_empty());
    groups.join(" ")
}
