//! Nodes of models that make videos and views out of an image: what they are told, and how they are guided.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::{Camera, Concat, Conditioning as Conditions, Video};
use kiln_models::random::TorchGenerator;
use kiln_models::sampling::FrameCourse;

use crate::comfy::image::limits::MAX_SIDE;
use crate::comfy::image::resize::{Crop, Method, resize};
use crate::comfy::vae::encode;
use crate::comfy::vision::seen;
use crate::payload::{ClipVision, Conditioning, Image, Latent, Model, Vae};

crate::comfy::classes::classes! {
    SvdImg2vidConditioning, VideoLinearCFGGuidance, VideoTriangleCFGGuidance, Sv3dConditioning,
    StableZero123Conditioning, StableZero123ConditioningBatched,
}

/// Pixels on each side of a latent cell.
const CELL: usize = 8;

/// An image as the networks here take it: seen by CLIP, and as a latent.
struct Subject {
    /// `[1, images, width]`.
    embeds: Tensor<3>,
    latent: Tensor<4>,
}

impl Subject {
    /// `noise`: how much of it the image gets before it becomes a latent.
    fn new(
        cx: &Cx,
        (clip_vision, vae): (&ClipVision, &Vae),
        image: &Image,
        [width, height]: [usize; 2],
        noise: f64,
    ) -> Result<Self, NodeError> {
        if image.dims()[0] == 0 {
            return Err(NodeError::new("`init_image` holds no image"));
        }
        let embeds = seen(cx, clip_vision, image, true)?.embeds()?;
        let mut pixels = resize(image.rgb().planes(), [height, width], Method::Bilinear, Crop::Center)?;
        if noise > 0.0 {
            // ComfyUI draws it from a generator that nothing seeds; here the same input gives the same latent.
            let shape = pixels.dims();
            let drawn = TorchGenerator::new(0).randn(shape.iter().product());
            pixels = pixels.clone() + Tensor::from_data(TensorData::new(drawn, shape), &pixels.device()) * noise as f32;
        }
        Ok(Self { embeds: embeds.unsqueeze::<3>(), latent: encode(vae, pixels)? })
    }

    /// What to draw, given as `context`, and what to move away from: nothing seen, over nothing.
    fn conditions(&self, context: Tensor<3>, video: &Video) -> (Conditioning, Conditioning) {
        let condition = |context, latent| {
            let concat = Concat { latent, mask: None };
            Conditioning::new(Conditions::new(context, None).set_concat(&concat).set_video(video))
        };
        (condition(context, self.latent.clone()), condition(self.embeds.zeros_like(), self.latent.zeros_like()))
    }

    /// Where sampling starts.
    fn empty(&self, frames: usize, [width, height]: [usize; 2]) -> Latent {
        Latent::new(Tensor::zeros([frames, 4, height / CELL, width / CELL], &self.latent.device()))
    }
}

/// Gives an image to a model that makes a video of it (Stable Video Diffusion).
#[derive(Node)]
#[node(
    class = "SVD_img2vid_Conditioning",
    display_name = "SVD_img2vid_Conditioning",
    category = "conditioning/video_models",
    module = "comfy_extras.nodes_video_model",
    outputs("positive", "negative", "latent")
)]
pub struct SvdImg2vidConditioning {
    /// The image encoder.
    #[input(uses)]
    clip_vision: ClipVision,
    /// The image.
    init_image: Image,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// Width of the video.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the video.
    #[input(default = 576, min = 16, max = MAX_SIDE, step = 8)]
    height: usize,
    /// How many frames.
    #[input(default = 14, min = 1, max = 4096)]
    video_frames: usize,
    /// How much moves.
    #[input(default = 127, min = 1, max = 1023)]
    motion_bucket_id: u32,
    /// Frames per second.
    #[input(default = 6, min = 1, max = 1024)]
    fps: u32,
    /// How much noise the image gets: more noise, less of it stays.
    #[input(default = 0.0, min = 0.0, max = 10.0, step = 0.01)]
    augmentation_level: f64,
}

impl Execute for SvdImg2vidConditioning {
    type Output = (Conditioning, Conditioning, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Conditioning, Conditioning, Latent), NodeError> {
        let (size, noise) = ([self.width, self.height], self.augmentation_level);
        let subject = Subject::new(cx, (&self.clip_vision, &self.vae), &self.init_image, size, noise)?;
        let video = Video {
            fps: Some(self.fps as f32),
            motion: Some(self.motion_bucket_id as f32),
            noise: Some(noise as f32),
            ..Video::default()
        };
        let (positive, negative) = subject.conditions(subject.embeds.clone(), &video);
        Ok((positive, negative, subject.empty(self.video_frames, size)))
    }
}

/// The last node that says how predictions are mixed has its way.
fn guided(model: Model, least: f64, course: FrameCourse) -> Model {
    Model { frame_scale: Some((least, course)), rescale_cfg: None, perp_negative: None, ..model }
}

/// Guides each frame of a video more than the one before.
#[derive(Node)]
#[node(
    display_name = "VideoLinearCFGGuidance",
    category = "sampling/video_models",
    module = "comfy_extras.nodes_video_model"
)]
pub struct VideoLinearCFGGuidance {
    /// The model.
    model: Model,
    /// The scale of the first frame; the last has the sampler's.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.5, round = 0.01)]
    min_cfg: f64,
}

impl Execute for VideoLinearCFGGuidance {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(guided(self.model, self.min_cfg, FrameCourse::Linear))
    }
}

/// Guides the frames of a video more the nearer they are to its middle.
#[derive(Node)]
#[node(
    display_name = "VideoTriangleCFGGuidance",
    category = "sampling/video_models",
    module = "comfy_extras.nodes_video_model"
)]
pub struct VideoTriangleCFGGuidance {
    /// The model.
    model: Model,
    /// The scale of the first and the last frame; the middle has the sampler's.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.5, round = 0.01)]
    min_cfg: f64,
}

impl Execute for VideoTriangleCFGGuidance {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(guided(self.model, self.min_cfg, FrameCourse::Triangle))
    }
}

/// Gives an image to a model that shows its object from all around (SV3D).
#[derive(Node)]
#[node(
    unnamed,
    class = "SV3D_Conditioning",
    category = "conditioning/3d_models",
    module = "comfy_extras.nodes_stable3d",
    outputs("positive", "negative", "latent")
)]
pub struct Sv3dConditioning {
    /// The image encoder.
    #[input(uses)]
    clip_vision: ClipVision,
    /// The image.
    init_image: Image,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// Width of the frames.
    #[input(default = 576, min = 16, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the frames.
    #[input(default = 576, min = 16, max = MAX_SIDE, step = 8)]
    height: usize,
    /// How many frames a turn has.
    #[input(default = 21, min = 1, max = 4096)]
    video_frames: usize,
    /// How far above the object the camera stands, in degrees.
    #[input(default = 0.0, min = -90.0, max = 90.0, step = 0.1, round = false)]
    elevation: f64,
}

impl Execute for Sv3dConditioning {
    type Output = (Conditioning, Conditioning, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Conditioning, Conditioning, Latent), NodeError> {
        let size = [self.width, self.height];
        let subject = Subject::new(cx, (&self.clip_vision, &self.vae), &self.init_image, size, 0.0)?;
        let step = 360.0 / (self.video_frames.max(2) - 1) as f64;
        let azimuths = std::iter::successors(Some(0.0), |azimuth| Some(azimuth + step));
        let camera = |azimuth| Camera { elevation: self.elevation as f32, azimuth: azimuth as f32 };
        let cameras: Arc<[Camera]> = azimuths.take(self.video_frames).map(camera).collect();
        let (positive, negative) = subject.conditions(subject.embeds.clone(), &Video { cameras, ..Video::default() });
        Ok((positive, negative, subject.empty(self.video_frames, size)))
    }
}

/// Where a camera stands as the network takes it: `[1, 1, 4]`.
fn pose(elevation: f64, azimuth: f64, like: &Tensor<3>) -> Tensor<3> {
    let (elevation, azimuth) = (elevation as f32, (azimuth as f32).to_radians());
    let values = [((90.0 - elevation) - 90.0).to_radians(), azimuth.sin(), azimuth.cos(), 90f32.to_radians()];
    Tensor::from_data(TensorData::new(values.to_vec(), [1, 1, 4]), &like.device())
}

/// What was seen with each camera: `[cameras, 1, width + 4]`.
fn posed(subject: &Subject, cameras: impl Iterator<Item = (f64, f64)>) -> Result<Tensor<3>, NodeError> {
    let images = subject.embeds.dims()[1];
    if images != 1 {
        return Err(NodeError::new(format!("`init_image` holds {images} images; the camera goes around one")));
    }
    let row =
        |(elevation, azimuth)| Tensor::cat(vec![subject.embeds.clone(), pose(elevation, azimuth, &subject.embeds)], 2);
    Ok(Tensor::cat(cameras.map(row).collect(), 0))
}

/// Gives an image and a camera to a model that shows its object from there (Stable Zero123).
#[derive(Node)]
#[node(
    unnamed,
    class = "StableZero123_Conditioning",
    category = "conditioning/3d_models",
    module = "comfy_extras.nodes_stable3d",
    outputs("positive", "negative", "latent")
)]
pub struct StableZero123Conditioning {
    /// The image encoder.
    #[input(uses)]
    clip_vision: ClipVision,
    /// The image.
    init_image: Image,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// Width of the view.
    #[input(default = 256, min = 16, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the view.
    #[input(default = 256, min = 16, max = MAX_SIDE, step = 8)]
    height: usize,
    /// How many drawings of the same view.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
    /// How far above the image's camera, in degrees.
    #[input(default = 0.0, min = -180.0, max = 180.0, step = 0.1, round = false)]
    elevation: f64,
    /// How far around the object, in degrees.
    #[input(default = 0.0, min = -180.0, max = 180.0, step = 0.1, round = false)]
    azimuth: f64,
}

impl Execute for StableZero123Conditioning {
    type Output = (Conditioning, Conditioning, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Conditioning, Conditioning, Latent), NodeError> {
        let size = [self.width, self.height];
        let subject = Subject::new(cx, (&self.clip_vision, &self.vae), &self.init_image, size, 0.0)?;
        let context = posed(&subject, std::iter::once((self.elevation, self.azimuth)))?;
        let (positive, negative) = subject.conditions(context, &Video::default());
        Ok((positive, negative, subject.empty(self.batch_size, size)))
    }
}

/// As `StableZero123_Conditioning`, with a camera for each view of the batch; all views start from the same noise.
#[derive(Node)]
#[node(
    unnamed,
    class = "StableZero123_Conditioning_Batched",
    category = "conditioning/3d_models",
    module = "comfy_extras.nodes_stable3d",
    outputs("positive", "negative", "latent")
)]
pub struct StableZero123ConditioningBatched {
    /// The image encoder.
    #[input(uses)]
    clip_vision: ClipVision,
    /// The image.
    init_image: Image,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// Width of the views.
    #[input(default = 256, min = 16, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the views.
    #[input(default = 256, min = 16, max = MAX_SIDE, step = 8)]
    height: usize,
    /// How many views.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
    /// How far above the image's camera the first view is, in degrees.
    #[input(default = 0.0, min = -180.0, max = 180.0, step = 0.1, round = false)]
    elevation: f64,
    /// How far around the object the first view is, in degrees.
    #[input(default = 0.0, min = -180.0, max = 180.0, step = 0.1, round = false)]
    azimuth: f64,
    /// How much higher each view is than the one before.
    #[input(default = 0.0, min = -180.0, max = 180.0, step = 0.1, round = false)]
    elevation_batch_increment: f64,
    /// How much farther around each view is than the one before.
    #[input(default = 0.0, min = -180.0, max = 180.0, step = 0.1, round = false)]
    azimuth_batch_increment: f64,
}

impl Execute for StableZero123ConditioningBatched {
    type Output = (Conditioning, Conditioning, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Conditioning, Conditioning, Latent), NodeError> {
        let size = [self.width, self.height];
        let subject = Subject::new(cx, (&self.clip_vision, &self.vae), &self.init_image, size, 0.0)?;
        let (up, around) = (self.elevation_batch_increment, self.azimuth_batch_increment);
        let first = (self.elevation, self.azimuth);
        let cameras = std::iter::successors(Some(first), |(above, beside)| Some((above + up, beside + around)));
        let context = posed(&subject, cameras.take(self.batch_size))?;
        let (positive, negative) = subject.conditions(context, &Video::default());
        let latent = subject.empty(self.batch_size, size);
        let batch_index = Some(vec![0; self.batch_size].into());
        Ok((positive, negative, Latent { batch_index, ..latent }))
    }
}
