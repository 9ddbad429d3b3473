//! Stable Diffusion's networks on burn: text encoders, UNet, autoencoder, samplers, torch's noise.
