//! `kiln serve`: graphs from other programs and from ComfyUI's web page, over HTTP and websockets.

mod idle;
mod kept;
mod network;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kiln_cli::Terminal;
use kiln_cli::options::{EngineArgs, EnvironmentArgs};
use kiln_cli::streams::note;
use kiln_nodes::files::DirKind;
use kiln_server::{Config, Log, Packages, PreviewMethod, Server};

use super::Done;
use idle::Idle;
use kept::Kept;
use network::Network;

/// Serves ComfyUI's HTTP and websocket dialect.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    kept: Kept,
    /// So many prompts run at the same time, over one memory budget.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Say nothing about prompts on standard error.
    #[arg(long)]
    dont_print_server: bool,
    /// Write the log as JSON, an object per line.
    #[arg(long)]
    log_json: bool,
    /// Don't store the graph in the files it makes.
    #[arg(long)]
    disable_metadata: bool,
    /// What sampling shows of its steps.
    #[arg(long, value_enum, default_value = "none")]
    preview_method: Previews,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    environment: EnvironmentArgs,
    #[command(flatten)]
    idle: Idle,
}

/// What users keep, and what they see.
#[derive(Args)]
#[command(next_help_heading = "Users")]
struct Users {
    /// Where workflows and settings are kept. Default: `user` in the data folder.
    #[arg(long, value_name = "DIR")]
    user_directory: Option<PathBuf>,
    /// Keep users apart by the header `Comfy-User`.
    #[arg(long)]
    multi_user: bool,
    /// The folder of ComfyUI's web page. Default: where the Python package `comfyui-frontend-package` is installed.
    #[arg(long, value_name = "DIR")]
    front_end_root: Option<PathBuf>,
}

/// `--preview-method`.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
#[value(rename_all = "lower")]
enum Previews {
    /// Nothing.
    None,
    /// As latent2rgb.
    Auto,
    /// One pixel per cell of the latent.
    Latent2rgb,
    /// What the family's tiny decoder in `vae_approx` makes of it.
    Taesd,
}

impl Serve {
    pub(crate) fn execute(self) -> Done {
        if self.log_json {
            kiln_cli::streams::write_json();
        }
        for flag in self.idle.given() {
            note(format_args!("warning: --{flag} does nothing here"));
        }
        let here = Path::new(".");
        let environment = self.environment.environment(here, &here.join("assets"))?;
        let environment = environment
            .with_metadata(!self.disable_metadata)
            .with_tiny_previews(self.preview_method == Previews::Taesd);
        let temp = environment.folders().dir(DirKind::Temp).to_path_buf();
        let mut sessions = (0..self.workers).map(|_| {
            let session = Terminal::new(environment.clone(), self.engine.cache()).into_session();
            session.engine().set_spill(self.engine.spill());
            session
        });
        let Some(session) = sessions.next() else { return Ok(()) };
        let (config, options, network) = (self.config(here), self.engine.run_options(), &self.network);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let server = Server::bind(config, session, options).await?.with_lanes(sessions);
            // Not before the port is this process's: another server's files stay.
            empty(&temp);
            for address in server.addresses() {
                network.announce(address);
            }
            server.run(stopped()).await
        })?;
        empty(&temp);
        Ok(())
    }

    fn config(&self, here: &Path) -> Config {
        let base = self.environment.base_directory.as_deref().unwrap_or(here);
        let packages = Packages::find();
        let user = self.users.user_directory.clone();
        let data = self.kept.folder();
        let user = user.unwrap_or_else(|| data.as_deref().unwrap_or(base).join("user"));
        Config {
            listen: self.network.listen.clone(),
            port: self.network.port,
            max_upload: (self.network.max_upload_size * 1_048_576.0) as usize,
            token: self.network.token(),
            hosts: self.network.allowed_host.clone(),
            tls: self.network.tls(),
            webhook_hosts: self.network.webhook_host.clone(),
            log: (!self.dont_print_server).then(|| Log::new(|line| note(line))),
            cors: self.network.enable_cors_header.clone(),
            compress: self.network.enable_compress_response_body,
            previews: match self.preview_method {
                Previews::None => PreviewMethod::None,
                _ => PreviewMethod::Latent,
            },
            multi_user: self.users.multi_user,
            front_end: self.users.front_end_root.clone().or(packages.page),
            templates: packages.templates,
            help: packages.help,
            // Beside what users keep, as ComfyUI's own database.
            data: Some(data.unwrap_or_else(|| user.clone())),
            history: self.kept.history,
            history_bytes: self.kept.history_bytes,
            resume: self.kept.resume(),
            grace: self.kept.grace(),
            user_directory: user,
            arguments: std::env::args().collect(),
            ..Config::default()
        }
    }
}

/// Removes what is in the folder for temporary files.
fn empty(folder: &Path) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        // What can't be removed now is tried again next time.
        let _ = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// Ends when somebody asks the process to end.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
        note("\nstopping");
        return;
    }
    let _ = interrupt.await;
    note("\nstopping");
}
