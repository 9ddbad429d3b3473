//! What a server is told at its start. Knows no command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

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
    /// Whether JSON and text are compressed for clients that accept it.
    pub compress: bool,
    /// What sampling shows of its steps, unless a prompt asks for something else.
    pub previews: PreviewMethod,
    /// How many finished prompts are remembered; the oldest goes first. Default: 10 000, as in ComfyUI.
    pub history: usize,
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
    /// The command line, for `/system_stats`.
    pub arguments: Vec<String>,
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
            compress: false,
            previews: PreviewMethod::default(),
            history: 10_000,
            user_directory: "user".into(),
            multi_user: false,
            front_end: None,
            templates: Vec::new(),
            help: None,
            arguments: Vec::new(),
        }
    }
}
