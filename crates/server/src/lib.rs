//! ComfyUI's HTTP and websocket dialect over Kiln's engine.
//!
//! A [`Server`] binds addresses and serves one [`Session`](kiln_nodes::Session), or several side by side. Prompts join a
//! queue that one task owns, and that a file keeps; what happens goes out over websockets, each client's messages in their
//! order.
//!
//! Routes, messages and their order are ComfyUI's. What is not served answers 404.
//!
//! ```no_run
//! use kiln_exec::RunOptions;
//! use kiln_nodes::{Environment, Session, files::Folders};
//! use kiln_server::{Config, Server};
//!
//! # async fn serve() -> Result<(), kiln_server::ServerError> {
//! let session = Session::new(Environment::new(Folders::under(".")), kiln_nodes::registry());
//! let server = Server::bind(Config::default(), session, RunOptions::new()).await?;
//! println!("http://{}", server.addresses()[0]);
//! server.run(std::future::pending()).await
//! # }
//! ```

#![forbid(unsafe_code)]

mod config;
mod connections;
mod files;
mod http;
mod hub;
mod queue;
mod routes;
mod server;
mod state;
mod store;
mod tls;

pub use config::{Config, Log, PreviewMethod, Resume};
pub use files::packages::Packages;
pub use server::{Server, ServerError};
pub use tls::Tls;
