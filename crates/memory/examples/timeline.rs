//! The address ranges of three models over two prompts, drawn:
//! `cargo run -p kiln-memory --example timeline -- crates/memory/timeline.svg`.
//!
//! A text encoder, a network that loops and an autoencoder share too little memory. On the terminal: one line per pass,
//! one sign per unit, `#` here, `+` to be filled when used next, `-` streamed. In the image: ranges upwards, passes to
//! the right, under the plan and under the reference system's watermark.
#![allow(clippy::print_stdout)]

use kiln_memory::{
    Budget, Kind, Map, Policy, ProviderError, Schedule, human_bytes,
    pager::{Acquisition, ContentKey, Pager, UnitId, Vbar},
    provider::NullProvider,
};
use std::fmt::Write as _;

const UNIT: usize = 64 << 20;
const LIMIT: u64 = 26 * UNIT as u64;
const MODELS: [(&str, usize); 3] = [("clip", 12), ("unet", 32), ("vae", 4)];
/// Which model makes a pass, twice over.
const PROMPT: [usize; 6] = [0, 1, 1, 1, 1, 2];

/// What one pass did to a unit, or what it found it to be.
#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Absent,
    Waiting,
    Hit,
    Filled,
    Streamed,
}

/// One pass: who made it, what it moved, and every model's units.
struct Column {
    model: usize,
    moved: u64,
    cells: Vec<Vec<Cell>>,
    map: Map,
}

struct Model {
    vbar: Vbar<NullProvider>,
    units: Vec<UnitId>,
}

impl Model {
    fn pass(&self) -> Vec<Cell> {
        let use_of = |unit: &UnitId| match self.vbar.acquire(*unit, ContentKey::UNPATCHED) {
            Acquisition::Hit(_) => Cell::Hit,
            Acquisition::Fill(vacant) => {
                drop(vacant.fill(&mut |_| Ok(())));
                Cell::Filled
            }
            Acquisition::Stream => Cell::Streamed,
        };
        self.units.iter().map(use_of).collect()
    }
}

fn run(policy: Policy) -> Result<Vec<Column>, ProviderError> {
    let pager = Pager::new(NullProvider::default(), LIMIT);
    pager.set_policy(policy);
    let budget = Budget::unlimited("device");
    pager.set_schedule(Schedule::new().then("clip", 1).then("unet", 4).then("vae", 1).repeating());
    let mut models = Vec::new();
    for (name, n) in MODELS {
        let vbar = pager.register(budget.account(name, Kind::Weights), n * UNIT)?;
        let units = (0..n).map(|_| vbar.add_unit(UNIT)).collect::<Result<_, _>>()?;
        models.push(Model { vbar, units });
    }
    let pass = |model: usize| {
        let before = models[model].vbar.counters().moved();
        let used = models[model].pass();
        let (moved, map) = (models[model].vbar.counters().moved() - before, pager.describe());
        let waiting = |name| -> Vec<Cell> {
            units(&map, name).chars().map(|c| if c == '#' { Cell::Waiting } else { Cell::Absent }).collect()
        };
        let row = |(i, (name, _))| if i == model { used.clone() } else { waiting(name) };
        let cells = MODELS.into_iter().enumerate().map(row).collect();
        Column { model, moved, cells, map }
    };
    Ok((0..2).flat_map(|_| PROMPT).map(pass).collect())
}

fn units<'a>(map: &'a Map, name: &str) -> &'a str {
    map.rows.iter().find(|row| row.name == name).map_or("", |row| row.units.as_str())
}

fn print(columns: &[Column]) {
    println!("{} for weights; clip 0.8 GiB, unet 2.0 GiB, vae 0.3 GiB\n", human_bytes(LIMIT));
    println!("{:14} {:12} {:32} {:4} {:>9}", "pass", "clip", "unet", "vae", "moved");
    for (i, column) in columns.iter().enumerate() {
        let what = format!("{}: {}", i / PROMPT.len() + 1, MODELS[column.model].0);
        let [c, u, v] = MODELS.map(|(name, _)| units(&column.map, name));
        println!("{what:14} {c:12} {u:32} {v:4} {:>9}", human_bytes(column.moved));
    }
}

const CELL: (usize, usize) = (36, 7);
const GAP: usize = 14;

/// One policy's panel, `left` units from the left edge.
fn panel(svg: &mut String, left: usize, title: &str, columns: &[Column]) {
    let total: u64 = columns.iter().map(|c| c.moved).sum();
    _ = writeln!(svg, r#"<text x="{left}" y="24" class="t">{title}: {} moved</text>"#, human_bytes(total));
    for (x, column) in columns.iter().enumerate() {
        let at = left + x * CELL.0 + (x / PROMPT.len()) * GAP;
        let (name, mut y) = (MODELS[column.model].0, 40);
        for (cells, (_, n)) in column.cells.iter().zip(MODELS) {
            for cell in cells {
                let fill = match cell {
                    Cell::Absent => "none",
                    Cell::Waiting => "#b8cfe6",
                    Cell::Hit => "#2f6db0",
                    Cell::Filled => "#3c9a5f",
                    Cell::Streamed => "#e08a2e",
                };
                let (w, h) = (CELL.0 - 2, CELL.1 - 1);
                _ = writeln!(svg, r#"<rect x="{at}" y="{y}" width="{w}" height="{h}" fill="{fill}" class="c"/>"#);
                y += CELL.1;
            }
            y += if n > 0 { GAP } else { 0 };
        }
        _ = writeln!(svg, r#"<text x="{at}" y="{}">{name}</text>"#, y + 4);
        _ = writeln!(svg, r#"<text x="{at}" y="{}">{:.1}</text>"#, y + 18, column.moved as f64 / (1u64 << 30) as f64);
    }
}

fn draw(panels: [(&str, &[Column]); 2]) -> String {
    let width = PROMPT.len() * 2 * CELL.0 + GAP;
    let height = 40 + 48 * CELL.1 + 3 * GAP + 60;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {height}" font-family="sans-serif" font-size="11">
<style>.c{{stroke:#ddd;stroke-width:.5}}.t{{font-size:14px;font-weight:bold}}</style>
<rect width="100%" height="100%" fill="white"/>
"#,
        2 * width + 130
    );
    let mut y = 40;
    for (name, n) in MODELS {
        _ = writeln!(svg, r#"<text x="6" y="{}">{name}</text>"#, y + n * CELL.1 / 2 + 4);
        y += n * CELL.1 + GAP;
    }
    _ = writeln!(svg, r#"<text x="6" y="{}">pass</text><text x="6" y="{}">GiB</text>"#, y + 4, y + 18);
    for (i, (title, columns)) in panels.into_iter().enumerate() {
        panel(&mut svg, 44 + i * (width + 40), title, columns);
    }
    let legend = [
        ("#2f6db0", "used where it lies"),
        ("#b8cfe6", "waits here"),
        ("#3c9a5f", "brought here, stays"),
        ("#e08a2e", "streamed: here for this use"),
        ("none", "not here"),
    ];
    for (i, (fill, what)) in legend.into_iter().enumerate() {
        let (x, y) = (44 + i * 170, height - 14);
        _ = writeln!(svg, r#"<rect x="{x}" y="{}" width="12" height="9" fill="{fill}" class="c"/>"#, y - 9);
        _ = writeln!(svg, r#"<text x="{}" y="{y}">{what}</text>"#, x + 17);
    }
    svg + "</svg>\n"
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (plan, watermark) = (run(Policy::Plan)?, run(Policy::Watermark)?);
    print(&plan);
    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(path, draw([("plan", &plan), ("watermark", &watermark)]))?;
    }
    Ok(())
}
