//! What a server is told at its start. Knows no command line.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::tls::Tls;

/// What a server is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to listen on. Default: 127.0.0.1.
    pub listen: Vec<IpAddr>,
    /// Default: 8188. With 0 the system chooses one.
    pub port: u16,
    /// The most bytes that a request's body may have. Default: 100 MiB.
    pub max_upload: usize,
    /// The origin that pages of other sites may have (`*` for any). Without one their posts are refused.
    pub cors: Option<String>,
    /// What requests have to show, as bearer, as password, or as `token` in their query. Without one everybody is let in.
    pub token: Option<String>,
    /// Names of the server besides addresses and private names; `*` for any. Requests to others are refused, as another site
    /// may have let its own name point here.
    pub hosts: Vec<String>,
    /// The certificate, for a server that speaks TLS.
    pub tls: Option<Tls>,
    /// How many websockets may be open. Default: 1000.
    pub sockets: usize,
    /// How long a client may send nothing of a request that it has begun. Default: 30 seconds.
    pub patience: Duration,
    /// Hosts that may be told of the end of a prompt (`NAME` or `NAME:PORT`). Without any nobody is told.
    pub webhook_hosts: Vec<String>,
    /// Whether JSON and text are compressed for clients that accept it.
    pub compress: bool,
    /// What sampling shows of its steps, unless a prompt asks for something else.
    pub previews: PreviewMethod,
    /// The folder of the queue and the history. Without one they end with the server.
    pub data: Option<PathBuf>,
    /// How many finished prompts are kept; the oldest goes first. Default: 10 000, as in ComfyUI.
    pub history: usize,
    /// How many bytes all finished prompts may have. Default: 1 GiB.
    pub history_bytes: u64,
    /// What becomes of a prompt that ran when the server was killed.
    pub resume: Resume,
    /// How long prompts that run may go on when the server is asked to end. Default: not at all; they run again after the
    /// next start.
    pub grace: Duration,
    /// What users keep: workflows, settings.
    pub user_directory: PathBuf,
    /// Whether the header `Comfy-User` selects a user.
    pub multi_user: bool,
    /// The folder of the web page.
    pub front_end: Option<PathBuf>,
    /// Folders of templates for the page.
    pub templates: Vec<PathBuf>,
    /// The folder of the page's help texts.
    pub help: Option<PathBuf>,
    /// Who else gets the lines of the server's log.
    pub log: Option<Log>,
    /// The command line, for `/system_stats`.
    pub arguments: Vec<String>,
}

/// Somebody who gets lines of the log.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(&str) + Send + Sync>);

impl Log {
    /// Hands every line to `write`, which should not take long.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    pub(crate) fn write(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// What becomes of a prompt that ran when the server was killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// It runs again; at the third time it ends as failed, so that a prompt that kills its server does not do so for ever.
    #[default]
    Again,
    /// It ends as failed.
    Mark,
}

/// What sampling shows of its steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PreviewMethod {
    /// Nothing.
    #[default]
    None,
    /// A picture of one pixel per cell of the latent, or what the environment paints in its place.
    Latent,
}

impl PreviewMethod {
    /// The method of ComfyUI's name; `None` for `default` and for names that it doesn't have.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "none" => Some(Self::None),
            "auto" | "latent2rgb" | "taesd" => Some(Self::Latent),
            _ => None,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Ipv4Addr::LOCALHOST.into()],
            port: 8188,
            max_upload: 100 << 20,
            cors: None,
            token: None,
            hosts: Vec::new(),
            tls: None,
            sockets: 1000,
            patience: Duration::from_secs(30),
            webhook_hosts: Vec::new(),
            compress: false,
            previews: PreviewMethod::default(),
            data: None,
            history: 10_000,
            history_bytes: 1 << 30,
            resume: Resume::default(),
            grace: Duration::ZERO,
            user_directory: "user".into(),
            multi_user: false,
            front_end: None,
            templates: Vec::new(),
            help: None,
            log: None,
            arguments: Vec::new(),
        }
    }
}
