//! `kiln run`: one graph from a file, once or several times.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use kiln_cli::options::{EngineArgs, EnvironmentArgs};
use kiln_cli::streams::{note, say};
use kiln_cli::{Finished, Opened, Setting, Terminal, explain_failure, lines, on_ctrl_c, open, summary_line};
use kiln_exec::{Prompt, Report, Summary};
use kiln_graph::Input;
use serde_json::json;

use super::{Done, terminal, validated};

/// How often a watched file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Runs a graph from a file.
#[derive(Args)]
#[command(after_help = "\
  kiln run workflow.json --out pictures
  kiln run workflow.json --set 3.seed=7 --set 3.steps=30 --set '6.text=a red fox'
  kiln run workflow.json --set KSampler.cfg=4.5       by class, where the graph has one of it
  kiln run picture.png                                the graph that a picture carries
  kiln run workflow.json --watch                      again at every change of the file
  kiln run workflow.json --events jsonl | jq .type    every event as a line of JSON

Exit codes: 0 done, 1 the graph or a node of it failed, 2 the command line is wrong, 130 stopped by Ctrl-C.")]
pub(crate) struct Run {
    /// An API-format JSON file, a workflow saved by the editor, or an image, video or latent that carries either.
    file: PathBuf,
    /// Print every event as one JSON object per line on standard output, and a summary as the last line.
    #[arg(long, value_enum)]
    events: Option<Events>,
    /// Change an input before it runs: the id of a node (or its class or title, where only one has it), the input, and the
    /// value as JSON or as text. May stand several times.
    #[arg(long, value_name = "NODE.INPUT=VALUE")]
    set: Vec<Setting>,
    /// Run again whenever the file changes, until Ctrl-C. What did not change is not run again.
    #[arg(long)]
    watch: bool,
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
    pub(crate) fn execute(self: Box<Self>) -> Done {
        let terminal = terminal(&self.environment, self.engine.cache())?;
        terminal.session().engine().set_spill(self.engine.spill());
        on_ctrl_c(terminal.cancel().clone())?;
        if self.watch {
            return self.watch(&terminal);
        }
        let prompt = self.once(&terminal)?;
        self.leave(terminal, prompt);
        Ok(())
    }

    /// Runs the graph now, and again whenever its file is another one, until Ctrl-C. What an edit leaves as it was is taken
    /// from the cache.
    fn watch(&self, terminal: &Terminal) -> Done {
        let (mut ran, mut before) = (None, None);
        loop {
            let now = stamp(&self.file);
            // Not while somebody is still writing it.
            if ran != Some(now) && before == Some(now) {
                ran = Some(now);
                if let Err(error) = self.once(terminal) {
                    if terminal.cancel().is_cancelled() {
                        return Err(error);
                    }
                    explain_failure(&*error);
                }
                note(format_args!("waiting for a change of {}; Ctrl-C ends", self.file.display()));
            }
            if terminal.cancel().is_cancelled() {
                return Ok(());
            }
            before = Some(now);
            std::thread::sleep(LOOK);
        }
    }

    /// Reads, validates and runs the graph, as often as `--repeat` says.
    fn once(&self, terminal: &Terminal) -> Result<Arc<Prompt>, Box<dyn std::error::Error>> {
        let definitions = terminal.definitions();
        let Opened { mut prompt, workflow } = open(&self.file, &definitions)?;
        for setting in &self.set {
            setting.apply(&mut prompt, &definitions)?;
        }
        drop(definitions);
        let validated = match validated(terminal, &self.file, &mut prompt) {
            Ok(validated) => validated,
            Err(refused) => {
                self.tell_end(&Summary::default());
                return Err(refused.into());
            }
        };
        if !validated.node_errors.is_empty() {
            note(validated.to_string());
        }
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
        Ok(prompt)
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

/// By what a change of a file is seen: its time and its length; neither where there is no file.
fn stamp(file: &Path) -> Option<(Option<SystemTime>, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
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
