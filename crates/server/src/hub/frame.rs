//! Frames: what goes over a websocket, text or binary.

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde_json::json;

/// First word of a binary frame: an image.
const IMAGE: u32 = 1;
/// First word of a binary frame: a text.
const TEXT: u32 = 3;
/// First word of a binary frame: an image with what it belongs to.
const IMAGE_WITH_METADATA: u32 = 4;

/// How a picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// JPEG.
    Jpeg = 1,
    /// PNG.
    Png = 2,
}

impl Stored {
    /// Its media type.
    pub(crate) fn media(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// A message's text: `{"type", "data"}`.
pub(crate) fn text(kind: &str, data: impl Serialize) -> Utf8Bytes {
    json!({"type": kind, "data": data}).to_string().into()
}

/// A line of text that stands at a node. All numbers are big-endian.
pub(crate) fn text_frame(node: &str, line: &str) -> Message {
    let mut frame = BytesMut::with_capacity(node.len() + line.len() + 8);
    frame.put_u32(TEXT);
    frame.put_u32(node.len() as u32);
    frame.put_slice(node.as_bytes());
    frame.put_slice(line.as_bytes());
    Message::Binary(frame.freeze())
}

/// A picture that goes along with a step: of the work so far, or one that is wanted itself.
#[derive(Clone, Debug)]
pub(crate) struct PreviewFrame {
    pub(crate) stored: Stored,
    pub(crate) picture: Bytes,
    /// Whether the client wants it however slowly it reads.
    pub(crate) is_result: bool,
    /// What it belongs to, as JSON.
    pub(crate) metadata: String,
}

impl PreviewFrame {
    /// The frame for clients that asked for metadata, or for the others. All numbers are big-endian.
    pub(crate) fn message(&self, with_metadata: bool) -> Message {
        let mut frame = BytesMut::with_capacity(self.picture.len() + self.metadata.len() + 8);
        if with_metadata {
            frame.put_u32(IMAGE_WITH_METADATA);
            frame.put_u32(self.metadata.len() as u32);
            frame.put_slice(self.metadata.as_bytes());
        } else {
            frame.put_u32(IMAGE);
            frame.put_u32(self.stored as u32);
        }
        frame.put_slice(&self.picture);
        Message::Binary(frame.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_begin_with_big_endian_words() {
        let picture = Bytes::from_static(b"jpeg");
        let preview = PreviewFrame { stored: Stored::Jpeg, picture, is_result: false, metadata: "{}".into() };
        assert_eq!(preview.message(false).into_data().as_ref(), b"\0\0\0\x01\0\0\0\x01jpeg");
        assert_eq!(text_frame("7", "Iteration 2").into_data().as_ref(), b"\0\0\0\x03\0\0\0\x017Iteration 2");
        assert_eq!(preview.message(true).into_data().as_ref(), b"\0\0\0\x04\0\0\0\x02{}jpeg");
    }
}
