//! Socket kinds: the compile-time names of socket types. They exist so that the builder can refuse a wrong link.

/// Marker of `INT` sockets, whatever integer the node uses.
#[derive(Debug, Clone, Copy)]
pub struct Int;
/// Marker of `FLOAT` sockets.
#[derive(Debug, Clone, Copy)]
pub struct Float;
/// Marker of `BOOLEAN` sockets.
#[derive(Debug, Clone, Copy)]
pub struct Boolean;
/// Marker of `STRING` sockets.
#[derive(Debug, Clone, Copy)]
pub struct Text;
/// Marker of sockets that choose from a list of words.
#[derive(Debug, Clone, Copy)]
pub struct Combo;
/// Marker of `*` sockets: everything links into them and they link into everything.
#[derive(Debug, Clone, Copy)]
pub struct Any;
/// Marker of hidden inputs: the engine fills them, nothing links into them.
#[derive(Debug, Clone, Copy)]
pub struct Hidden;

/// An output of kind `Self` may be linked into an input of kind `Input`.
///
/// Implemented by [`object!`](crate::object!) for every payload type: into itself and into `*`.
#[diagnostic::on_unimplemented(
    message = "an output of type `{Self}` cannot be linked into an input of type `{Input}`",
    label = "this link carries `{Self}`, the input wants `{Input}`",
    note = "put the node between that turns one into the other:\n  \
            LATENT → IMAGE: `VAEDecode`        IMAGE → LATENT: `VAEEncode`\n  \
            CLIP → CONDITIONING: `CLIPTextEncode`\n  \
            IMAGE → MASK: `ImageToMask`        MASK → IMAGE: `MaskToImage`\n  \
            checkpoint name → MODEL, CLIP, VAE: `CheckpointLoaderSimple`\n  \
            file name → IMAGE: `LoadImage`"
)]
pub trait LinksInto<Input> {}

macro_rules! kinds {
    ($($kind:ty),*) => {$(
        impl LinksInto<$kind> for $kind {}
        impl LinksInto<Any> for $kind {}
    )*};
}
kinds!(Int, Float, Boolean, Text, Combo);
impl LinksInto<Text> for Combo {}
impl<K> LinksInto<K> for Any {}
