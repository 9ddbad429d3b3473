//! `kiln serve`: graphs from other programs and from ComfyUI's web page, over HTTP and websockets.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kiln_cli::Terminal;
use kiln_cli::options::{EngineArgs, EnvironmentArgs};
use kiln_cli::streams::note;
use kiln_nodes::files::DirKind;
use kiln_server::{Config, Packages, PreviewMethod, Server};

use super::Done;

/// Serves ComfyUI's HTTP and websocket dialect.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    users: Users,
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

/// Where it listens and whom it lets in.
#[derive(Args)]
#[command(next_help_heading = "Network")]
struct Network {
    /// Addresses to listen on. Without a value: every one of this machine.
    #[arg(
        long,
        value_name = "IP,IP",
        value_delimiter = ',',
        num_args = 0..=1,
        default_value = "127.0.0.1",
        default_missing_value = "0.0.0.0,::"
    )]
    listen: Vec<IpAddr>,
    /// The port. With 0 the system chooses one.
    #[arg(long, default_value_t = 8188)]
    port: u16,
    /// Let pages of this origin use the server. Without a value: of any.
    #[arg(long, value_name = "ORIGIN", num_args = 0..=1, default_missing_value = "*")]
    enable_cors_header: Option<String>,
    /// The largest body of a request, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 100.0, value_parser = size)]
    max_upload_size: f64,
    /// Compress JSON and text for clients that accept it.
    #[arg(long)]
    enable_compress_response_body: bool,
}

/// What users keep, and what they see.
#[derive(Args)]
#[command(next_help_heading = "Users")]
struct Users {
    /// Where workflows and settings are kept. Default: `user` in the base directory, or in KILN_DATA_DIR.
    #[arg(long, value_name = "DIR")]
    user_directory: Option<PathBuf>,
    /// Keep users apart by the header `Comfy-User`.
    #[arg(long)]
    multi_user: bool,
    /// The folder of ComfyUI's web page. Default: where the Python package `comfyui-frontend-package` is installed.
    #[arg(long, value_name = "DIR")]
    front_end_root: Option<PathBuf>,
}

/// Flags of ComfyUI that change nothing here.
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "flags are what a command line has")]
struct Idle {
    #[arg(long, hide = true)]
    auto_launch: bool,
    #[arg(long, hide = true)]
    disable_auto_launch: bool,
    #[arg(long, hide = true)]
    dont_print_server: bool,
    #[arg(long, hide = true)]
    log_stdout: bool,
    #[arg(long, hide = true)]
    disable_api_nodes: bool,
    #[arg(long, hide = true)]
    disable_all_custom_nodes: bool,
    #[arg(long, hide = true)]
    force_channels_last: bool,
    #[arg(long, hide = true)]
    disable_xformers: bool,
    #[arg(long, hide = true, value_name = "NAME", num_args = 0..)]
    fast: Option<Vec<String>>,
}

impl Idle {
    /// Those that were given.
    fn given(&self) -> impl Iterator<Item = &'static str> {
        [
            ("--auto-launch", self.auto_launch),
            ("--disable-api-nodes", self.disable_api_nodes),
            ("--disable-all-custom-nodes", self.disable_all_custom_nodes),
            ("--force-channels-last", self.force_channels_last),
            ("--disable-xformers", self.disable_xformers),
            ("--fast", self.fast.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
    }
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

fn size(text: &str) -> Result<f64, String> {
    let size: f64 = text.parse().map_err(|_| format!("`{text}` is no number of MiB"))?;
    if (0.001..1e9).contains(&size) { Ok(size) } else { Err(format!("`{text}` MiB are too few, or too many")) }
}

impl Serve {
    pub(crate) fn execute(self) -> Done {
        for flag in self.idle.given() {
            note(format_args!("warning: {flag} does nothing here"));
        }
        let here = Path::new(".");
        let environment = self.environment.environment(here, &here.join("assets"))?;
        let environment = environment
            .with_metadata(!self.disable_metadata)
            .with_tiny_previews(self.preview_method == Previews::Taesd);
        let temp = environment.folders().dir(DirKind::Temp).to_path_buf();
        let session = Terminal::new(environment, self.engine.cache()).into_session();
        session.engine().set_spill(self.engine.spill());
        let (config, options) = (self.config(here), self.engine.run_options());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let server = Server::bind(config, session, options).await?;
            // Not before the port is this process's: another server's files stay.
            empty(&temp);
            for address in server.addresses() {
                note(format_args!("To see the page go to: http://{address}"));
                if !address.ip().is_loopback() {
                    note("warning: whoever reaches this address can use this server and its files");
                }
            }
            server.run(stopped()).await
        })?;
        empty(&temp);
        Ok(())
    }

    fn config(&self, here: &Path) -> Config {
        let base = self.environment.base_directory.as_deref().unwrap_or(here);
        let data = std::env::var_os("KILN_DATA_DIR").map(PathBuf::from);
        let packages = Packages::find();
        let user = data.unwrap_or_else(|| base.to_path_buf()).join("user");
        Config {
            listen: self.network.listen.clone(),
            port: self.network.port,
            max_upload: (self.network.max_upload_size * 1_048_576.0) as usize,
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
            user_directory: self.users.user_directory.clone().unwrap_or(user),
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
        note("\nstopping after the step that runs");
        return;
    }
    let _ = interrupt.await;
    note("\nstopping after the step that runs");
}
