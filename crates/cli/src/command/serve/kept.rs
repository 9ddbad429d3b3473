//! What outlives the server: the queue, the history, and what users keep.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use kiln_cli::options::{bytes, seconds};
use kiln_server::Resume;

/// What outlives the server.
#[derive(Args)]
#[command(next_help_heading = "What is kept")]
pub(super) struct Kept {
    /// The folder of the queue, the history and what users keep. Default: KILN_DATA_DIR, or `user` in the base
    /// directory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How many finished prompts are kept; the oldest goes first.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) history: usize,
    /// How many bytes all finished prompts may have.
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = bytes)]
    pub(super) history_bytes: u64,
    /// What becomes of a prompt that ran when the server was killed.
    #[arg(long, value_enum, default_value = "again")]
    on_restart: OnRestart,
    /// How long prompts that run may go on when the server is asked to end. What has not ended then runs again after the next
    /// start.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    stop_grace: f64,
}

/// `--on-restart`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum OnRestart {
    /// It runs again, at most three times.
    Again,
    /// It ends as failed.
    Mark,
}

impl Kept {
    /// The folder that was named for everything.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.data_dir.clone().or_else(|| std::env::var_os("KILN_DATA_DIR").map(PathBuf::from))
    }

    pub(super) fn resume(&self) -> Resume {
        match self.on_restart {
            OnRestart::Again => Resume::Again,
            OnRestart::Mark => Resume::Mark,
        }
    }

    pub(super) fn grace(&self) -> Duration {
        Duration::from_secs_f64(self.stop_grace)
    }
}
