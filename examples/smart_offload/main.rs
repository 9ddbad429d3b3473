//! Node offload: models that found something are gone before the sampler that works with it starts.
//!
//!     cargo run --release --example smart_offload                       # a table of levels 0, 1 and 2
//!     cargo run --release --example smart_offload -- --retention 2      # who holds what under one level
//!     cargo run --release --example smart_offload -- --weights FOLDER   # writes the small models into FOLDER/models
//!
//! The detector and the segmenter are small and untrained (`weights.rs`): no weights of either may be handed on with Kiln.
#![allow(clippy::print_stdout)]

mod story;
mod weights;

use std::path::Path;

use kiln::exec::Retention;

const LEVELS: [Retention; 3] = [Retention::Keep, Retention::Unreferenced, Retention::Unreadable];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let levels: &[Retention] = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => &LEVELS,
        ["--retention", "0"] => &LEVELS[..1],
        ["--retention", "1"] => &LEVELS[1..2],
        ["--retention", "2"] => &LEVELS[2..],
        ["--weights", folder] => return weights::write(&Path::new(folder).join("models")),
        _ => return Err("give nothing, --retention 0, 1 or 2, or --weights FOLDER".into()),
    };
    let root = std::env::temp_dir().join(format!("kiln-smart-offload-{}", std::process::id()));
    weights::write(&root.join("models"))?;
    let told: Result<Vec<_>, _> = levels.iter().map(|level| story::tell(&root, *level)).collect();
    std::fs::remove_dir_all(&root)?;
    let told = told?;
    if let [held] = told.as_slice() {
        for held in held {
            println!("{}: {} bytes at most, {} when the sampler starts", held.holder, held.peak, held.at_sampler);
        }
    } else {
        println!("{}", story::table(&told));
    }
    Ok(())
}
