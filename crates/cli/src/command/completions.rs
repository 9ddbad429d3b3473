//! `kiln completions`: what a shell needs to complete the command.

use clap::{Args, Command};
use clap_complete::Shell;
use kiln_cli::streams::say;

/// Writes completions for a shell on standard output.
#[derive(Args)]
#[command(after_help = "\
  kiln completions bash > ~/.local/share/bash-completion/completions/kiln
  kiln completions zsh > ~/.zfunc/_kiln
  kiln completions fish > ~/.config/fish/completions/kiln.fish")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(self, mut kiln: Command) {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut kiln, "kiln", &mut script);
        say(String::from_utf8_lossy(&script));
    }
}
