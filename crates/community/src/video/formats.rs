//! The formats of VHS_VideoCombine: what is written here, and what needs an encoder of videos.

use std::io::Write;

use kiln_nodes::files::{Animation, NextImage, Webp, write_apng, write_gif, write_webp};

/// What the class lists. The pack has one entry for each setting of its encoder, `ffmpeg`; `image/apng` is Kiln's own.
pub(super) const FORMATS: [&str; 18] = [
    "image/gif",
    "image/webp",
    "image/apng",
    "video/16bit-png",
    "video/8bit-png",
    "video/av1-webm",
    "video/ffmpeg-gif",
    "video/ffv1-mkv",
    "video/gifski",
    "video/h264-mp4",
    "video/h265-mp4",
    "video/nvenc_av1-mp4",
    "video/nvenc_h264-mp4",
    "video/nvenc_hevc-mp4",
    "video/ProRes",
    "video/spectrograph",
    "video/webm",
    "video/x264-faststart",
];

/// Pillow's quality of a WEBP where losses are allowed.
const QUALITY: u8 = 80;
/// Pillow's deflate level as the pack has it.
pub(super) const COMPRESSION: u8 = 4;

/// A format that is written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Gif,
    Webp,
    Apng,
}

impl Format {
    /// The format of that name.
    ///
    /// # Errors
    /// What can be written, if this can't.
    pub(super) fn named(name: &str) -> Result<Self, String> {
        match name {
            "image/gif" => Ok(Self::Gif),
            "image/webp" => Ok(Self::Webp),
            "image/apng" => Ok(Self::Apng),
            video if video.starts_with("video/") => Err(format!(
                "`format` is `{video}`, which needs an encoder of videos (ffmpeg) that Kiln doesn't run; choose \
                 image/gif, image/webp or image/apng, or save the frames with SaveImage"
            )),
            other => Err(format!("`format` is `{other}`; choose image/gif, image/webp or image/apng")),
        }
    }

    /// How file names end.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Apng => "apng",
        }
    }

    /// Writes the file.
    pub(super) fn write(
        self,
        lossless: bool,
        animation: &Animation,
        next: &mut NextImage<'_>,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        match self {
            Self::Gif => write_gif(animation, next, out),
            Self::Webp => write_webp(animation, Webp { lossless, quality: QUALITY, method: 0 }, next, out),
            Self::Apng => write_apng(animation, COMPRESSION, next, out),
        }
    }
}
