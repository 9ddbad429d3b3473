//! Files around a graph: where models, inputs and outputs lie, and how images are read and written.
//!
//! Knows paths and bytes. Knows nothing of nodes, graphs or tensors, so a server or an app can use it alone.

mod animation;
mod error;
mod extra_paths;
mod folders;
mod json_text;
mod load;
mod model_dirs;
mod numbers;
mod png;
mod prefix;
mod save;

pub use animation::{Animation, NextImage, Webp, write_apng, write_gif, write_webp};
pub use error::FileError;
pub use folders::{DirKind, Folders, MODEL_FOLDERS};
pub use json_text::json_text;
pub use load::{Frames, load_image, load_image_as_stored, load_image_bytes};
pub use png::{Colour, PngImage, read_png, write_png};
pub use prefix::{Moment, fill_prefix};
pub use save::{SavePath, SavedFile, replace_file, write_new, write_new_with};
