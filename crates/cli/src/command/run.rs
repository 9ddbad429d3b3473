//! `kiln run`: one graph from a file, once or several times.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use kiln_cli::options::{EngineArgs, StudioArgs};
use kiln_cli::{Finished, Opened, on_ctrl_c, open};
use kiln_exec::{Event, Listener};
use serde_json::json;

use super::{Done, session};

/// Runs a graph from a file.
#[derive(Args)]
pub(crate) struct Run {
    /// An API-format JSON file, or a workflow saved by the editor.
    file: PathBuf,
    /// Print every event as one JSON object per line on standard output, and a summary as the last line.
    #[arg(long, value_enum)]
    events: Option<Events>,
    /// Run it so many times in a row; what the cache keeps is not run again.
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: u32,
    /// Say for each node why it ran or did not.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    studio: StudioArgs,
}

/// `--events`.
#[derive(ValueEnum, Clone, Copy)]
enum Events {
    /// One JSON object per line.
    Jsonl,
}

impl Run {
    pub(crate) fn execute(self) -> Done {
        let session = session(&self.studio, self.engine.cache());
        let Opened { mut prompt, workflow } = open(&self.file, &session.definitions())?;
        let validated = session.validate(&mut prompt)?;
        if !validated.node_errors.is_empty() {
            eprintln!("{validated}");
        }
        on_ctrl_c(session.cancel().clone())?;
        let (prompt, extra) = (Arc::new(prompt), workflow.map(|workflow| Arc::new(json!({ "workflow": workflow }))));
        for _ in 0..self.repeat {
            let mut options = self.engine.run_options().with_trace(self.explain);
            options.extra_pnginfo.clone_from(&extra);
            let finished = session.run(&prompt, validated.clone(), options, self.events.map(|_| print_events()))?;
            self.tell(&finished)?;
        }
        Ok(())
    }

    fn tell(&self, finished: &Finished) -> Done {
        if self.explain {
            for explanation in &finished.report.explanations {
                eprintln!("{explanation}");
            }
        }
        if self.events.is_none() {
            print!("{}", finished.summary);
            return Ok(());
        }
        let mut line = serde_json::to_value(finished.report.summary)?;
        line.as_object_mut().ok_or("a summary is an object")?.insert("type".into(), json!("summary"));
        println!("{line}");
        Ok(())
    }
}

fn print_events() -> Listener {
    Arc::new(|event: &Event| {
        if let Ok(line) = serde_json::to_string(event) {
            // Whoever read the lines may have gone; the run goes on all the same.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    })
}
