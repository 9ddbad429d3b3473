//! SaveImageWebsocket: images that go to the client who asked for them, and into no file.

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Node, NodeError};

use super::save::{PREVIEW, pictures};
use crate::files::write_png;
use crate::payload::Image;

/// A whole image for the client, beside a step of progress. A server sends it as it sends previews, and leaves none out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentImage {
    /// PNG, without texts.
    pub png: Vec<u8>,
}

/// Sends images over the websocket to the client whose prompt this is, as PNG without the graph inside. No file is written,
/// and without a client that listens nobody gets them.
#[derive(Node)]
#[node(
    category = "api/image",
    module = "custom_nodes.websocket_image_save",
    output_node,
    aliases("send", "stream", "client")
)]
pub struct SaveImageWebsocket {
    /// The images to send, each in a message of its own.
    images: Image,
}

impl Execute for SaveImageWebsocket {
    type Output = ();

    /// What was sent once is sent again: it is kept nowhere.
    fn fingerprint(_known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        Ok(Fingerprint::Always)
    }

    fn execute(self, cx: &mut Cx) -> Result<(), NodeError> {
        let mut progress = cx.progress(self.images.dims()[0] as u32);
        for picture in pictures(&self.images)? {
            progress.step_with(SentImage { png: write_png(&picture, PREVIEW)? })?;
        }
        Ok(())
    }
}
