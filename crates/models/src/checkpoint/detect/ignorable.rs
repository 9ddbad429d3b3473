//! Names of tensors that mean nothing: training state, tables that are computed.

/// Whether a tensor that nothing uses is known to be of no use: training state, tables that are computed.
pub fn ignorable(name: &str) -> bool {
    const ENDS: [&str; 2] = [".position_ids", "logit_scale"];
    const NAMES: [&str; 10] = [
        "betas",
        "alphas_cumprod",
        "alphas_cumprod_prev",
        "lvlb_weights",
        "denoiser.sigmas",
        "logvar",
        "v_pred",
        "ztsnr",
        "edm_mean",
        "edm_std",
    ];
    const STARTS: [&str; 8] = [
        "model_ema.",
        "sqrt_",
        "log_",
        "posterior_",
        "edm_vpred.",
        // Schedules of noise in images, which follow from few numbers.
        "noise_augmentor.",
        "low_scale_model.",
        // What made a video's image a latent while it was trained; the autoencoder does it.
        "conditioner.embedders.3.",
    ];
    ENDS.iter().any(|end| name.ends_with(end))
        || NAMES.contains(&name)
        || STARTS.iter().any(|start| name.starts_with(start))
}
