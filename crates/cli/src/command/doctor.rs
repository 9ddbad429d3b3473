//! `kiln doctor`: is this machine ready, and what to do where it is not.

use std::path::{Path, PathBuf};

use clap::Args;
use kiln_cli::options::EnvironmentArgs;
use kiln_cli::streams::say;
use kiln_cli::{CheckUp, Verdict};
use kiln_exec::CachePolicy;

use super::{Done, terminal};

/// Looks at the machine and the folders, says what is wrong and how to mend it.
#[derive(Args)]
#[command(after_help = "\
  kiln doctor
  kiln doctor --base-directory ~/ComfyUI

Exit code 0: all is well, or could be better; 1: something does not work.")]
pub(crate) struct Doctor {
    /// As a JSON list.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    environment: EnvironmentArgs,
}

impl Doctor {
    pub(crate) fn execute(self) -> Done {
        let terminal = terminal(&self.environment, CachePolicy::None)?;
        let base = self.environment.base_directory.as_deref().unwrap_or(Path::new("."));
        let data = std::env::var_os("KILN_DATA_DIR").map_or_else(|| base.to_path_buf(), PathBuf::from).join("user");
        let mut found = CheckUp::of(terminal.session().environment(), &data);
        let classes = terminal.definitions().len();
        let version = env!("CARGO_PKG_VERSION");
        let system = format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH);
        found.add("kiln", Verdict::Fine, format!("{version}, {system}, {classes} node classes"), None);
        #[cfg(feature = "server")]
        page(&mut found);
        if self.json {
            say(format_args!("{}\n", found.to_json()));
        } else {
            say(&found);
        }
        let wrong = found.findings().iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
        if wrong == 0 { Ok(()) } else { Err(format!("{wrong} of these need mending").into()) }
    }
}

/// ComfyUI's web page, which `kiln serve` shows where it is installed.
#[cfg(feature = "server")]
fn page(found: &mut CheckUp) {
    if let Some(folder) = kiln_server::Packages::find().page {
        return found.add("web page", Verdict::Fine, format!("ComfyUI's, in {}", folder.display()), None);
    }
    let remedy = "pip install comfyui-frontend-package, or kiln serve --front-end-root DIR; /kiln is there anyway";
    found.add("web page", Verdict::Odd, "ComfyUI's is not installed", Some(remedy));
}
