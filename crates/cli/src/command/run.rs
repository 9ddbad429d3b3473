//! `kiln run`: one graph from a file, once or several times.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use kiln_cli::options::{EngineArgs, EnvironmentArgs};
use kiln_cli::streams::{note, say};
use kiln_cli::{Finished, Opened, Terminal, lines, on_ctrl_c, open, summary_line};
use kiln_exec::{Prompt, Report, Summary};
use kiln_graph::Input;
use serde_json::json;

use super::{Done, terminal};

/// Runs a graph from a file.
#[derive(Args)]
pub(crate) struct Run {
    /// An API-format JSON file, a workflow saved by the editor, or an image, video or latent that carries either.
    file: PathBuf,
    /// Print every event as one JSON object per line on standard output, and a summary as the last line.
    #[arg(long, value_enum)]
    events: Option<Events>,
    /// Run it so many times in a row; what the cache keeps is not run again.
    #[arg(long, value_name = "N", default_value_t = 1)]
    repeat: u32,
    /// With --repeat: add one to every seed each time.
    #[arg(long)]
    vary_seed: bool,
    /// Say for each node why it ran or did not.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

/// `--events`.
#[derive(ValueEnum, Clone, Copy)]
enum Events {
    /// One JSON object per line.
    Jsonl,
}

impl Run {
    pub(crate) fn execute(self) -> Done {
        let terminal = terminal(&self.environment, self.engine.cache())?;
        terminal.session().engine().set_spill(self.engine.spill());
        let Opened { mut prompt, workflow } = open(&self.file, &terminal.definitions())?;
        let validated = match terminal.validate(&mut prompt) {
            Ok(validated) => validated,
            Err(refused) => {
                self.tell_end(&Summary::default());
                return Err(refused.into());
            }
        };
        if !validated.node_errors.is_empty() {
            note(validated.to_string());
        }
        on_ctrl_c(terminal.cancel().clone())?;
        let (prompt, extra) = (Arc::new(prompt), workflow.map(|workflow| Arc::new(json!({ "workflow": workflow }))));
        for turn in 0..self.repeat {
            let prompt = if self.vary_seed { seeded(&prompt, turn) } else { prompt.clone() };
            let mut options = self.engine.run_options().with_trace(self.explain);
            options.extra_pnginfo.clone_from(&extra);
            match terminal.run(&prompt, validated.clone(), options, self.events.map(|_| lines())) {
                Ok(finished) => self.tell(&finished)?,
                Err(failure) => {
                    if let Some(report) = failure.report() {
                        self.explain(report);
                    }
                    self.tell_end(&failure.report().map(|report| report.summary).unwrap_or_default());
                    return Err(failure.into());
                }
            }
        }
        self.leave(terminal, prompt);
        Ok(())
    }

    /// The process ends: the system takes its memory back at once, while dropping a million nodes and their results one by
    /// one takes as long as running them. What was spilled are files, which only dropping removes.
    fn leave(&self, terminal: Terminal, prompt: Arc<Prompt>) {
        if self.engine.spill().is_none() {
            std::mem::forget((terminal, prompt));
        }
    }

    fn tell(&self, finished: &Finished) -> Done {
        self.explain(&finished.report);
        if self.events.is_none() {
            say(&finished.summary);
        }
        self.tell_end(&finished.report.summary);
        let failures = &finished.report.failures;
        for failure in failures {
            note(failure);
        }
        match failures.len() {
            0 => Ok(()),
            count => Err(format!("{count} of the graph's nodes failed; what does not depend on them was run").into()),
        }
    }

    /// Says why each node ran or did not: among the lines of events on standard error, so that those stay JSON.
    fn explain(&self, report: &Report) {
        for explanation in &report.explanations {
            match self.events {
                None => say(format_args!("{explanation}\n")),
                Some(_) => note(explanation),
            }
        }
    }

    /// The last line for a program that reads.
    fn tell_end(&self, summary: &Summary) {
        if self.events.is_some() {
            say(format_args!("{}\n", summary_line(summary)));
        }
    }
}

/// The prompt with `more` added to every seed that stands in it as a number.
fn seeded(prompt: &Prompt, more: u32) -> Arc<Prompt> {
    let mut prompt = prompt.clone();
    for node in prompt.nodes.values_mut() {
        for name in ["seed", "noise_seed"] {
            let Some(input) = node.inputs.get_mut(name) else { continue };
            if let Some(seed) = input.as_value().and_then(serde_json::Value::as_u64) {
                *input = Input::literal(seed.wrapping_add(u64::from(more)));
            }
        }
    }
    Arc::new(prompt)
}
