//! `kiln models`: what lies in the folders.

use clap::Args;
use kiln_cli::Shelves;
use kiln_cli::options::EnvironmentArgs;
use kiln_cli::streams::{note, say};
use kiln_exec::CachePolicy;
use kiln_graph::nearest;

use super::{Done, terminal};

/// Says what model files lie in the folders, and what is in them.
#[derive(Args)]
#[command(after_help = "\
  kiln models                        every file: family, storage type, size, networks, what it needs beside it
  kiln models loras                  of one kind, by the name of its folder
  kiln models --json                 for programs

What a file is, its tensors say, not its name. Only headers are read.")]
pub(crate) struct Models {
    /// A kind, by ComfyUI's name of its folder: checkpoints, loras, vae, ...
    kind: Option<String>,
    /// As one JSON object: files by kind.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Models {
    pub(crate) fn execute(self) -> Done {
        let terminal = terminal(&self.environment, CachePolicy::None)?;
        let folders = terminal.session().environment().folders();
        if let Some(kind) = self.kind.as_deref()
            && !folders.kinds().any(|known| known == kind)
        {
            let known: Vec<String> = folders.kinds().collect();
            let meant =
                nearest(kind, known.iter().map(String::as_str)).map(|near| format!(" (did you mean `{near}`?)"));
            let meant = meant.unwrap_or_default();
            return Err(format!("`{kind}` is no kind of model{meant}; there are {}", known.join(", ")).into());
        }
        let shelves = Shelves::of(folders, self.kind.as_deref());
        if self.json {
            say(format_args!("{}\n", shelves.to_json()));
            return Ok(());
        }
        say(&shelves);
        if shelves.total().0 == 0 {
            let kinds = self.kind.as_deref().unwrap_or("checkpoints");
            let looked = folders.model_folders(kinds);
            let looked: Vec<String> = looked.iter().map(|folder| folder.display().to_string()).collect();
            note(format_args!("no such files; for {kinds} these folders are searched: {}", looked.join(", ")));
        }
        Ok(())
    }
}
