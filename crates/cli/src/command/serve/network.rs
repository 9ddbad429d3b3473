//! Where the server listens and whom it lets in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use kiln_cli::streams::note;
use kiln_server::Tls;

/// Where it listens and whom it lets in.
#[derive(Args)]
#[command(next_help_heading = "Network")]
pub(super) struct Network {
    /// Addresses to listen on. Without a value: every one of this machine.
    #[arg(
        long,
        value_name = "IP,IP",
        value_delimiter = ',',
        num_args = 0..=1,
        default_value = "127.0.0.1",
        default_missing_value = "0.0.0.0,::"
    )]
    pub(super) listen: Vec<IpAddr>,
    /// The port. With 0 the system chooses one.
    #[arg(long, default_value_t = 8188)]
    pub(super) port: u16,
    /// What requests have to show: `Authorization: Bearer TOKEN`, the password of any user, or `?token=TOKEN`. KILN_TOKEN says
    /// it where others could read a command line.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A name of this server. Needed for public names where there is no token. May stand several times; `*` for any name.
    #[arg(long, value_name = "NAME")]
    pub(super) allowed_host: Vec<String>,
    /// The key of the certificate, for https.
    #[arg(long, value_name = "FILE", requires = "tls_certfile")]
    tls_keyfile: Option<PathBuf>,
    /// The certificate, for https.
    #[arg(long, value_name = "FILE", requires = "tls_keyfile")]
    tls_certfile: Option<PathBuf>,
    /// A host that prompts may have told of their end, with `webhook` in `extra_data`. May stand several times.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(super) webhook_host: Vec<String>,
    /// Let pages of this origin use the server. Without a value: of any.
    #[arg(long, value_name = "ORIGIN", num_args = 0..=1, default_missing_value = "*")]
    pub(super) enable_cors_header: Option<String>,
    /// The largest body of a request, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 100.0, value_parser = size)]
    pub(super) max_upload_size: f64,
    /// Compress JSON and text for clients that accept it.
    #[arg(long)]
    pub(super) enable_compress_response_body: bool,
}

impl Network {
    /// What requests have to show.
    pub(super) fn token(&self) -> Option<String> {
        let token = self.token.clone().or_else(|| std::env::var("KILN_TOKEN").ok());
        token.filter(|token| !token.is_empty())
    }

    /// The certificate.
    pub(super) fn tls(&self) -> Option<Tls> {
        let (certificate, key) = self.tls_certfile.clone().zip(self.tls_keyfile.clone())?;
        Some(Tls { certificate, key })
    }

    /// What is said of an address at the start.
    pub(super) fn announce(&self, address: SocketAddr) {
        let scheme = if self.tls_certfile.is_some() { "https" } else { "http" };
        note(format_args!("To see the page go to: {scheme}://{address}"));
        if address.ip().is_loopback() {
            return;
        }
        if self.token().is_none() {
            let line = "=".repeat(78);
            note(format_args!(
                "{line}\nwarning: NO TOKEN: whoever reaches {address} can use this server, read and replace its"
            ));
            note(format_args!("files, and make it work. Say --token SECRET, or leave --listen out.\n{line}"));
        } else if self.tls_certfile.is_none() {
            note("warning: without TLS the token can be read on its way; see --tls-certfile, or put a proxy in front");
        }
    }
}

fn size(text: &str) -> Result<f64, String> {
    let size: f64 = text.parse().map_err(|_| format!("`{text}` is no number of MiB"))?;
    if (0.001..1e9).contains(&size) { Ok(size) } else { Err(format!("`{text}` MiB are too few, or too many")) }
}
