"""Times of PyTorch for the networks that `kiln bench sd15` and `kiln bench sdxl` run, in f32 on the CPU.

    python networks.py sd15|sdxl STEPS THREADS

Random weights of full size; the last line is one JSON object. Needs torch, diffusers and transformers, and fetches nothing.
"""

import json
import sys
import time

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

SD15 = dict(
    sample_size=64,
    in_channels=4,
    out_channels=4,
    layers_per_block=2,
    block_out_channels=(320, 640, 1280, 1280),
    down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    cross_attention_dim=768,
    attention_head_dim=8,
)
SDXL = dict(
    sample_size=128,
    in_channels=4,
    out_channels=4,
    layers_per_block=2,
    block_out_channels=(320, 640, 1280),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    transformer_layers_per_block=(1, 2, 10),
    cross_attention_dim=2048,
    attention_head_dim=(5, 10, 20),
    use_linear_projection=True,
    addition_embed_type="text_time",
    addition_time_embed_dim=256,
    projection_class_embeddings_input_dim=2816,
)
VAE = dict(
    block_out_channels=(128, 256, 512, 512),
    layers_per_block=2,
    latent_channels=4,
    down_block_types=("DownEncoderBlock2D",) * 4,
    up_block_types=("UpDecoderBlock2D",) * 4,
)


def median(run, times):
    run()  # The first one plans and allocates.
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[len(taken) // 2]


def main():
    family, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    xl = family == "sdxl"
    batch, side = (1, 128) if xl else (2, 64)
    with torch.inference_mode():
        unet = UNet2DConditionModel(**(SDXL if xl else SD15)).eval()
        context = torch.randn(batch, 77, 2048 if xl else 768)
        extra = {"text_embeds": torch.randn(batch, 1280), "time_ids": torch.randn(batch, 6)} if xl else None
        x = torch.randn(batch, 4, side, side)
        step = median(lambda: unet(x, 999, context, added_cond_kwargs=extra), max(1, steps - 1))
        del unet
        vae = AutoencoderKL(**VAE).eval()
        z = torch.randn(1, 4, side, side)
        decode = median(lambda: vae.decode(z), 1)
        del vae
        # CLIP-L as both families have it.
        clip = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12)).eval()
        ids = torch.randint(0, 49407, (1, 77))
        text = median(lambda: clip(ids), 5)
    times = dict(unet_step_s=step, vae_decode_s=decode, clip_s=text)
    print(json.dumps(dict(times, version=torch.__version__, threads=threads)))


main()
