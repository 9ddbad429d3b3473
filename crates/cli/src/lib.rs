//! The `kiln` command, and what a terminal shows while a graph runs.
//!
//! The command line is built on the library and on nothing else: [`Terminal`] runs graphs in a
//! [`Session`](kiln_nodes::runtime::Session), [`Console`] listens to its events, [`Summary`] says what ran, for how long and
//! who held the memory. The main example uses the same pieces.
//!
//! # Features
//! `server` and `community` (on by default, so that the command has them): `kiln serve`, and small nodes of other packs.
//! `testing-nodes`: the command also has the nodes of ComfyUI's own execution tests.
//!
//! # Example
//! ```
//! use kiln_cli::options::bytes;
//! assert_eq!(bytes("600M"), Ok(600 << 20));
//! ```
pub mod bench;
mod calls;
mod checkup;
mod class_page;
mod console;
mod excerpt;
mod graph_plan;
mod interrupt;
mod lines;
pub mod memory;
mod named_files;
mod open;
pub mod options;
mod outlook;
mod places;
pub mod plan;
mod settings;
mod shelves;
pub mod streams;
mod summary;
mod terminal;
mod warnings;

pub use checkup::{CheckUp, Finding, Verdict};
pub use class_page::ClassPage;
pub use console::{Console, NodeRow, Rows};
pub use excerpt::excerpt_of_nodes;
pub use graph_plan::GraphPlan;
pub use interrupt::{explain_failure, on_ctrl_c};
pub use lines::{lines, summary_line};
pub use open::{OpenError, Opened, Refused, open};
pub use outlook::Outlook;
pub use settings::{Setting, SettingError};
pub use shelves::Shelves;
pub use summary::Summary;
pub use terminal::{Failure, Finished, Terminal};
pub use warnings::Warnings;
