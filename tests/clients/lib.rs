//! The built command's server, for tests with clients that others have written.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server of the built command, on a port of its own. It ends with this value.
pub struct Server {
    child: Child,
    /// Where it answers.
    pub url: String,
}

/// The command: `KILN` in the environment, or what the workspace has built.
fn command() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/kiln");
    std::env::var_os("KILN").map_or_else(built, PathBuf::from)
}

impl Server {
    /// Starts it in a folder.
    ///
    /// # Panics
    /// When the command is not built, or does not come up.
    pub fn start(folder: &Path) -> Self {
        let command = command();
        let mut child = Command::new(&command)
            .args(["serve", "--port", "0", "--base-directory"])
            .arg(folder)
            .arg("--data-dir")
            .arg(folder.join("data"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; `cargo build -p kiln-cli` makes it", command.display()));
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let start = line.find("http://")?;
            Some(line[start..].split_whitespace().next()?.trim_end_matches('/').to_owned())
        });
        // What it says later must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: url.expect("it says where it answers") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
